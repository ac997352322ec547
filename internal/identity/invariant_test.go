package identity

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// hostile is a server of an attacker that counts who comes.
func hostile(t *testing.T) (url string, visits *atomic.Int32) {
	t.Helper()
	visits = &atomic.Int32{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visits.Add(1)
		fmt.Fprint(w, `{"keys":[]}`)
	}))
	t.Cleanup(s.Close)
	return s.URL, visits
}

// Nothing in a token that is not verified chooses an address: whatever a token says, only the configured issuer is asked, at
// its own addresses, and only for tokens that name it.
func TestInvariantAllowListBeforeFetch(t *testing.T) {
	trap, visits := hostile(t)

	t.Run("tokens that name no configured issuer fetch nothing", func(t *testing.T) {
		r := newRig(t, nil)
		for name, iss := range map[string]any{
			"the attacker's server":   trap,
			"below the issuer":        r.dev.URL() + "/x",
			"the issuer with a user":  strings.Replace(r.dev.URL(), "://", "://x@", 1),
			"the issuer with a query": r.dev.URL() + "?iss=" + trap,
			"a fragment":              r.dev.URL() + "#" + trap,
			"another provider":        "https://token.actions.githubusercontent.com",
			"a file":                  "file:///etc/passwd",
			"a link-local address":    "http://169.254.169.254/",
			"a list":                  []string{r.dev.URL(), trap},
			"nothing":                 nil,
		} {
			t.Run(name, func(t *testing.T) {
				want(t, r.deny(t, r.dev.Token(audience, map[string]any{"iss": iss})), model.CodeUnknownIssuer, "iss")
			})
		}
		if got := r.dev.Fetches(issuer.DiscoveryPath) + r.dev.KeyFetches(); got != 0 {
			t.Errorf("the configured issuer was asked %d times", got)
		}
	})

	t.Run("headers that bring an address fetch nothing", func(t *testing.T) {
		r := newRig(t, nil)
		for _, name := range []string{"jku", "x5u"} {
			want(t, r.deny(t, r.withHeader(t, map[string]any{name: trap})), model.CodeInvalidToken, "")
		}
		want(t, r.deny(t, r.withHeader(t, map[string]any{"jwk": map[string]any{"kty": "RSA", "x5u": trap}})), model.CodeInvalidToken, "")
		want(t, r.deny(t, r.withHeader(t, map[string]any{"alg": "none"})), model.CodeInvalidToken, "alg")
		want(t, r.deny(t, r.withHeader(t, map[string]any{"kid": nil})), model.CodeInvalidToken, "")
		if got := r.dev.Fetches(issuer.DiscoveryPath) + r.dev.KeyFetches(); got != 0 {
			t.Errorf("the configured issuer was asked %d times", got)
		}
	})

	t.Run("a key id that is an address is only a key id", func(t *testing.T) {
		r := newRig(t, nil)
		want(t, r.deny(t, r.withHeader(t, map[string]any{"kid": trap + "/keys"})), model.CodeInvalidToken, "kid")
		want(t, r.deny(t, r.withHeader(t, map[string]any{"kid": "../../keys"})), model.CodeUnknownKey, "")
	})

	t.Run("claims that name other sources of claims fetch nothing", func(t *testing.T) {
		r := newRig(t, nil)
		r.accept(t, r.dev.Token(audience, map[string]any{
			"_claim_names":   map[string]any{"repository": "src"},
			"_claim_sources": map[string]any{"src": map[string]any{"endpoint": trap, "access_token": "x"}},
		}))
	})

	t.Run("redirects to another host are not followed", func(t *testing.T) {
		for _, path := range []string{issuer.DiscoveryPath, issuer.JWKSPath} {
			r := newRig(t, nil)
			r.on(path, redirectTo(trap+"/keys"))
			want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
			if s := r.issuer.Status(); !strings.Contains(s.LastError, "a redirect to another host") {
				t.Errorf("%s: last error %q", path, s.LastError)
			}
		}
	})

	t.Run("a redirect to the same name on another port is another host", func(t *testing.T) {
		r := newRig(t, nil)
		_, port, _ := strings.Cut(strings.TrimPrefix(trap, "http://"), ":")
		r.on(issuer.JWKSPath, redirectTo("http://127.0.0.1:"+port+"/"))
		want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
	})

	t.Run("another issuer's description is not believed", func(t *testing.T) {
		r := newRig(t, nil)
		body, err := json.Marshal(map[string]string{"issuer": trap, "jwks_uri": trap + "/keys"})
		if err != nil {
			t.Fatal(err)
		}
		r.on(issuer.DiscoveryPath, replyWith(string(body)))
		want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
	})

	if got := visits.Load(); got != 0 {
		t.Errorf("the attacker's server was asked %d times", got)
	}
}
