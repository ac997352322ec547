package provider

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEmbeddedFilesLoad(t *testing.T) {
	for _, name := range Names() {
		if _, err := loadEmbedded(name); err != nil {
			t.Error(err)
		}
		if p, ok := Get(name); !ok || p.Name != name {
			t.Errorf("%s is not found", name)
		}
	}
	if _, ok := Get("jankins"); ok {
		t.Error("an unknown provider is found")
	}
}

// What each platform is known for: which claims are stable ids, how a tag is found, which tokens are shared, whose audience is fixed.
func TestFacts(t *testing.T) {
	type facts struct {
		Owner, Repository string // the stable claims
		Tag               string
		Array, Shared     bool
		JTI               Presence
		Audience          string
		Needed            []string
	}
	want := map[string]facts{
		"activestate":  {Owner: "organization_id", JTI: Sometimes, Needed: []string{"builder"}},
		"azure-devops": {Owner: "organization_id", Tag: "v1", JTI: Sometimes, Audience: "api://AzureADTokenExchange", Needed: []string{"ref"}},
		"bitbucket":    {Owner: "workspace_uuid", Repository: "repository_uuid", Array: true, JTI: Never},
		"buildkite":    {Owner: "organization_id", Repository: "pipeline_id", Tag: "v1", JTI: Never},
		"circleci":     {Owner: "org_id", Repository: "project_id", Tag: "v1", JTI: Never, Needed: []string{"vcs_origin"}},
		"codefresh":    {Owner: "account_id", Repository: "pipeline_id", Tag: "main", JTI: Sometimes, Audience: "https://g.codefresh.io"},
		"forgejo":      {Owner: "repository_owner_id", Repository: "repository_id", Tag: "v1", JTI: Never},
		"github":       {Owner: "repository_owner_id", Repository: "repository_id", Tag: "v1", JTI: Always},
		"gitlab":       {Owner: "namespace_id", Repository: "project_id", Tag: "v1", Array: true, JTI: Always},
		"google":       {Repository: "sub", JTI: Never},
		"jenkins":      {Array: true, JTI: Never},
		"kubernetes":   {Repository: "serviceaccount_uid", Array: true, Shared: true, JTI: Sometimes},
		"oidc":         {Array: true, JTI: Sometimes},
		"semaphore":    {Owner: "org_id", Repository: "prj_id", Tag: "v1", JTI: Always, Audience: "https://ci.example.com", Needed: []string{"job_type"}},
		"spacelift":    {Owner: "space_id", JTI: Always, Audience: "ci.example.com", Needed: []string{"scope"}},
		"spiffe":       {Array: true, Shared: true, JTI: Sometimes},
	}
	got := map[string]facts{}
	for _, name := range Names() {
		p, _ := Get(name)
		tag, _ := p.TagOf(p.Sample)
		one := facts{p.StableClaim(Owner), p.StableClaim(Repository), tag, p.AudienceArray, p.Shared, p.JTI, p.AudienceOf("https://ci.example.com"), nil}
		for _, f := range p.Fields {
			if f.Needed {
				one.Needed = append(one.Needed, f.Name)
			}
		}
		got[name] = one
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const small = `name: small
title: Small CI
source: https://ci.example.com/docs
issuer: {default: "https://ci.example.com"}
jti: never
claims:
  sub: {kind: string}
  id: {kind: string}
  groups: {kind: list}
required: [sub, id]
publisher:
  - {name: job, claim: sub, glob: true, names: repository}
  - {name: job_id, claim: id, stable: repository}
run: [sub]
sample: {sub: a, id: "1", groups: []}
`

// Each case changes one line of a good file.
func TestRefusedFiles(t *testing.T) {
	if _, err := Load([]byte(small)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, from, to, says string }{
		{"unknown field", "jti: never", "jti: never\njtis: never", "jtis"},
		{"unknown field of a claim", "sub: {kind: string}", "sub: {kind: string, king: string}", "king"},
		{"a key twice", "jti: never", "jti: never\njti: never", "jti"},
		{"a second document", "run: [sub]", "run: [sub]\n---\nname: x", "document"},
		{"no title", "title: Small CI\n", "", "title"},
		{"no issuer", `{default: "https://ci.example.com"}`, "{}", "issuer must have"},
		{"plain http", "https://ci.example.com\"", "http://ci.example.com\"", "https://"},
		{"unknown placeholder", `{default: "https://ci.example.com"}`, `{forms: ["https://{hosts}"]}`, "unknown placeholder"},
		{"unknown presence", "jti: never", "jti: often", "jti is"},
		{"jti not required", "jti: never", "jti: always", "required must list it"},
		{"unknown kind", "sub: {kind: string}", "sub: {kind: text}", "claims.sub.kind"},
		{"after of a list", "groups: {kind: list}", "groups: {kind: list, after: /}", "for strings"},
		{"template of a list", "groups: {kind: list}", "groups: {kind: list, template: true}", "for strings"},
		{"empty claim", "sub: {kind: string}", "sub:", "claims.sub is empty"},
		{"required unknown", "required: [sub, id]", "required: [sub, id, x]", `"x" is not among claims`},
		{"no publisher", small[strings.Index(small, "publisher"):strings.Index(small, "run:")], "", "no fields"},
		{"field twice", "name: job_id", "name: job", "there twice"},
		{"field without name", "name: job_id, ", "", "has no name"},
		{"field of an unknown claim", "claim: id", "claim: ids", `"ids" is not among claims`},
		{"field of a list", "claim: id, stable: repository", "claim: groups", "cannot compare"},
		{"glob of an id", "claim: id, stable", "claim: id, glob: true, stable", "globs are for names"},
		{"stable and not required", "required: [sub, id]", "required: [sub]", "required must list it"},
		{"unknown subject", "stable: repository", "stable: job", "expected repository or owner"},
		{"equal_claims without equals", "claim: id, stable: repository", "claim: id, equal_claims: [sub]", "needs equals"},
		{"equals without claims", "claim: id, stable: repository", `equals: "x/{value}"`, "has equal_claims"},
		{"equals without value", "claim: id, stable: repository", `equals: "x", equal_claims: [sub]`, "{value} once"},
		{"equals with a stray brace", "claim: id, stable: repository", `equals: "{value}}", equal_claims: [sub]`, "brace"},
		{"equals of an unknown claim", "claim: id, stable: repository", `equals: "{value}{x}", equal_claims: [sub]`, `"x" is no claim`},
		{"replaces an unknown claim", "claim: id, stable: repository", "claim: id, replaces: x", `"x" is no claim`},
		{"trigger of an unknown claim", "run: [sub]", "run: [sub]\ntrigger: {claim: x, allowed: [], known: []}", "trigger.claim"},
		{"trigger unknown", "run: [sub]", "run: [sub]\ntrigger: {claim: sub, allowed: [push], known: []}", "trigger.allowed"},
		{"tag of an unknown claim", "run: [sub]", "run: [sub]\ntag: {claim: x}", "tag:"},
		{"run of a list", "run: [sub]", "run: [groups]", "run:"},
		{"docs without a policy", "run: [sub]", "run: [sub]\ndocs: {issuer: [issuer small]}", "docs must have"},
		{"a job without a text", "run: [sub]", "run: [sub]\ndocs: {issuer: [issuer small], setup: x, policy: x, jobs: [{title: x}]}", "docs.jobs[0]"},
		{"no sample", `sample: {sub: a, id: "1", groups: []}`, "", "sample must be given"},
		{"sample without a required claim", `id: "1", `, "", "required claim id is absent"},
		{"sample of another kind", `id: "1"`, "id: 1", "required claim id is absent not a string"},
		{"sample with a text for a list", "groups: []", "groups: a", "groups is not a list"},
		{"open claims and a field claims", "name: job_id", "name: claims", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(small, test.from) {
				t.Fatalf("%q is not in the file", test.from)
			}
			_, err := Load([]byte(strings.Replace(small, test.from, test.to, 1)))
			if test.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				_, err = Load([]byte(strings.Replace(small, test.from, test.to, 1) + "open_claims: true\n"))
				test.says = "there twice"
			}
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
		})
	}
}

// Nothing that a stranger can start is allowed unless a policy says so.
func TestTriggers(t *testing.T) {
	want := map[string][]string{
		"buildkite": {"webhook", "schedule"},
		"circleci":  {"false"},
		"forgejo":   {"push", "release", "workflow_dispatch", "schedule"},
		"github":    {"push", "release", "workflow_dispatch", "schedule"},
		"gitlab":    {"push", "web", "schedule"},
		"semaphore": {"branch", "tag"},
		"spacelift": {"TRACKED"},
	}
	for name, allowed := range want {
		p, _ := Get(name)
		if diff := cmp.Diff(allowed, p.Trigger.Allowed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, event := range []string{"pull_request_target", "pull_request", "workflow_run", "issue_comment", "merge_request_event", "external_pull_request_event", "trigger", "api", ""} {
			if p.Trigger.Allows(event) {
				t.Errorf("%s allows %q", name, event)
			}
		}
	}
	for _, name := range Names() {
		if p, _ := Get(name); p.Trigger != nil && want[name] == nil {
			t.Errorf("%s has triggers that this table does not know", name)
		}
	}
}

func TestFieldsAreFound(t *testing.T) {
	for _, name := range Names() {
		p, _ := Get(name)
		if want := name != "jenkins" && name != "oidc" && name != "spiffe"; p.Pinned() != want {
			t.Errorf("%s: pinned is %t", name, !want)
		}
		for _, f := range p.Fields {
			if found, ok := p.Field(f.Name); !ok || found != f {
				t.Errorf("%s: field %s is not found", name, f.Name)
			}
			if f.Stable != "" && !slices.Contains(p.Required, f.Claim) {
				t.Errorf("%s: the stable id %s may be absent", name, f.Claim)
			}
		}
	}
}
