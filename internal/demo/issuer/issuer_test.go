package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func start(t *testing.T, opts issuer.Options) *issuer.Server {
	t.Helper()
	s, err := issuer.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func get(t *testing.T, url, authorization string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// A foreign implementation of OpenID Connect must be content with discovery, keys and tokens, before and after a rotation.
func TestAnotherLibraryVerifies(t *testing.T) {
	s := start(t, issuer.Options{})
	provider, err := oidc.NewProvider(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: "https://pypi.example.com"})
	for _, alg := range []string{issuer.RS256, issuer.ES256} {
		if _, err := verifier.Verify(t.Context(), s.TokenAlg(alg, "https://pypi.example.com", nil)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	old := s.Token("https://pypi.example.com", nil)
	if err := s.RotateKeeping(); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"before the rotation": old, "after it": s.Token("https://pypi.example.com", nil)} {
		if _, err := verifier.Verify(t.Context(), token); err != nil {
			t.Errorf("token made %s: %v", name, err)
		}
	}
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh, err := oidc.NewProvider(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Verifier(&oidc.Config{SkipClientIDCheck: true}).Verify(t.Context(), old); err == nil {
		t.Error("a token of a forgotten key still verifies")
	}
	if got := s.KeyFetches(); got < 2 {
		t.Errorf("%d fetches of the key set were counted", got)
	}
}

func TestClaims(t *testing.T) {
	s := start(t, issuer.Options{Now: func() time.Time { return noon }, Claims: map[string]any{"actor": nil, "sha": "abc"}})
	got := claimsOf(t, s.Token("https://pypi.example.com", map[string]any{"repository": "acme/gadget", "environment": nil}))
	want := issuer.DefaultClaims()
	delete(want, "actor")
	delete(want, "environment")
	want["sha"], want["repository"] = "abc", "acme/gadget"
	want["iss"], want["aud"] = s.URL(), "https://pypi.example.com"
	want["iat"], want["nbf"], want["exp"] = float64(noon.Unix()), float64(noon.Unix()), float64(noon.Add(5*time.Minute).Unix())
	if diff := cmp.Diff(want, got, cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "jti" })); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if other := claimsOf(t, s.Token("x", nil)); other["jti"] == got["jti"] {
		t.Error("two tokens have the same jti")
	}
}

func TestTokenEndpoint(t *testing.T) {
	s := start(t, issuer.Options{Jobs: map[string]map[string]any{"job-1": nil}})
	s.AddJob("job-2", map[string]any{"repository": "evil/widget", "repository_owner": "evil"})
	tests := []struct {
		name, url, authorization string
		status                   int
		aud, repository          string
	}{
		{"a job", s.TokenRequestURL() + "&audience=pypi", "Bearer job-1", 200, "pypi", "acme/widget"},
		{"lower-case scheme", s.TokenRequestURL() + "&audience=pypi", "bearer job-1", 200, "pypi", "acme/widget"},
		{"another job", s.TokenRequestURL() + "&audience=https%3A%2F%2Fpypi.example.com", "Bearer job-2", 200, "https://pypi.example.com", "evil/widget"},
		{"no audience", s.TokenRequestURL(), "Bearer job-1", 200, "https://github.com/acme", "acme/widget"},
		{"unknown request token", s.TokenRequestURL(), "Bearer job-3", 401, "", ""},
		{"another scheme", s.TokenRequestURL(), "Basic job-1", 401, "", ""},
		{"no request token", s.TokenRequestURL(), "", 401, "", ""},
		{"another path", s.URL() + "/nowhere", "Bearer job-1", 404, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, body := get(t, test.url, test.authorization)
			if status != test.status {
				t.Fatalf("status %d, want %d: %s", status, test.status, body)
			}
			if status != http.StatusOK {
				return
			}
			var answer struct{ Value string }
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			claims := claimsOf(t, answer.Value)
			if claims["aud"] != test.aud || claims["repository"] != test.repository {
				t.Errorf("aud %v of %v, want %s of %s", claims["aud"], claims["repository"], test.aud, test.repository)
			}
		})
	}
}

func TestIntercept(t *testing.T) {
	s := start(t, issuer.Options{})
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != issuer.JWKSPath {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	if status, _ := get(t, s.URL()+issuer.JWKSPath, ""); status != http.StatusBadGateway {
		t.Errorf("intercepted: status %d", status)
	}
	if status, _ := get(t, s.URL()+issuer.DiscoveryPath, ""); status != http.StatusOK {
		t.Errorf("not intercepted: status %d", status)
	}
	s.Intercept(nil)
	if status, _ := get(t, s.URL()+issuer.JWKSPath, ""); status != http.StatusOK {
		t.Errorf("after the interception: status %d", status)
	}
	if got := s.KeyFetches(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
}
