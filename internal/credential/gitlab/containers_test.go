package gitlab

import (
	"net/http"
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

func image(pkg string, action model.Action) model.Target {
	return model.Target{Ecosystem: ecosystemOCI, Registry: "internal", Package: pkg, File: "1.0", Action: action}
}

// inContainers changes a configuration into one for containers, whose registry is served beside the API.
func inContainers(c *Config, e *credential.Env) {
	e.Ecosystem, c.Project, c.Containers = ecosystemOCI, "acme/packages", c.URL
}

func TestContainersConformance(t *testing.T) {
	server := newContract()
	api := credentialtest.NewServer(t, server)
	e := env(ecosystemOCI)
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: e, Secret: password, Other: replaced,
		Targets: []model.Target{image("acme/packages/widget", model.ActionPublish), image("acme/packages/gear", model.ActionPublish)},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).Token = api.URL+"/sub/", secret
			inContainers(c.(*Config), &e)
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			for _, action := range []string{"pull", "push"} {
				for _, repository := range []string{"acme/packages/widget", "acme/packages/gear", "acme/packages"} {
					if may := server.Granted(got.Header, repository, action); may != (repository == target.Package) {
						t.Errorf("the token for %s is good for %s on %s: %t", target.Package, action, repository, may)
					}
				}
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Cached: true, MaxLife: 5 * time.Minute,
			Clock: func(c credential.Config, now func() time.Time) {
				c.(*Config).now = now
				server.Tick(now)
			},
			Live: func(got model.Credential) bool { return server.Granted(got.Header, "acme/packages/widget", "push") },
			Strand: func() {
				server.Strand(mintapi.TemporaryName(time.Now().Add(-time.Hour)))
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
	if names := slices.DeleteFunc(server.Names(), func(name string) bool { return name == "ci" }); len(names) > 0 {
		t.Errorf("the deploy tokens %q are left", names)
	}
}

// TestContainerTokens: what a token may do, for each action and for a mount, and what it was made of.
func TestContainerTokens(t *testing.T) {
	const widget, base = "acme/packages/widget", "acme/packages/base"
	both := []string{"read_registry", "write_registry"}
	for name, tc := range map[string]struct {
		targets []model.Target
		want    []string // REPOSITORY ACTION
		scopes  []string // of the deploy token
		err     string
	}{
		"a push":           {[]model.Target{image(widget, model.ActionPublish)}, []string{widget + " pull", widget + " push"}, both, ""},
		"a tag that moves": {[]model.Target{image(widget, model.ActionOverwrite)}, []string{widget + " pull", widget + " push"}, both, ""},
		"a pull":           {[]model.Target{image(widget, model.ActionRead)}, []string{widget + " pull"}, []string{"read_registry"}, ""},
		"a mount":          {[]model.Target{image(widget, model.ActionPublish), image(base, model.ActionRead)}, []string{base + " pull", widget + " pull", widget + " push"}, both, ""},
		"the project itself": {
			[]model.Target{image("acme/packages", model.ActionPublish)},
			[]string{"acme/packages pull", "acme/packages push"},
			both, "",
		},
		"no repository":          {[]model.Target{image("", model.ActionRead)}, nil, nil, ""},
		"a deletion":             {[]model.Target{image(widget, model.ActionDelete)}, nil, nil, "action is delete, expected publish"},
		"another project":        {[]model.Target{image("acme/other/widget", model.ActionPublish)}, nil, both, "not good for exactly repository:acme/other/widget:pull,push: is the repository below"},
		"a name with an action":  {[]model.Target{image(widget+":delete", model.ActionPublish)}, nil, nil, "can't be narrowed"},
		"a mount from elsewhere": {[]model.Target{image(widget, model.ActionPublish), image("acme/other", model.ActionRead)}, nil, both, "not good for exactly"},
		"another registry":       {[]model.Target{{Registry: "other", Package: widget}}, nil, nil, `registry is "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			src, _, err := provision(t, c, ecosystemOCI, inContainers)
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.(credential.Joint).IssueAll(t.Context(), tc.targets, nil)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, expected %q", err, tc.err)
			}
			var may []string
			for _, repository := range []string{"acme/other", "acme/packages", base, widget} {
				for _, action := range []string{"delete", "pull", "push"} {
					if c.Granted(got.Header, repository, action) {
						may = append(may, repository+" "+action)
					}
				}
			}
			if diff := cmp.Diff(tc.want, may); diff != "" {
				t.Errorf("what the token is good for (-want +got):\n%s", diff)
			}
			var scopes []string
			for _, made := range c.Made() {
				scopes = made.Scopes
			}
			if diff := cmp.Diff(tc.scopes, scopes); diff != "" {
				t.Errorf("what the deploy token could do (-want +got):\n%s", diff)
			}
			if names := c.Names(); len(names) > 0 {
				t.Errorf("the deploy tokens %q are left", names)
			}
		})
	}
}

// TestRealm: the deploy token is shown to no realm but the configured one, and no answer leads elsewhere.
func TestRealm(t *testing.T) {
	const outside = "https://gitlab.example.com/jwt/auth"
	for name, tc := range map[string]struct {
		challenged, configured string
		grant                  func([]contract.Access) []contract.Access
		want                   string // in the error; empty: a token
	}{
		"as configured":       {"", "", nil, ""},
		"the outside address": {outside, outside, nil, ""},
		"another host":        {"https://evil.example.com/jwt/auth", "", nil, "names another realm than http://"},
		"another path":        {"https://gitlab.example.com/other", outside, nil, "names another realm than " + outside},
		"another scheme":      {"http://gitlab.example.com/jwt/auth", outside, nil, "names another realm than " + outside},
		"no realm":            {" ", "", nil, "names another realm"},
		"more than asked": {"", "", func(a []contract.Access) []contract.Access {
			return append(a, contract.Access{Type: "repository", Name: "acme/packages/other", Actions: []string{"pull"}})
		}, "not good for exactly"},
		"another action": {"", "", func(a []contract.Access) []contract.Access {
			a[0].Actions = append(a[0].Actions, "*")
			return a
		}, "not good for exactly"},
		"another type": {"", "", func(a []contract.Access) []contract.Access {
			a[0].Type = "registry"
			return a
		}, "not good for exactly"},
		"nothing": {"", "", func([]contract.Access) []contract.Access { return nil }, "not good for exactly"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContract()
			c.Realm, c.Grant = tc.challenged, tc.grant
			src, base, err := provision(t, c, ecosystemOCI, func(config *Config, e *credential.Env) {
				inContainers(config, e)
				config.Realm = tc.configured
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Issue(t.Context(), image("acme/packages/widget", model.ActionPublish), nil)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil) {
				t.Fatalf("got %v, expected %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "evil") {
				t.Errorf("the error %q quotes the registry's answer", err)
			}
			if shown := c.Auths(); shown > 0 && strings.Contains(tc.want, "realm") {
				t.Errorf("the realm was asked %d times, expected none", shown)
			}
			if names := c.Names(); len(names) > 0 {
				t.Errorf("the deploy tokens %q are left at %s", names, base)
			}
		})
	}
}

// TestOneTokenServesARepository: a push of many requests costs four calls for each repository.
func TestOneTokenServesARepository(t *testing.T) {
	c := newContract()
	src, _, err := provision(t, c, ecosystemOCI, inContainers)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		issue(t, src, image("acme/packages/widget", model.ActionPublish))
		issue(t, src, image("acme/packages/gear", model.ActionPublish))
	}
	if got := [2]int{len(c.Made()), c.Auths()}; got != [2]int{2, 2} {
		t.Errorf("got %d deploy tokens and calls of the realm for two repositories, expected two of each", got)
	}
}

func TestContainersProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *credential.Env)
		want   string
	}{
		"no registry":                  {func(c *Config, _ *credential.Env) { c.Containers = "" }, "containers: url is absent"},
		"a registry of FTP":            {func(c *Config, _ *credential.Env) { c.Containers = "ftp://x" }, `containers: url is "ftp://x"`},
		"a realm with a query":         {func(c *Config, _ *credential.Env) { c.Realm = "https://x/jwt/auth?x" }, "realm: url is"},
		"no project":                   {func(c *Config, e *credential.Env) { c.Project, e.Public = "", nil }, `project is ""`},
		"of packages, with a registry": {func(_ *Config, e *credential.Env) { e.Ecosystem = "npm" }, "containers does nothing here: it goes with the ecosystem oci"},
		"of packages, with a realm": {func(c *Config, e *credential.Env) {
			e.Ecosystem, c.Containers, c.Realm = "npm", "", "https://gitlab.example.com/jwt/auth"
		}, "realm does nothing here: it goes with the ecosystem oci"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := provision(t, newContract(), ecosystemOCI, func(c *Config, e *credential.Env) {
				inContainers(c, e)
				tc.change(c, e)
			})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}

func TestReadChallenge(t *testing.T) {
	const whole = `Bearer realm="https://gitlab.example.com/jwt/auth",service="container_registry"`
	for name, tc := range map[string]struct {
		headers []string
		want    challenge
		err     string
	}{
		"GitLab's":              {[]string{whole}, challenge{"https://gitlab.example.com/jwt/auth", "container_registry"}, ""},
		"with what it asks for": {[]string{whole + `, scope="repository:a:pull,push",error="x"`}, challenge{"https://gitlab.example.com/jwt/auth", "container_registry"}, ""},
		"in other letters":      {[]string{`bearer Realm="a", SERVICE="b" `}, challenge{"a", "b"}, ""},
		"none":                  {nil, challenge{}, "0 challenges"},
		"two":                   {[]string{whole, whole}, challenge{}, "2 challenges"},
		"Basic":                 {[]string{`Basic realm="x"`}, challenge{}, "not of the scheme Bearer"},
		"no service":            {[]string{`Bearer realm="x"`}, challenge{}, "no realm or no service"},
		"an empty realm":        {[]string{`Bearer realm="",service="x"`}, challenge{}, "no realm or no service"},
		"a realm twice":         {[]string{whole + `,realm="https://evil.example.com"`}, challenge{}, "a name twice"},
		"an escape":             {[]string{`Bearer realm="a\"b",service="x"`}, challenge{}, "not a list"},
		"no quotes":             {[]string{`Bearer realm=a,service=b`}, challenge{}, "not a list"},
		"a second scheme":       {[]string{whole + `, Basic realm="x"`}, challenge{}, "not a list"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readChallenge(tc.headers)
			if got != tc.want || tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("got %v and %v, expected %v and %q", got, err, tc.want, tc.err)
			}
		})
	}
}

// FuzzReadChallenge: what is read stands in the header, in quotes.
func FuzzReadChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://gitlab.example.com/jwt/auth",service="container_registry"`)
	f.Add(`bearer a="b" , realm="x",service="y",scope="repository:a:pull,push"`)
	f.Fuzz(func(t *testing.T, header string) {
		got, err := readChallenge([]string{header})
		if err != nil {
			return
		}
		for _, value := range []string{got.realm, got.service} {
			if value == "" || !strings.Contains(header, `="`+value+`"`) {
				t.Fatalf("got %q of %q", value, header)
			}
		}
	})
}

var _ http.Handler = (*contract.Server)(nil)
