package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/trustpub/trustpub/internal/store"
)

// openTimeout bounds the first connection, whose handshake may be slow on a machine that has just started.
const openTimeout = 5 * time.Second

// attempts bounds how often an operation is tried anew that another one has crossed.
const attempts = 4

// Options of Open; the zero value is what operators get.
type Options struct {
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Store is a client of the server. Its keys, below the prefix:
//
//	claim:KEY     the holder, with an end
//	revoked:ID    1, with an end
//	lease:KEY     the holder, for a while
//	switches      a hash: ID of a switch -> the switch as JSON
//	run:ID        since when a run of the server remembers (see meet)
type Store struct {
	config  Config
	prefix  string
	timeout time.Duration
	now     func() time.Time
	logger  *slog.Logger
	client  redis.UniversalClient
	breaker *gobreaker.CircuitBreaker[any]
	closed  atomic.Bool

	since   atomic.Pointer[time.Time]
	meeting sync.RWMutex
	marker  *marker  // of the run that was met last
	runs    sync.Map // of a cluster: the runs that this gateway has met

	known knownSwitches
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Leaser = (*Store)(nil)
)

// Open makes a client and tries it. A server that is away is no error: every call fails until it is there.
func Open(ctx context.Context, config Config, opts Options) (*Store, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{config: config, prefix: config.prefix(), timeout: config.timeout(), now: opts.Now, logger: opts.Logger}
	s.breaker = newBreaker(s.logger)
	var err error
	if s.client, err = config.client(s.logger, s.check); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		if isPermanent(err) {
			return nil, errors.Join(fmt.Errorf("server %v: %w", config.Addresses, err), s.client.Close())
		}
		s.logger.ErrorContext(ctx, "the store's server cannot be reached; publishes are refused until it can", slog.Any("addresses", config.Addresses), slog.Any("error", err))
	}
	return s, nil
}

// at is a time as the server's PEXPIREAT takes it. The server lets a key live through its last millisecond, a claim ends at its
// very time.
func at(until time.Time) int64 {
	ms := until.UnixMilli()
	if until.After(time.UnixMilli(ms)) {
		return ms
	}
	return ms - 1
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, key, holder string, until time.Time) (string, error) {
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	if err := store.CheckClaim(key, holder, until, s.now()); err != nil {
		return "", err
	}
	return call(ctx, s, func(ctx context.Context) (string, error) {
		k := s.prefix + "claim:" + key
		for range attempts {
			var set *redis.Cmd
			err := s.marked(ctx, func(pipe redis.Pipeliner) { set = pipe.Do(ctx, "SET", k, holder, "NX", "GET", "PXAT", at(until)) })
			if err != nil {
				return "", err
			}
			held, err := set.Text()
			switch {
			case errors.Is(err, redis.Nil):
				return holder, nil
			case err != nil:
				return "", err
			case held != holder:
				return held, nil
			}
			// Ours already: keep the later end. What ended meanwhile is claimed anew.
			pipe := s.client.TxPipeline()
			pipe.Do(ctx, "PEXPIREAT", k, at(until), "GT")
			still := pipe.Get(ctx, k)
			if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
				return "", err
			}
			if held, err := still.Result(); err == nil {
				return held, nil
			}
		}
		return "", errors.New("the claim ends while it is made: compare the clocks of the server and the gateway")
	})
}

// Revoke implements store.Store.
func (s *Store) Revoke(ctx context.Context, id string, until time.Time) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckRevoke(id); err != nil {
		return err
	}
	if !until.After(s.now()) {
		return nil // the token it was for has expired
	}
	_, err := call(ctx, s, func(ctx context.Context) (any, error) {
		key := s.prefix + "revoked:" + id
		pipe := s.client.TxPipeline()
		pipe.Do(ctx, "SET", key, "1", "NX", "PXAT", at(until))
		pipe.Do(ctx, "PEXPIREAT", key, at(until), "GT")
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		return nil, nil
	})
	return err
}

// Revoked implements store.Store.
func (s *Store) Revoked(ctx context.Context, ids ...string) (bool, error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	if len(ids) == 0 {
		return false, nil
	}
	return call(ctx, s, func(ctx context.Context) (bool, error) {
		// One command for each, since a cluster keeps each where its name says.
		found := make([]*redis.IntCmd, len(ids))
		err := s.marked(ctx, func(pipe redis.Pipeliner) {
			for i, id := range ids {
				found[i] = pipe.Exists(ctx, s.prefix+"revoked:"+id)
			}
		})
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(found, func(n *redis.IntCmd) bool { return n.Val() > 0 }), nil
	})
}

// Close ends the connections; what the server keeps stays.
func (s *Store) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return store.ErrClosed
	}
	return s.client.Close()
}
