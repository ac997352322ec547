package hexpm

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/hexpm"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	secret   = "canary-organisation-key"
	replaced = "canary-other-key"
)

func env() credential.Env {
	return credential.Env{
		Registry: "internal", Ecosystem: "hex", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Public: &url.URL{Scheme: "https", Host: "hex.example.com", Path: "/api/"},
	}
}

// newContract is a server below /sub, whose organisation has two keys and two packages.
func newContract() *contract.Server {
	c := contract.New()
	c.Base, c.Organization, c.Masters = "/sub", "acme", []string{secret, replaced}
	c.Has("acme/widget-0.1.0.tar")
	c.Has("acme/gear-0.1.0.tar")
	return c
}

func target(pkg string, action model.Action) model.Target {
	return model.Target{Ecosystem: "hex", Registry: "internal", Package: pkg, Version: "1.0.0", File: model.HexFile(pkg, "1.0.0"), Action: action}
}

func scopes(k contract.Key) string { return fmt.Sprint(k.Permissions) }

func TestConformance(t *testing.T) {
	server := newContract()
	api := credentialtest.NewServer(t, server)
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: secret, Other: replaced,
		Targets: []model.Target{target("acme/widget", model.ActionPublish), target("acme/gear", model.ActionPublish)},
		Config: func(_ testing.TB, c credential.Config, placeholder model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).Organization, c.(*Config).Key = api.URL+"/sub/", "acme", placeholder
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			made, _ := server.Key(got.Header)
			if want := "[package:" + target.Package + "]"; scopes(made) != want {
				t.Errorf("got a key of %s, expected %s", scopes(made), want)
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Cached: true, MaxLife: DefaultLifetime,
			Clock: func(c credential.Config, now func() time.Time) {
				c.(*Config).now = now
				server.Clock(now)
			},
			Live: func(got model.Credential) bool {
				_, found := server.Key(got.Header)
				return found
			},
		},
	})
}

// provision makes a source of a contract's server.
func provision(t testing.TB, c *contract.Server, change func(*Config, *credential.Env)) (credential.Source, error) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	config, e := &Config{URL: server.URL + "/sub", Organization: "acme", Key: model.Secret("{file." + path + "}"), now: c.Now}, env()
	if change != nil {
		change(config, &e)
	}
	return config.Provision(e)
}

func issue(t testing.TB, src credential.Source, target model.Target) model.Credential {
	t.Helper()
	got, err := src.Issue(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestKeys: what a key may do is what the target needs, and nothing of another package.
func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		target model.Target
		public string // the path of the public URL
		want   string
	}{
		"a publish":                       {target("acme/widget", model.ActionPublish), "/api/", "[package:acme/widget]"},
		"a retirement":                    {target("acme/widget", model.ActionYank), "/api/", "[package:acme/widget]"},
		"a revert":                        {target("acme/gear", model.ActionDelete), "/api/", "[package:acme/gear]"},
		"an overwrite":                    {target("acme/gear", model.ActionOverwrite), "/api/", "[package:acme/gear]"},
		"a read":                          {target("acme/widget", model.ActionRead), "/api/", "[api:read repository:acme]"},
		"a read of what everyone may":     {target("widget", model.ActionRead), "/api/", ""},
		"a read of nothing":               {target("", model.ActionRead), "/api/", ""},
		"a registry of one organisation":  {target("widget", model.ActionPublish), "/api/repos/acme/", "[package:acme/widget]"},
		"a read in one of an oganisation": {target("widget", model.ActionRead), "/api/repos/acme/", "[api:read repository:acme]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			src, err := provision(t, c, func(_ *Config, e *credential.Env) { e.Public.Path = tc.public })
			if err != nil {
				t.Fatal(err)
			}
			got := issue(t, src, tc.target)
			if made, found := c.Key(got.Header); found != (tc.want != "") || found && scopes(made) != tc.want {
				t.Errorf("got a key of %s, expected %s", scopes(made), tc.want)
			}
			if len(got.Header) > 1 || got.Header.Get("Authorization") != "" && strings.Contains(got.Header.Get("Authorization"), " ") {
				t.Errorf("got %d headers, expected Authorization without a scheme", len(got.Header))
			}
		})
	}
}

// TestOneKeyForOnePackage: the uploads of a package share a key until it is renewed, those of another have their own.
func TestOneKeyForOnePackage(t *testing.T) {
	c := newContract()
	now := time.Now()
	c.Clock(func() time.Time { return now })
	src, err := provision(t, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		issue(t, src, target("acme/widget", model.ActionPublish))
		issue(t, src, target("acme/widget", model.ActionYank))
		issue(t, src, target("acme/gear", model.ActionPublish))
	}
	if made, _ := c.Made(); len(made) != 2 {
		t.Errorf("got %d keys, expected one for each package", len(made))
	}
	first := issue(t, src, target("acme/widget", model.ActionPublish))
	now = now.Add(DefaultLifetime)
	if _, found := c.Key(first.Header); found {
		t.Error("the key outlives its end")
	}
	second := issue(t, src, target("acme/widget", model.ActionPublish))
	if _, found := c.Key(second.Header); !found {
		t.Error("the next key is none")
	}
}

// TestFirstRelease: hexpm makes no key for a package that it has not, so a wider one is made where that is wanted, for one upload.
func TestFirstRelease(t *testing.T) {
	c := newContract()
	src, err := provision(t, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Issue(t.Context(), target("acme/gadget", model.ActionPublish), nil); err == nil || !strings.Contains(err.Error(), "has no package acme/gadget yet") {
		t.Errorf("without new_packages: %v", err)
	}
	src, err = provision(t, c, func(c *Config, _ *credential.Env) { c.NewPackages = true })
	if err != nil {
		t.Fatal(err)
	}
	first, second := issue(t, src, target("acme/gadget", model.ActionPublish)), issue(t, src, target("acme/gadget", model.ActionPublish))
	if made, _ := c.Key(first.Header); scopes(made) != "[api:write]" || first.Header.Get("Authorization") == second.Header.Get("Authorization") {
		t.Errorf("got keys of %s, expected two that may write", scopes(made))
	}
	for _, got := range []model.Credential{first, second} {
		if got.Revoke == nil {
			t.Fatal("got no Revoke, expected that of a key which may write everything")
		}
		if err := got.Revoke(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, left := c.Made(); left != 0 {
		t.Errorf("%d keys are left", left)
	}
	c.Has("acme/gadget-0.1.0.tar")
	if made, _ := c.Key(issue(t, src, target("acme/gadget", model.ActionPublish)).Header); scopes(made) != "[package:acme/gadget]" {
		t.Errorf("once it is there: got a key of %s", scopes(made))
	}
	// What the account may not write gets no wider key, whatever there is.
	c.Has("other/tool-0.1.0.tar")
	for _, pkg := range []string{"tool", "other/tool"} {
		if got, err := src.Issue(t.Context(), target(pkg, model.ActionPublish), nil); err == nil && scopes(func() contract.Key { k, _ := c.Key(got.Header); return k }()) != "[api:write]" {
			t.Errorf("%s: got %v", pkg, err)
		}
	}
}

// TestAnotherKey: one that is not what was asked for is not used, and not left.
func TestAnotherKey(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"no secret":        {func(a map[string]any) { delete(a, "secret") }, "no secret"},
		"a secret with LF": {func(a map[string]any) { a["secret"] = "0123456789\nX: y" }, "characters that no credential has"},
		"another name":     {func(a map[string]any) { a["name"] = "other" }, "name is another"},
		"another package":  {func(a map[string]any) { a["permissions"] = []permission{{"package", "acme/gear"}} }, "permissions are others"},
		"one more":         {func(a map[string]any) { a["permissions"] = []permission{{"package", "acme/widget"}, {"api", "write"}} }, "permissions are others"},
		"no permissions":   {func(a map[string]any) { a["permissions"] = nil }, "permissions are others"},
		"no end":           {func(a map[string]any) { a["revoke_at"] = nil }, "revoke_at is absent"},
		"a later end":      {func(a map[string]any) { a["revoke_at"] = "2999-01-01T00:00:00Z" }, "later than what was asked for"},
		"a word as end":    {func(a map[string]any) { a["revoke_at"] = "soon" }, "revoke_at is absent"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			c.Change = tc.change
			src, err := provision(t, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Issue(t.Context(), target("acme/widget", model.ActionPublish), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if _, left := c.Made(); left != 0 {
				t.Errorf("got %d keys that are left, expected none", left)
			}
		})
	}
}

// TestAPerson: without an organisation the keys are those of an account, and so are the packages that everyone may read.
func TestAPerson(t *testing.T) {
	c := newContract()
	c.Organization = ""
	c.Has("hexpm/tool-0.1.0.tar")
	src, err := provision(t, c, func(c *Config, _ *credential.Env) { c.Organization = "" })
	if err != nil {
		t.Fatal(err)
	}
	if made, _ := c.Key(issue(t, src, target("tool", model.ActionPublish)).Header); scopes(made) != "[package:hexpm/tool]" {
		t.Errorf("got a key of %s", scopes(made))
	}
}

func TestForeignTargets(t *testing.T) {
	src, err := provision(t, newContract(), nil)
	if err != nil {
		t.Fatal(err)
	}
	other := target("acme/widget", model.ActionPublish)
	other.Registry = "other"
	for want, target := range map[string]model.Target{
		`registry is "other", expected "internal"`: other, "can't be narrowed": target("acme/../widget", model.ActionPublish),
		"expected lower case letters": target("acme/x/y", model.ActionRead),
	} {
		if got, err := src.Issue(t.Context(), target, nil); err == nil || !strings.Contains(err.Error(), want) || got.Header != nil {
			t.Errorf("%s: got %v, expected %q", target.Package, err, want)
		}
	}
}

func TestHints(t *testing.T) {
	wanted := []permission{{"package", "acme/widget"}}
	for _, tc := range []struct {
		organization string
		status       int
		want         string
	}{
		{"acme", http.StatusUnauthorized, "is the key in {env.X} one of the organisation acme, not revoked, with the permission api:write?"},
		{"", http.StatusForbidden, "is the key in {env.X} one of a person, not revoked, with the permission api:write?"},
		{"acme", http.StatusNotFound, "does url lead to hexpm, and is the organisation acme whose key it is?"},
		{"acme", http.StatusUnprocessableEntity, "may the organisation acme write acme/widget?"},
		{"acme", http.StatusBadRequest, ""},
	} {
		if diff := cmp.Diff(tc.want, api{organization: tc.organization, key: "{env.X}"}.hint(tc.status, wanted)); diff != "" {
			t.Errorf("%d (-want +got):\n%s", tc.status, diff)
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"another ecosystem":     {func(_ *Config, e *credential.Env) { e.Ecosystem = "npm" }, `ecosystem is "npm", expected hex`},
		"no url":                {func(c *Config, _ *credential.Env) { c.URL = "" }, "url is absent"},
		"the url of the API":    {func(c *Config, _ *credential.Env) { c.URL = "http://hexpm:4000/api/" }, "url ends in /api"},
		"a password in url":     {func(c *Config, _ *credential.Env) { c.URL = "http://a:" + secret + "@b" }, "in settings of their own"},
		"no key":                {func(c *Config, _ *credential.Env) { c.Key = "" }, "key is absent"},
		"a literal":             {func(c *Config, _ *credential.Env) { c.Key = secret }, "key: a secret must be a placeholder"},
		"an organisation's URL": {func(c *Config, _ *credential.Env) { c.Organization = "orgs/acme" }, `organization is "orgs/acme"`},
		"capitals":              {func(c *Config, _ *credential.Env) { c.Organization = "Acme" }, `organization is "Acme"`},
		"a parent":              {func(c *Config, _ *credential.Env) { c.Organization = ".." }, `organization is ".."`},
		"a short lifetime":      {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":       {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
		"a CA that is nowhere":  {func(c *Config, _ *credential.Env) { c.CA = "/nowhere/ca.pem" }, "ca"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provision(t, newContract(), tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("the error quotes the secret")
			}
		})
	}
}
