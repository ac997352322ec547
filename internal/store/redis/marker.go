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
	m := s.met()
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
	if current := s.met(); found == m.value || *current != *m {
		return nil // who has met another meanwhile has said that claims from before are gone
	}
	again := marker{m.key, s.now().UTC().Format(time.RFC3339Nano)}
	s.adopt(ctx, again, s.now().UTC(), true, run{id: m.key})
	said, err := s.client.Do(ctx, "SET", again.key, again.value, "NX", "GET").Text()
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case err != nil:
		return err
	}
	again.value = said // another gateway was first
	s.adopt(ctx, again, s.now().UTC(), true, run{id: m.key})
	return nil
}

// met is the marker of the run that was met last; nil before the first, and of a cluster.
func (s *Store) met() *marker {
	s.meeting.RLock()
	defer s.meeting.RUnlock()
	return s.marker
}

// adopt makes m the marker of the run that was met last. Where it is another than before, claims of the one may be unknown to the other, however
// long each remembers: nothing from before now is trusted. Only the first run that is met is believed, since when it remembers; fresh is true
// where it has begun to do so now. A claim looks at the marker before it is made and at Since after it, and a change is seen whole: of two
// claims of one token on two servers, made by one gateway, one at least looks at Since too late.
func (s *Store) adopt(ctx context.Context, m marker, since time.Time, fresh bool, found run) {
	s.meeting.Lock()
	defer s.meeting.Unlock()
	switch {
	case s.marker != nil && *s.marker == m:
		return
	case s.marker != nil:
		s.forgotBefore(ctx, s.now().UTC(), found)
	case fresh:
		s.forgotBefore(ctx, since, found)
	default:
		s.raiseSince(since)
	}
	s.marker = &m
}
