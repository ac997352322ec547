package reposilite

import (
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

	contract "github.com/trustpub/trustpub/integration/registry/reposilite"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	password = "canary-manager-secret"
	replaced = "canary-other-secret"
)

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func env() credential.Env {
	return credential.Env{
		Registry: "internal", Ecosystem: "maven", Logger: silent,
		Public: &url.URL{Scheme: "https", Host: "maven.example.com", Path: "/releases/"},
	}
}

// newContract is a server below /sub, whose manager has two secrets.
func newContract() *contract.Server {
	c := contract.New()
	c.Base, c.Managers = "/sub", map[string][]string{"manager": {password, replaced}}
	return c
}

// status is the answer to a request with a credential.
func status(t *testing.T, base, method, path string, got model.Credential) int {
	t.Helper()
	req, err := http.NewRequest(method, base+path, http.NoBody)
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

func target(pkg, version, file string) model.Target {
	return model.Target{Ecosystem: "maven", Registry: "internal", Package: pkg, Version: version, File: file, Action: model.ActionPublish}
}

var widget, gear = target("com.acme:widget", "1.0", "widget-1.0.jar"), target("com.acme.tools:gear", "2.0", "gear-2.0.pom")

func TestConformance(t *testing.T) {
	server := newContract()
	api := credentialtest.NewServer(t, server)
	paths := map[string]string{
		widget.Package: "/releases/com/acme/widget/1.0/widget-1.0.jar", gear.Package: "/releases/com/acme/tools/gear/2.0/gear-2.0.pom",
	}
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: password, Other: replaced, Targets: []model.Target{widget, gear},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).User, c.(*Config).Password = api.URL+"/sub/", "manager", secret
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			made, _ := server.Token(got.Header)
			made.Name, made.Secret, made.Ends = "", "", time.Time{}
			if want := (contract.Token{Path: paths[target.Package], Permissions: "rw"}); made != want {
				t.Errorf("got a token of %+v, expected %+v", made, want)
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime,
			Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
			Live: func(got model.Credential) bool {
				_, found := server.Token(got.Header)
				return found
			},
		},
	})
}

// provision makes a source of a contract's server.
func provision(t testing.TB, c *contract.Server, change func(*Config, *credential.Env)) (credential.Source, string, error) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	config, e := &Config{URL: server.URL + "/sub", User: "manager", Password: model.Secret("{file." + path + "}")}, env()
	if change != nil {
		change(config, &e)
	}
	src, err := config.Provision(e)
	return src, server.URL + "/sub", err
}

func issue(t testing.TB, src credential.Source, target model.Target) model.Credential {
	t.Helper()
	got, err := src.Issue(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOneFileOnly: what Reposilite lets a token do, until its end.
func TestOneFileOnly(t *testing.T) {
	c := newContract()
	now := time.Now()
	c.Now = func() time.Time { return now }
	src, base, err := provision(t, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := issue(t, src, widget)
	const path = "/releases/com/acme/widget/1.0/widget-1.0.jar"
	expect := func(method, path string, got model.Credential, want int) {
		t.Helper()
		if code := status(t, base, method, path, got); code != want {
			t.Errorf("%s %s: got %d, expected %d", method, path, code, want)
		}
	}
	expect("PUT", path, got, 200)
	expect("PUT", path, got, 409)
	for _, other := range []string{
		"/releases/com/acme/widget/1.0/widget-1.0.pom", "/releases/com/acme/widget/1.1/widget-1.1.jar", "/releases/com/acme/widget/maven-metadata.xml",
		"/releases/com/acme/gear/1.0/gear-1.0.jar", "/snapshots/com/acme/widget/1.0/widget-1.0.jar",
	} {
		expect("PUT", other, got, 401)
	}
	expect("HEAD", path, got, 200)
	expect("GET", "/releases/com/acme/widget/1.0/widget-1.0.pom", got, 401)
	read := widget
	read.Action = model.ActionRead
	reads := issue(t, src, read)
	expect("GET", path, reads, 200)
	expect("PUT", path, reads, 401)
	now = now.Add(mintapi.DefaultLifetime + time.Second)
	expect("GET", path, reads, 401)
	now = now.Add(-mintapi.DefaultLifetime)
	if err := reads.Revoke(t.Context()); err != nil {
		t.Error(err)
	}
	expect("GET", path, reads, 401)
}

func TestRoutes(t *testing.T) {
	s := &source{registry: "internal", repository: "releases"}
	index := target("com.acme:widget", "", "maven-metadata.xml")
	index.Versionless = true
	for _, tc := range []struct {
		target     model.Target
		want, fail string
	}{
		{widget, "/releases/com/acme/widget/1.0/widget-1.0.jar", ""},
		{index, "/releases/com/acme/widget/maven-metadata.xml", ""},
		{target("com.acme:widget", "1.0-SNAPSHOT", "maven-metadata.xml.sha1"), "/releases/com/acme/widget/1.0-SNAPSHOT/maven-metadata.xml.sha1", ""},
		{target("com.acme:widget", "1.0", ""), "/releases/com/acme/widget/1.0/", ""},
		{target("com.acme:widget", "", ""), "/releases/com/acme/widget/", ""},
		{target("com.acme:widget", "", "widget-1.0.jar"), "/releases/com/acme/widget/", ""},
		{target("com.acme", "1.0", "x"), "", `"" is no part`},
		{target("com..acme:widget", "1.0", "x"), "", `"" is no part`},
		{target("com.acme:widget", "..", "x"), "", `".." is no part`},
		{target("com.acme:widget", "1.0", "a/b"), "", `"a/b" is no part`},
		{target("com.acme:widget", "1.0", "a%2fb"), "", `"a%2fb" is no part`},
	} {
		got, err := s.route(tc.target)
		if got != tc.want || (err == nil) != (tc.fail == "") || err != nil && !strings.Contains(err.Error(), tc.fail) {
			t.Errorf("%+v: got %q, %v, expected %q, %q", tc.target, got, err, tc.want, tc.fail)
		}
	}
}

// TestReadsWithoutAPackage: listings are for everyone, or for nobody.
func TestReadsWithoutAPackage(t *testing.T) {
	src, _, err := provision(t, newContract(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := issue(t, src, model.Target{Ecosystem: "maven", Registry: "internal", Action: model.ActionRead})
	if got.Header != nil {
		t.Error("got a credential, expected none")
	}
	other := widget
	other.Registry = "other"
	if _, err := src.Issue(t.Context(), other, nil); err == nil || !strings.Contains(err.Error(), `registry is "other", expected "internal"`) {
		t.Errorf("got %v for another registry", err)
	}
}

// TestAnotherToken: one that is not what was asked for is not used, and not left.
func TestAnotherToken(t *testing.T) {
	token := func(a map[string]any) map[string]any { return a["accessToken"].(map[string]any) }
	route := func(a map[string]any) map[string]any { return a["routes"].([]any)[0].(map[string]any) }
	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"no secret":        {func(a map[string]any) { delete(a, "secret") }, "no secret"},
		"a secret with LF": {func(a map[string]any) { a["secret"] = "0123456789\nX: y" }, "characters that no credential has"},
		"another name":     {func(a map[string]any) { token(a)["name"] = "other" }, "name is another"},
		"a manager":        {func(a map[string]any) { a["permissions"] = []string{"m"} }, "has permissions"},
		"no route":         {func(a map[string]any) { a["routes"] = []any{} }, "routes are others"},
		"reads only":       {func(a map[string]any) { a["routes"] = a["routes"].([]any)[:1] }, "routes are others"},
		"one more route":   {func(a map[string]any) { a["routes"] = append(a["routes"].([]any), route(a)) }, "routes are others"},
		"a wider route":    {func(a map[string]any) { route(a)["path"] = "/" }, "routes are others"},
		"another right":    {func(a map[string]any) { route(a)["permission"] = map[string]string{"shortcut": "w"} }, "routes are others"},
		"no expiry":        {func(a map[string]any) { delete(token(a), "expiresAt") }, "expiresAt is absent"},
		"a null expiry":    {func(a map[string]any) { token(a)["expiresAt"] = nil }, "expiresAt is absent"},
		"a later expiry":   {func(a map[string]any) { token(a)["expiresAt"] = "2999-01-01T00:00:00Z" }, "later than what was asked for"},
		"a later number":   {func(a map[string]any) { token(a)["expiresAt"] = 32503680000.0 }, "later than what was asked for"},
		"a word as expiry": {func(a map[string]any) { token(a)["expiresAt"] = "soon" }, "expiresAt is absent"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			c.Change = tc.change
			src, _, err := provision(t, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Issue(t.Context(), widget, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if _, left := c.Made(); left != 0 {
				t.Errorf("got %d tokens that are left, expected none", left)
			}
		})
	}
	c := newContract()
	c.Change = func(a map[string]any) { token(a)["expiresAt"] = float64(time.Now().Unix()) + 60 }
	src, _, err := provision(t, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	issue(t, src, widget) // seconds are as good
}

func TestHints(t *testing.T) {
	got := map[int]string{}
	a := api{user: "manager", password: "{env.X}"}
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		got[status] = a.hint(status)
	}
	manager := "is manager the name of an access token with the permission of a manager, and its secret in {env.X}?"
	want := map[int]string{400: "does this Reposilite know routes and expiresAt of new tokens?", 401: manager, 403: manager, 404: ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"another ecosystem":    {func(_ *Config, e *credential.Env) { e.Ecosystem = "npm" }, `ecosystem is "npm", expected maven`},
		"no url":               {func(c *Config, _ *credential.Env) { c.URL = "" }, "url is absent"},
		"a password in url":    {func(c *Config, _ *credential.Env) { c.URL = "http://a:" + password + "@b" }, "in settings of their own"},
		"no user":              {func(c *Config, _ *credential.Env) { c.User = "" }, "user: the user is empty"},
		"a user with a colon":  {func(c *Config, _ *credential.Env) { c.User = "a:b" }, "without a colon"},
		"no password":          {func(c *Config, _ *credential.Env) { c.Password = "" }, "password is absent"},
		"a literal":            {func(c *Config, _ *credential.Env) { c.Password = password }, "password: a secret must be a placeholder"},
		"no repository":        {func(_ *Config, e *credential.Env) { e.Public = &url.URL{Path: "/"} }, `repository is ""`},
		"no public URL":        {func(_ *Config, e *credential.Env) { e.Public = nil }, `repository is ""`},
		"a repository's path":  {func(c *Config, _ *credential.Env) { c.Repository = "a/b" }, `repository is "a/b"`},
		"a parent":             {func(c *Config, _ *credential.Env) { c.Repository = ".." }, `repository is ".."`},
		"a short lifetime":     {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":      {func(c *Config, _ *credential.Env) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
		"a CA that is nowhere": {func(c *Config, _ *credential.Env) { c.CA = "/nowhere/ca.pem" }, "ca"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := provision(t, newContract(), tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error("the error quotes the secret")
			}
		})
	}
}

// FuzzRoute: no target reaches out of its own folder.
func FuzzRoute(f *testing.F) {
	f.Add("com.acme:widget", "1.0", "widget-1.0.jar")
	f.Add("a:b", "..", "x/../y")
	s := &source{repository: "releases"}
	f.Fuzz(func(t *testing.T, pkg, version, file string) {
		got, err := s.route(target(pkg, version, file))
		if err != nil {
			return
		}
		group, artifact, _ := strings.Cut(pkg, ":")
		if folder := "/releases/" + strings.ReplaceAll(group, ".", "/") + "/" + artifact + "/"; !strings.HasPrefix(got, folder) || strings.Contains(got+"/", "/../") || strings.ContainsAny(got, "%?#\\ \n") {
			t.Fatalf("%q, %q, %q: got route %q", pkg, version, file, got)
		}
	})
}
