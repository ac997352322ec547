package harbor

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/harbor"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	password = "canary-robot-secret"
	replaced = "canary-other-secret"
)

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "oci", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// newContract is a server below /sub with two projects, whose account has two secrets.
func newContract() *contract.Server {
	c := contract.New()
	c.Base, c.User, c.Secrets = "/sub", "robot$trustpub", []string{password, replaced}
	c.Projects = map[string]int64{"acme": 7, "tools": 8}
	return c
}

func target(repository string, action model.Action) model.Target {
	return model.Target{Ecosystem: "oci", Registry: "internal", Package: repository, Versionless: true, Action: action}
}

func TestConformance(t *testing.T) {
	server := newContract()
	api := credentialtest.NewServer(t, server)
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: password, Other: replaced,
		Targets: []model.Target{target("acme/widget", model.ActionPublish), target("tools/sub/gear", model.ActionPublish)},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).User, c.(*Config).Password = api.URL+"/sub/", "robot$trustpub", secret
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			made, _ := server.Robot(got.Header)
			project, _, _ := strings.Cut(target.Package, "/")
			if made.Project != project || !slices.Equal(made.Actions, []string{"pull", "push"}) {
				t.Errorf("got a robot of %q for %q, expected one of %q for pull and push", made.Project, made.Actions, project)
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime,
			Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
			Live: func(got model.Credential) bool {
				_, found := server.Robot(got.Header)
				return found
			},
			Strand: func() {
				server.Strand("acme", mintapi.TemporaryName(time.Now().Add(-time.Hour)))
				server.Strand("acme", mintapi.TemporaryName(time.Now().Add(time.Hour)))
				server.Strand("acme", "ci")
			},
			Stranded: func() (expired, others int) {
				for _, name := range server.Names("acme") {
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
func provision(t testing.TB, c *contract.Server, change func(*Config, *credential.Env)) (credential.Source, string, error) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	config, e := &Config{URL: server.URL + "/sub", User: "robot$trustpub", Password: model.Secret("{file." + path + "}"), now: func() time.Time { return c.Now() }}, env()
	if change != nil {
		change(config, &e)
	}
	src, err := config.Provision(e)
	return src, server.URL + "/sub", err
}

func newSource(t testing.TB, c *contract.Server, change func(*Config, *credential.Env)) (credential.Source, string) {
	t.Helper()
	src, base, err := provision(t, c, change)
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

// TestOneProjectOnly: what Harbor lets a robot do, until it is deleted.
func TestOneProjectOnly(t *testing.T) {
	c := newContract()
	src, base := newSource(t, c, nil)
	for action, allowed := range map[model.Action]string{
		model.ActionPublish: "GET PUT", model.ActionTag: "GET PUT", model.ActionOverwrite: "GET PUT", model.ActionDelete: "GET DELETE", model.ActionRead: "GET",
	} {
		got := issue(t, src, target("acme/widget", action))
		expect := func(method, repository string, want bool) {
			t.Helper()
			req, err := http.NewRequest(method, base+"/v2/"+repository+"/manifests/1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = got.Header.Clone()
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if allowed := res.StatusCode != http.StatusUnauthorized; allowed != want { // what the registry says of it then is another matter
				t.Errorf("%s: %s %s: got %d, expected that it may: %t", action, method, repository, res.StatusCode, want)
			}
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			expect(method, "acme/widget", slices.Contains(strings.Fields(allowed), method))
			expect(method, "tools/widget", false)
		}
		if err := got.Revoke(t.Context()); err != nil {
			t.Error(err)
		}
		expect("GET", "acme/widget", false)
	}
}

// TestOrphans: each project is looked through once in a lifetime, over all its pages, and nothing else is touched.
func TestOrphans(t *testing.T) {
	c := newContract()
	now := time.Now()
	c.Now = func() time.Time { return now }
	name := func(ago time.Duration) string { return mintapi.TemporaryName(now.Add(-ago)) }
	keep := []string{"ci", "trustpub-1", "my-trustpub-1-0123456789abcdef", name(-time.Hour), name(mintapi.Leeway - time.Second)}
	for i := range pageSize {
		keep = append(keep, fmt.Sprintf("ci-%d", i))
	}
	for _, n := range keep {
		c.Strand("acme", n)
	}
	c.Strand("acme", name(time.Hour)) // on the second page
	c.Strand("tools", "trustpub-1-0123456789abcdef")
	src, _ := newSource(t, c, nil)
	upload := func() {
		t.Helper()
		if err := issue(t, src, target("acme/widget", model.ActionPublish)).Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	upload()
	if diff := cmp.Diff(keep, c.Names("acme")); diff != "" {
		t.Errorf("robots after an upload (-want +got):\n%s", diff)
	}
	if got := len(c.Names("tools")); got != 1 {
		t.Errorf("got %d robots of a project that nothing was uploaded to, expected 1", got)
	}
	before := c.Calls()
	upload()
	if got := c.Calls() - before; got != 2 {
		t.Errorf("got %d calls for the next upload, expected 2", got)
	}
	issue(t, src, target("tools/gear", model.ActionPublish))
	if diff := cmp.Diff(1, len(c.Names("tools"))); diff != "" {
		t.Errorf("robots of the other project (-want +got):\n%s", diff)
	}
}

// TestSweepFails: who may not list robots still makes them.
func TestSweepFails(t *testing.T) {
	c := newContract()
	var log strings.Builder
	proxy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.Error(w, `{"errors":[{"code":"FORBIDDEN","message":"no"}]}`, http.StatusForbidden)
			return
		}
		c.ServeHTTP(w, r)
	})
	server := httptest.NewServer(proxy)
	defer server.Close()
	src, _ := newSource(t, c, func(config *Config, e *credential.Env) {
		config.URL, e.Logger = server.URL+"/sub", slog.New(slog.NewTextHandler(&log, nil))
	})
	if got := issue(t, src, target("acme/widget", model.ActionPublish)); got.Header == nil {
		t.Error("got no credential")
	}
	if text := log.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "may robot$trustpub read the project acme?") {
		t.Errorf("got log %q, expected a warning", text)
	}
}

// TestAnotherRobot: one that is not what was asked for is not used; ours is not left.
func TestAnotherRobot(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
		left   int
	}{
		"no secret":         {func(a map[string]any) { delete(a, "secret") }, "no secret", 0},
		"a secret with LF":  {func(a map[string]any) { a["secret"] = "0123456789\nX: y" }, "characters that no credential has", 0},
		"no id":             {func(a map[string]any) { delete(a, "id") }, "no id", 1},
		"another name":      {func(a map[string]any) { a["name"] = "robot$acme+ci" }, "name is another", 1},
		"of the system":     {func(a map[string]any) { a["name"] = "robot$ci" }, "name is another", 1},
		"another project":   {func(a map[string]any) { a["name"] = strings.Replace(a["name"].(string), "acme", "tools", 1) }, "name is another", 1},
		"a colon":           {func(a map[string]any) { a["name"] = "x:" + a["name"].(string) }, "name is another", 0},
		"no end":            {func(a map[string]any) { a["expires_at"] = -1 }, "expires_at is not within", 0},
		"no word of an end": {func(a map[string]any) { delete(a, "expires_at") }, "expires_at is not within", 0},
		"a later end":       {func(a map[string]any) { a["expires_at"] = time.Now().AddDate(0, 0, 2).Unix() }, "expires_at is not within", 0},
		"a past end":        {func(a map[string]any) { a["expires_at"] = time.Now().Unix() - 10 }, "has passed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			c.Change = tc.change
			src, _ := newSource(t, c, nil)
			got, err := src.Issue(t.Context(), target("acme/widget", model.ActionPublish), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if left := len(c.Names("acme")); left != tc.left {
				t.Errorf("got %d robots that are left, expected %d", left, tc.left)
			}
		})
	}
}

// TestPrefix: administrators may have another one than robot$.
func TestPrefix(t *testing.T) {
	for _, prefix := range []string{"", "bot_", "robot$"} {
		c := newContract()
		c.Prefix = prefix
		src, _ := newSource(t, c, nil)
		if _, found := c.Robot(issue(t, src, target("acme/widget", model.ActionPublish)).Header); !found {
			t.Errorf("prefix %q: the credential is of no robot", prefix)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		target model.Target
		change func(*Config)
		want   string
	}{
		"another registry":    {model.Target{Registry: "other", Package: "acme/widget"}, nil, `registry is "other", expected "internal"`},
		"no project":          {target("widget", model.ActionPublish), nil, "begins with a project of Harbor"},
		"a project in a path": {target("../widget", model.ActionPublish), nil, "begins with a project of Harbor"},
		"a missing project":   {target("nowhere/widget", model.ActionPublish), nil, "got 404, expected 201: is there a project nowhere"},
		"a wrong user":        {target("acme/widget", model.ActionPublish), func(c *Config) { c.User = "other" }, "got 401, expected 201: check user other and the secret in {file."},
	} {
		t.Run(name, func(t *testing.T) {
			src, _ := newSource(t, newContract(), func(c *Config, _ *credential.Env) {
				if tc.change != nil {
					tc.change(c)
				}
			})
			if _, err := src.Issue(t.Context(), tc.target, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
		})
	}
	src, _ := newSource(t, newContract(), nil)
	if got := issue(t, src, target("", model.ActionRead)); got.Header != nil {
		t.Error("got a credential for a read that names no repository, expected none")
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"another ecosystem":    {func(_ *Config, e *credential.Env) { e.Ecosystem = "npm" }, `ecosystem is "npm", expected oci`},
		"no url":               {func(c *Config, _ *credential.Env) { c.URL = "" }, "url is absent"},
		"no user":              {func(c *Config, _ *credential.Env) { c.User = "" }, "user: the user is empty"},
		"a user with a colon":  {func(c *Config, _ *credential.Env) { c.User = "a:b" }, "without a colon"},
		"no password":          {func(c *Config, _ *credential.Env) { c.Password = "" }, "password is absent"},
		"a literal":            {func(c *Config, _ *credential.Env) { c.Password = password }, "password: a secret must be a placeholder"},
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

// FuzzShortName: what is taken for a name is all that stands behind the project.
func FuzzShortName(f *testing.F) {
	f.Add("robot$acme+trustpub-1-0123456789abcdef")
	f.Add("acme")
	f.Fuzz(func(t *testing.T, name string) {
		if short := shortName(name, "acme"); short != "" && !strings.HasSuffix(name, "acme+"+short) {
			t.Fatalf("%q has the name %q in the project", name, short)
		}
	})
}
