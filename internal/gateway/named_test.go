package gateway_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// grantNode lets the default job publish a package to the registry of npm, beside the Python one.
const grantNode = grantWidget + `  - name: node
    registry: internal-npm
    packages: ["@acme/widget"]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
`

// nodes puts registries of npm with these names beside the Python one, the first at the host's root.
func nodes(t *testing.T, names ...string) option {
	return func(own *gateway.Registry, cfg *gateway.Config) {
		policies, ok := cfg.Policies.(*policySwitch)
		if !ok {
			t.Fatalf("policies are a %T", cfg.Policies)
		}
		policies.beside = map[string]string{}
		for i, name := range names {
			public := &url.URL{Scheme: own.Public.Scheme, Host: own.Public.Host, Path: []string{"/", "/second/"}[i]}
			eco, err := npm.Kind.New(ecosystem.Settings{Registry: name, Public: public})
			if err != nil {
				t.Fatal(err)
			}
			policies.beside[name] = npm.Kind.Name
			cfg.Registries = append(cfg.Registries, gateway.Registry{
				Name: name, Protocol: npm.Kind.Name, Ecosystem: eco, Public: public, Source: own.Source,
				Audiences: gateway.DefaultAudiences(npm.Kind.Name, public),
			})
		}
		policies.set(grantNode)
	}
}

// TestRefusedExchangeNamesItsPackage: an exchange whose path names a package has it in the audit, where `trustpub policy suggest` finds it.
func TestRefusedExchangeNamesItsPackage(t *testing.T) {
	target := func(registry, pkg string) *model.Target {
		return &model.Target{Ecosystem: "npm", Registry: registry, Package: pkg, Action: model.ActionPublish}
	}
	stranger := map[string]any{"repository": "acme/other"}
	one := []string{"internal-npm"}
	for name, tc := range map[string]struct {
		registries []string
		claims     map[string]any
		audience   string
		pkg        string
		twice      bool
		status     int
		code       model.Code
		want       *model.Target
	}{
		"another repository":         {one, stranger, "", "@acme%2fwidget", false, 403, model.CodeNoMatchingPolicy, target("internal-npm", "@acme/widget")},
		"another package":            {one, nil, "", "gadget", false, 403, model.CodeNoMatchingPolicy, target("internal-npm", "gadget")},
		"a second time":              {one, nil, "", "@acme%2fwidget", true, 401, model.CodeReplayed, target("internal-npm", "@acme/widget")},
		"one of several registries":  {[]string{"internal-npm", "other-npm"}, stranger, "", "@acme%2fwidget", false, 403, model.CodeNoMatchingPolicy, target("", "@acme/widget")},
		"the registry with a path":   {[]string{"internal-npm", "other-npm"}, stranger, "/second", "@acme%2fwidget", false, 403, model.CodeNoMatchingPolicy, target("other-npm", "@acme/widget")},
		"a token for somewhere else": {one, nil, "elsewhere", "@acme%2fwidget", false, 401, model.CodeWrongAudience, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nodes(t, tc.registries...))
			host, _ := url.Parse(h.front.URL)
			audience := host.Host + tc.audience
			token := h.issuer.Token(audience, tc.claims)
			exchange := func() answer {
				r, err := http.NewRequest(http.MethodPost, h.front.URL+"/-/npm/v1/oidc/token/exchange/package/"+tc.pkg, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+token)
				return h.do(r)
			}
			requests := 1
			if tc.twice {
				requests = 2
				if a := exchange(); a.status != http.StatusCreated {
					t.Fatalf("the first exchange: %d %s", a.status, a.body)
				}
			}
			h.refused(exchange(), tc.status, tc.code)
			for _, e := range h.audit.after(t, requests) {
				want := tc.want
				if e.Decision == "allow" {
					want = nil // the scope says it
				}
				if diff := cmp.Diff(want, e.Target, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Versionless" }, cmp.Ignore())); diff != "" {
					t.Errorf("the %s's target (-want +got):\n%s", e.Kind, diff)
				}
			}
		})
	}
}
