package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/trustpub/trustpub/internal/store"
)

// Lease implements store.Leaser.
func (s *Store) Lease(ctx context.Context, key, holder string, life time.Duration) (string, error) {
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	if err := store.CheckLease(key, holder, life); err != nil {
		return "", err
	}
	return call(ctx, s, func(ctx context.Context) (string, error) {
		k, ms := s.prefix+"lease:"+key, life.Milliseconds()
		for range attempts {
			held, err := s.client.Do(ctx, "SET", k, holder, "NX", "GET", "PX", ms).Text()
			switch {
			case errors.Is(err, redis.Nil):
				return holder, nil
			case err != nil:
				return "", err
			case held != holder:
				return held, nil
			}
			ours, err := s.whileHeld(ctx, k, holder, func(pipe redis.Pipeliner) { pipe.Do(ctx, "SET", k, holder, "PX", ms) })
			if err != nil {
				return "", err
			}
			if ours {
				return holder, nil
			}
		}
		return "", errors.New("the lease changes hands while it is asked for")
	})
}

// Release implements store.Leaser.
func (s *Store) Release(ctx context.Context, key, holder string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	_, err := call(ctx, s, func(ctx context.Context) (bool, error) {
		k := s.prefix + "lease:" + key
		// A time that has passed removes the key, with a command that a user of the server has anyway.
		return s.whileHeld(ctx, k, holder, func(pipe redis.Pipeliner) { pipe.Do(ctx, "PEXPIREAT", k, 1) })
	})
	return err
}

// whileHeld does something to a lease, unless it is not holder's or changes hands meanwhile; done is false then.
func (s *Store) whileHeld(ctx context.Context, k, holder string, do func(redis.Pipeliner)) (done bool, err error) {
	err = s.client.Watch(ctx, func(tx *redis.Tx) error {
		held, err := tx.Get(ctx, k).Result()
		if err != nil || held != holder {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			do(pipe)
			return nil
		})
		done = err == nil
		return err
	}, k)
	if errors.Is(err, redis.Nil) || errors.Is(err, redis.TxFailedErr) {
		return false, nil
	}
	return done, err
}
