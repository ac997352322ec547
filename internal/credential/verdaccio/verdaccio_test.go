package verdaccio

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	password = "canary-user-password"
	replaced = "canary-other-password"
)

// played is the login of Verdaccio 6, as observed: 201 with ok and token for a user with a Basic credential of his own, 401 for a wrong
// one, 409 where nobody may register.
type played struct {
	mu sync.Mutex
	// life of tokens; zero: they say nothing of it.
	life   time.Duration
	tokens map[string]bool
}

func (p *played) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, given, basic := r.BasicAuth()
	var doc account
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	switch {
	case r.Method != http.MethodPut || r.URL.Path != "/sub/-/user/org.couchdb.user:publisher":
		http.NotFound(w, r)
	case r.Header.Get("Content-Type") != "application/json" || dec.Decode(&doc) != nil || doc.ID != "org.couchdb.user:publisher" || doc.Name != "publisher" || doc.Type != "user":
		http.Error(w, `{"error":"bad data"}`, http.StatusBadRequest)
	case !basic:
		http.Error(w, `{"error":"user registration disabled"}`, http.StatusConflict)
	case user != "publisher" || given != password && given != replaced || doc.Password != given:
		http.Error(w, `{"error":"unauthorized access"}`, http.StatusUnauthorized)
	default:
		now := time.Now().Unix() + 100*24*3600 // of a clock that is wrong
		claims := map[string]any{"name": user, "iat": now, "nbf": now, "jti": len(p.tokens)}
		if p.life > 0 {
			claims["exp"] = now + int64(p.life/time.Second)
		}
		payload, _ := json.Marshal(claims)
		token := "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(payload) + ".c2lnbmF0dXJl"
		p.tokens[token] = true
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"ok": "you are authenticated as '" + user + "'", "token": token})
	}
}

func (p *played) live(c model.Credential) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens[strings.TrimPrefix(c.Header.Get("Authorization"), "Bearer ")]
}

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "npm", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func target(pkg string) model.Target {
	return model.Target{Ecosystem: "npm", Registry: "internal", Package: pkg, Version: "1.0.0", Action: model.ActionPublish}
}

func TestConformance(t *testing.T) {
	for name, life := range map[string]time.Duration{"a token that ends before": 10 * time.Minute, "a token that never ends": 0, "a token that ends later": 7 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			server := &played{tokens: map[string]bool{}, life: life}
			api := credentialtest.NewServer(t, server)
			longest := DefaultLifetime
			if life != 0 {
				longest = min(life, longest)
			}
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(), Secret: password, Other: replaced,
				Targets: []model.Target{target("@acme/widget"), target("other")},
				Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
					c.(*Config).URL, c.(*Config).User, c.(*Config).Password = api.URL+"/sub/", "publisher", secret
					return c
				},
				Check: func(t testing.TB, _ model.Target, got model.Credential) {
					if !server.live(got) {
						t.Error("got another token than one of the registry's")
					}
				},
				Mint: &credentialtest.Mint{
					Server: api, Cached: true, MaxLife: longest, Live: server.live,
					Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
				},
			})
		})
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"another ecosystem":  {func(_ *Config, e *credential.Env) { e.Ecosystem = "pypi" }, `ecosystem is "pypi", expected npm`},
		"no url":             {func(c *Config, _ *credential.Env) { c.URL = "" }, "url is absent"},
		"no user":            {func(c *Config, _ *credential.Env) { c.User = "" }, "user is"},
		"a user with a path": {func(c *Config, _ *credential.Env) { c.User = "../admin" }, "user is"},
		"a user with colon":  {func(c *Config, _ *credential.Env) { c.User = "a:b" }, "user is"},
		"no password":        {func(c *Config, _ *credential.Env) { c.Password = "" }, "password is absent"},
		"no such ca":         {func(c *Config, _ *credential.Env) { c.CA = "/nowhere/ca.pem" }, "/nowhere/ca.pem"},
		"a short lifetime":   {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":    {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
	} {
		t.Run(name, func(t *testing.T) {
			c, e := &Config{URL: "http://127.0.0.1:1", User: "publisher", Password: "{env.TRUSTPUB_TEST_SECRET}"}, env()
			tc.change(c, &e)
			if _, err := c.Provision(e); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}

// TestHints: what the operator reads says what to look at, and never the password.
func TestHints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{
		401: "check user publisher and the password in {file." + path + "}", 403: "check user publisher", 409: "is there a user publisher", 404: "does url lead to Verdaccio?",
	} {
		api := credentialtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		src, err := (&Config{URL: api.URL, User: "publisher", Password: model.Secret("{file." + path + "}")}).Provision(env())
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.Issue(t.Context(), target("a"), nil)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("got %d, expected 201: %s", status, want)) || strings.Contains(err.Error(), password) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
}

func TestIssueRefusesAnotherRegistry(t *testing.T) {
	src, err := (&Config{URL: "http://127.0.0.1:1", User: "publisher", Password: "{env.TRUSTPUB_TEST_SECRET}"}).Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	other := target("a")
	other.Registry = "other"
	if _, err := src.Issue(t.Context(), other, nil); err == nil || !strings.Contains(err.Error(), `registry is "other"`) {
		t.Errorf("got %v, expected a refusal", err)
	}
}

func FuzzLife(f *testing.F) {
	f.Add("a.eyJpYXQiOjEsImV4cCI6NjF9.c")
	f.Add("a.e30.c")
	f.Add("legacy")
	f.Fuzz(func(t *testing.T, token string) {
		if got := life(token, time.Hour); got < 0 || got > time.Hour {
			t.Fatalf("got a life of %s", got)
		}
	})
}
