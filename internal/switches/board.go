// Package switches keeps the operators' switches at hand: orders that beat every allow. They live in the store, so they
// survive reloads and restarts and reach every gateway that shares it; a Board is one gateway's view of them.
package switches

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/internal/store"
)

const (
	// defaultInterval is how often the store is asked: another gateway's switch acts within it and one question's time.
	defaultInterval = 2 * time.Second
	// readTimeout bounds one question to the store.
	readTimeout = 2 * time.Second
	// maxAge is how old a view may be that is still believed; after it everything is refused.
	maxAge = 10 * time.Second
)

// Options of Open; the zero value is what operators get.
type Options struct {
	Logger *slog.Logger
	// Now is the clock, Interval how often the store is asked.
	Now      func() time.Time
	Interval time.Duration
}

// Board is a view of the store's switches. It is safe for concurrent use.
type Board struct {
	store  store.Store
	now    func() time.Time
	logger *slog.Logger
	view   atomic.Pointer[view]

	mu   sync.Mutex // one reader of the store at a time, so that an older answer never replaces a newer one
	stop context.CancelFunc
	done chan struct{}
}

// view is what the store said at one moment.
type view struct {
	byID map[string]model.Switch
	read time.Time
}

// Open reads the switches and keeps reading them until Close. It does not close the store. One that is away is no error: all is
// refused until it was read.
func Open(ctx context.Context, s store.Store, opts Options) (*Board, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Interval <= 0 {
		opts.Interval = defaultInterval
	}
	b := &Board{store: s, now: opts.Now, logger: opts.Logger, done: make(chan struct{})}
	if err := b.refresh(ctx); errors.Is(err, store.ErrUnavailable) {
		b.view.Store(new(view)) // one that is too old to be believed, until the store is there
	} else if err != nil {
		return nil, fmt.Errorf("read the switches: %w", err)
	}
	polling, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	go b.poll(polling, opts.Interval)
	return b, nil
}

// Close ends the reading.
func (b *Board) Close() error {
	b.stop()
	<-b.done
	return nil
}

// poll reads the store again and again. A failure is logged once, when it begins.
func (b *Board) poll(ctx context.Context, interval time.Duration) {
	defer close(b.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := b.refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			b.logger.Error("the store's switches cannot be read; publishes are refused until they can", "error", err)
		}
		failing = err != nil
	}
}

// refresh takes the store's switches of now.
func (b *Board) refresh(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	asked := b.now()
	all, err := b.store.Switches(ctx)
	if err != nil {
		return err
	}
	next := &view{byID: make(map[string]model.Switch, len(all)), read: asked}
	for _, s := range all {
		next.byID[s.ID()] = s
	}
	b.view.Store(next)
	return nil
}

// Set keeps a switch; it acts here when Set returns, and within seconds on gateways that share the store.
func (b *Board) Set(ctx context.Context, s model.Switch) error {
	if err := s.Check(b.now()); err != nil {
		return err
	}
	if err := b.store.SetSwitch(ctx, s); err != nil {
		return err
	}
	return b.refresh(ctx)
}

// Remove forgets a switch; found is false where there was none.
func (b *Board) Remove(ctx context.Context, s model.Switch) (found bool, err error) {
	found, err = b.store.RemoveSwitch(ctx, s.ID())
	if err != nil {
		return false, err
	}
	return found, b.refresh(ctx)
}

// List asks the store.
func (b *Board) List(ctx context.Context) ([]model.Switch, error) { return b.store.Switches(ctx) }

// errStale is the cause of a refusal while the store cannot be read.
var errStale = errors.New("the switches were last read too long ago")

// current is the view to judge by, nil where there is no switch at all, and a denial where it is too old to be believed: what it
// stops is stopped all the same.
func (b *Board) current() (*view, error) {
	v := b.view.Load()
	var stale error
	if b.now().Sub(v.read) > maxAge {
		stale = model.Deny(model.CodeStoreUnavailable).Because(errStale)
	}
	if len(v.byID) == 0 {
		return nil, stale
	}
	return v, stale
}

// Identity refuses a token that a switch stops: its issuer, the key that signed it, its repository or its run.
func (b *Board) Identity(id *model.Identity) error {
	v, stale := b.current()
	if v == nil {
		return stale
	}
	try := func(kind model.SwitchKind, value, issuer string) *model.Denial {
		if value == "" {
			return nil
		}
		return b.stopped(v, model.Switch{Kind: kind, Value: value, Issuer: issuer})
	}
	if d := try(model.SwitchIssuer, id.Issuer, ""); d != nil {
		return d
	}
	var repository, run string
	if p, ok := provider.Get(id.Provider); ok {
		if name := p.StableClaim(provider.Repository); name != "" {
			repository, _ = p.Text(id.Claims, name)
		}
		if p.RunID != "" {
			run, _ = p.Text(id.Claims, p.RunID)
		}
	}
	for _, issuer := range []string{"", id.Issuer} {
		for _, one := range []struct {
			kind  model.SwitchKind
			value string
		}{{model.SwitchKey, id.KeyID}, {model.SwitchRepository, repository}, {model.SwitchRun, run}} {
			if d := try(one.kind, one.value, issuer); d != nil {
				return d
			}
		}
	}
	return stale
}

// Target refuses to change what a switch has frozen: the registry, the package, or what the policy would allow. Policy and
// the target's package may be empty; reads are never refused.
func (b *Board) Target(target model.Target, policy string) error {
	if target.Action == model.ActionRead {
		return nil
	}
	v, stale := b.current()
	if v == nil {
		return stale
	}
	for _, one := range []model.Switch{
		{Kind: model.SwitchRegistry, Value: target.Registry},
		{Kind: model.SwitchPackage, Value: target.Registry + "/" + target.Package},
		{Kind: model.SwitchPolicy, Value: policy},
	} {
		if d := b.stopped(v, one); d != nil {
			return d
		}
	}
	return stale
}

// stopped is the denial of a switch that is set and has not ended.
func (b *Board) stopped(v *view, key model.Switch) *model.Denial {
	s, set := v.byID[key.ID()]
	if !set || s.Ended(b.now()) {
		return nil
	}
	return model.Deny(model.CodeDeniedByOperator).Differ(string(s.Kind), s.Value, "one that no operator has stopped").
		Because(fmt.Errorf("switch %s, set by %s: %s", s, s.By, s.Reason))
}
