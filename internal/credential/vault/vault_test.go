package vault

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	identityToken = "canary-header.canary-payload.canary-signature"
	secretID      = "canary-secret-id"
	otherID       = "canary-other-secret-id"
	mountedToken  = "hvs.canary-mounted-token"
)

// vault plays the documented calls of one, with the auth methods jwt and approle, a mount of KV version 2, and one of dynamic secrets for a
// package each. It refuses whatever it does not know: members, headers, methods.
type vault struct {
	mu sync.Mutex
	// tokens are the logins by token, with the leases that were made by each; leases are the secrets by lease.
	tokens map[string][]string
	leases map[string]secret
	// broken answers reads of dynamic secrets without their secret.
	broken bool
}

type secret struct{ password, pkg string }

func newVault() *vault {
	return &vault{tokens: map[string][]string{mountedToken: nil}, leases: map[string]secret{}}
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Header.Get("X-Vault-Request") != "true" || r.Header.Get("X-Vault-Namespace") != "team/release" || r.Header.Get("Authorization") != "" {
		refuse(w, http.StatusBadRequest)
		return
	}
	token := r.Header.Get("X-Vault-Token")
	_, known := v.tokens[token]
	pkg, dynamic := strings.CutPrefix(r.URL.EscapedPath(), "/v1/artifactory/token/")
	switch where := r.Method + " " + r.URL.EscapedPath(); {
	case where == "POST /v1/auth/ci/jwt/login":
		v.login(w, r, map[string][]string{"role": {"release"}, "jwt": {identityToken}})
	case where == "POST /v1/auth/approle/login":
		v.login(w, r, map[string][]string{"role_id": {"gateway"}, "secret_id": {secretID, otherID}})
	case !known:
		refuse(w, http.StatusForbidden)
	case where == "GET /v1/secret/data/registry":
		reply(w, map[string]any{"lease_id": "", "lease_duration": 0, "data": map[string]any{"data": map[string]any{"user": "bot", "password": "kept-password"}, "metadata": map[string]any{"version": 1}}})
	case dynamic && r.Method == http.MethodGet:
		v.make(w, token, pkg)
	case where == "POST /v1/sys/leases/revoke":
		var asked struct {
			ID string `json:"lease_id"`
		}
		if !read(r, &asked) {
			refuse(w, http.StatusBadRequest)
			return
		}
		delete(v.leases, asked.ID) // one that is gone is as good
		w.WriteHeader(http.StatusNoContent)
	case where == "POST /v1/auth/token/revoke-self":
		for _, lease := range v.tokens[token] {
			delete(v.leases, lease)
		}
		delete(v.tokens, token)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusNotFound)
	}
}

func (v *vault) login(w http.ResponseWriter, r *http.Request, takes map[string][]string) {
	var asked map[string]string
	if !read(r, &asked) || len(asked) != len(takes) || r.Header.Get("X-Vault-Token") != "" {
		refuse(w, http.StatusBadRequest)
		return
	}
	for name, values := range takes {
		if !slices.Contains(values, asked[name]) {
			refuse(w, http.StatusBadRequest)
			return
		}
	}
	token := "hvs." + random()
	v.tokens[token] = nil
	reply(w, map[string]any{"lease_id": "", "lease_duration": 0, "data": nil, "auth": map[string]any{"client_token": token, "lease_duration": 900, "renewable": true}})
}

func (v *vault) make(w http.ResponseWriter, token, pkg string) {
	lease, s := "artifactory/token/"+random(), secret{random(), pkg}
	v.leases[lease] = s
	v.tokens[token] = append(v.tokens[token], lease)
	data := map[string]any{"access_token": s.password, "username": "u-" + pkg}
	if v.broken {
		data = map[string]any{"canary": "canary"}
	}
	reply(w, map[string]any{"lease_id": lease, "lease_duration": 600, "renewable": false, "data": data})
}

func read(r *http.Request, v any) bool {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	return dec.Decode(v) == nil
}

func reply(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func refuse(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"errors":["canary"]}`)
}

func random() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// of is the package of the dynamic secret in a credential; empty where there is none.
func (v *vault) of(c model.Credential) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.leases {
		if c.Header.Get("Authorization") == "Bearer "+s.password {
			return s.pkg
		}
	}
	return ""
}

// left are the logins beside the mounted token, and the leases.
func (v *vault) left() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprintf("%d logins, %d leases", len(v.tokens)-1, len(v.leases))
}

var targets = []model.Target{
	{Ecosystem: "generic", Registry: "internal", Package: "widget", Version: "1.0.0", File: "widget.tgz", Action: model.ActionPublish},
	{Ecosystem: "generic", Registry: "internal", Package: "other", Version: "2.0.0", Action: model.ActionPublish},
}

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "generic", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// logins are the ways in.
var logins = map[string]func(*Config, model.Secret){
	"jwt":     func(c *Config, _ model.Secret) { c.JWT = &JWT{"ci/jwt", "release"} },
	"approle": func(c *Config, s model.Secret) { c.AppRole = &AppRole{"approle", "gateway", s} },
	"token":   func(c *Config, s model.Secret) { c.Token = s },
}

func TestConformance(t *testing.T) {
	for name, login := range logins {
		t.Run(name, func(t *testing.T) {
			played := newVault()
			server := credentialtest.NewServer(t, played)
			suite := credentialtest.Suite{
				Kind: Kind, Env: env(), Targets: targets, Secret: secretID, Other: otherID,
				Config: func(_ testing.TB, c credential.Config, s model.Secret) credential.Config {
					config := c.(*Config)
					config.URL, config.Namespace, config.Read = server.URL, "team/release", "/artifactory/token/{package}"
					config.Present, config.Reads = []string{"bearer", "/data/access_token"}, true
					login(config, s)
					return c
				},
				Check: func(t testing.TB, target model.Target, got model.Credential) {
					if pkg := played.of(got); pkg != target.Package {
						t.Errorf("got a secret for %q, expected %q", pkg, target.Package)
					}
				},
				Mint: &credentialtest.Mint{
					Server: server, Revokes: true, MaxLife: 10 * time.Minute,
					Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
					Live:  func(got model.Credential) bool { return played.of(got) != "" },
				},
			}
			switch name {
			case "jwt":
				suite.NoSecret, suite.Token = true, identityToken
			case "token":
				suite.Secret, suite.Other = mountedToken, mountedToken+"-2"
				played.tokens[suite.Other] = nil
			}
			credentialtest.Run(t, suite)
		})
	}
}

// provision makes a source of a played vault.
func provision(t *testing.T, v *vault, login string, change func(*Config)) credential.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	text := secretID
	if login == "token" {
		text = mountedToken
	}
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Config{
		URL: credentialtest.NewServer(t, v).URL, Namespace: "team/release", Read: "/artifactory/token/{package}", Present: []string{"bearer", "/data/access_token"},
		now: func() time.Time { return time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC) },
	}
	logins[login](c, model.Secret("{file."+path+"}"))
	change(c)
	src, err := c.Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func issue(t *testing.T, src credential.Source, target model.Target) (model.Credential, error) {
	t.Helper()
	if f, ok := src.(credential.Federated); ok {
		return f.IssueFederated(t.Context(), []model.Target{target}, &model.Identity{Issuer: "github"}, model.NewIdentityToken(identityToken))
	}
	return src.Issue(t.Context(), target, nil)
}

// TestNothingIsLeft: every login of a request ends with it, and so does what was made for it.
func TestNothingIsLeft(t *testing.T) {
	kv := func(c *Config) {
		c.Read, c.Present = "/secret/data/registry", []string{"basic", "/data/data/user", "/data/data/password"}
	}
	for login := range logins {
		own := "1 logins"
		if login == "token" {
			own = "0 logins"
		}
		for name, tc := range map[string]struct {
			change       func(*Config)
			broken       bool
			before, want string // of the vault while the credential is used; a part of the error
			header       http.Header
		}{
			"a dynamic secret":           {func(*Config) {}, false, own + ", 1 leases", "", nil},
			"one that stays":             {kv, false, "0 logins, 0 leases", "", model.Basic("bot", "kept-password").Header},
			"one with a user of ours":    {func(c *Config) { kv(c); c.Present[1] = "publisher" }, false, "0 logins, 0 leases", "", model.Basic("publisher", "kept-password").Header},
			"a header":                   {func(c *Config) { kv(c); c.Present = []string{"header", "x-key", "/data/data/password"} }, false, "0 logins, 0 leases", "", http.Header{"X-Key": {"kept-password"}}},
			"no such secret":             {func(c *Config) { c.Read = "/secret/data/absent" }, false, "0 logins, 0 leases", "is there a secret at the path", nil},
			"a secret without the field": {func(*Config) {}, true, "0 logins, 0 leases", "no text at /data/access_token", nil},
			"a read that needs none":     {func(c *Config) { c.Reads = false }, false, "0 logins, 0 leases", "", nil},
		} {
			t.Run(login+", "+name, func(t *testing.T) {
				v := newVault()
				v.broken = tc.broken
				target := targets[0]
				if strings.HasPrefix(name, "a read") {
					target.Action = model.ActionRead
				}
				got, err := issue(t, provision(t, v, login, tc.change), target)
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Fatalf("got %v, expected %q", err, tc.want)
				}
				if err != nil && strings.Contains(err.Error(), "canary") {
					t.Errorf("something secret is quoted: %v", err)
				}
				if tc.header != nil {
					if diff := cmp.Diff(tc.header, got.Header); diff != "" {
						t.Error(diff)
					}
				}
				if left := v.left(); left != tc.before {
					t.Errorf("got %s while the credential is used, expected %s", left, tc.before)
				}
				if got.Revoke != nil {
					if err := got.Revoke(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if left := v.left(); left != "0 logins, 0 leases" {
					t.Errorf("got %s in the end", left)
				}
			})
		}
	}
}

// TestRefusedLogins: the error says what to look at.
func TestRefusedLogins(t *testing.T) {
	for login, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"jwt":     {func(c *Config) { c.JWT.Role = "other" }, "role other does not take this identity token: check its bound_audiences"},
		"approle": {func(c *Config) { c.AppRole.RoleID = "other" }, "check the role's id and the secret in {file."},
		"token":   {func(c *Config) { c.Namespace = "other" }, "/v1/artifactory/token/widget: got 400"},
	} {
		t.Run(login, func(t *testing.T) {
			_, err := issue(t, provision(t, newVault(), login, tc.change), targets[0])
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
		})
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no url":                  {func(c *Config) { c.URL = "" }, "url is absent"},
		"no login":                {func(c *Config) { c.Token = "" }, "got 0 of jwt, approle and token"},
		"two logins":              {func(c *Config) { c.JWT = &JWT{"jwt", "x"} }, "got 2 of jwt"},
		"a literal":               {func(c *Config) { c.Token = "hunter2" }, "the secret of the login: a secret must be"},
		"a mount with a slash":    {func(c *Config) { c.Token, c.JWT = "", &JWT{"/jwt", "x"} }, `mount and role are "/jwt"`},
		"a mount with dots":       {func(c *Config) { c.Token, c.JWT = "", &JWT{"a/../b", "x"} }, `mount and role are "a/../b"`},
		"no role":                 {func(c *Config) { c.Token, c.JWT = "", &JWT{"jwt", ""} }, `and ""`},
		"a literal secret id":     {func(c *Config) { c.Token, c.AppRole = "", &AppRole{"approle", "x", "hunter2"} }, "a secret must be"},
		"a namespace with blanks": {func(c *Config) { c.Namespace = "a b" }, `namespace is "a b"`},
		"no path":                 {func(c *Config) { c.Read = "" }, "read is absent"},
		"a path with /v1":         {func(c *Config) { c.Read = "/v1/secret" }, "below /v1"},
		"a path of the system":    {func(c *Config) { c.Read = "/sys/leases" }, "below /v1"},
		"an unknown placeholder":  {func(c *Config) { c.Read = "/a/{scope}" }, "placeholder {scope}"},
		"no present":              {func(c *Config) { c.Present = nil }, "present is neither"},
		"a pointer of no slash":   {func(c *Config) { c.Present = []string{"bearer", "x"} }, "present bearer"},
		"a user with a colon":     {func(c *Config) { c.Present = []string{"basic", "a:b", "/x"} }, "present basic"},
		"a header of transport":   {func(c *Config) { c.Present = []string{"header", "Host", "/x"} }, "present header"},
		"too short a life":        {func(c *Config) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"no such CA":              {func(c *Config) { c.CA = "/absent.pem" }, "ca: open"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Config{URL: "https://vault.example.com:8200", Token: "{env.TRUSTPUB_TEST_TOKEN}", Read: "/secret/data/x", Present: []string{"bearer", "/data/data/token"}}
			tc.change(c)
			_, err := c.Provision(env())
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error quotes the secret")
			}
		})
	}
}
