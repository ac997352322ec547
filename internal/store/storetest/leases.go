package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/store"
)

var leaseCases = []testCase{
	{"a lease returns the holder", leaseReturnsTheHolder},
	{"a lease ends", leaseEnds},
	{"a lease is given back", leaseGivenBack},
	{"one of 100 has the lease", oneHasTheLease},
	{"useless leases", uselessLeases},
	{"leases and claims are apart", leasesApart},
}

// leaser is the fixture's store as one that several gateways share.
func (f *fixture) leaser(t *testing.T) store.Leaser {
	t.Helper()
	l, ok := f.Store.(store.Leaser)
	if !ok {
		t.Fatalf("%T is no store.Leaser", f.Store)
	}
	return l
}

func mustLease(t *testing.T, l store.Leaser, key, holder string, life time.Duration, want string) {
	t.Helper()
	got, err := l.Lease(t.Context(), key, holder, life)
	if err != nil || got != want {
		t.Fatalf("Lease(%s, %s) = %q, %v, want %s", key, holder, got, err, want)
	}
}

func mustRelease(t *testing.T, l store.Leaser, key, holder string) {
	t.Helper()
	if err := l.Release(t.Context(), key, holder); err != nil {
		t.Fatalf("Release(%s, %s): %v", key, holder, err)
	}
}

func leaseReturnsTheHolder(t *testing.T, f *fixture) {
	l := f.leaser(t)
	mustLease(t, l, "k", "first", time.Minute, "first")
	mustLease(t, l, "k", "second", time.Minute, "first")
	mustLease(t, l, "k", "first", time.Minute, "first")
	mustLease(t, l, "K", "second", time.Minute, "second")
	long, holder := strings.Repeat("k", store.MaxKey), strings.Repeat("h", store.MaxHolder)
	mustLease(t, l, long, holder, time.Minute, holder)
}

func leaseEnds(t *testing.T, f *fixture) {
	l := f.leaser(t)
	mustLease(t, l, "k", "first", time.Minute, "first")
	f.clock.Advance(40 * time.Second)
	mustLease(t, l, "k", "first", time.Minute, "first") // from now
	f.clock.Advance(40 * time.Second)
	mustLease(t, l, "k", "second", time.Minute, "first")
	f.clock.Advance(21 * time.Second)
	mustLease(t, l, "k", "second", time.Minute, "second")
	mustLease(t, l, "k", "first", time.Minute, "second")
	mustLease(t, l, "k", "second", time.Second, "second") // a shorter while counts too
	f.clock.Advance(2 * time.Second)
	mustLease(t, l, "k", "first", time.Minute, "first")
}

func leaseGivenBack(t *testing.T, f *fixture) {
	l := f.leaser(t)
	mustRelease(t, l, "k", "nobody")
	mustLease(t, l, "k", "first", time.Minute, "first")
	mustRelease(t, l, "k", "second")
	mustLease(t, l, "k", "second", time.Minute, "first")
	mustRelease(t, l, "k", "first")
	mustLease(t, l, "k", "second", time.Minute, "second")
	mustRelease(t, l, "k", "first") // late
	mustLease(t, l, "k", "first", time.Minute, "second")
}

func oneHasTheLease(t *testing.T, f *fixture) {
	l := f.leaser(t)
	var have atomic.Int32
	var group sync.WaitGroup
	start := make(chan struct{})
	for n := range 100 {
		group.Go(func() {
			<-start
			me := fmt.Sprint("holder-", n)
			got, err := l.Lease(t.Context(), "k", me, time.Minute)
			if err != nil {
				t.Error(err)
			}
			if got == me {
				have.Add(1)
			}
		})
	}
	close(start)
	group.Wait()
	if have.Load() != 1 {
		t.Errorf("%d have the lease, want 1", have.Load())
	}
}

func uselessLeases(t *testing.T, f *fixture) {
	l := f.leaser(t)
	for _, c := range []struct {
		name, key, holder string
		life              time.Duration
	}{
		{"no while", "k", "h", 0},
		{"a while that has passed", "k", "h", -time.Minute},
		{"no key", "", "h", time.Minute},
		{"no holder", "k", "", time.Minute},
		{"key too long", strings.Repeat("k", store.MaxKey+1), "h", time.Minute},
		{"holder too long", "k", strings.Repeat("h", store.MaxHolder+1), time.Minute},
	} {
		if held, err := l.Lease(t.Context(), c.key, c.holder, c.life); err == nil || held != "" {
			t.Errorf("%s: Lease = %q, %v, want an error", c.name, held, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if held, err := l.Lease(ctx, "k", "h", time.Minute); !errors.Is(err, context.Canceled) || held != "" {
		t.Errorf("Lease = %q, %v, want context.Canceled", held, err)
	}
	mustLease(t, l, "k", "another", time.Minute, "another")
}

func leasesApart(t *testing.T, f *fixture) {
	l := f.leaser(t)
	mustLease(t, l, "same", "lessee", time.Minute, "lessee")
	mustClaim(t, f, "same", "claimant", f.in(time.Hour), "claimant")
	mustRelease(t, l, "same", "lessee")
	mustClaim(t, f, "same", "another", f.in(time.Hour), "claimant")
	mustRevoked(t, f, false, "same")
}
