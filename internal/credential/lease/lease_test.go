package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// played makes credentials with a life, numbered.
type played struct {
	mu   sync.Mutex
	now  time.Time
	life time.Duration
	// made and revoked are how many; fails is what the next ones fail with.
	made    int
	revoked []int
	fails   error
	// gate, where set, holds the making up.
	gate, arrived chan struct{}
	log           strings.Builder
}

func newPlayed() *played {
	return &played{now: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC), life: time.Hour, arrived: make(chan struct{}, 100)}
}

func (p *played) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *played) add(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func (p *played) mint(ctx context.Context) (model.Credential, error) {
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	p.arrived <- struct{}{}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return model.Credential{}, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return model.Credential{}, p.fails
	}
	p.made++
	n := p.made
	c := model.Bearer(fmt.Sprintf("secret-%d", n))
	c.Expiry = p.now.Add(p.life)
	c.Revoke = func(context.Context) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.revoked = append(p.revoked, n)
		return nil
	}
	return c, nil
}

func (p *played) cache(t testing.TB) *Cache {
	c := New(Options{Now: p.Now, Logger: slog.New(slog.NewTextHandler(&p.log, nil))})
	t.Cleanup(func() { _ = c.live.Load().Close() })
	return c
}

// get gives the number of the credential.
func get(t testing.TB, c *Cache, p *played, key string) (int, model.Credential) {
	t.Helper()
	got, err := c.Get(t.Context(), key, p.mint)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(got.Header.Get("Authorization"), "Bearer secret-%d", &n); err != nil {
		t.Fatal(err)
	}
	if !got.Expiry.After(p.Now()) || got.Revoke != nil {
		t.Errorf("got a credential that has ended, or that one user may revoke for all")
	}
	return n, got
}

// settle waits for renewals under way.
func settle(c *Cache) { c.live.Load().behind.Wait() }

func TestLife(t *testing.T) {
	p := newPlayed()
	c := p.cache(t)
	expect := func(what string, want int) {
		t.Helper()
		if got, _ := get(t, c, p, "a"); got != want {
			t.Errorf("%s: got credential %d, expected %d", what, got, want)
		}
		settle(c)
	}
	expect("the first", 1)
	expect("again", 1)
	if n, _ := get(t, c, p, "b"); n != 2 {
		t.Errorf("another key: got %d", n)
	}
	p.add(39 * time.Minute)
	expect("before it is due", 1)
	p.add(time.Minute)
	expect("when it is due, the present one serves while the next is made", 1)
	expect("then the next", 3)
	p.add(59*time.Minute + time.Second)
	expect("with less than the least life left", 4)
	p.add(2 * time.Hour)
	expect("long after its end", 5)
}

func TestRenewalFails(t *testing.T) {
	p := newPlayed()
	c := p.cache(t)
	get(t, c, p, "a")
	p.add(45 * time.Minute)
	p.fails = errors.New("the API is down")
	for range 10 {
		if n, _ := get(t, c, p, "a"); n != 1 {
			t.Fatalf("got %d, expected the first while it lives", n)
		}
		settle(c)
	}
	if got := len(p.arrived); got != 2 {
		t.Errorf("got %d calls, expected one renewal put off until later", got)
	}
	if log := p.log.String(); !strings.Contains(log, "the API is down") || strings.Contains(log, "secret-") {
		t.Errorf("got log %q, expected a warning without the credential", log)
	}
	p.add(again)
	get(t, c, p, "a")
	settle(c)
	if got := len(p.arrived); got != 3 {
		t.Errorf("got %d calls, expected another try", got)
	}
	p.add(15 * time.Minute)
	if _, err := c.Get(t.Context(), "a", p.mint); err == nil || !strings.Contains(err.Error(), "the API is down") {
		t.Errorf("got %v after its end, expected the reason", err)
	}
	p.fails = nil
	if n, _ := get(t, c, p, "a"); n != 2 {
		t.Errorf("got %d, expected a new one", n)
	}
}

func TestSingleFlight(t *testing.T) {
	p := newPlayed()
	p.gate = make(chan struct{})
	c := p.cache(t)
	gone, leave := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := c.Get(gone, "a", p.mint)
		first <- err
	}()
	<-p.arrived
	leave() // whoever asked first goes; the others still get what he asked for
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, expected the caller's end", err)
	}
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for range 50 {
		wg.Go(func() {
			if n, _ := get(t, c, p, "a"); n != 1 {
				wrong.Add(1)
			}
		})
	}
	close(p.gate)
	wg.Wait()
	if wrong.Load() != 0 || p.made != 1 {
		t.Errorf("got %d credentials, %d of 50 users have another; expected one for all", p.made, wrong.Load())
	}
}

func TestRefused(t *testing.T) {
	p := newPlayed()
	c := p.cache(t)
	_, first := get(t, c, p, "a")
	first.Refused()
	if n, _ := get(t, c, p, "a"); n != 1 {
		t.Errorf("a new one that was refused: got %d, expected the same, since another would be refused too", n)
	}
	p.add(young)
	first.Refused()
	_, second := get(t, c, p, "a")
	first.Refused() // of one that was replaced, it says nothing about the new one
	p.add(young)
	first.Refused()
	if n, _ := get(t, c, p, "a"); n != 2 {
		t.Errorf("got %d, expected the second", n)
	}
	second.Header.Set("Authorization", "scribble")
	if _, again := get(t, c, p, "a"); again.Header.Get("Authorization") == "scribble" {
		t.Error("two users share a header")
	}
}

func TestRefusesWhatHasNoLife(t *testing.T) {
	p := newPlayed()
	c := p.cache(t)
	for _, expiry := range []time.Time{{}, p.now, p.now.Add(-time.Second)} {
		_, err := c.Get(t.Context(), "a", func(context.Context) (model.Credential, error) {
			return model.Credential{Expiry: expiry}, nil
		})
		if err == nil || !strings.Contains(err.Error(), "no expiry, or has expired") {
			t.Errorf("got %v for an expiry of %s", err, expiry)
		}
	}
}

// TestShort: a life shorter than the least that is asked for is used for most of it.
func TestShort(t *testing.T) {
	p := newPlayed()
	p.life = 20 * time.Second
	c := p.cache(t)
	get(t, c, p, "a")
	p.add(12 * time.Second)
	if n, _ := get(t, c, p, "a"); n != 1 {
		t.Errorf("got %d, expected the first", n)
	}
	p.add(4 * time.Second)
	if n, _ := get(t, c, p, "a"); n != 2 {
		t.Errorf("got %d, expected the second: a quarter of the life is left", n)
	}
}

func TestKeepsAtMost(t *testing.T) {
	p := newPlayed()
	c := p.cache(t)
	for i := range 2 * limit {
		drainOne(p)
		get(t, c, p, fmt.Sprint(i))
	}
	if got := len(c.live.Load().kept); got > limit {
		t.Errorf("got %d kept, expected at most %d", got, limit)
	}
}

func drainOne(p *played) {
	select {
	case <-p.arrived:
	default:
	}
}

// TestReload: the next configuration goes on with what is kept; the end of the last one revokes it, once.
func TestReload(t *testing.T) {
	p := newPlayed()
	before, after := p.cache(t), p.cache(t)
	if before.Kept("a", "b").Key != after.Kept("a", "b").Key || before.Kept("a", "b").Key == before.Kept("ab", "").Key {
		t.Error("keys do not tell what they are made of")
	}
	kept := before.Kept("x").Open()
	get(t, before, p, "a")
	after.Kept("x").Use(kept)
	if n, _ := get(t, after, p, "a"); n != 1 {
		t.Errorf("got %d after the reload, expected the first", n)
	}
	p.add(50 * time.Minute)
	get(t, after, p, "a")
	settle(after)
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.revoked); got != "[1 2]" {
		t.Errorf("got revoked %s, expected both that still live", got)
	}
}

// TestCloseEndsRenewals: nothing is left behind.
func TestCloseEndsRenewals(t *testing.T) {
	p := newPlayed()
	c := p.cache(t)
	get(t, c, p, "a")
	<-p.arrived
	p.add(50 * time.Minute)
	p.gate = make(chan struct{})
	get(t, c, p, "a")
	<-p.arrived
	if err := c.live.Load().Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.log.String(); got != "" {
		t.Errorf("got log %q at the end, expected nothing", got)
	}
}

// TestCloseEndsWhatIsMade: what somebody has waited for who is gone is not made after the end, where nobody would revoke it.
func TestCloseEndsWhatIsMade(t *testing.T) {
	p := newPlayed()
	p.gate = make(chan struct{})
	c := New(Options{Logger: slog.New(slog.DiscardHandler), Now: p.Now})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-p.arrived
		leave()
	}()
	ended := make(chan error, 1)
	if _, err := c.Get(ctx, "key", func(ctx context.Context) (model.Credential, error) {
		got, err := p.mint(ctx)
		ended <- err
		return got, err
	}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, expected that the caller has gone", err)
	}
	if err := c.live.Load().Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, expected that it was ended", err)
		}
	default:
		t.Error("it is still being made after Close")
	}
}

func TestKeyHidesItsParts(t *testing.T) {
	if key := Key("bot", "canary-password"); strings.Contains(key, "canary") || key == Key("botcanary-", "password") || len(key) != 64 {
		t.Errorf("got key %q", key)
	}
}

func BenchmarkGet(b *testing.B) {
	p := newPlayed()
	c := p.cache(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Get(b.Context(), "a", p.mint); err != nil {
				b.Fatal(err)
			}
		}
	})
}
