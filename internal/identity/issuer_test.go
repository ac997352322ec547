package identity

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

func tlsListener(inner net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(inner, config)
}

// write makes a file in a folder of the test.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigDefaults(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		want   Config
	}{
		{"a well-known issuer", Config{Provider: "github"}, Config{
			Name: "github", Provider: "github", URL: "https://token.actions.githubusercontent.com",
			MaxLifetime: time.Hour, Algorithms: []string{"RS256", "ES256"},
		}},
		{"all given", Config{
			Name: "work", Provider: "gitlab", URL: "https://gitlab.example.com", MaxLifetime: 30 * time.Minute,
			Algorithms: []string{"EdDSA"}, Disabled: true,
		}, Config{
			Name: "work", Provider: "gitlab", URL: "https://gitlab.example.com", MaxLifetime: 30 * time.Minute,
			Algorithms: []string{"EdDSA"}, Disabled: true,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := newIssuer(t, test.config, Options{})
			if diff := cmp.Diff(test.want, i.config); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if i.Name() != test.want.Name || i.Provider() != test.want.Provider || i.Disabled() != test.want.Disabled {
				t.Errorf("name %q, provider %q, disabled %t", i.Name(), i.Provider(), i.Disabled())
			}
		})
	}
}

func TestRefusedConfigs(t *testing.T) {
	noPEM, noKeys := write(t, "ca.pem", []byte("certificate")), write(t, "keys.json", []byte(`{"keys":[]}`))
	tests := []struct {
		name   string
		config Config
		says   string
	}{
		{"no provider", Config{}, `provider "" is not known`},
		{"unknown provider", Config{Provider: "jankins"}, "expected one of activestate, azure-devops, bitbucket,"},
		{"upper-case name", Config{Provider: "github", Name: "GitHub"}, "lower-case"},
		{"name with a space", Config{Provider: "github", Name: "a b"}, "lower-case"},
		{"no URL where none is known", Config{Provider: "oidc"}, "has no well-known issuer"},
		{"plain http", Config{Provider: "gitlab", URL: "http://gitlab.example.com"}, "https://"},
		{"another platform's URL", Config{Provider: "github", URL: "https://gitlab.example.com"}, "no issuer of provider github"},
		{"lifetime too short", Config{Provider: "github", MaxLifetime: time.Second}, "max_lifetime is 1s"},
		{"break glass without keys of its own", Config{Provider: "oidc", URL: "https://break-glass.example.com", BreakGlass: true}, "break_glass needs keys FILE"},
		{"break glass for too long", Config{Provider: "oidc", URL: "https://break-glass.example.com", BreakGlass: true, KeysFile: "keys.json", MaxLifetime: time.Hour}, "expected 1m to 30m0s"},
		{"lifetime too long", Config{Provider: "github", MaxLifetime: 25 * time.Hour}, "max_lifetime is 25h"},
		{"alg none", Config{Provider: "github", Algorithms: []string{"none"}}, `algorithms has "none"`},
		{"alg HS256", Config{Provider: "github", Algorithms: []string{"HS256"}}, `algorithms has "HS256"`},
		{"alg PS256", Config{Provider: "github", Algorithms: []string{"PS256"}}, `algorithms has "PS256"`},
		{"alg twice", Config{Provider: "github", Algorithms: []string{"RS256", "RS256"}}, `algorithms has "RS256"`},
		{"no CA file", Config{Provider: "github", CAFile: noPEM + "x"}, "ca: open"},
		{"CA is no PEM", Config{Provider: "github", CAFile: noPEM}, "holds no certificate"},
		{"no keys file", Config{Provider: "github", KeysFile: noKeys + "x"}, "keys: open"},
		{"keys without a key", Config{Provider: "github", KeysFile: noKeys}, "no usable key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewIssuer(test.config, Options{})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
		})
	}
}

// The key changes with each part of the configuration and with the content of its files.
func TestKey(t *testing.T) {
	dev, err := sharedDev()
	if err != nil {
		t.Fatal(err)
	}
	other, err := issuer.New("https://gitlab.example.com", issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keys := write(t, "keys.json", dev.JWKS())
	key := func(change func(*Config)) string {
		c := Config{Provider: "gitlab", URL: "https://gitlab.example.com", KeysFile: keys}
		if change != nil {
			change(&c)
		}
		return newIssuer(t, c, Options{}).Key()
	}
	first := key(nil)
	if again := key(func(c *Config) { c.Name, c.MaxLifetime = "gitlab", time.Hour }); again != first {
		t.Error("the defaults written out give another key")
	}
	seen := map[string]string{first: "unchanged"}
	for name, change := range map[string]func(*Config){
		"name":       func(c *Config) { c.Name = "other" },
		"provider":   func(c *Config) { c.Provider = "oidc" },
		"URL":        func(c *Config) { c.URL = "https://git.example.com" },
		"lifetime":   func(c *Config) { c.MaxLifetime = time.Minute },
		"algorithms": func(c *Config) { c.Algorithms = []string{"RS256"} },
		"disabled":   func(c *Config) { c.Disabled = true },
		"no file":    func(c *Config) { c.KeysFile = "" },
		"the file's content": func(*Config) {
			if err := os.WriteFile(keys, other.JWKS(), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		k := key(change)
		if before, twice := seen[k]; twice {
			t.Errorf("%s: same key as %s", name, before)
		}
		seen[k] = name
		if err := os.WriteFile(keys, dev.JWKS(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Pinned keys need no network, never age, and know no other key.
func TestPinnedKeys(t *testing.T) {
	clock := newClock()
	dev := newDev(t, clock)
	file := write(t, "keys.json", dev.JWKS())
	r := rigOn(t, clock, dev, func(c *Config) { c.KeysFile = file })
	r.issuer.Start()
	r.accept(t, r.token())
	want(t, r.deny(t, r.forged("made-up")), model.CodeInvalidToken, "kid")
	clock.advance(365 * 24 * time.Hour)
	r.accept(t, r.token())
	if err := dev.Rotate(); err != nil {
		t.Fatal(err)
	}
	want(t, r.deny(t, r.token()), model.CodeInvalidToken, "kid")
	if got := dev.Fetches(issuer.DiscoveryPath) + dev.KeyFetches(); got != 0 {
		t.Errorf("%d requests, want none", got)
	}
	if s := r.issuer.Status(); !s.Pinned || !s.Ready || s.Stale || s.Keys != 2 {
		t.Errorf("status %+v", s)
	}
}

func TestDisabledIssuer(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Disabled = true })
	r.issuer.Start()
	raw := r.token()
	want(t, r.deny(t, raw), model.CodeUnknownIssuer, "iss")
	if !r.Ours(raw) {
		t.Error("a disabled issuer's token is not known as ours")
	}
	if r.Active("github") || r.issuer.Status().Ready {
		t.Error("a disabled issuer is active or ready")
	}
	if got := r.dev.Fetches(issuer.DiscoveryPath); got != 0 {
		t.Errorf("%d requests, want none", got)
	}
}

func TestStatus(t *testing.T) {
	r := newRig(t, nil)
	status := func() map[string]any {
		t.Helper()
		data, err := json.Marshal(r.issuer.Status())
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]any{}
		if err := json.Unmarshal(data, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := map[string]any{"name": "github", "provider": "github", "url": r.dev.URL()}
	check := func(name string, members map[string]any) {
		t.Helper()
		for k, v := range base {
			members[k] = v
		}
		if diff := cmp.Diff(members, status(), cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "next_attempt" })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("at the start", map[string]any{"ready": false, "keys": 0.0})
	r.failWith(500)
	want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
	check("after a failure", map[string]any{
		"ready": false, "keys": 0.0, "failures": 1.0, "last_attempt": "2026-11-23T12:00:00Z",
		"last_error": "GET " + r.dev.URL() + issuer.DiscoveryPath + ": status 500, expected 200",
	})
	r.dev.Intercept(nil)
	r.clock.advance(time.Minute)
	r.accept(t, r.token())
	check("with keys", map[string]any{
		"ready": true, "keys": 2.0, "generation": 1.0,
		"last_attempt": "2026-11-23T12:01:00Z", "last_fetch": "2026-11-23T12:01:00Z",
	})
}

func TestNewVerifierRefuses(t *testing.T) {
	github := newIssuer(t, Config{Provider: "github"}, Options{})
	sameName := newIssuer(t, Config{Provider: "gitlab", Name: "github"}, Options{})
	sameURL := newIssuer(t, Config{Provider: "oidc", URL: "https://token.actions.githubusercontent.com"}, Options{})
	tests := []struct {
		name    string
		issuers []*Issuer
		says    string
	}{
		{"no issuers", nil, "no issuer is configured"},
		{"one name twice", []*Issuer{github, sameName}, `the name "github"`},
		{"one URL twice", []*Issuer{github, sameURL}, "the same URL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewVerifier(test.issuers, Options{})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
		})
	}
}
