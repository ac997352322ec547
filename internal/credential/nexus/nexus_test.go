package nexus

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/nexus"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "generic", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func target(pkg string, action model.Action) model.Target {
	return model.Target{Ecosystem: "generic", Registry: "internal", Package: pkg, Version: "1.0", File: "x.tar.gz", Action: action}
}

// TestConformance: a user for each upload, with a password and with a token.
func TestConformance(t *testing.T) {
	for name, tokens := range map[string]bool{"password": false, "token": true} {
		t.Run(name, func(t *testing.T) {
			server := contract.New()
			server.UserTokens, server.RequireTokens = tokens, tokens
			api := credentialtest.NewServer(t, server.Handler())
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(), Secret: server.AdminPassword, Other: server.AdminOther, ReadsAnonymous: tokens,
				Targets: []model.Target{target("acme-widget", model.ActionPublish), target("other", model.ActionPublish)},
				Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
					config := c.(*Config)
					config.URL, config.User, config.Password = api.URL, contract.Admin, secret
					config.Role, config.UserToken, config.Reads = "publish", tokens, !tokens
					return c
				},
				Check: func(t testing.TB, _ model.Target, got model.Credential) {
					if !server.May(got.Header, contract.Raw, "x", "add") || server.May(got.Header, contract.Raw, "x", "delete") {
						t.Error("the user may not publish, or may delete")
					}
				},
				Mint: &credentialtest.Mint{
					Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime,
					Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
					Live:  func(got model.Credential) bool { return server.Good(got.Header) },
					Strand: func() {
						server.Strand(mintapi.TemporaryName(time.Now().Add(-time.Hour)))
						server.Strand(mintapi.TemporaryName(time.Now().Add(time.Hour)))
						server.Strand("ci")
					},
					Stranded: func() (expired, others int) {
						for _, name := range server.Users() {
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
		})
	}
}

// TestConformanceFixed: a user token that is used as it stands.
func TestConformanceFixed(t *testing.T) {
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: "Gb7aXq0e:canary-pass-code", Other: "Hc8bYr1f:canary-other-code",
		Targets: []model.Target{target("acme-widget", model.ActionPublish), target("other", model.ActionPublish)},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).Fixed = secret
			return c
		},
		Check: func(t testing.TB, _ model.Target, got model.Credential) {
			first, second := model.Basic("Gb7aXq0e", "canary-pass-code"), model.Basic("Hc8bYr1f", "canary-other-code")
			if !cmp.Equal(got.Header, first.Header) && !cmp.Equal(got.Header, second.Header) {
				t.Error("got another header")
			}
		},
	})
}

// provision makes a source of a contract's server.
func provision(t testing.TB, handler http.Handler, secret string, change func(*Config)) (credential.Source, *credentialtest.Server, error) {
	t.Helper()
	server := credentialtest.NewServer(t, handler)
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	config := &Config{URL: server.URL, User: contract.Admin, Password: model.Secret("{file." + path + "}"), Role: "publish"}
	if change != nil {
		change(config)
	}
	src, err := config.Provision(env())
	return src, server, err
}

func newSource(t testing.TB, c *contract.Server, change func(*Config)) (credential.Source, *credentialtest.Server) {
	t.Helper()
	src, server, err := provision(t, c.Handler(), c.AdminPassword, change)
	if err != nil {
		t.Fatal(err)
	}
	return src, server
}

func issue(t testing.TB, src credential.Source, target model.Target) model.Credential {
	t.Helper()
	got, err := src.Issue(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRoles: what a user may do is what the operator has given the role of the action, or of the package.
func TestRoles(t *testing.T) {
	type may struct{ Add, Delete, Read, Elsewhere bool }
	for name, tc := range map[string]struct {
		role   string
		target model.Target
		want   may
	}{
		"one role":         {"publish", target("acme-widget", model.ActionDelete), may{Add: true, Read: true, Elsewhere: true}},
		"by the action":    {"x{action}", target("acme-widget", model.ActionPublish), may{Add: true, Read: true, Elsewhere: true}},
		"for a deletion":   {"x{action}", target("acme-widget", model.ActionDelete), may{Delete: true, Read: true}},
		"for a read":       {"x{action}", target("acme-widget", model.ActionRead), may{Read: true}},
		"of a package":     {"raw-{package}", target("one", model.ActionPublish), may{Add: true, Read: true}},
		"of the ecosystem": {"x-{ecosystem}-{registry}", target("one", model.ActionPublish), may{Read: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := contract.New()
			for _, role := range []string{"publish", "delete", "read"} {
				c.Roles["x"+role] = c.Roles[role]
			}
			c.Roles["x-generic-internal"] = c.Roles["read"]
			src, _ := newSource(t, c, func(config *Config) { config.Role, config.Reads = tc.role, true })
			h := issue(t, src, tc.target).Header
			got := may{
				c.May(h, contract.Raw, "acme-widget/1.0/x.tar.gz", "add"), c.May(h, contract.Raw, "acme-widget/1.0/x.tar.gz", "delete"),
				c.May(h, contract.Raw, "acme-widget/1.0/x.tar.gz", "read"), c.May(h, contract.Raw, "other/x.tar.gz", "add"),
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReads: who reads gets a user where the configuration says so, or where clients read before they write.
func TestReads(t *testing.T) {
	for _, tc := range []struct {
		ecosystem, role string
		reads, want     bool
		settings        bool // a read that names no package gets one too
	}{
		{"pypi", "publish", false, false, false},
		{"pypi", "publish", true, true, false},
		{"maven", "publish", false, true, false},
		{"oci", "publish", false, true, false},
		{"cargo", "publish", false, true, true},
		{"cargo", "publish{package}", true, false, false}, // there is no role without the package
	} {
		c := contract.New()
		var config *Config
		if _, _, err := provision(t, c.Handler(), c.AdminPassword, func(got *Config) { config = got }); err != nil {
			t.Fatal(err)
		}
		config.Reads, config.Role = tc.reads, tc.role
		e := env()
		e.Ecosystem = tc.ecosystem
		src, err := config.Provision(e)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := src.Issue(t.Context(), target("acme/widget", model.ActionRead), nil); (err == nil && got.Header != nil) != tc.want {
			t.Errorf("%s, reads %t: got a credential: %t, expected %t", tc.ecosystem, tc.reads, got.Header != nil, tc.want)
		}
		if got := issue(t, src, target("", model.ActionRead)); (got.Header != nil) != tc.settings {
			t.Errorf("%s, reads %t: got a credential for a read that names no package: %t, expected %t", tc.ecosystem, tc.reads, got.Header != nil, tc.settings)
		}
	}
}

// TestCalls: what one upload costs, and the orphans of the first.
func TestCalls(t *testing.T) {
	const users = "/service/rest/v1/security/users"
	for name, tokens := range map[string]bool{"password": false, "token": true} {
		t.Run(name, func(t *testing.T) {
			c := contract.New()
			c.UserTokens = tokens
			src, server := newSource(t, c, func(config *Config) { config.UserToken = tokens })
			var uploads [][]string
			for range 2 {
				before := len(server.Calls())
				got := issue(t, src, target("acme-widget", model.ActionPublish))
				if err := got.Revoke(t.Context()); err != nil {
					t.Fatal(err)
				}
				var calls []string
				for _, call := range server.Calls()[before:] {
					if at := strings.Index(call, "/trustpub-"); at > 0 {
						_, rest, _ := strings.Cut(call[at+1:], "/")
						call = strings.TrimSuffix(call[:at]+"/NAME/"+rest, "/")
					}
					calls = append(calls, call)
				}
				uploads = append(uploads, calls)
			}
			second := []string{"POST " + users, "DELETE " + users + "/NAME"}
			if tokens {
				token := users + "/NAME/default/user-token"
				second = []string{"POST " + users, "POST " + token, "DELETE " + token, "DELETE " + users + "/NAME"}
			}
			first := slices.Insert(slices.Clone(second), len(second)/2, "GET "+users+"?source=default&userId=trustpub-")
			if diff := cmp.Diff([][]string{first, second}, uploads); diff != "" {
				t.Errorf("calls of two uploads (-want +got):\n%s", diff)
			}
			if left := c.Users(); len(left) != 0 {
				t.Errorf("got users %q that are left, expected none", left)
			}
		})
	}
}

// TestAnotherUser: one who is not who was asked for is not used, and not left.
func TestAnotherUser(t *testing.T) {
	for name, tc := range map[string]struct {
		tokens bool
		change func(map[string]any)
		want   string
	}{
		"another name":      {false, func(a map[string]any) { a["userId"] = "ci" }, "userId is another"},
		"another source":    {false, func(a map[string]any) { a["source"] = "LDAP" }, "no active user of Nexus's own"},
		"disabled":          {false, func(a map[string]any) { a["status"] = "disabled" }, "no active user of Nexus's own"},
		"another role":      {false, func(a map[string]any) { a["roles"] = []string{"nx-admin"} }, "roles are others"},
		"one more role":     {false, func(a map[string]any) { a["roles"] = []string{"publish", "nx-admin"} }, "roles are others"},
		"no role":           {false, func(a map[string]any) { delete(a, "roles") }, "roles are others"},
		"a role from LDAP":  {false, func(a map[string]any) { a["externalRoles"] = []string{"admins"} }, "roles are others"},
		"no name code":      {true, func(a map[string]any) { delete(a, "nameCode") }, "no nameCode"},
		"no pass code":      {true, func(a map[string]any) { delete(a, "passCode") }, "no passCode"},
		"a code with LF":    {true, func(a map[string]any) { setIf(a, "passCode", "0123456789\nX: y") }, "characters that no credential has"},
		"a name with colon": {true, func(a map[string]any) { setIf(a, "nameCode", "abcd:efgh") }, "no name of a Basic credential"},
		"a past end":        {true, func(a map[string]any) { setIf(a, "expires", "2020-01-01T00:00:00.000Z") }, "no moment to come"},
		"a word as an end":  {true, func(a map[string]any) { setIf(a, "expires", "soon") }, "no moment to come"},
	} {
		t.Run(name, func(t *testing.T) {
			c := contract.New()
			c.UserTokens, c.Change = tc.tokens, tc.change
			src, _ := newSource(t, c, func(config *Config) { config.UserToken = tc.tokens })
			got, err := src.Issue(t.Context(), target("acme-widget", model.ActionPublish), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if left := c.Users(); len(left) != 0 {
				t.Errorf("got users %q that are left, expected none", left)
			}
		})
	}
}

// setIf changes what is there.
func setIf(a map[string]any, name string, value any) {
	if _, there := a[name]; there {
		a[name] = value
	}
}

// TestRefusals: the error says what to look at.
func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		target model.Target
		change func(*Config)
		want   string
	}{
		"another registry":  {model.Target{Registry: "other", Package: "x"}, nil, `registry is "other", expected "internal"`},
		"a missing role":    {target("x", model.ActionPublish), func(c *Config) { c.Role = "absent" }, "got 400, expected 200: is there a role absent?"},
		"a wrong user":      {target("x", model.ActionPublish), func(c *Config) { c.User = "other" }, "got 401, expected 200: check user other and the secret in {file."},
		"tokens are off":    {target("x", model.ActionPublish), func(c *Config) { c.UserToken = true }, "got 400, expected 201: are user tokens enabled"},
		"not below the URL": {target("x", model.ActionPublish), func(c *Config) { c.URL += "/nexus" }, "got 404, expected 200: is url the base of Nexus"},
	} {
		t.Run(name, func(t *testing.T) {
			c := contract.New()
			src, _ := newSource(t, c, tc.change)
			if _, err := src.Issue(t.Context(), tc.target, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
			if left := c.Users(); len(left) != 0 {
				t.Errorf("got users %q that are left, expected none", left)
			}
		})
	}
	src, _ := newSource(t, contract.New(), func(c *Config) { c.Reads = true })
	if got := issue(t, src, target("", model.ActionRead)); got.Header != nil {
		t.Error("got a credential for a read that names no package, expected none")
	}
}

// TestSweepFails: who may not list users still makes them.
func TestSweepFails(t *testing.T) {
	c := contract.New()
	var log strings.Builder
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c.Handler().ServeHTTP(w, r)
	})
	var config *Config
	_, _, err := provision(t, handler, c.AdminPassword, func(got *Config) { config = got })
	if err != nil {
		t.Fatal(err)
	}
	e := env()
	e.Logger = slog.New(slog.NewTextHandler(&log, nil))
	src, err := config.Provision(e)
	if err != nil {
		t.Fatal(err)
	}
	if got := issue(t, src, target("x", model.ActionPublish)); got.Header == nil {
		t.Error("got no credential")
	}
	if text := log.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "may trustpub-maker list users?") {
		t.Errorf("got log %q, expected a warning", text)
	}
}

// TestFixedForms: a user token has two parts.
func TestFixedForms(t *testing.T) {
	for _, text := range []string{"alone", ":code", "name:", "a:b c\td"} {
		src, _, err := provision(t, http.NotFoundHandler(), text, func(c *Config) { *c = Config{Fixed: c.Password} })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := src.Issue(t.Context(), target("x", model.ActionPublish), nil); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v, expected an error that does not quote it", text, err)
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no way":               {func(c *Config) { c.Role = "" }, "exactly one of role NAME"},
		"two ways":             {func(c *Config) { c.Fixed = c.Password }, "exactly one of role NAME"},
		"no url":               {func(c *Config) { c.URL = "" }, "url is absent"},
		"no user":              {func(c *Config) { c.User = "" }, "user: the user is empty"},
		"a user with a colon":  {func(c *Config) { c.User = "a:b" }, "without a colon"},
		"no password":          {func(c *Config) { c.Password = "" }, "password is absent"},
		"a literal":            {func(c *Config) { c.Password = "canary" }, "password: a secret must be a placeholder"},
		"any role":             {func(c *Config) { c.Role = "{package}" }, "packages must not choose among all roles"},
		"a role of the file":   {func(c *Config) { c.Role = "x-{file}" }, "role has the placeholder {file}"},
		"an open brace":        {func(c *Config) { c.Role = "x-{package" }, "role has"},
		"the admin":            {func(c *Config) { c.Role = "nx-admin" }, "role is nx-admin, which may do everything"},
		"a role with a tab":    {func(c *Config) { c.Role = "a\tb" }, "expected the id of a role"},
		"a short lifetime":     {func(c *Config) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":      {func(c *Config) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
		"a CA that is nowhere": {func(c *Config) { c.CA = "/nowhere/ca.pem" }, "ca"},
		"fixed with a url":     {func(c *Config) { *c = Config{Fixed: c.Password, URL: c.URL} }, "url does nothing here"},
		"fixed with a user":    {func(c *Config) { *c = Config{Fixed: c.Password, User: c.User} }, "user does nothing here"},
		"a literal as fixed":   {func(c *Config) { *c = Config{Fixed: "canary"} }, "fixed: a secret must be a placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := provision(t, http.NotFoundHandler(), "canary", tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("the error quotes the secret")
			}
		})
	}
}

// FuzzRole: whatever a package is called, the role begins as the operator wrote it.
func FuzzRole(f *testing.F) {
	f.Add("acme-widget")
	f.Add("nx-admin")
	f.Add("{action}")
	role, err := (&Config{Role: "pypi-{package}"}).role()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pkg string) {
		got, err := role.Text(mintapi.Values{Named: mintapi.TargetValues(target(pkg, model.ActionPublish))})
		if err == nil && got != "pypi-"+pkg {
			t.Fatalf("%q: got role %q", pkg, got)
		}
	})
}
