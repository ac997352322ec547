package identity

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// keysTTL is how long fetched keys are believed; a key that its issuer withdrew stops working within it.
	keysTTL = 10 * time.Minute
	// keysStale is how much longer old keys serve while the issuer cannot be reached.
	keysStale = time.Hour
	// keysHeldOff is the least time between two fetches that unknown key ids cause.
	keysHeldOff = 60 * time.Second
	// maxWaiters bounds the requests that wait for one fetch.
	maxWaiters = 64
	// The bounds of the wait between fetches that fail.
	minRetry, maxRetry = time.Second, 60 * time.Second
)

// snapshot is a key set as it was fetched, immutable.
type snapshot struct {
	keys    map[string]verifyKey
	skipped []string
	print   string
	// generation changes when the keys do; verdicts are good for one generation.
	generation uint64
	// fetched is when the fetch began.
	fetched time.Time
}

// flight is one fetch under way, which any number of requests wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// keySet holds the keys of one issuer and decides when they are fetched.
type keySet struct {
	// fetch is nil where the keys are pinned: they then never age.
	fetch  func(context.Context) (map[string]verifyKey, []string, error)
	now    func() time.Time
	logger *slog.Logger
	// ctx ends with the issuer; fetches belong to it and not to the request that caused them.
	ctx context.Context
	// failed is told of each failed fetch, so that the background can plan the next.
	failed chan struct{}

	current atomic.Pointer[snapshot]
	waiters atomic.Int32

	mu        sync.Mutex
	flight    *flight
	failures  int // since the last success
	retryAt   time.Time
	heldUntil time.Time
	attempted time.Time
	lastError string
}

// pinned is a key set that needs no network.
func (k *keySet) pinned() bool { return k.fetch == nil }

func (k *keySet) fresh(s *snapshot) bool {
	return s != nil && (k.pinned() || k.now().Sub(s.fetched) < keysTTL)
}

// usable is true for keys that may serve although the issuer cannot be reached.
func (k *keySet) usable(s *snapshot) bool {
	return s != nil && (k.pinned() || k.now().Sub(s.fetched) < keysTTL+keysStale)
}

// get gives the keys of now. It waits for a fetch where there are none or they are too old, and falls back on old keys
// while the issuer cannot be reached.
func (k *keySet) get(ctx context.Context) (*snapshot, *model.Denial) {
	s := k.current.Load()
	if k.fresh(s) {
		return s, nil
	}
	k.mu.Lock()
	s = k.current.Load()
	failing := k.failures > 0 && (k.now().Before(k.retryAt) || k.flight != nil && k.usable(s))
	if k.fresh(s) || failing {
		k.mu.Unlock()
		return k.fallback(s)
	}
	f := k.join()
	k.mu.Unlock()
	if d := k.wait(ctx, f); d != nil && !k.usable(s) {
		return nil, d
	}
	return k.fallback(k.current.Load())
}

// fallback gives the snapshot if it may still serve.
func (k *keySet) fallback(s *snapshot) (*snapshot, *model.Denial) {
	if k.usable(s) {
		return s, nil
	}
	return nil, k.unavailable()
}

// find gives the key of an id. An unknown id causes a fetch, but at most one in a minute whatever the number of tokens, since
// anyone can make up key ids.
func (k *keySet) find(ctx context.Context, kid string) (verifyKey, *snapshot, *model.Denial) {
	s, d := k.get(ctx)
	if d != nil {
		return verifyKey{}, nil, d
	}
	if key, ok := s.keys[kid]; ok {
		return key, s, nil
	}
	if k.pinned() {
		return verifyKey{}, nil, unknownKid(kid)
	}
	f, d := k.refetch(s)
	if d != nil {
		return verifyKey{}, nil, d
	}
	if f != nil {
		if d := k.wait(ctx, f); d != nil {
			return verifyKey{}, nil, d
		}
		if f.err != nil {
			return verifyKey{}, nil, k.unavailable()
		}
	}
	s = k.current.Load()
	if key, ok := s.keys[kid]; ok {
		return key, s, nil
	}
	return verifyKey{}, nil, unknownKid(kid)
}

// refetch joins or starts a fetch because of an unknown key id, unless one is held off. A nil flight means that the
// keys have changed since s.
func (k *keySet) refetch(s *snapshot) (*flight, *model.Denial) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	switch {
	case k.current.Load() != s:
		return nil, nil
	case k.flight != nil:
		return k.flight, nil
	case k.failures > 0 && now.Before(k.retryAt):
		return nil, model.Deny(model.CodeIssuerUnavailable).After(seconds(k.retryAt.Sub(now)))
	case now.Before(k.heldUntil):
		return nil, model.Deny(model.CodeUnknownKey).After(seconds(k.heldUntil.Sub(now)))
	}
	k.heldUntil = now.Add(keysHeldOff)
	return k.join(), nil
}

func unknownKid(kid string) *model.Denial {
	return model.Deny(model.CodeInvalidToken).Differ("kid", shown(kid), "a key of its issuer")
}

// join gives the fetch under way, or starts one. The caller holds the lock.
func (k *keySet) join() *flight {
	if k.flight != nil {
		return k.flight
	}
	f := &flight{done: make(chan struct{})}
	k.flight = f
	k.attempted = k.now()
	go k.fly(f, k.attempted)
	return f
}

// fly fetches and publishes the result.
func (k *keySet) fly(f *flight, began time.Time) {
	keys, skipped, err := k.safeFetch()
	k.mu.Lock()
	k.flight = nil
	f.err = err
	if err == nil {
		k.failures, k.lastError = 0, ""
		k.publish(keys, skipped, began)
	} else {
		k.failures++
		k.lastError = model.OneLine(err.Error(), 500)
		k.retryAt = k.now().Add(backOff(k.failures))
	}
	failures, lastError := k.failures, k.lastError
	k.mu.Unlock()
	close(f.done)
	if err != nil && k.ctx.Err() == nil {
		k.logger.Warn("fetching the issuer's keys failed", "failures", failures, "error", lastError)
		select {
		case k.failed <- struct{}{}:
		default:
		}
	}
}

// safeFetch turns a panic into an error: the keys of a stranger must not end the process, nor leave waiters waiting.
func (k *keySet) safeFetch() (keys map[string]verifyKey, skipped []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the issuer's keys panicked: %v", p)
		}
	}()
	return k.fetch(k.ctx)
}

// publish makes keys the current ones. The caller holds the lock.
func (k *keySet) publish(keys map[string]verifyKey, skipped []string, began time.Time) {
	next := &snapshot{keys: keys, skipped: skipped, print: fingerprint(keys), generation: 1, fetched: began}
	old := k.current.Load()
	changed := old == nil || old.print != next.print
	if old != nil {
		next.generation = old.generation
		if changed {
			next.generation++
		}
	}
	k.current.Store(next)
	if changed {
		k.logger.Info("the issuer's keys are loaded", "keys", len(keys), "skipped", len(skipped), "generation", next.generation)
		for _, why := range skipped {
			k.logger.Warn("a key of the issuer is not used", "why", model.OneLine(why, 500))
		}
	}
}

// wait waits for a fetch as long as the request lives.
func (k *keySet) wait(ctx context.Context, f *flight) *model.Denial {
	defer k.waiters.Add(-1)
	if k.waiters.Add(1) > maxWaiters {
		return model.Deny(model.CodeIssuerUnavailable).After(minRetry)
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return model.Deny(model.CodeIssuerUnavailable).After(minRetry).Because(ctx.Err())
	}
}

// unavailable is the denial while no keys can be had.
func (k *keySet) unavailable() *model.Denial {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := model.Deny(model.CodeIssuerUnavailable).After(seconds(k.retryAt.Sub(k.now())))
	if k.lastError != "" {
		d = d.Because(fmt.Errorf("last error: %s", k.lastError))
	}
	return d
}

// backOff is the wait after that many failures in a row, jittered so that gateways do not come back in step.
func backOff(failures int) time.Duration {
	most := maxRetry
	if failures < 7 {
		most = min(maxRetry, minRetry<<(failures-1))
	}
	return max(minRetry, most/2+jitter(most/2))
}

// jitter is some time up to most.
func jitter(most time.Duration) time.Duration {
	return rand.N(most + 1) //nolint:gosec // nobody gains by guessing when keys are fetched
}

// seconds rounds up to whole seconds, and to one at least.
func seconds(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}
