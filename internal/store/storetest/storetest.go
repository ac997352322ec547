// Package storetest is the conformance suite that every store runs.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/store"
)

// Opener opens the store under test. Opening the same folder again, after a close, is what a restart does.
type Opener func(t *testing.T, dir string, now func() time.Time) store.Store

// Options say what the store promises.
type Options struct {
	// Durable stores remember everything after they were opened again.
	Durable bool
	// Counts is set where Since is when the store was first opened, though it is durable: whoever keeps it may lose it.
	Counts bool
	// Leases is set for a store that several gateways share, which is a store.Leaser.
	Leases bool
	// Tick is the shortest time that the store can tell; zero: a nanosecond.
	Tick time.Duration
	// Moved is called whenever the clock of a case is set or moved; nil where the store has no clock but the one it was given.
	Moved func(t *testing.T, now time.Time)
}

// testCase is one promise.
type testCase struct {
	name string
	run  func(t *testing.T, f *fixture)
}

// newClock is the clock of one case.
func (o Options) newClock(t *testing.T) *Clock {
	c := NewClock()
	if o.Moved != nil {
		c.moved = func(now time.Time) { o.Moved(t, now) }
		c.moved(c.at)
	}
	return c
}

// Clock is a clock that moves when it is told to.
type Clock struct {
	mu    sync.Mutex
	at    time.Time
	moved func(now time.Time)
}

// NewClock starts at a fixed time.
func NewClock() *Clock { return &Clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

// Now reads the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	if c.moved != nil {
		c.moved(c.at)
	}
}

// fixture is one open store with its clock.
type fixture struct {
	store.Store
	clock *Clock
	tick  time.Duration
}

// in is a time from the fixture's now.
func (f *fixture) in(d time.Duration) time.Time { return f.clock.Now().Add(d) }

// Run runs the suite.
func Run(t *testing.T, open Opener, opts Options) {
	t.Helper()
	if opts.Tick == 0 {
		opts.Tick = 1
	}
	cases := []testCase{
		{"claim returns the holder", claimReturnsTheHolder},
		{"one of 100 wins", oneWins},
		{"a claim ends", claimEnds},
		{"a claim keeps the later end", claimKeepsLaterEnd},
		{"a claim may end in the year 9999", claimFarAhead},
		{"claims that protect nothing are refused", uselessClaims},
		{"revocations", revocations},
		{"a revocation keeps the later end", revocationKeepsLaterEnd},
		{"a cancelled context", cancelled},
		{"claims and revocations are apart", apart},
		{"switches", switches},
		{"a switch ends", switchEnds},
		{"since", func(t *testing.T, f *fixture) { since(t, f, opts) }},
	}
	if opts.Leases {
		cases = append(cases, leaseCases...)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			clock := opts.newClock(t)
			f := &fixture{Store: open(t, t.TempDir(), clock.Now), clock: clock, tick: opts.Tick}
			t.Cleanup(func() {
				if err := f.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.run(t, f)
		})
	}
	t.Run("a closed store", func(t *testing.T) { closedStore(t, open, opts) })
	if opts.Durable {
		t.Run("a restart forgets nothing", func(t *testing.T) { restart(t, open, opts) })
	}
}

func mustClaim(t *testing.T, s store.Store, key, holder string, until time.Time, want string) {
	t.Helper()
	got, err := s.Claim(t.Context(), key, holder, until)
	if err != nil {
		t.Fatalf("Claim(%s, %s): %v", key, holder, err)
	}
	if got != want {
		t.Fatalf("Claim(%s, %s) = %s, want %s", key, holder, got, want)
	}
}

func mustRevoke(t *testing.T, s store.Store, id string, until time.Time) {
	t.Helper()
	if err := s.Revoke(t.Context(), id, until); err != nil {
		t.Fatalf("Revoke(%s): %v", id, err)
	}
}

func mustRevoked(t *testing.T, s store.Store, want bool, ids ...string) {
	t.Helper()
	got, err := s.Revoked(t.Context(), ids...)
	if err != nil {
		t.Fatalf("Revoked(%v): %v", ids, err)
	}
	if got != want {
		t.Fatalf("Revoked(%v) = %v, want %v", ids, got, want)
	}
}

func claimReturnsTheHolder(t *testing.T, f *fixture) {
	until := f.in(time.Hour)
	mustClaim(t, f, "k", "first", until, "first")
	mustClaim(t, f, "k", "second", until, "first")
	mustClaim(t, f, "k", "first", until, "first")
	mustClaim(t, f, "another", "second", until, "second")
	mustClaim(t, f, "K", "second", until, "second")
	long := strings.Repeat("k", store.MaxKey)
	holder := strings.Repeat("h", store.MaxHolder)
	mustClaim(t, f, long, holder, until, holder)
	mustClaim(t, f, "bytes\x00\xff", "h\x00\xff", until, "h\x00\xff")
	mustClaim(t, f, "bytes\x00\xff", "h", until, "h\x00\xff")
}

func oneWins(t *testing.T, f *fixture) {
	const keys, claimants = 5, 100
	until := f.in(time.Hour)
	holders := make([][claimants]string, keys)
	errs := make(chan error, keys*claimants)
	start := make(chan struct{})
	var group sync.WaitGroup
	for k := range keys {
		for c := range claimants {
			group.Go(func() {
				<-start
				held, err := f.Claim(t.Context(), fmt.Sprintf("key-%d", k), fmt.Sprintf("claimant-%d", c), until)
				if err != nil {
					errs <- err
				}
				holders[k][c] = held
			})
		}
	}
	close(start)
	group.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	for k := range keys {
		winners := 0
		for c := range claimants {
			if holders[k][c] == fmt.Sprintf("claimant-%d", c) {
				winners++
			}
			if holders[k][c] != holders[k][0] {
				t.Errorf("key %d: claimant %d was told %q, claimant 0 %q", k, c, holders[k][c], holders[k][0])
			}
		}
		if winners != 1 {
			t.Errorf("key %d has %d winners, want 1", k, winners)
		}
	}
}

func claimEnds(t *testing.T, f *fixture) {
	mustClaim(t, f, "k", "first", f.in(time.Minute), "first")
	f.clock.Advance(time.Minute - f.tick)
	mustClaim(t, f, "k", "second", f.in(time.Minute), "first")
	f.clock.Advance(f.tick)
	mustClaim(t, f, "k", "second", f.in(time.Minute), "second")
	mustClaim(t, f, "k", "first", f.in(time.Minute), "second")
}

func claimKeepsLaterEnd(t *testing.T, f *fixture) {
	mustClaim(t, f, "longer", "first", f.in(time.Minute), "first")
	mustClaim(t, f, "longer", "first", f.in(time.Hour), "first")
	mustClaim(t, f, "shorter", "first", f.in(time.Hour), "first")
	mustClaim(t, f, "shorter", "first", f.in(time.Minute), "first")
	mustClaim(t, f, "other's", "first", f.in(time.Minute), "first")
	mustClaim(t, f, "other's", "second", f.in(time.Hour), "first")
	f.clock.Advance(2 * time.Minute)
	mustClaim(t, f, "longer", "second", f.in(time.Hour), "first")
	mustClaim(t, f, "shorter", "second", f.in(time.Hour), "first")
	mustClaim(t, f, "other's", "third", f.in(time.Hour), "third")
}

func claimFarAhead(t *testing.T, f *fixture) {
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	mustClaim(t, f, "k", "first", far, "first")
	mustClaim(t, f, "k", "second", far, "first")
	mustRevoke(t, f, "id", far)
	mustRevoked(t, f, true, "id")
}

func uselessClaims(t *testing.T, f *fixture) {
	cases := []struct {
		name, key, holder string
		until             time.Time
	}{
		{"ends now", "k", "h", f.in(0)},
		{"ended", "k", "h", f.in(-time.Second)},
		{"no end", "k", "h", time.Time{}},
		{"no key", "", "h", f.in(time.Hour)},
		{"no holder", "k", "", f.in(time.Hour)},
		{"key too long", strings.Repeat("k", store.MaxKey+1), "h", f.in(time.Hour)},
		{"holder too long", "k", strings.Repeat("h", store.MaxHolder+1), f.in(time.Hour)},
	}
	for _, c := range cases {
		if held, err := f.Claim(t.Context(), c.key, c.holder, c.until); err == nil || held != "" {
			t.Errorf("%s: Claim = %q, %v, want an error", c.name, held, err)
		}
	}
	for _, id := range []string{"", strings.Repeat("i", store.MaxKey+1)} {
		if err := f.Revoke(t.Context(), id, f.in(time.Hour)); err == nil {
			t.Errorf("Revoke of an id of %d bytes: want an error", len(id))
		}
	}
	mustClaim(t, f, "k", "another", f.in(time.Hour), "another")
}

func revocations(t *testing.T, f *fixture) {
	mustRevoked(t, f, false)
	mustRevoked(t, f, false, "a", "b")
	mustRevoke(t, f, "a", f.in(time.Minute))
	mustRevoked(t, f, true, "a")
	mustRevoked(t, f, true, "b", "a")
	mustRevoked(t, f, false, "b", "A", "")
	mustRevoke(t, f, "ended", f.in(-time.Minute))
	mustRevoked(t, f, false, "ended")
	f.clock.Advance(time.Minute)
	mustRevoked(t, f, false, "a")
}

func revocationKeepsLaterEnd(t *testing.T, f *fixture) {
	mustRevoke(t, f, "shorter", f.in(time.Hour))
	mustRevoke(t, f, "shorter", f.in(time.Minute))
	mustRevoke(t, f, "longer", f.in(time.Minute))
	mustRevoke(t, f, "longer", f.in(time.Hour))
	mustRevoke(t, f, "past", f.in(time.Hour))
	mustRevoke(t, f, "past", f.in(-time.Minute))
	f.clock.Advance(30 * time.Minute)
	for _, id := range []string{"shorter", "longer", "past"} {
		mustRevoked(t, f, true, id)
	}
	f.clock.Advance(30 * time.Minute)
	mustRevoked(t, f, false, "shorter", "longer", "past")
	mustRevoke(t, f, "longer", f.in(time.Minute))
	mustRevoked(t, f, true, "longer")
}

func cancelled(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if held, err := f.Claim(ctx, "k", "h", f.in(time.Hour)); !errors.Is(err, context.Canceled) || held != "" {
		t.Errorf("Claim = %q, %v, want context.Canceled", held, err)
	}
	if err := f.Revoke(ctx, "id", f.in(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("Revoke: %v, want context.Canceled", err)
	}
	if _, err := f.Revoked(ctx, "id"); !errors.Is(err, context.Canceled) {
		t.Errorf("Revoked: %v, want context.Canceled", err)
	}
	mustClaim(t, f, "k", "another", f.in(time.Hour), "another")
	mustRevoked(t, f, false, "id")
}

func apart(t *testing.T, f *fixture) {
	mustClaim(t, f, "same", "h", f.in(time.Hour), "h")
	mustRevoked(t, f, false, "same")
	mustRevoke(t, f, "other", f.in(time.Hour))
	mustClaim(t, f, "other", "h", f.in(time.Hour), "h")
}

func since(t *testing.T, f *fixture, opts Options) {
	want := f.clock.Now()
	if opts.Durable && !opts.Counts {
		want = time.Time{}
	}
	f.clock.Advance(time.Hour)
	if diff := cmp.Diff(want, f.Since()); diff != "" {
		t.Errorf("Since (-want +got):\n%s", diff)
	}
}

func closedStore(t *testing.T, open Opener, opts Options) {
	clock := opts.newClock(t)
	s := open(t, t.TempDir(), clock.Now)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	until := clock.Now().Add(time.Hour)
	_, claimErr := s.Claim(t.Context(), "k", "h", until)
	_, revokedErr := s.Revoked(t.Context(), "id")
	_, removeErr := s.RemoveSwitch(t.Context(), freeze.ID())
	_, switchesErr := s.Switches(t.Context())
	for name, err := range map[string]error{
		"Claim": claimErr, "Revoked": revokedErr, "Close": s.Close(),
		"SetSwitch": s.SetSwitch(t.Context(), freeze), "RemoveSwitch": removeErr, "Switches": switchesErr,
		"Revoke":             s.Revoke(t.Context(), "id", until),
		"Revoke of the past": s.Revoke(t.Context(), "id", clock.Now().Add(-time.Hour)),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v, want store.ErrClosed", name, err)
		}
	}
}

func restart(t *testing.T, open Opener, opts Options) {
	clock, dir := opts.newClock(t), t.TempDir()
	s := open(t, dir, clock.Now)
	until := clock.Now().Add(time.Hour)
	mustClaim(t, s, "k", "first", until, "first")
	mustRevoke(t, s, "id", until)
	mustSet(t, s, freeze)
	mustSet(t, s, stolen)
	mustRemove(t, s, stolen, true)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	s = open(t, dir, clock.Now)
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	mustClaim(t, s, "k", "second", until, "first")
	mustRevoked(t, s, true, "id")
	wantSwitches(t, s, freeze)
	clock.Advance(time.Hour)
	mustClaim(t, s, "k", "second", until.Add(time.Hour), "second")
	mustRevoked(t, s, false, "id")
}
