package mintapi

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// patience is how many failures in a row show that an API is down.
	patience = 3
	// firstWait is how long it is left alone then; each further failure doubles it, up to lastWait.
	firstWait = time.Second
	lastWait  = time.Minute
)

// outcome is what a call says about its API.
type outcome int

const (
	// ended: it answered, with a success or a refusal.
	ended outcome = iota
	// failed: it did not answer, or said itself that it can't.
	failed
	// unknown: the caller went away before anything was known.
	unknown
)

// breaker leaves an API alone that is down, and lets one call at a time try whether it still is.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	// waits is how often in a row it was left alone, until how long it is.
	waits int
	until time.Time
	// probing is true while one call tries.
	probing bool
}

func newBreaker(now func() time.Time) *breaker { return &breaker{now: now} }

// enter lets a call through, or says how long to wait. Whoever is let through calls leave.
func (b *breaker) enter() (probe bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return false, 0
	}
	if wait := b.until.Sub(b.now()); wait > 0 {
		return false, wait
	}
	if b.probing {
		return false, firstWait
	}
	b.probing = true
	return true, 0
}

// leave notes how a call has ended, and how long the API has asked to be left alone.
func (b *breaker) leave(probe bool, how outcome, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch how {
	case unknown:
		return
	case ended:
		b.failures, b.waits, b.until = 0, 0, time.Time{}
		return
	}
	b.failures++
	now := b.now()
	if b.until.After(now) || !probe && retryAfter == 0 && b.failures < patience {
		return // left alone already by a call that ended before, or not yet known to be down
	}
	wait := lastWait
	if b.waits < 6 {
		wait = min(firstWait<<b.waits, lastWait)
	}
	b.waits++
	wait += rand.N(wait/4 + 1) //nolint:gosec // no secret: several gateways do not come back at once
	b.until = now.Add(max(wait, retryAfter))
}
