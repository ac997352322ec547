package policies

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const rankedPolicies = `policies:
  - name: other-owner
    registry: internal-pypi
    packages: [acme-widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "999", environment: prod}}
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222", environment: prod, actor_id: "333"}}
    tag: "v{version}"
  - name: reports
    registry: staging-pypi
    packages: [acme-reports]
    publisher: {gitlab: {project_path: acme/reports, project_id: "4711"}}
`

func verdicts(p RankedPolicy) map[string]string {
	out := map[string]string{}
	for _, c := range p.Checks {
		out[c.Field] = c.Verdict()
	}
	return out
}

func names(r Ranking) []string {
	var list []string
	for _, p := range r.Policies {
		list = append(list, p.Policy)
	}
	return list
}

func TestRank(t *testing.T) {
	set := mustLoad(t, rankedPolicies)
	good := map[string]any{"environment": "prod"}
	versionless := widgetUpload()
	versionless.Version = ""
	other := widgetUpload()
	other.Version = "2"
	known := func(claim string) bool { return claim != "actor_id" }
	cases := []struct {
		name    string
		change  map[string]any
		target  Target
		known   func(string) bool
		outcome Outcome
		field   string
		first   map[string]string
	}{
		{"granted", good, widgetUpload(), nil, OutcomeAllowed, "", map[string]string{"environment": "ok", "tag": "ok"}},
		{"one field", nil, widgetUpload(), nil, OutcomeDenied, "environment", map[string]string{"environment": "differs", "tag": "ok"}},
		{"another version", good, other, nil, OutcomeDenied, "tag", map[string]string{"tag": "differs"}},
		{"no version", good, versionless, nil, OutcomeOpen, "", map[string]string{"tag": "open"}},
		{"no version, and a field", nil, versionless, nil, OutcomeDenied, "environment", map[string]string{"tag": "open", "environment": "differs"}},
		{"no version, no tag", map[string]any{"environment": "prod", "ref_type": "branch"}, versionless, nil, OutcomeDenied, "tag", map[string]string{"tag": "differs"}},
		{"unknown claim", map[string]any{"environment": "prod", "actor_id": nil}, widgetUpload(), known, OutcomeUnknown, "", map[string]string{"actor_id": "unknown"}},
		{"unknown and denied", map[string]any{"actor_id": nil}, widgetUpload(), known, OutcomeDenied, "environment", map[string]string{"actor_id": "unknown", "environment": "differs"}},
		{"absent, and known to be", map[string]any{"environment": "prod", "actor_id": nil}, widgetUpload(), nil, OutcomeDenied, "actor_id", map[string]string{"actor_id": "differs"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := set.Rank(Question{Identity: identity("github", with(githubClaims(), c.change)), Target: c.target, Known: c.known})
			if r.Outcome != c.outcome || r.Decision.Field != c.field || r.Decision.Policy != "widget-release" {
				t.Errorf("got %s, field %q of policy %q, expected %s, %q of widget-release", r.Outcome, r.Decision.Field, r.Decision.Policy, c.outcome, c.field)
			}
			if got := names(r); !slices.Equal(got, []string{"widget-release", "other-owner", "reports"}) {
				t.Errorf("ranked %v", got)
			}
			got := verdicts(r.Policies[0])
			for field, want := range c.first {
				if got[field] != want {
					t.Errorf("%s is %s, expected %s", field, got[field], want)
				}
			}
		})
	}
	one := set.Rank(Question{Identity: identity("github", githubClaims()), Target: widgetUpload(), Limit: 1})
	if len(one.Policies) != 1 || one.Total != 3 {
		t.Errorf("with a limit of one: %d of %d", len(one.Policies), one.Total)
	}
	if none := set.Rank(Question{Target: widgetUpload()}); none.Outcome != OutcomeDenied || len(none.Policies) != 0 {
		t.Errorf("without an identity: %+v", none)
	}
}

// TestPropertyRankAgreesWithEvaluate: a ranking of a whole question decides as the gateway does, for the same reason, and
// names the policy of the decision first.
func TestPropertyRankAgreesWithEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := loadDrawn(t, drawSet(t, rapid.IntRange(1, 6).Draw(t, "policies")))
		id, target := drawRun(t)
		d, r := set.Evaluate(id, target), set.Rank(Question{Identity: id, Target: target})
		if d.Allow != (r.Outcome == OutcomeAllowed) && r.Outcome != OutcomeOpen {
			t.Fatalf("decided %+v, ranked %+v", d, r)
		}
		if r.Outcome == OutcomeOpen && (target.Version != "" || target.Package == "") {
			t.Fatalf("open with everything named: %+v", r)
		}
		if target.Version != "" {
			if diff := cmp.Diff(d, r.Decision); diff != "" {
				t.Fatalf("decision (-evaluated +ranked):\n%s", diff)
			}
		}
		if r.Decision.Policy != "" && d.Allow && r.Policies[0].Policy != r.Decision.Policy {
			t.Fatalf("%s is not the first of %v", r.Decision.Policy, names(r))
		}
		if len(r.Policies) != set.Len() {
			t.Fatalf("%d of %d policies ranked", len(r.Policies), set.Len())
		}
	})
}

// TestTestFilesAreLeftOut: tests lie beside policies, and only a path that names them reads them.
func TestTestFilesAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "widget.yaml"), rankedPolicies)
	for _, name := range []string{"widget_test.yaml", "widget_test.yml", "below/x_test.yaml"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), "tests: []\n")
	}
	for _, path := range []string{dir, filepath.Join(dir, "*.y*ml"), filepath.Join(dir, "w*.yaml")} {
		if set, err := Load([]string{path}, testEnv()); err != nil || set.Len() != 3 {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "widget_test.yaml"), filepath.Join(dir, "*_test.yaml")} {
		if _, err := Load([]string{path}, testEnv()); err == nil {
			t.Errorf("%s loads as policies", path)
		}
	}
}

func BenchmarkRank(b *testing.B) {
	set := mustLoad(b, rankedPolicies)
	q := Question{Identity: identity("github", githubClaims()), Target: widgetUpload()}
	for b.Loop() {
		set.Rank(q)
	}
}
