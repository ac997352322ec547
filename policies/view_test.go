package policies

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestView: what tools see of a policy, with its places in the file.
func TestView(t *testing.T) {
	set := mustLoad(t, `policies:
  - name: first
    registry: internal-pypi
    packages: Acme_Widget
    publisher: {oidc: {subject: "org:acme:*", claims: {email: a@b}}}
    allow_unpinned: true
  - name: second
    registry: [internal-pypi, staging-pypi]
    packages: ["acme-*", widget, "*"]
    actions: [publish, read]
    allow_any_package: true
    exclusive: false
    events: [workflow_run]
    tag: "v{version}"
    when: claims.a == "b"
    publisher:
      github:
        workflow: release.yml
        repository: "acme/*"
        repository_owner_id: "222"
        environment: release
`)
	type view struct {
		Name, Provider, Issuer       string
		At, Tag, When, Event, Absent Position
		Grants                       []Grant
		Fields                       []Field
		Actions                      []Action
		Added                        []string
		TagText, WhenText            string
		Exclusive, Unpinned, Any     bool
	}
	var got []view
	for _, p := range set.Policies() {
		got = append(got, view{
			p.Name, p.Provider(), p.Issuer().Name, p.At(""), p.At("tag"), p.At("when"), p.Item("events", 0), p.Item("actions", 7), p.Grants(), p.Fields(),
			p.Actions(), p.AddedEvents(), p.Tag(), p.When(), p.Exclusive(), p.Unpinned(), p.AnyPackage(),
		})
	}
	packages := []Package{
		{Pattern: "acme-*", Glob: true, Position: Position{9, 16}},
		{Pattern: "widget", Position: Position{9, 26}},
		{Pattern: "*", Glob: true, Any: true, Position: Position{9, 34}},
	}
	want := []view{
		{
			Name: "first", Provider: "oidc", Issuer: "build", At: Position{2, 5},
			Grants: []Grant{{Registry: "internal-pypi", Ecosystem: "pypi", Position: Position{3, 15}, Packages: []Package{{Pattern: "acme-widget", Position: Position{4, 15}}}}},
			Fields: []Field{
				{Name: "subject", Position: Position{5, 33}, Claim: "sub", Values: []Value{{Text: "org:acme:*", Glob: true, Position: Position{5, 33}}}, Names: "repository"},
				{Name: "claims.email", Position: Position{5, 63}, Claim: "email", Values: []Value{{Text: "a@b", Position: Position{5, 63}}}},
			},
			Actions: []Action{ActionPublish}, Exclusive: true, Unpinned: true,
		},
		{
			Name: "second", Provider: "github", Issuer: "github", At: Position{7, 5}, Tag: Position{14, 10}, When: Position{15, 11}, Event: Position{13, 14},
			Grants: []Grant{
				{Registry: "internal-pypi", Ecosystem: "pypi", Position: Position{8, 16}, Packages: packages},
				{Registry: "staging-pypi", Ecosystem: "pypi", Position: Position{8, 31}, Packages: packages},
			},
			Fields: []Field{
				{Name: "repository", Position: Position{19, 21}, Claim: "repository", Values: []Value{{Text: "acme/*", Glob: true, Position: Position{19, 21}}}, Names: "repository"},
				{Name: "repository_owner_id", Position: Position{20, 30}, Claim: "repository_owner_id", Values: []Value{{Text: "222", Position: Position{20, 30}}}, Stable: "owner"},
				{
					Name: "workflow", Position: Position{18, 19}, Equal: []string{"workflow_ref", "job_workflow_ref"}, Template: "{repository}/.github/workflows/{value}@{ref}",
					Values: []Value{{Text: "release.yml", Position: Position{18, 19}}},
				},
				{Name: "environment", Position: Position{21, 22}, Claim: "environment", Values: []Value{{Text: "release", Position: Position{21, 22}}}, Gate: "environment"},
			},
			Actions: []Action{ActionRead, ActionPublish}, Added: []string{"workflow_run"}, TagText: "v{version}", WhenText: `claims.a == "b"`, Any: true,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
