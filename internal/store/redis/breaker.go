package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/trustpub/trustpub/internal/store"
)

const (
	// tripAfter failures in a row the server is not asked any more.
	tripAfter = 5
	// probeAfter is how long it isn't; then one call at a time tries.
	probeAfter = time.Second
)

// newBreaker keeps a server that is away from costing each request its whole time limit.
func newBreaker(logger *slog.Logger) *gobreaker.CircuitBreaker[any] {
	return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Name: "store redis", MaxRequests: 1, Timeout: probeAfter,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		// A client that went away says nothing about the server.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				if from == gobreaker.StateClosed {
					logger.Error("the store's server does not answer; publishes are refused until it does")
				}
			case gobreaker.StateClosed:
				logger.Info("the store's server answers again")
			case gobreaker.StateHalfOpen:
			}
		},
	})
}

// usable refuses what is over before it began.
func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return ctx.Err()
}

// call asks the server within the time limit, unless the breaker is open. After an error nothing is known, and the caller
// refuses; errors that may pass are store.ErrUnavailable too.
func call[T any](ctx context.Context, s *Store, ask func(context.Context) (T, error)) (T, error) {
	var none T
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	got, err := s.breaker.Execute(func() (any, error) {
		v, err := ask(limited)
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		return v, err
	})
	switch {
	case err == nil:
		v, _ := got.(T)
		return v, nil
	case errors.Is(err, redis.ErrClosed):
		return none, store.ErrClosed
	case ctx.Err() != nil:
		return none, ctx.Err()
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return none, fmt.Errorf("%w: it did not answer the last calls", store.ErrUnavailable)
	case isPermanent(err):
		return none, fmt.Errorf("store redis: %w", err)
	}
	return none, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
