package zot

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/zot"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "oci", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func target(repository string, action model.Action) model.Target {
	return model.Target{Ecosystem: "oci", Registry: "internal", Package: repository, Versionless: true, Action: action}
}

var targets = []model.Target{target("acme/widget", model.ActionPublish), target("acme/gear", model.ActionPublish)}

func clocked(c credential.Config, now func() time.Time) { c.(*Config).now = now }

// TestConformanceKeys: a key for each request.
func TestConformanceKeys(t *testing.T) {
	server := contract.New(nil)
	api := credentialtest.NewServer(t, server.Handler())
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: server.Password, Other: server.Other, Targets: targets,
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).User, c.(*Config).Password = api.URL, contract.User, secret
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			if diff := cmp.Diff([]string{target.Package}, server.ScopesOf(got.Header)); diff != "" || server.UserOf(got.Header) != contract.User {
				t.Errorf("scopes of the key (-want +got):\n%s", diff)
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime, Clock: clocked,
			Live: func(got model.Credential) bool { return server.UserOf(got.Header) != "" },
			Strand: func() {
				server.Strand(mintapi.TemporaryName(time.Now().Add(-time.Hour)))
				server.Strand(mintapi.TemporaryName(time.Now().Add(time.Hour)))
				server.Strand("ci")
			},
			Stranded: func() (expired, others int) {
				for _, label := range server.Labels() {
					if mintapi.Orphaned(label, time.Now()) {
						expired++
					} else {
						others++
					}
				}
				return expired, others
			},
		},
	})
}

// workloads is zot with the issuer of the tests, and an identity token.
func workloads(t testing.TB) (*contract.Server, string) {
	t.Helper()
	ci, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ci.Close() })
	server := contract.New(&contract.Workloads{
		Issuer: ci.URL(), Audience: "zot.example.com", Keys: ci.JWKS, Claims: map[string]any{"repository": "acme/widget"}, Username: "repository",
	})
	return server, ci.Token("zot.example.com", nil)
}

// TestConformanceExchange: the exchange of the identity token, once for all uploads with it.
func TestConformanceExchange(t *testing.T) {
	server, token := workloads(t)
	api := credentialtest.NewServer(t, server.Handler())
	suite := credentialtest.Suite{
		Kind: Kind, Env: env(), NoSecret: true, Token: token, Targets: targets,
		Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).Exchange = api.URL, true
			return c
		},
		Check: func(t testing.TB, _ model.Target, got model.Credential) {
			if user := server.UserOf(got.Header); user != "acme/widget" {
				t.Errorf("got a token of %q, expected one of acme/widget", user)
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Cached: true, NotRenewed: true, MaxLife: time.Hour, Clock: clocked,
			Live: func(got model.Credential) bool { return server.UserOf(got.Header) != "" },
		},
	}
	credentialtest.Run(t, suite)
}

// provision makes a source of keys for a played zot.
func provision(t testing.TB, handler http.Handler, secret string, change func(*Config, *credential.Env)) (credential.Source, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	config, e := &Config{URL: credentialtest.NewServer(t, handler).URL, User: contract.User, Password: model.Secret("{file." + path + "}")}, env()
	if change != nil {
		change(config, &e)
	}
	return config.Provision(e)
}

// TestMount: a key for a mount names both repositories; one for nothing is not made.
func TestMount(t *testing.T) {
	server := contract.New(nil)
	src, err := provision(t, server.Handler(), server.Password, nil)
	if err != nil {
		t.Fatal(err)
	}
	from := target("acme/base", model.ActionRead)
	got, err := src.(credential.Joint).IssueAll(t.Context(), []model.Target{targets[0], from, from}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"acme/widget", "acme/base"}, server.ScopesOf(got.Header)); diff != "" {
		t.Errorf("scopes of the key (-want +got):\n%s", diff)
	}
	if got, err := src.Issue(t.Context(), target("", model.ActionRead), nil); err != nil || got.Header != nil {
		t.Errorf("got %v and %d headers for a read that names no repository, expected none", err, len(got.Header))
	}
	if keys, _ := server.Counts(); keys != 1 {
		t.Errorf("got %d keys, expected 1", keys)
	}
}

// TestAnotherKey: one that is not what was asked for is not used; ours is not left.
func TestAnotherKey(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
		left   int
	}{
		"no key":            {func(a map[string]any) { delete(a, "apiKey") }, "no apiKey", 0},
		"a key with LF":     {func(a map[string]any) { a["apiKey"] = "zak_0123456789\nX: y" }, "characters that no credential has", 0},
		"another kind":      {func(a map[string]any) { a["apiKey"] = "canary-something-else" }, "no key of zot's", 0},
		"no uuid":           {func(a map[string]any) { delete(a, "uuid") }, "no uuid", 1},
		"a uuid for a path": {func(a map[string]any) { a["uuid"] = "0123456789&id=ci" }, "no uuid", 1},
		"another label":     {func(a map[string]any) { a["label"] = "ci" }, "label is another", 1},
		"no end":            {func(a map[string]any) { a["expirationDate"] = "0001-01-01T00:00:00Z" }, "expirationDate is not what was asked for", 0},
		"no word of an end": {func(a map[string]any) { delete(a, "expirationDate") }, "expirationDate is not what was asked for", 0},
		"a later end":       {func(a map[string]any) { a["expirationDate"] = time.Now().Add(time.Hour).Format(time.RFC3339) }, "expirationDate is not what was asked for", 0},
		"a past end":        {func(a map[string]any) { a["expirationDate"] = time.Now().Add(-time.Minute).Format(time.RFC3339) }, "expirationDate is not what was asked for", 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := contract.New(nil)
			server.Change = tc.change
			src, err := provision(t, server.Handler(), server.Password, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Issue(t.Context(), targets[0], nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if left := len(server.Labels()); left != tc.left {
				t.Errorf("got %d keys that are left, expected %d", left, tc.left)
			}
		})
	}
}

// TestRefusals: the error says what to look at.
func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		target model.Target
		change func(*contract.Server, *Config)
		want   string
	}{
		"another registry": {model.Target{Registry: "other", Package: "acme/widget"}, nil, `registry is "other", expected "internal"`},
		"no repository":    {target("", model.ActionPublish), nil, "package is absent"},
		"a wrong user":     {targets[0], func(_ *contract.Server, c *Config) { c.User = "other" }, "got 401, expected 201: check user other and the secret in {file."},
		"no keys":          {targets[0], func(s *contract.Server, _ *Config) { s.NoKeys = true }, "got 404, expected 201: does zot make API keys"},
		"a clock ahead":    {targets[0], func(s *contract.Server, _ *Config) { s.Now = func() time.Time { return time.Now().Add(time.Hour) } }, "got 400, expected 201: is zot's clock ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			server := contract.New(nil)
			var config *Config
			if _, err := provision(t, http.NotFoundHandler(), server.Password, func(c *Config, _ *credential.Env) { config = c }); err != nil {
				t.Fatal(err)
			}
			if tc.change != nil {
				tc.change(server, config)
			}
			config.URL = credentialtest.NewServer(t, server.Handler()).URL
			src, err := config.Provision(env())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := src.Issue(t.Context(), tc.target, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
		})
	}
}

// TestRefusedExchanges: an identity token that zot does not take, and answers that are none.
func TestRefusedExchanges(t *testing.T) {
	for name, tc := range map[string]struct {
		closed bool // zot has no workloads
		answer func(map[string]any)
		want   string
	}{
		"no workloads": {true, nil, "got 401, expected 200: does http.auth.bearer.oidc have this issuer"},
		"no token":     {false, func(a map[string]any) { delete(a, "token") }, "no token of 8 to"},
		"no end":       {false, func(a map[string]any) { delete(a, "expires_in") }, "expires_in is not between"},
		"an end now":   {false, func(a map[string]any) { a["expires_in"] = 0 }, "expires_in is not between"},
		"a far end":    {false, func(a map[string]any) { a["expires_in"] = 86401 }, "expires_in is not between"},
	} {
		t.Run(name, func(t *testing.T) {
			server, token := workloads(t)
			if tc.closed {
				server = contract.New(nil)
			}
			server.Change = tc.answer
			src, err := (&Config{URL: credentialtest.NewServer(t, server.Handler()).URL, Exchange: true}).Provision(env())
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.(credential.Federated).IssueFederated(t.Context(), targets, &model.Identity{Issuer: "github"}, model.NewIdentityToken(token))
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Error("the error quotes the token")
			}
		})
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"another ecosystem":   {func(_ *Config, e *credential.Env) { e.Ecosystem = "npm" }, `ecosystem is "npm", expected oci`},
		"no url":              {func(c *Config, _ *credential.Env) { c.URL = "" }, "url is absent"},
		"no user":             {func(c *Config, _ *credential.Env) { c.User = "" }, "user: the user is empty"},
		"a user with a colon": {func(c *Config, _ *credential.Env) { c.User = "a:b" }, "without a colon"},
		"no password":         {func(c *Config, _ *credential.Env) { c.Password = "" }, "password is absent"},
		"a literal":           {func(c *Config, _ *credential.Env) { c.Password = "canary" }, "password: a secret must be a placeholder"},
		"two ways":            {func(c *Config, _ *credential.Env) { c.Exchange = true }, "do nothing with exchange"},
		"a life of a token": {func(c *Config, _ *credential.Env) {
			*c = Config{URL: c.URL, Exchange: true, Lifetime: model.Duration(time.Hour)}
		}, "do nothing with exchange"},
		"a short lifetime":     {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":      {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
		"a CA that is nowhere": {func(c *Config, _ *credential.Env) { c.CA = "/nowhere/ca.pem" }, "ca"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provision(t, http.NotFoundHandler(), "canary", tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("the error quotes the secret")
			}
		})
	}
}
