package provider

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRunsHoldWhatPoliciesNeed: the audit keeps enough of each run to write a good policy from it.
func TestRunsHoldWhatPoliciesNeed(t *testing.T) {
	for _, name := range Names() {
		p, _ := Get(name)
		for _, claim := range p.runNeeds() {
			if !slices.Contains(p.Run, claim) {
				t.Errorf("data/%s.yaml: run lacks %s, which a policy of this provider may ask for", name, claim)
			}
		}
	}
}

// TestRunIdentity: the claims that come back from a run give every field the text that the token gave it.
func TestRunIdentity(t *testing.T) {
	for _, name := range Names() {
		p, claims := sample(t, name, nil)
		if p.Issuer.Default != "" {
			claims["iss"] = p.Issuer.Default
		}
		back := p.RunIdentity(p.RunClaims(claims))
		for _, claim := range p.Run {
			want, _ := p.Text(claims, claim)
			got, _ := p.Text(back, claim)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, claim, diff)
			}
		}
		for _, f := range p.Fields {
			for _, claim := range f.EqualClaims {
				value, ok := p.Solve(f, back, claim)
				got, _ := p.Text(back, claim)
				if got != "" && (!ok || !p.Equal(f.Equals, back, value, got)) {
					t.Errorf("%s: %s gives %s the value %q", name, claim, f.Name, value)
				}
			}
		}
	}
}

func TestRunIdentityKinds(t *testing.T) {
	p, err := Load([]byte(`name: x
title: X
source: https://ci.example.com
issuer: {default: "https://ci.example.com"}
jti: never
claims:
  s: {kind: string}
  b: {kind: bool}
  n: {kind: number}
  deep: {kind: string, path: [o.io, a/b, c]}
  deeper: {kind: string, path: [o.io, a/b, d]}
  part: {kind: string, path: [s], after: /}
  lone: {kind: string, path: [t], after: /}
required: [s]
publisher: [{name: s, claim: s}]
run: [s, b, n, deep, deeper, part, lone]
sample: {s: a}
`))
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]string{"s": "x/a", "b": "true", "n": "12", "deep": "c", "deeper": "d", "part": "a", "lone": "l"}
	if diff := cmp.Diff(run, p.RunClaims(p.RunIdentity(run))); diff != "" {
		t.Errorf("there and back (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"other": "x"}, p.RunIdentity(map[string]string{"b": "yes", "n": "true", "other": "x"})); diff != "" {
		t.Errorf("texts of another kind (-want +got):\n%s", diff)
	}
}

func TestSolve(t *testing.T) {
	tests := []struct {
		name, provider, field, claim string
		over                         map[string]any
		want                         string
	}{
		{"github", "github", "workflow", "workflow_ref", nil, "release.yml"},
		{"a folder below", "github", "workflow", "workflow_ref", map[string]any{"workflow_ref": "acme/widget/.github/workflows/a@b.yml@refs/tags/v1"}, "a@b.yml"},
		{"another repository's", "github", "workflow", "job_workflow_ref", map[string]any{"job_workflow_ref": "acme/ci/.github/workflows/release.yml@refs/tags/v1"}, ""},
		{"another ref", "github", "workflow", "job_workflow_ref", map[string]any{"job_workflow_ref": "acme/widget/.github/workflows/release.yml@refs/heads/main"}, ""},
		{"absent", "github", "workflow", "job_workflow_ref", map[string]any{"job_workflow_ref": nil}, ""},
		{"no ref", "github", "workflow", "workflow_ref", map[string]any{"ref": nil}, ""},
		{"no template", "github", "ref", "ref", nil, ""},
		{"gitlab without iss", "gitlab", "config", "ci_config_ref_uri", nil, ".gitlab-ci.yml"},
		{"gitlab below a path", "gitlab", "config", "ci_config_ref_uri", map[string]any{"ci_config_ref_uri": "example.com/gitlab/grp/prj//ci/a.yml@refs/tags/v1"}, "ci/a.yml"},
		{"gitlab, another instance", "gitlab", "config", "ci_config_ref_uri", map[string]any{"iss": "https://gitlab.example.com"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, claims := sample(t, test.provider, test.over)
			f, _ := p.Field(test.field)
			got, ok := p.Solve(f, claims, test.claim)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("got %q, %t; want %q", got, ok, test.want)
			}
		})
	}
}

func TestGated(t *testing.T) {
	p, _ := Get("gitlab")
	got := map[Gate][]string{}
	for _, gate := range []Gate{GateEnvironment, GateRef, GateProtectedRef, GateProtectedEnvironment} {
		for _, f := range p.Gated(gate) {
			got[gate] = append(got[gate], f.Name)
		}
	}
	want := map[Gate][]string{
		GateEnvironment: {"environment"}, GateRef: {"ref_path"},
		GateProtectedRef: {"ref_protected"}, GateProtectedEnvironment: {"environment_protected"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// runNeeds are the claims that Run must list, so that a policy can be written, and a decision explained, from the audit
// alone: names and ids of repository and owner, what every policy must have, the files that the run is written in, its gates, its
// trigger and its tag.
func (p *Provider) runNeeds() []string {
	var names []string
	for _, f := range p.Fields {
		if f.Names != "" || f.Stable != "" || f.Gate != "" || f.Replaces != "" || f.Needed {
			names = append(names, f.Claim)
		}
		names = append(names, f.EqualClaims...)
		if f.Equals != nil {
			for _, one := range f.Equals.parts {
				if one.name != "" && one.name != valuePlaceholder && one.name != addressPlaceholder {
					names = append(names, one.name)
				}
			}
		}
	}
	if p.Trigger != nil {
		names = append(names, p.Trigger.Claim)
	}
	if p.Tag != nil {
		names = append(names, p.Tag.Claim)
		for name := range p.Tag.Where {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
