package gateway

import (
	"context"
	"sync"
	"time"
)

// patience is a context that ends by itself. Most neighbours answer at once and never ask when it ends, so its timer is made for the
// first that waits for it.
type patience struct {
	parent    context.Context //nolint:containedctx // it is one
	made, end time.Time

	mu     sync.Mutex      // guards what follows
	timed  context.Context //nolint:containedctx // the one with the timer; nil before the first that waits
	cancel context.CancelFunc
	ended  bool
}

// begin makes p one that begins now.
func (p *patience) begin(parent context.Context, now time.Time) *patience {
	p.parent, p.made, p.end = parent, now, now.Add(stepTimeout)
	return p
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.end, true }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.timer().Done() }

// Err implements context.Context.
func (p *patience) Err() error {
	p.mu.Lock()
	timed, ended := p.timed, p.ended
	p.mu.Unlock()
	switch {
	case timed != nil:
		return timed.Err()
	case ended:
		return context.Canceled
	case !time.Now().Before(p.end):
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. It also tells a context that is made of this one where to wait.
func (p *patience) Value(key any) any {
	p.mu.Lock()
	timed := p.timed
	p.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return p.parent.Value(key)
}

// timer makes the context with the timer, once.
func (p *patience) timer() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil {
		p.timed, p.cancel = context.WithDeadline(p.parent, p.end)
		if p.ended {
			p.cancel()
		}
	}
	return p.timed
}

// stop gives the timer back and ends what still waits.
func (p *patience) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.cancel != nil {
		p.cancel()
	}
}

// step gives a context for one question to a neighbour: it outlives a client that goes away, and ends by itself. Questions
// that follow each other closely share one.
func (t *transaction) step() context.Context {
	now := time.Now()
	if t.asking == nil || now.Sub(t.asking.made) > stepTimeout/4 {
		room := &t.first
		if t.asking != nil {
			t.endStep()
			room = new(patience)
		}
		t.asking = room.begin(context.WithoutCancel(t.r.Context()), now)
	}
	return t.asking
}

// endStep gives the timer of the last step back.
func (t *transaction) endStep() {
	if t.asking != nil {
		t.asking.stop()
	}
}

var _ context.Context = (*patience)(nil)
