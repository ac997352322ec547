package caddymodule

import (
	"context"
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

// shared holds what outlives one configuration, by key: stores by their resource, audit logs by their sink, issuers by their
// configuration, policy watchers by their inputs.
var shared = caddy.NewUsagePool()

// sharedMu makes opening and closing take turns, so that a resource is never opened while it is still being closed.
var sharedMu sync.Mutex

// entry is one value of the pool and how to close it.
type entry[T any] struct {
	value T
	close func() error
}

// Destruct closes the value when its last user has gone.
func (e *entry[T]) Destruct() error {
	if e.close == nil {
		return nil
	}
	return e.close()
}

// leases remembers what one configuration has taken from the pool.
type leases struct{ keys []string }

// take gets the value under key, or opens it. The configuration must call releaseAll once.
func take[T any](l *leases, key string, open func() (T, func() error, error)) (T, error) {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	got, _, err := shared.LoadOrNew(key, func() (caddy.Destructor, error) {
		v, closer, err := open()
		if err != nil {
			return nil, err
		}
		return &entry[T]{v, closer}, nil
	})
	if err != nil {
		var zero T
		return zero, err
	}
	l.keys = append(l.keys, key)
	return got.(*entry[T]).value, nil
}

// releaseAll gives everything back, in the opposite order.
func (l *leases) releaseAll() error {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	var errs []error
	for i := len(l.keys) - 1; i >= 0; i-- {
		if _, err := shared.Delete(l.keys[i]); err != nil {
			errs = append(errs, err)
		}
	}
	l.keys = nil
	return errors.Join(errs...)
}

// gate counts the requests inside one configuration. Caddy cleans a configuration up while its last requests are still
// running (on a reload it doesn't wait for them), so what they use may be closed only when the last one has left.
type gate struct {
	mu     sync.Mutex
	inside int
	onIdle func() // set once the gate is closing; called once
	shut   bool   // onIdle was called: nobody may enter any more
}

// enter lets a request in, unless everything was closed already.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside++
	return true
}

// leave ends a request.
func (g *gate) leave() {
	g.mu.Lock()
	g.inside--
	idle := g.idle()
	g.mu.Unlock()
	if idle != nil {
		idle()
	}
}

// close calls onIdle once nobody is inside: now, or when the last request leaves. Closing twice changes nothing.
func (g *gate) close(onIdle func()) {
	g.mu.Lock()
	if g.onIdle != nil || g.shut {
		g.mu.Unlock()
		return
	}
	g.onIdle = onIdle
	idle := g.idle()
	g.mu.Unlock()
	if idle != nil {
		idle()
	}
}

// idle returns what to call now; the lock is held.
func (g *gate) idle() func() {
	if g.onIdle == nil || g.inside > 0 || g.shut {
		return nil
	}
	g.shut = true
	return g.onIdle
}

// pending counts the configurations that are cleaned up but not closed yet.
var pending = newPendingCount()

type pendingCount struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed while n is zero
}

func newPendingCount() *pendingCount {
	p := &pendingCount{idle: make(chan struct{})}
	close(p.idle)
	return p
}

func (p *pendingCount) add(delta int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 && delta > 0 {
		p.idle = make(chan struct{})
	}
	p.n += delta
	if p.n == 0 {
		close(p.idle)
	}
}

// wait blocks until every configuration that is on its way out is closed, so that the audit's last lines are written
// before the process ends.
func (p *pendingCount) wait(ctx context.Context) error {
	p.mu.Lock()
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
