package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// forged is a token of a made-up key.
func (r *rig) forged(kid string) string {
	return r.dev.Sign(issuer.RS256, r.header(map[string]any{"kid": kid}), []byte(`{"iss":"`+r.dev.URL()+`"}`))
}

func TestForgedTokensFetchOnce(t *testing.T) {
	r := newRig(t, nil)
	r.accept(t, r.token())
	before := r.dev.KeyFetches()
	codes := make(chan model.Code, 200)
	var all sync.WaitGroup
	for n := range 200 {
		raw := r.forged(fmt.Sprint("made-up-", n))
		all.Go(func() {
			_, err := r.Verify(context.Background(), raw, audiences)
			var d *model.Denial
			if errors.As(err, &d) {
				codes <- d.Code
			}
		})
	}
	all.Wait()
	close(codes)
	count := map[model.Code]int{}
	for code := range codes {
		count[code]++
	}
	refused := count[model.CodeUnknownKey] + count[model.CodeInvalidToken] + count[model.CodeIssuerUnavailable]
	if refused != 200 {
		t.Errorf("refusals: %v", count)
	}
	r.clock.advance(59 * time.Second)
	d := r.deny(t, r.forged("late"))
	want(t, d, model.CodeUnknownKey, "")
	if d.Status != http.StatusServiceUnavailable || d.RetryAfter != time.Second {
		t.Errorf("status %d, retry after %s; want 503 and 1s", d.Status, d.RetryAfter)
	}
	if got := r.dev.KeyFetches() - before; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
	r.clock.advance(time.Second)
	want(t, r.deny(t, r.forged("later")), model.CodeInvalidToken, "kid")
	if got := r.dev.KeyFetches() - before; got != 2 {
		t.Errorf("%d fetches after a minute, want 2", got)
	}
	r.accept(t, r.token())
}

// A bad signature under a known key never fetches: the key is there.
func TestBadSignaturesDoNotFetch(t *testing.T) {
	r := newRig(t, nil)
	r.accept(t, r.token())
	other, err := issuer.New(r.dev.URL(), issuer.Options{Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	before := r.dev.KeyFetches()
	for range 200 {
		want(t, r.deny(t, other.Token(audience, nil)), model.CodeInvalidToken, "signature")
	}
	if got := r.dev.KeyFetches() - before; got != 0 {
		t.Errorf("%d fetches, want none", got)
	}
}

func TestRotation(t *testing.T) {
	r := newRig(t, nil)
	old := r.token()
	r.accept(t, old)
	rotate := func() {
		t.Helper()
		if err := r.dev.RotateKeeping(); err != nil {
			t.Fatal(err)
		}
	}
	rotate()
	r.accept(t, r.token()) // its key is fetched at once
	r.accept(t, old)
	rotate()
	second := r.token()
	d := r.deny(t, second) // held off: the key is not known yet, and the token not at fault
	want(t, d, model.CodeUnknownKey, "")
	if d.RetryAfter != time.Minute {
		t.Errorf("retry after %s, want 1m", d.RetryAfter)
	}
	r.clock.advance(d.RetryAfter)
	r.accept(t, second)
	if got := r.dev.KeyFetches(); got != 3 {
		t.Errorf("%d fetches, want 3", got)
	}
}

// A key that its issuer withdrew stops working within the time that keys are believed, for remembered tokens too.
func TestWithdrawnKey(t *testing.T) {
	r := newRig(t, nil)
	raw := r.dev.Token(audience, map[string]any{"exp": noon.Add(time.Hour).Unix()})
	r.accept(t, raw)
	if err := r.dev.Rotate(); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(keysTTL - time.Second)
	r.accept(t, raw)
	r.clock.advance(time.Second)
	want(t, r.deny(t, raw), model.CodeInvalidToken, "kid")
	if got := r.cache.Len(); got != 0 {
		t.Errorf("%d tokens are remembered, want none", got)
	}
}

// A verdict dies with the generation of the keys, and fetching the same keys again makes no new one.
func TestVerdictsDieWithTheGeneration(t *testing.T) {
	r := newRig(t, nil)
	raw := r.dev.Token(audience, map[string]any{"exp": noon.Add(time.Hour).Unix()})
	r.accept(t, raw)
	generation := func() uint64 { return r.issuer.Status().Generation }
	first := generation()
	r.clock.advance(keysTTL)
	r.accept(t, raw)
	if fetched, now := r.dev.KeyFetches(), generation(); fetched != 2 || now != first {
		t.Errorf("%d fetches and generation %d, want 2 and %d", fetched, now, first)
	}
	if err := r.dev.RotateKeeping(); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(keysTTL)
	r.accept(t, raw) // verified again, by the key that is still published
	if now := generation(); now == first {
		t.Error("new keys are no new generation")
	}
	key, _, _ := tokenKey(raw)
	known, err := r.recall(t.Context(), key)
	if err != nil || known == nil || known.generation != generation() {
		t.Errorf("the verdict is of an old generation: %+v, %v", known, err)
	}
}

// A remembered token ends with its effective expiry.
func TestVerdictsDieWithTheToken(t *testing.T) {
	r := sharedRig(t, nil)
	raw := r.token()
	r.accept(t, raw)
	r.clock.advance(5*time.Minute + leeway - time.Second)
	r.accept(t, raw)
	r.clock.advance(time.Second)
	want(t, r.deny(t, raw), model.CodeExpired, "expiry")
}

// While its issuer cannot be reached, old keys serve for an hour, and then nothing does.
func TestStaleKeys(t *testing.T) {
	r := newRig(t, nil)
	remembered := r.dev.Token(audience, map[string]any{"iat": noon.Add(20 * time.Second).Unix(), "exp": noon.Add(3 * time.Hour).Unix()})
	r.accept(t, remembered)
	r.failWith(http.StatusBadGateway)
	r.clock.advance(keysTTL)
	r.accept(t, remembered)
	r.accept(t, r.token())
	if s := r.issuer.Status(); !s.Ready || !s.Stale || s.Failures != 1 || s.LastError == "" {
		t.Errorf("status while stale: %+v", s)
	}
	r.clock.advance(50 * time.Minute)
	r.accept(t, remembered)
	r.clock.advance(10*time.Minute - time.Second)
	r.accept(t, r.token())
	r.clock.advance(time.Second)
	d := r.deny(t, r.token())
	want(t, d, model.CodeIssuerUnavailable, "")
	if d.Status != http.StatusServiceUnavailable || d.RetryAfter < time.Second || d.RetryAfter > maxRetry {
		t.Errorf("status %d, retry after %s", d.Status, d.RetryAfter)
	}
	if s := r.issuer.Status(); s.Ready {
		t.Errorf("ready with keys that are too old: %+v", s)
	}
	r.dev.Intercept(nil)
	r.clock.advance(d.RetryAfter)
	r.accept(t, r.token())
	if s := r.issuer.Status(); !s.Ready || s.Stale || s.Failures != 0 || s.LastError != "" {
		t.Errorf("status after recovery: %+v", s)
	}
}

func TestStaleKeysEndForRememberedTokens(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxLifetime = 3 * time.Hour })
	raw := r.dev.Token(audience, map[string]any{"exp": noon.Add(3 * time.Hour).Unix()})
	r.accept(t, raw)
	r.failWith(http.StatusBadGateway)
	r.clock.advance(keysTTL + keysStale - time.Second)
	r.accept(t, raw)
	r.clock.advance(maxRetry)
	want(t, r.deny(t, raw), model.CodeIssuerUnavailable, "")
}

// An issuer that is down at the start is asked with growing waits, not by each token.
func TestDownAtStart(t *testing.T) {
	r := newRig(t, nil)
	r.failWith(http.StatusServiceUnavailable)
	raw := r.token()
	d := r.deny(t, raw)
	want(t, d, model.CodeIssuerUnavailable, "")
	asked := r.dev.Fetches(issuer.DiscoveryPath)
	for range 50 {
		want(t, r.deny(t, raw), model.CodeIssuerUnavailable, "")
	}
	if got := r.dev.Fetches(issuer.DiscoveryPath); got != asked {
		t.Errorf("%d further requests while held off", got-asked)
	}
	r.dev.Intercept(nil)
	r.clock.advance(d.RetryAfter)
	r.accept(t, raw)
}

// An unknown key id does not ask an issuer that just failed to answer.
func TestUnknownKeyWhileDown(t *testing.T) {
	r := newRig(t, nil)
	r.accept(t, r.token())
	r.failWith(http.StatusBadGateway)
	want(t, r.deny(t, r.forged("a")), model.CodeIssuerUnavailable, "")
	want(t, r.deny(t, r.forged("b")), model.CodeIssuerUnavailable, "")
	r.clock.advance(maxRetry - time.Second)
	want(t, r.deny(t, r.forged("c")), model.CodeUnknownKey, "")
	if got := r.dev.Fetches(issuer.DiscoveryPath); got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
	r.accept(t, r.token())
}

// Only tokens of unknown keys wait for a slow issuer, and not more than maxWaiters of them.
func TestSlowIssuer(t *testing.T) {
	r := newRig(t, nil)
	r.accept(t, r.token())
	release := make(chan struct{})
	r.on(issuer.JWKSPath, func(http.ResponseWriter, *http.Request) { <-release })
	var all sync.WaitGroup
	for n := range maxWaiters {
		raw := r.forged(fmt.Sprint("slow-", n))
		all.Go(func() {
			if _, err := r.Verify(context.Background(), raw, audiences); err == nil {
				t.Error("a forged token was accepted")
			}
		})
	}
	for r.issuer.keys.waiters.Load() < maxWaiters {
		runtime.Gosched()
	}
	d := r.deny(t, r.forged("one too many"))
	want(t, d, model.CodeIssuerUnavailable, "")
	if d.RetryAfter != minRetry {
		t.Errorf("retry after %s", d.RetryAfter)
	}
	r.accept(t, r.token())
	close(release)
	all.Wait()
	if got := r.issuer.keys.waiters.Load(); got != 0 {
		t.Errorf("%d still wait", got)
	}
	if got := r.dev.KeyFetches(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
}

// A request that ends does not end the fetch that others wait for.
func TestAbandonedRequest(t *testing.T) {
	r := newRig(t, nil)
	asked, release := make(chan struct{}), make(chan struct{})
	r.on(issuer.DiscoveryPath, func(w http.ResponseWriter, req *http.Request) {
		close(asked)
		<-release
		r.dev.Intercept(nil)
		r.dev.ServeHTTP(w, req)
	})
	ctx, cancel := context.WithCancel(t.Context())
	raw, ended := r.token(), make(chan error)
	go func() {
		_, err := r.Verify(ctx, raw, audiences)
		ended <- err
	}()
	<-asked
	cancel()
	d := asDenial(t, raw, <-ended)
	want(t, d, model.CodeIssuerUnavailable, "")
	if !errors.Is(d, context.Canceled) {
		t.Errorf("cause %v", d.Cause)
	}
	close(release)
	r.accept(t, raw)
	if got := r.dev.KeyFetches(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestTimeout(t *testing.T) {
	clock := newClock()
	dev := newDev(t, clock)
	ended := make(chan struct{})
	dev.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		<-req.Context().Done()
		close(ended)
		return true
	})
	i := newIssuer(t, Config{Provider: "github", URL: dev.URL()}, Options{Now: clock.now, fetchTimeout: 500 * time.Millisecond})
	r := &rig{Verifier: newVerifier(t, clock, i), clock: clock, dev: dev, issuer: i}
	want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
	<-ended
}

// Keys of one id that belong to two issuers are two keys.
func TestIssuersNeverMix(t *testing.T) {
	clock := newClock()
	one, other := newDev(t, clock), newDev(t, clock)
	if one.KeyID(issuer.RS256) != other.KeyID(issuer.RS256) {
		t.Fatal("the test needs two issuers whose keys have the same ids")
	}
	a := newIssuer(t, Config{Name: "one", Provider: "github", URL: one.URL()}, Options{Now: clock.now})
	b := newIssuer(t, Config{Name: "other", Provider: "github", URL: other.URL()}, Options{Now: clock.now})
	r := &rig{Verifier: newVerifier(t, clock, a, b), clock: clock, dev: one, issuer: a}
	claims := map[string]any{"jti": "the same"}
	for _, test := range []struct {
		dev  *issuer.Server
		name string
	}{{one, "one"}, {other, "other"}, {one, "one"}} {
		id := r.accept(t, test.dev.Token(audience, claims))
		if id.Issuer != test.name {
			t.Errorf("issuer %q, want %q", id.Issuer, test.name)
		}
	}
	first, second := r.accept(t, one.Token(audience, claims)), r.accept(t, other.Token(audience, claims))
	if first.ReplayKey() == second.ReplayKey() {
		t.Error("tokens of two issuers have one replay key")
	}
	for _, raw := range []string{
		one.Token(audience, map[string]any{"iss": other.URL()}),
		other.Token(audience, map[string]any{"iss": one.URL()}),
	} {
		want(t, r.deny(t, raw), model.CodeInvalidToken, "signature")
	}
}

func TestBackground(t *testing.T) {
	clock := newClock()
	dev := newDev(t, clock)
	steps := newStepper()
	i := newIssuer(t, Config{Provider: "github", URL: dev.URL()}, Options{Now: clock.now, sleep: steps.sleep})
	r := &rig{Verifier: newVerifier(t, clock, i), clock: clock, dev: dev, issuer: i}
	r.failWith(http.StatusBadGateway)
	i.Start()
	i.Start() // a second time does nothing
	for n, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		wait, most := <-steps.asked, time.Duration(seconds)*time.Second
		if least := max(minRetry, most/2); wait < least || wait > most {
			t.Errorf("wait %d is %s, want %s to %s", n+1, wait, least, most)
		}
		clock.advance(wait)
		steps.goOn <- struct{}{}
	}
	<-steps.asked // the tenth failure
	r.dev.Intercept(nil)
	clock.advance(maxRetry)
	steps.goOn <- struct{}{}
	wait := <-steps.asked
	if wait < keysTTL*7/10 || wait > keysTTL*8/10 {
		t.Errorf("keys are refreshed after %s, want 7m to 8m", wait)
	}
	fetched := dev.KeyFetches()
	r.accept(t, r.token())
	clock.advance(wait)
	steps.goOn <- struct{}{}
	<-steps.asked
	if got := dev.KeyFetches() - fetched; got != 1 {
		t.Errorf("%d fetches in the background, want 1", got)
	}
	clock.advance(3 * time.Minute) // beyond the first keys' time: no token waits for a fetch
	r.accept(t, r.token())
	if got := dev.KeyFetches() - fetched; got != 1 {
		t.Errorf("%d fetches after a token, want 1", got)
	}
}

// Closing ends a fetch under way.
func TestCloseEndsFetches(t *testing.T) {
	clock := newClock()
	dev := newDev(t, clock)
	asked := make(chan struct{})
	dev.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		close(asked)
		<-req.Context().Done()
		return true
	})
	i := newIssuer(t, Config{Provider: "github", URL: dev.URL()}, Options{Now: clock.now})
	i.Start()
	<-asked
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if s := i.Status(); s.Ready || s.Keys != 0 {
		t.Errorf("status after closing: %+v", s)
	}
}

func TestBackOff(t *testing.T) {
	for failures, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		for range 100 {
			if d := backOff(failures); d < max(minRetry, most/2) || d > most {
				t.Errorf("after %d failures: %s, want at most %s", failures, d, most)
			}
		}
	}
	got := []time.Duration{seconds(-time.Hour), seconds(0), seconds(time.Millisecond), seconds(1001 * time.Millisecond)}
	if diff := cmp.Diff([]time.Duration{time.Second, time.Second, time.Second, 2 * time.Second}, got); diff != "" {
		t.Errorf("whole seconds (-want +got):\n%s", diff)
	}
}
