package gitlab

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/gitlab"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	password = "canary-maintainer-token"
	replaced = "canary-other-token"
)

func env(ecosystem string) credential.Env {
	public, err := url.Parse("https://gitlab.example.com/api/v4/projects/acme%2Fpackages/packages/" + ecosystem + "/")
	if err != nil {
		panic(err) // the URL is ours
	}
	return credential.Env{Registry: "internal", Ecosystem: ecosystem, Public: public, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// newContract is a server below /sub with one project, whose maintainer has two access tokens.
func newContract() *contract.Server {
	c := contract.New()
	c.Base, c.Project, c.Secrets = "/sub", "acme/packages", []string{password, replaced}
	return c
}

func target(pkg string, action model.Action) model.Target {
	return model.Target{Ecosystem: "pypi", Registry: "internal", Package: pkg, Version: "1.0", Action: action}
}

// packages are the ecosystems but containers, which have tests of their own.
func packages() []string {
	return slices.DeleteFunc(slices.Clone(ecosystems), func(name string) bool { return name == ecosystemOCI })
}

func TestConformance(t *testing.T) {
	for _, ecosystem := range packages() {
		t.Run(ecosystem, func(t *testing.T) { conformance(t, ecosystem) })
	}
}

func conformance(t *testing.T, ecosystem string) {
	server := newContract()
	api := credentialtest.NewServer(t, server)
	scopes := []string{"write_package_registry"}
	if ecosystem == "maven" || ecosystem == "generic" {
		scopes = []string{"read_package_registry", "write_package_registry"}
	}
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(ecosystem), Secret: password, Other: replaced,
		Targets: []model.Target{target("widget", model.ActionPublish), target("gear", model.ActionPublish)},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).Token = api.URL+"/sub/", secret
			return c
		},
		Check: func(t testing.TB, _ model.Target, got model.Credential) {
			if made, _ := server.Token(got.Header); !slices.Equal(made.Scopes, scopes) {
				t.Errorf("got a token with scopes %q, expected %q", made.Scopes, scopes)
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime,
			Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
			Live: func(got model.Credential) bool {
				_, found := server.Token(got.Header)
				return found
			},
			Strand: func() {
				server.Strand(mintapi.TemporaryName(time.Now().Add(-time.Hour)))
				server.Strand(mintapi.TemporaryName(time.Now().Add(time.Hour)))
				server.Strand("ci")
			},
			Stranded: func() (expired, others int) {
				for _, name := range server.Names() {
					if mintapi.Orphaned(name, time.Now()) {
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

// provision makes a source of a contract's server, and gives the server's base.
func provision(t testing.TB, c *contract.Server, ecosystem string, change func(*Config, *credential.Env)) (credential.Source, string, error) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	config, e := &Config{URL: server.URL + "/sub", Token: model.Secret("{file." + path + "}"), now: func() time.Time { return c.Now() }}, env(ecosystem)
	if change != nil {
		change(config, &e)
	}
	src, err := config.Provision(e)
	return src, server.URL + "/sub", err
}

func newSource(t testing.TB, c *contract.Server, ecosystem string) (credential.Source, string) {
	t.Helper()
	src, base, err := provision(t, c, ecosystem, nil)
	if err != nil {
		t.Fatal(err)
	}
	return src, base
}

func issue(t testing.TB, src credential.Source, target model.Target) model.Credential {
	t.Helper()
	got, err := src.Issue(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestForms: each type of package has the token where GitLab reads it.
func TestForms(t *testing.T) {
	got := map[string]string{}
	for _, ecosystem := range packages() {
		src, _ := newSource(t, newContract(), ecosystem)
		for name, values := range issue(t, src, target("widget", model.ActionPublish)).Header {
			scheme, _, found := strings.Cut(values[0], " ")
			if !found {
				scheme = values[0][:5]
			}
			got[ecosystem] += name + ": " + scheme
		}
	}
	want := map[string]string{
		"pypi": "Authorization: Basic", "nuget": "Authorization: Basic", "npm": "Authorization: Bearer",
		"rubygems": "Authorization: gldt-", "maven": "Deploy-Token: gldt-", "generic": "Deploy-Token: gldt-",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// TestScopes: what GitLab lets a token do, until it is revoked.
func TestScopes(t *testing.T) {
	c := newContract()
	src, base := newSource(t, c, "generic")
	for _, tc := range []struct {
		action model.Action
		want   [2]int
	}{
		{model.ActionPublish, [2]int{http.StatusCreated, http.StatusOK}}, // since the gateway asks whether the file is there
		{model.ActionOverwrite, [2]int{http.StatusCreated, http.StatusOK}},
		{model.ActionRead, [2]int{http.StatusForbidden, http.StatusOK}},
	} {
		action, want := tc.action, tc.want
		got := issue(t, src, target("widget", action))
		ask := func(method string) int {
			req, err := http.NewRequest(method, base+"/api/v4/projects/acme%2Fpackages/packages/generic/widget/1.0/x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = got.Header.Clone()
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			return res.StatusCode
		}
		if status := [2]int{ask("PUT"), ask("GET")}; status != want {
			t.Errorf("%s: got %d for PUT and GET, expected %d", action, status, want)
		}
		if err := got.Revoke(t.Context()); err != nil {
			t.Error(err)
		}
		if status := ask("GET"); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d after the revocation, expected 401", action, status)
		}
	}
	if _, err := src.Issue(t.Context(), target("widget", model.ActionDelete), nil); err == nil || !strings.Contains(err.Error(), "action is delete, expected publish") {
		t.Errorf("got %v for a deletion, expected a refusal", err)
	}
}

// TestDays: a token ends at the midnight after its lifetime, never before.
func TestDays(t *testing.T) {
	for now, want := range map[string]string{
		"2026-11-23T10:00:00Z": "2026-11-24", "2026-11-23T23:44:59Z": "2026-11-24", "2026-11-23T23:45:00Z": "2026-11-24",
		"2026-11-23T23:45:01Z": "2026-11-25", "2026-12-31T23:59:59Z": "2027-01-02", "2026-11-23T23:30:00-02:00": "2026-11-25",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		c := newContract()
		c.Now = func() time.Time { return at }
		src, _ := newSource(t, c, "pypi")
		made, _ := c.Token(issue(t, src, target("widget", model.ActionPublish)).Header)
		if got := made.Ends.Format(time.DateOnly); got != want {
			t.Errorf("%s: got the end %s, expected %s", now, got, want)
		}
	}
}

func TestOrphans(t *testing.T) {
	c := newContract()
	keep := []string{"ci", "trustpub-1", mintapi.TemporaryName(time.Now().Add(time.Hour))}
	for i := range pageSize {
		keep = append(keep, fmt.Sprintf("ci-%d", i))
	}
	for _, n := range append(append([]string{}, keep...), mintapi.TemporaryName(time.Now().Add(-time.Hour))) { // the last is on the second page
		c.Strand(n)
	}
	src, _ := newSource(t, c, "pypi")
	if err := issue(t, src, target("widget", model.ActionPublish)).Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keep, c.Names()); diff != "" {
		t.Errorf("tokens after an upload (-want +got):\n%s", diff)
	}
	before := c.Calls()
	issue(t, src, target("widget", model.ActionPublish))
	if got := c.Calls() - before; got != 1 {
		t.Errorf("got %d calls for the next upload, expected 1", got)
	}
}

// TestAnotherToken: one that is not what was asked for is not used; ours is not left.
func TestAnotherToken(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
		left   int
	}{
		"no token":         {func(a map[string]any) { delete(a, "token") }, "no token", 0},
		"a token with LF":  {func(a map[string]any) { a["token"] = "0123456789\nX: y" }, "characters that no credential has", 0},
		"no id":            {func(a map[string]any) { delete(a, "id") }, "no id", 1},
		"another name":     {func(a map[string]any) { a["name"] = "ci" }, "name or username is another", 1},
		"another username": {func(a map[string]any) { a["username"] = "gitlab+deploy-token-1" }, "name or username is another", 0},
		"one more scope":   {func(a map[string]any) { a["scopes"] = []string{"write_package_registry", "read_repository"} }, "scopes are others", 0},
		"another scope":    {func(a map[string]any) { a["scopes"] = []string{"write_repository"} }, "scopes are others", 0},
		"no end":           {func(a map[string]any) { a["expires_at"] = nil }, "expires_at is absent", 0},
		"a word as end":    {func(a map[string]any) { a["expires_at"] = "soon" }, "expires_at is absent", 0},
		"a later end":      {func(a map[string]any) { a["expires_at"] = "2999-01-01T00:00:00.000Z" }, "later than the day", 0},
		"a later day":      {func(a map[string]any) { a["expires_at"] = "2999-01-01" }, "later than the day", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			c.Change = tc.change
			src, _ := newSource(t, c, "pypi")
			got, err := src.Issue(t.Context(), target("widget", model.ActionPublish), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if left := len(c.Names()); left != tc.left {
				t.Errorf("got %d tokens that are left, expected %d", left, tc.left)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	c := newContract()
	other, _, err := provision(t, c, "pypi", func(config *Config, _ *credential.Env) { config.Project = "42" })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Issue(t.Context(), target("widget", model.ActionPublish), nil); err == nil || !strings.Contains(err.Error(), "got 404, expected 201: is there a project 42") {
		t.Errorf("got %v for another project", err)
	}
	src, _ := newSource(t, c, "pypi")
	if _, err := src.Issue(t.Context(), model.Target{Registry: "other", Package: "x"}, nil); err == nil || !strings.Contains(err.Error(), `registry is "other", expected "internal"`) {
		t.Errorf("got %v for another registry", err)
	}
	if got := issue(t, src, target("", model.ActionRead)); got.Header != nil {
		t.Error("got a credential for a read that names no package, expected none")
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"another ecosystem":    {func(_ *Config, e *credential.Env) { e.Ecosystem = "cargo" }, `ecosystem is "cargo", expected one that GitLab takes`},
		"no url":               {func(c *Config, _ *credential.Env) { c.URL = "" }, "url is absent"},
		"no token":             {func(c *Config, _ *credential.Env) { c.Token = "" }, "token is absent"},
		"a literal":            {func(c *Config, _ *credential.Env) { c.Token = password }, "token: a secret must be a placeholder"},
		"no project":           {func(_ *Config, e *credential.Env) { e.Public = &url.URL{Path: "/v2/"} }, `project is ""`},
		"no public URL":        {func(_ *Config, e *credential.Env) { e.Public = nil }, `project is ""`},
		"a parent":             {func(c *Config, _ *credential.Env) { c.Project = "acme/../x" }, `project is "acme/../x"`},
		"a query":              {func(c *Config, _ *credential.Env) { c.Project = "1?x" }, `project is "1?x"`},
		"a short lifetime":     {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":      {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
		"a CA that is nowhere": {func(c *Config, _ *credential.Env) { c.CA = "/nowhere/ca.pem" }, "ca"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := provision(t, newContract(), "pypi", tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error("the error quotes the secret")
			}
		})
	}
}

// FuzzProjectOf: what a public URL says is one project, and stays one part of the API's path.
func FuzzProjectOf(f *testing.F) {
	f.Add("https://gitlab.example.com/api/v4/projects/acme%2Fpackages/packages/pypi/")
	f.Add("https://gitlab.example.com/gitlab/api/v4/projects/1234/packages/npm")
	f.Add("https://gitlab.example.com/api/v4/projects/%2e%2e%2f%3f/")
	f.Fuzz(func(t *testing.T, text string) {
		public, err := url.Parse(text)
		if err != nil {
			return
		}
		project := projectOf(public)
		if !projectName.MatchString(project) {
			return
		}
		if got := projectOf(&url.URL{Path: "/api/v4/projects/" + project + "/x", RawPath: "/api/v4/projects/" + url.PathEscape(project) + "/x"}); got != project {
			t.Fatalf("got %q of %q, expected %q", got, text, project)
		}
	})
}
