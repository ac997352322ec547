package memory

import (
	"fmt"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, _ string, now func() time.Time) store.Store { return New(now) }, storetest.Options{})
}

// TestBounded: what has ended is removed while the store is used, so that it holds little more than what lives.
func TestBounded(t *testing.T) {
	clock := storetest.NewClock()
	s := New(clock.Now)
	for i := range 5000 {
		id := fmt.Sprint(i)
		if _, err := s.Claim(t.Context(), id, "h", clock.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := s.Revoke(t.Context(), id, clock.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(100 * time.Millisecond)
	}
	if claims, revocations := s.Len(); claims > 20 || revocations > 20 {
		t.Errorf("%d claims and %d revocations are kept, want at most 20 each", claims, revocations)
	}
}

func TestKind(t *testing.T) {
	c := Kind.New()
	key, err := c.Key(store.Env{DataDir: t.TempDir()})
	if err != nil || key != "memory" || c.Validate() != nil {
		t.Errorf("Key = %q, %v, want memory", key, err)
	}
	before := time.Now()
	s, err := c.Open(t.Context(), store.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Since().Before(before) {
		t.Errorf("Since = %v, want when it was opened", s.Since())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkClaim(b *testing.B) {
	s := New(time.Now)
	until := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Claim(b.Context(), fmt.Sprint(i), "h", until); err != nil {
			b.Fatal(err)
		}
	}
}
