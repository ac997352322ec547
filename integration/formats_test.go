package integration

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/gateway"
)

// publisher is the real client of an ecosystem, for registries that have many.
type publisher struct {
	// prefix is how the packages' names begin, as policies write them; a word that no other test has follows.
	prefix string
	// slow is true for a client whose runs take seconds: it publishes one version, and is refused what the registry and a policy refuse.
	slow    bool
	publish func(t *testing.T, r *rig, x try, pkg, version string) (client.Result, error)
}

// publishers are by ecosystem.
var publishers = map[string]publisher{
	"npm": {"@acme/widget-", false, func(t *testing.T, r *rig, x try, pkg, version string) (client.Result, error) {
		return r.home(r.job(t, x)).NPM(t.Context(), r.urlOf(x), "", pkg, version)
	}},
	"nuget": {"acme.widget.", true, func(t *testing.T, r *rig, x try, pkg, version string) (client.Result, error) {
		id := strings.NewReplacer("acme", "Acme", "widget", "Widget", "gadget", "Gadget").Replace(pkg)
		return r.home(nil).NuGetPush(t.Context(), r.urlOf(x), r.identityOf(x), id, version)
	}},
	"rubygems": {"acme_widget_", false, func(t *testing.T, r *rig, x try, pkg, version string) (client.Result, error) {
		return r.home(nil).GemPush(t.Context(), strings.TrimSuffix(r.urlOf(x), "/"), r.identityOf(x), pkg, version)
	}},
	"cargo": {"acme-widget-", false, func(t *testing.T, r *rig, x try, pkg, version string) (client.Result, error) {
		return r.home(nil).CargoPublish(t.Context(), "sparse+"+r.urlOf(x), r.identityOf(x), pkg, version)
	}},
	"maven": {"com.example:widget-", true, func(t *testing.T, r *rig, x try, pkg, version string) (client.Result, error) {
		group, artifact, _ := strings.Cut(pkg, ":")
		return r.home(nil).Maven(t.Context(), r.urlOf(x), group, artifact, version, r.identityOf(x), random(8))
	}},
}

// run publishes, and fails the test where the registry takes anything that it should not have got.
func (p publisher) run(t *testing.T, r *rig, pkg string) {
	t.Helper()
	p.runAt(t, r, pkg, "")
}

// runAt is run with a URL of the client's that is below the registry's.
func (p publisher) runAt(t *testing.T, r *rig, pkg, path string) {
	t.Helper()
	publish := func(x try, pkg, version string) client.Result {
		t.Helper()
		x.url = r.site.Public() + path
		got, err := p.publish(t, r, x, pkg, version)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	held := len(r.files())
	versions, refusals := []string{"1.0.0", "1.1.0"}, 4
	if p.slow {
		versions, refusals = versions[:1], 2
	}
	for _, version := range versions {
		if got := publish(try{}, pkg, version); got.Code != 0 {
			t.Fatalf("%s: exit status %d\n%s", version, got.Code, got.Output)
		}
		if now := len(r.files()); now <= held {
			t.Fatalf("%s: the registry holds %q, and nothing that is new", version, r.paths())
		}
		held = len(r.files())
	}
	r.unchanged(t, func() {
		for _, tc := range []struct {
			name, pkg, version string
			x                  try
		}{
			{"a version that exists", pkg, "1.0.0", try{}},
			{"another package", strings.Replace(pkg, "widget", "gadget", 1), "1.0.0", try{}},
			{"another publisher", pkg, "2.0.0", try{claims: foreignRepository}},
			{"a stolen secret", pkg, "2.0.0", try{token: r.reg.Password}},
		}[:refusals] {
			if got := publish(tc.x, tc.pkg, tc.version); got.Code == 0 {
				t.Errorf("%s: exit status 0\n%s", tc.name, got.Output)
			}
		}
	})
}

// withPath sets the path of the registry's public URL.
func withPath(path string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { c.Sites[0].Registry.Path = path }
}

// What a site answers in the registry's place where the registry's own pages lead past the gateway, or want a password: the settings of an index of crates,
// and the index of a feed, which nuget asks for nothing but whether it is there. PUBLIC is the registry's public URL.
const (
	cargoSettings = `{"dl": "PUBLIC/api/v1/crates", "api": "PUBLIC", "auth-required": true}`
	nugetIndex    = `{"version": "3.0.0", "resources": [{"@id": "PUBLIC", "@type": "PackagePublish/2.0.0"}]}`
)

// withAnswer has the site itself answer a read at a path below the registry's.
func withAnswer(path, body string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) {
		s := &c.Sites[0]
		body := strings.ReplaceAll(body, "PUBLIC", strings.TrimSuffix(s.Public(), "/"))
		s.Answers = append(s.Answers, "@index {\n\tmethod GET HEAD\n\tpath "+s.Registry.Path+path+"\n}", "respond @index `"+body+"`")
	}
}
