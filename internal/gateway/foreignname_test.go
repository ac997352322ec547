package gateway_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// named is what an event says of a foreign credential.
type named struct{ User, Fingerprint string }

// withPrints gives each secret the fingerprint "print of" and its last letter, so that a test can tell what was looked at.
func withPrints(_ *gateway.Registry, c *gateway.Config) {
	c.Fingerprint = func(secret string) string { return "print-" + secret[len(secret)-1:] }
}

func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestForeignNames(t *testing.T) {
	const token = "canaryABCDEFGHIJ1234567890KLMNO"
	both := base64.StdEncoding.EncodeToString([]byte("ci:canary-1"))
	for _, tc := range []struct {
		name string
		set  func(*http.Request)
		want named
	}{
		{"a user", basic("ci-publisher", "canary-1"), named{"ci-publisher", "print-1"}},
		{"a user with a domain", basic("ci.publisher+x@example.com", "canary-1"), named{"ci.publisher+x@example.com", "print-1"}},
		{"a deploy token's user", basic("gitlab+deploy-token-4711", "canary-1"), named{"gitlab+deploy-token-4711", "print-1"}},
		{"a small scheme", header("Authorization", "basic "+both), named{"ci", "print-1"}},
		{"a placeholder", basic("__token__", "canary-2"), named{"", "print-2"}},
		{"the token as user", basic(token, ""), named{"", "print-O"}},
		{"the token as user beside a placeholder", basic(token, "x-oauth-basic"), named{"", "print-O"}},
		{"a short token as user", basic("canary", "x"), named{"", "print-y"}},
		{"a token as user beside a password", basic(token, "canary-3"), named{"", "print-3"}},
		{"the password as user too", basic("canary-4", "canary-4"), named{"", "print-4"}},
		{"the password inside the user", basic("ci-canary-5", "canary-5"), named{"", "print-5"}},
		{"no user", basic("", "canary-6"), named{"", "print-6"}},
		{"too long a user", basic(strings.Repeat("a.", 33), "canary-7"), named{"", "print-7"}},
		{"a user with a control", basic("ci\x01", "canary-8"), named{"", "print-8"}},
		{"bearer", header("Authorization", "Bearer canary-9"), named{"", "print-9"}},
		{"no base64", header("Authorization", "Basic canary-a"), named{"", "print-a"}},
		{"raw", header("Authorization", "canary-b"), named{"", "print-b"}},
		{"the ecosystem's header", header("X-Devpi-Auth", both), named{"", "print-x"}},
		{"a query key", func(r *http.Request) { r.URL.RawQuery = "token=canary-c" }, named{"", "print-c"}},
		{"none", func(*http.Request) {}, named{}},
	} {
		for _, m := range []gateway.Mode{gateway.ModeEnforce, gateway.ModeClaimed, gateway.ModeObserve} {
			t.Run(string(m)+"/"+tc.name, func(t *testing.T) {
				h := open(t, mode(m), withPrints)
				r := h.request(upload{name: freePackage, version: "1.0"})
				tc.set(r)
				a := h.do(r)
				e := h.audit.of(t, model.EventDecision)
				want := tc.want
				if tc.name == "the ecosystem's header" {
					want.Fingerprint = "print-" + both[len(both)-1:]
				}
				if diff := cmp.Diff(want, named{e.ForeignUser, e.ForeignFingerprint}); diff != "" {
					t.Errorf("(-want +got):\n%s\n%d %s", diff, a.status, a.body)
				}
				// SecretsStayInside: the outcome repeats the names, and nobody sees the secret.
				if text := h.audit.text() + h.log.String(); strings.Contains(text, "canary") || strings.Contains(text, both) {
					t.Errorf("the secret is shown:\n%s", text)
				}
			})
		}
	}
}

func TestForeignNamesOfUnknownOperations(t *testing.T) {
	for _, m := range []gateway.Mode{gateway.ModeEnforce, gateway.ModeObserve} {
		h := open(t, mode(m), withPrints)
		r := h.request(upload{})
		r.Method = http.MethodDelete
		r.SetBasicAuth("ci", "canary-1")
		h.do(r)
		e := h.audit.of(t, model.EventDecision)
		if diff := cmp.Diff(named{"ci", "print-1"}, named{e.ForeignUser, e.ForeignFingerprint}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", m, diff)
		}
	}
}

// A publish with one of our tokens, and a gateway without a key, have no such names.
func TestForeignNamesElsewhere(t *testing.T) {
	h := open(t, withPrints)
	h.publish(upload{token: h.identity()})
	if e := h.audit.of(t, model.EventDecision); e.ForeignUser != "" || e.ForeignFingerprint != "" {
		t.Errorf("%+v", e)
	}
	h = open(t)
	h.publish(upload{token: "canary"})
	if e := h.audit.of(t, model.EventDecision); e.ForeignUser != "" || e.ForeignFingerprint != "" {
		t.Errorf("%+v", e)
	}
}
