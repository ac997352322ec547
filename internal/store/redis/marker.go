package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// marker is the key of a run with what it holds there: since when that run remembers. It is lost with the claims.
type marker struct{ key, value string }

// marked puts a question, and right after it on the same connection looks whether who answers is the server that was met. One whose data was wiped
// lacks the marker; a second server behind the same address, on which a claim of the first one is free, has another. Whoever
// reads Since after the answer knows what it is worth.
func (s *Store) marked(ctx context.Context, ask func(redis.Pipeliner)) error {
	m := s.marker.Load()
	pipe := s.client.Pipeline()
	ask(pipe)
	var found *redis.StringCmd
	if m != nil {
		found = pipe.Get(ctx, m.key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if m == nil {
		return nil // of a cluster; or the first connection, which was looked at when it was made
	}
	mark, err := found.Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return s.compare(ctx, m, mark)
}

// checkMarker notices that the data is gone, or another server's, while nothing else is asked.
func (s *Store) checkMarker(ctx context.Context) error {
	return s.marked(ctx, func(redis.Pipeliner) {})
}

// compare takes note of a server that does not hold the marker as it was.
func (s *Store) compare(ctx context.Context, m *marker, found string) error {
	if found == m.value || s.met(m) {
		return nil
	}
	now := s.now().UTC()
	// First, so that whoever sees the new marker sees the new Since too.
	s.forgotBefore(ctx, now, run{id: m.key})
	value := now.Format(time.RFC3339Nano)
	said, err := s.client.Do(ctx, "SET", m.key, value, "NX", "GET").Text()
	switch {
	case errors.Is(err, redis.Nil):
	case err != nil:
		return err
	default:
		value = said // another gateway was first
	}
	s.marker.CompareAndSwap(m, &marker{m.key, value})
	return nil
}

// met is true where a run of another name was met meanwhile, which has said all that there is to say.
func (s *Store) met(m *marker) bool {
	current := s.marker.Load()
	return current != nil && current.key != m.key
}
