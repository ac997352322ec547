// Package memory keeps claims and revocations in the memory of one process. It forgets them at a restart, and says so by
// Since: the gateway then refuses tokens that were issued before the process started.
package memory

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// Kind registers the store as `store memory`.
var Kind = store.Kind{Name: "memory", New: func() store.Config { return new(Config) }}

// Config has no settings.
type Config struct{}

var _ store.Config = (*Config)(nil)

// Key is one for the whole process: all configurations share the claims.
func (*Config) Key(store.Env) (string, error) { return "memory", nil }

// Validate accepts: there is nothing to set.
func (*Config) Validate() error { return nil }

// Open makes an empty store.
func (*Config) Open(context.Context, store.Env) (store.Store, error) { return New(time.Now), nil }

// sweepPerCall bounds how many expired entries one call removes. It is more than the one that a call can add, so the store
// shrinks to its live entries while it is used, and no call pays for all.
const sweepPerCall = 16

// Store is the store. Its size is bounded by the claims that have not expired, plus what is waiting to be swept.
type Store struct {
	now   func() time.Time
	since time.Time

	mu          sync.RWMutex
	closed      bool
	claims      table[claim]
	revocations table[struct{}]
	switches    map[string]model.Switch
}

type claim struct{ holder string }

var _ store.Store = (*Store)(nil)

// New makes an empty store whose Since is now.
func New(now func() time.Time) *Store {
	return &Store{now: now, since: now(), claims: newTable[claim](), revocations: newTable[struct{}](), switches: map[string]model.Switch{}}
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, key, holder string, until time.Time) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	now := s.now()
	if err := store.CheckClaim(key, holder, until, now); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", store.ErrClosed
	}
	s.claims.sweep(now, sweepPerCall)
	if held, ok := s.claims.get(key, now); ok && held.holder != holder {
		return held.holder, nil
	}
	s.claims.put(key, claim{holder}, until, now)
	return holder, nil
}

// Revoke implements store.Store.
func (s *Store) Revoke(ctx context.Context, id string, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := store.CheckRevoke(id); err != nil {
		return err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.revocations.sweep(now, sweepPerCall)
	if until.After(now) {
		s.revocations.put(id, struct{}{}, until, now)
	}
	return nil
}

// Revoked implements store.Store.
func (s *Store) Revoked(ctx context.Context, ids ...string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	now := s.now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false, store.ErrClosed
	}
	for _, id := range ids {
		if _, ok := s.revocations.get(id, now); ok {
			return true, nil
		}
	}
	return false, nil
}

// SetSwitch implements store.Store. Operators set few, so those that have ended are forgotten on the way.
func (s *Store) SetSwitch(ctx context.Context, sw model.Switch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	now := s.now()
	maps.DeleteFunc(s.switches, func(_ string, old model.Switch) bool { return old.Ended(now) })
	s.switches[sw.ID()] = sw
	return nil
}

// RemoveSwitch implements store.Store.
func (s *Store) RemoveSwitch(ctx context.Context, id string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, store.ErrClosed
	}
	sw, found := s.switches[id]
	delete(s.switches, id)
	return found && !sw.Ended(s.now()), nil
}

// Switches implements store.Store.
func (s *Store) Switches(ctx context.Context) ([]model.Switch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	return store.LiveSwitches(maps.Values(s.switches), s.now()), nil
}

// Since is when the store was made.
func (s *Store) Since() time.Time { return s.since }

// Len counts the claims and revocations that are kept, expired ones that were not swept yet included.
func (s *Store) Len() (claims, revocations int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.claims.entries), len(s.revocations.entries)
}

// Close forgets everything.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.closed = true
	s.claims, s.revocations = newTable[claim](), newTable[struct{}]()
	return nil
}
