package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/limit"
	"github.com/trustpub/trustpub/internal/model"
)

// rationed gives a house limits, and clients the addresses that a header of the test names.
func rationed(s limit.Settings) option {
	return func(_ *gateway.Registry, c *gateway.Config) {
		l := limit.New(limit.Options{Free: func(string) (free, all int64, err error) { return 1 << 40, 1 << 42, nil }})
		l.Use(s)
		c.Limits = l
		c.ClientIP = func(r *http.Request) string {
			if from := r.Header.Get("X-Test-From"); from != "" {
				return from
			}
			return "192.0.2.1"
		}
	}
}

func perHour(n int) limit.Rate { return limit.Rate{Count: n, Per: time.Hour} }

// from sends a request from an address.
func (h *house) from(address string, u upload) answer {
	h.t.Helper()
	r := h.request(u)
	r.Header.Set("X-Test-From", address)
	return h.do(r)
}

// limited checks a refusal by a limit.
func (h *house) limited(a answer) {
	h.t.Helper()
	if a.status != http.StatusTooManyRequests || !strings.Contains(a.body, string(model.CodeRateLimited)) || a.header.Get("Retry-After") == "" {
		h.t.Errorf("got %d %v %s, expected 429 %s with Retry-After", a.status, a.header, a.body, model.CodeRateLimited)
	}
	h.secretFree(a)
}

// denials are how often the audit has a code.
func (h *house) denials(code model.Code) (decisions, outcomes int) {
	h.audit.mu.Lock()
	defer h.audit.mu.Unlock()
	for _, e := range h.audit.events {
		switch {
		case e.Code != code:
		case e.Kind == model.EventDecision:
			decisions++
		case e.Kind == model.EventOutcome:
			outcomes++
		}
	}
	return decisions, outcomes
}

// TestExchangesAreRationed: an address has so many exchanges; another one, and its own uploads, notice nothing, and the token that was
// refused is not used up.
func TestExchangesAreRationed(t *testing.T) {
	h := open(t, rationed(limit.Settings{ExchangesPerClient: perHour(2)}))
	publish, _ := h.exchange(h.identity())
	if _, a := h.exchange("not.a.token"); a.status == http.StatusTooManyRequests {
		t.Errorf("the second: %d %s", a.status, a.body)
	}
	token := h.identity()
	for range 3 {
		_, a := h.exchange(token)
		h.limited(a)
	}
	if a := h.publish(upload{token: publish}); a.status != http.StatusOK {
		t.Errorf("an upload with a token from before: %d %s", a.status, a.body)
	}
	if a := h.from("192.0.2.2", upload{token: token, version: "1.1", name: "acme-widget"}); a.status != http.StatusOK {
		t.Errorf("the token of a refused exchange: %d %s", a.status, a.body)
	}
	if e := h.audit.of(t, model.EventOutcome); e.Result != "stored" {
		t.Errorf("the last outcome is %+v", e)
	}
	if decisions, outcomes := h.denials(model.CodeRateLimited); decisions != 1 || outcomes != 1 {
		t.Errorf("the audit has %d decisions and %d outcomes, expected one of each for three refusals in a row", decisions, outcomes)
	}
}

// TestExchangesOfAnIssuerAreRationed: only those count that a policy grants, so that another tenant of the issuer's platform uses
// nothing up; a refusal does not burn the token.
func TestExchangesOfAnIssuerAreRationed(t *testing.T) {
	h := open(t, rationed(limit.Settings{ExchangesPerIssuer: perHour(1)}))
	stranger := map[string]any{"repository": "mallory/widget", "repository_owner_id": "999", "repository_id": "998"}
	for range 3 {
		if _, a := h.exchange(h.identity(stranger)); a.status == http.StatusTooManyRequests || a.status/100 == 2 {
			t.Errorf("a stranger: %d %s", a.status, a.body)
		}
	}
	if token, a := h.exchange(h.identity()); token == "" {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	token := h.identity()
	_, a := h.exchange(token)
	h.limited(a)
	if !strings.Contains(h.audit.text(), "exchanges of issuer github") {
		t.Error("the audit does not say which issuer")
	}
	if a := h.publish(upload{token: token}); a.status != http.StatusOK {
		t.Errorf("the token of the refused exchange: %d %s", a.status, a.body)
	}
}

// TestRefusalsOfNobodyAreRationed: the audit has so many refusals of requests whose sender nobody knows, and then a line a minute that says how
// many are missing; each is answered as ever, and what is known or let through is always on record.
func TestRefusalsOfNobodyAreRationed(t *testing.T) {
	for name, ask := range map[string]struct {
		nobody func(h *house) answer
		status int
		code   model.Code
	}{
		"no token":       {func(h *house) answer { return h.publish(upload{}) }, http.StatusUnauthorized, model.CodeNoCredential},
		"a forged token": {func(h *house) answer { return h.publish(upload{token: "tpub_eyJhbGciOiJFZERTQSJ9.e30.c2ln"}) }, http.StatusUnauthorized, model.CodeInvalidToken},
		"a password":     {func(h *house) answer { return h.publish(upload{token: "hunter2"}) }, http.StatusForbidden, model.CodeTrustedPublishingOnly},
		"no registry":    {func(h *house) answer { return h.publish(upload{path: "/elsewhere"}) }, http.StatusForbidden, model.CodeUnsupportedOperation},
		"a bad path":     {func(h *house) answer { return h.publish(upload{path: "/root//prod/"}) }, http.StatusBadRequest, model.CodeAmbiguousPath},
	} {
		t.Run(name, func(t *testing.T) {
			var limits *limit.Limits
			h := open(t, rationed(limit.Settings{RefusalsPerClient: perHour(2)}), func(_ *gateway.Registry, c *gateway.Config) { limits = c.Limits.(*limit.Limits) })
			for range 6 {
				h.refused(ask.nobody(h), ask.status, ask.code)
			}
			if decisions, outcomes := h.denials(ask.code); decisions != 3 || outcomes != 3 {
				t.Errorf("the audit has %d decisions and %d outcomes of six refusals, expected two of each and one that says that there are more", decisions, outcomes)
			}
			for range 2 { // a known sender is not nobody
				h.refused(h.publish(upload{token: h.identity(), name: "other-project", version: "1.0"}), http.StatusForbidden, model.CodeNoMatchingPolicy)
			}
			if decisions, outcomes := h.denials(model.CodeNoMatchingPolicy); decisions != 2 || outcomes != 2 {
				t.Errorf("the audit has %d decisions and %d outcomes of a known sender, expected two of each", decisions, outcomes)
			}
			if a := h.publish(upload{token: h.identity()}); a.status != http.StatusOK {
				t.Errorf("a good one: %d %s", a.status, a.body)
			}
			if e := h.audit.of(t, model.EventOutcome); e.Result != "stored" {
				t.Errorf("the last outcome is %+v", e)
			}
			limits.Use(limit.Settings{}) // there is room again
			h.upstream.forget()
			h.refused(ask.nobody(h), ask.status, ask.code)
			if e := h.audit.of(t, model.EventDecision); e.Detail["unrecorded"] != "3" {
				t.Errorf("the next line has %v, expected that 3 are missing", e.Detail)
			}
			if e := h.audit.of(t, model.EventOutcome); e.Detail != nil {
				t.Errorf("its outcome says it again: %v", e.Detail)
			}
		})
	}
}

// TestForgedTokensAreRationed: whatever way a token that is not believed comes, it counts, and the next one of the address is not
// looked at; one that is good does not count.
func TestForgedTokensAreRationed(t *testing.T) {
	parts := func(h *house) []string { return strings.Split(h.identity(), ".") }
	ways := map[string]func(h *house) answer{
		"an identity token with another's signature": func(h *house) answer {
			return h.publish(upload{token: strings.Join(append(parts(h)[:2], parts(h)[2]), ".")})
		},
		"an unknown issuer at an exchange": func(h *house) answer { _, a := h.exchange("eyJhbGciOiJub25lIn0.e30.c2ln"); return a },
		"a publish token":                  func(h *house) answer { return h.publish(upload{token: "tpub_eyJhbGciOiJFZERTQSJ9.e30.c2ln"}) },
		"a publish token with a read": func(h *house) answer {
			r, _ := http.NewRequest(http.MethodGet, h.front.URL+"/root/prod/simple/", nil)
			r.SetBasicAuth("__token__", "tpub_eyJhbGciOiJFZERTQSJ9.e30.c2ln")
			return h.do(r)
		},
		"a publish token that is burned": func(h *house) answer {
			r, _ := http.NewRequest(http.MethodPost, h.front.URL+"/.well-known/trusted-publishing/revoke", strings.NewReader(`{"token":"tpub_eyJhbGciOiJFZERTQSJ9.e30.c2ln"}`))
			return h.do(r)
		},
		"one that no policy knows": func(h *house) answer {
			return h.publish(upload{token: h.identity(map[string]any{"repository": "mallory/widget", "repository_owner_id": "999"})})
		},
	}
	for name, forged := range ways {
		t.Run(name, func(t *testing.T) {
			h := open(t, rationed(limit.Settings{FailuresPerClient: perHour(2)}))
			for i := range 3 { // good ones don't count
				if a := h.publish(upload{token: h.identity(), name: "acme-widget", version: []string{"1.0", "1.1", "1.2"}[i]}); a.status != http.StatusOK {
					t.Fatalf("a good one: %d %s", a.status, a.body)
				}
			}
			for range 2 {
				if a := forged(h); a.status == http.StatusTooManyRequests {
					t.Fatalf("got %d %s, expected to be judged", a.status, a.body)
				}
			}
			h.limited(forged(h))
			h.limited(h.publish(upload{token: h.identity()}))
			if a := h.from("192.0.2.2", upload{token: h.identity(), name: "acme-widget", version: "2.0"}); a.status != http.StatusOK {
				t.Errorf("another address: %d %s", a.status, a.body)
			}
			if r, err := http.Get(h.front.URL + "/root/prod/simple/"); err != nil || r.StatusCode != http.StatusOK {
				t.Errorf("a read without a token: %v, %v", r, err)
			}
		})
	}
}

// TestIdentityBesideAPasswordIsRationed: in observe mode nobody is refused, and the token beside the password is not looked at any more.
func TestIdentityBesideAPasswordIsRationed(t *testing.T) {
	h := open(t, rationed(limit.Settings{FailuresPerClient: perHour(1)}), func(r *gateway.Registry, _ *gateway.Config) { r.Mode = gateway.ModeObserve })
	for i, want := range []model.Code{model.CodeExpired, model.CodeRateLimited} {
		expired := h.identity(map[string]any{"iat": time.Now().Add(-3 * time.Hour).Unix(), "exp": time.Now().Add(-2 * time.Hour).Unix()})
		r := h.request(upload{name: "acme-widget", version: []string{"1.0", "1.1"}[i], header: http.Header{"X-Trustpub-Identity": {expired}}})
		r.SetBasicAuth("alice", "password")
		if a := h.do(r); a.status != http.StatusOK {
			t.Errorf("got %d %s, expected to pass", a.status, a.body)
		}
		if e := h.audit.of(t, model.EventOutcome); e.Code != want || e.Decision != "would_deny" {
			t.Errorf("the audit says %s %s, expected would_deny %s", e.Decision, e.Code, want)
		}
	}
}

// TestSpoolsAreRationed: where there is no room, an upload is refused before the registry hears of it, and what it took is given back.
func TestSpoolsAreRationed(t *testing.T) {
	spooled := func(r *gateway.Registry, _ *gateway.Config) { r.Body = gateway.BodySpooled }
	large := func(b []byte) []byte { // above what needs no file: a field of the form that nobody judges
		first := slices.Index(b, '\r')
		field := "\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n" + strings.Repeat("x", 300<<10) + "\r\n"
		return slices.Concat(b[:first], []byte(field), b[:first], b[first:])
	}
	for _, tc := range []struct {
		name     string
		settings limit.Settings
		want     model.Code
	}{
		{"room", limit.Settings{Spools: 1, SpoolDisk: 1 << 20, SpoolFree: 1}, ""},
		{"no room on the disk", limit.Settings{SpoolDisk: 200 << 10}, model.CodeSpoolFull},
		{"a disk that is full", limit.Settings{SpoolFree: 1 << 60}, model.CodeSpoolFull},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var limits *limit.Limits
			h := open(t, spooled, rationed(tc.settings), func(_ *gateway.Registry, c *gateway.Config) { limits = c.Limits.(*limit.Limits) })
			for range 2 {
				a := h.publish(upload{token: h.identity(), edit: large})
				if tc.want == "" {
					if a.status != http.StatusOK {
						t.Errorf("got %d %s", a.status, a.body)
					}
					continue
				}
				h.refused(a, http.StatusServiceUnavailable, tc.want)
				if a.header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			h.audit.of(t, model.EventOutcome)
			if uploads, bytes := limits.Spooled(); uploads != 0 || bytes != 0 {
				t.Errorf("%d uploads and %d bytes are taken at the end", uploads, bytes)
			}
		})
	}
}

// TestSpoolsAtATime: one more than allowed is refused while the others are under way, and let in after them.
func TestSpoolsAtATime(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	h := open(t, rationed(limit.Settings{Spools: 1}), func(r *gateway.Registry, _ *gateway.Config) { r.Body = gateway.BodySpooled })
	var once sync.Once
	h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(arrived); <-proceed })
		h.upstream.keep(w, r)
	})
	first := make(chan answer)
	go func() { first <- h.publish(upload{token: h.identity()}) }()
	<-arrived
	token := h.identity()
	h.refused(h.publish(upload{token: token, name: "acme-widget", version: "1.1"}), http.StatusServiceUnavailable, model.CodeSpoolFull)
	close(proceed)
	if a := <-first; a.status != http.StatusOK {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	h.audit.of(t, model.EventOutcome)
	if a := h.publish(upload{token: token, name: "acme-widget", version: "1.1"}); a.status != http.StatusOK {
		t.Errorf("the second, after it: %d %s", a.status, a.body)
	}
	if diff := cmp.Diff(2, len(h.upstream.stored())); diff != "" {
		t.Error(diff)
	}
}

// TestSpoolsOfOneClient: one repository has no more than its share of the spools, whatever addresses its jobs come from; another one has its own, from
// the same address too.
func TestSpoolsOfOneClient(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	h := open(t, rationed(limit.Settings{Spools: 2, SpoolShare: 50}), func(r *gateway.Registry, _ *gateway.Config) { r.Body = gateway.BodySpooled })
	h.policies.set(grantWidget + grantOthersGadget)
	var asked atomic.Bool
	h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
		if asked.CompareAndSwap(false, true) {
			close(arrived)
			<-proceed
		}
		h.upstream.keep(w, r)
	})
	first := make(chan answer)
	go func() { first <- h.publish(upload{token: h.identity()}) }()
	<-arrived
	a := h.from("192.0.2.77", upload{token: h.identity(), name: "acme-widget", version: "1.1"})
	h.refused(a, http.StatusServiceUnavailable, model.CodeSpoolFull)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	other := h.identity(map[string]any{"repository": "acme/gadget", "repository_id": "112"})
	if a := h.publish(upload{token: other, name: "acme-gadget", version: "1.0"}); a.status != http.StatusOK {
		t.Errorf("another repository: %d %s", a.status, a.body)
	}
	close(proceed)
	if a := <-first; a.status != http.StatusOK {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	if a := h.publish(upload{token: h.identity(), name: "acme-widget", version: "1.1"}); a.status != http.StatusOK {
		t.Errorf("the second, after it: %d %s", a.status, a.body)
	}
}

const grantOthersGadget = `  - name: gadget-release
    registry: internal-pypi
    packages: [acme-gadget]
    publisher:
      github:
        repository: acme/gadget
        repository_owner_id: "222"
`
