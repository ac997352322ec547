package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// newIssuer is an issuer of one test's own, to be broken.
func newIssuer(t *testing.T) *issuer.Server {
	t.Helper()
	own, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	return own
}

// down is an issuer's answer while it is.
func down(w http.ResponseWriter, _ *http.Request) bool {
	http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	return true
}

// TestIssuerDownWhileRunning: an issuer that goes down leaves its keys with the gateway, which judges its tokens on; a key that it has
// not shown is told apart from a forged one.
func TestIssuerDownWhileRunning(t *testing.T) {
	t.Parallel()
	own := newIssuer(t)
	r := startRig(t, sink(t), withIssuer(issuerLine(own.URL())))
	w := newWheel(t, "acme-widget", "1.0")
	publish := func(token string) answer { return r.upload(t, bearer(token), w.form()) }
	ok(t, publish(own.Token(r.site.Host(), nil)))
	own.Intercept(down)
	for range 3 {
		ok(t, publish(own.Token(r.site.Host(), nil)))
	}
	if err := own.Rotate(); err != nil {
		t.Fatal(err)
	}
	a := publish(own.Token(r.site.Host(), nil))
	if a.Status != http.StatusServiceUnavailable && a.Status != http.StatusUnauthorized || a.Header.Get("Retry-After") == "" {
		t.Errorf("a key that the issuer could not show: %d, Retry-After %q, expected to be asked to come back\n%s", a.Status, a.Header.Get("Retry-After"), a.Body)
	}
	var status struct {
		Issuers []struct {
			Ready     bool   `json:"ready"`
			LastError string `json:"last_error"`
		} `json:"issuers"`
	}
	r.eventually(t, "the status says so", func() bool {
		text, err := r.gw.Admin(t.Context(), "/trusted_publishing/status")
		return err == nil && json.Unmarshal([]byte(text), &status) == nil && status.Issuers[0].Ready && status.Issuers[0].LastError != ""
	})
}

// TestKeyRotation: a new key is fetched once, a withdrawn one ends, and forged key ids cause no storm of fetches.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	own := newIssuer(t)
	r := startRig(t, sink(t), withIssuer(issuerLine(own.URL())))
	w := newWheel(t, "acme-widget", "1.0")
	publish := func(token string) answer { return r.upload(t, bearer(token), w.form()) }
	old := own.Token(r.site.Host(), nil)
	ok(t, publish(own.Token(r.site.Host(), nil)))
	if err := own.Rotate(); err != nil { // the old key is withdrawn
		t.Fatal(err)
	}
	fetches := own.KeyFetches()
	ok(t, publish(own.Token(r.site.Host(), nil)))
	if got := own.KeyFetches() - fetches; got != 1 {
		t.Errorf("the new key took %d fetches, expected 1", got)
	}
	refused(t, publish(old), model.CodeUnknownKey.Info().Status, model.CodeUnknownKey)
	stranger := newIssuer(t)
	fetches = own.KeyFetches()
	var wg sync.WaitGroup
	for n := range 60 {
		payload, err := json.Marshal(own.Claims(r.site.Host(), nil))
		if err != nil {
			t.Fatal(err)
		}
		forged := stranger.Sign("ES256", map[string]any{"alg": "ES256", "kid": fmt.Sprint("forged-", n), "typ": "JWT"}, payload)
		wg.Go(func() {
			refused(t, publish(forged), model.CodeUnknownKey.Info().Status, model.CodeUnknownKey)
		})
	}
	wg.Wait()
	if got := own.KeyFetches() - fetches; got > 1 {
		t.Errorf("60 forged tokens caused %d fetches, expected at most one in a minute", got)
	}
}

// TestSlowIssuer: an issuer that does not answer keeps waiting only who shows a key that is not known, and not for long.
func TestSlowIssuer(t *testing.T) {
	t.Parallel()
	own := newIssuer(t)
	r := startRig(t, sink(t), withIssuer(issuerLine(own.URL())))
	w := newWheel(t, "acme-widget", "1.0")
	known := func() string { return own.Token(r.site.Host(), nil) }
	ok(t, r.upload(t, bearer(known()), w.form()))
	tokens := []string{known(), known(), known()}
	if err := own.RotateKeeping(); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	own.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		select {
		case <-release:
		case <-q.Context().Done():
		}
		return true
	})
	defer close(release)
	slow := make(chan answer, 1)
	go func() { slow <- r.upload(t, bearer(known()), w.form()) }()
	waited := false
	for _, token := range tokens {
		ok(t, r.upload(t, bearer(token), w.form()))
		waited = waited || len(slow) == 0
	}
	if !waited {
		t.Error("no token of a known key was taken before the one of an unknown key was refused")
	}
	a := <-slow
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("an unknown key of a slow issuer: %d, expected 503 with Retry-After\n%s", a.Status, a.Body)
	}
}

// TestBrokenIssuer: whatever an issuer answers in the place of keys, the gateway serves, its tokens get 503, and once it answers well they
// publish.
func TestBrokenIssuer(t *testing.T) {
	t.Parallel()
	elsewhere := newIssuer(t)
	for name, answer := range map[string]issuer.Interceptor{
		"huge": func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(" ", 2<<20) + `]}`))
			return true
		},
		"broken": func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"RSA"`))
			return true
		},
		"empty": func(w http.ResponseWriter, q *http.Request) bool {
			if q.URL.Path != issuer.JWKSPath {
				return false
			}
			_, _ = w.Write([]byte(`{"keys":[]}`))
			return true
		},
		"redirecting": func(w http.ResponseWriter, q *http.Request) bool {
			http.Redirect(w, q, elsewhere.URL()+q.URL.Path, http.StatusFound)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := newIssuer(t)
			own.Intercept(answer)
			before := elsewhere.KeyFetches()
			r := startRig(t, sink(t), withIssuer(issuerLine(own.URL())))
			w := newWheel(t, "acme-widget", "1.0")
			refused(t, r.upload(t, bearer(own.Token(r.site.Host(), nil)), w.form()), http.StatusServiceUnavailable, model.CodeIssuerUnavailable)
			if got := elsewhere.KeyFetches(); got != before {
				t.Errorf("another host was asked for keys, %d times", got-before)
			}
			own.Intercept(nil)
			r.eventually(t, "the issuer answers well", func() bool {
				return r.upload(t, bearer(own.Token(r.site.Host(), nil)), w.form()).Status == http.StatusOK
			})
		})
	}
}

// TestSkewedTokens: a clock that is half a minute off refuses nobody, one that is further off does, and says by how much.
func TestSkewedTokens(t *testing.T) {
	t.Parallel()
	r := startRig(t, sink(t))
	w := newWheel(t, "acme-widget", "1.0")
	at := func(d time.Duration) string {
		now := time.Now().Add(d).Unix()
		return r.identity(map[string]any{"iat": now, "nbf": now, "exp": now + 300})
	}
	ok(t, r.upload(t, bearer(at(20*time.Second)), w.form()))
	ok(t, r.upload(t, bearer(at(-315*time.Second)), w.form()))
	for d, code := range map[time.Duration]model.Code{5 * time.Minute: model.CodeNotYetValid, -10 * time.Minute: model.CodeExpired} {
		a := r.upload(t, bearer(at(d)), w.form())
		refused(t, a, http.StatusUnauthorized, code)
		if !strings.Contains(a.Body, time.Now().UTC().Format("2006-01-02T15")) {
			t.Errorf("the denial does not say what time it is here\n%s", a.Body)
		}
	}
}
