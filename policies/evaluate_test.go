package policies

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/internal/model"
)

// release is a policy that asks for all that a policy can ask of a GitHub run.
const release = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [Acme_Widget, "acme-widget.*"]
    publisher:
      github:
        repository: acme/widget
        repository_id: "111"
        repository_owner: acme
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
        ref: refs/tags/v*
        ref_protected: "true"
    tag: "v{version}"
    when: claims.actor_id == "333"
    not_after: 2026-12-31
`

const reports = `policies:
  - name: reports-release
    registry: [internal-pypi, staging-pypi]
    packages: acme-reports
    publisher:
      gitlab:
        project_path: acme/reports
        namespace_id: "72"
        config: .gitlab-ci.yml
        ref_protected: "true"
    tag: "v{version}"
`

const build = `policies:
  - name: build-release
    registry: internal-pypi
    packages: [tool]
    publisher:
      oidc:
        subject: "job:acme/*"
        claims: {team: release}
`

func TestEvaluateClaims(t *testing.T) {
	upload := widgetUpload()
	reportsUpload := Target{Ecosystem: "pypi", Registry: "staging-pypi", Package: "acme-reports", Version: "2.1", Action: ActionPublish}
	tool := Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "tool", Version: "1", Action: ActionPublish}
	buildClaims := map[string]any{"iss": "https://build.example.com", "sub": "job:acme/tool", "team": "release"}
	const other = "acme/widget/.github/workflows/ci.yml@refs/tags/v1.0.0"
	for _, tc := range []struct {
		name    string
		policy  string
		issuer  string
		claims  map[string]any
		target  Target
		changes map[string]any
		want    Decision
	}{
		{"all as it should be", release, "github", githubClaims(), upload, nil, allowed("widget-release")},
		{"another issuer with the same claims", release, "ghes", githubClaims(), upload, nil, differ("issuer", "ghes", "github", untold)},
		{"another repository", release, "github", githubClaims(), upload, map[string]any{"repository": "acme/other"}, differ("repository", "acme/other", "acme/widget", told)},
		{"a repository that differs in case", release, "github", githubClaims(), upload, map[string]any{"repository": "Acme/widget"}, differ("repository", "Acme/widget", "acme/widget", told)},
		{"a name taken over by another repository", release, "github", githubClaims(), upload, map[string]any{"repository_id": "999"}, differ("repository_id", "999", "111", told)},
		{"a name taken over by another owner", release, "github", githubClaims(), upload, map[string]any{"repository_owner_id": "999"}, differ("repository_owner_id", "999", "222", untold)},
		{"id as a number", release, "github", githubClaims(), upload, map[string]any{"repository_owner_id": json.Number("222")}, differ("repository_owner_id", "a value of another type", "222", untold)},
		{"no id", release, "github", githubClaims(), upload, map[string]any{"repository_owner_id": nil}, differ("repository_owner_id", "", "222", untold)},
		{"another owner's name", release, "github", githubClaims(), upload, map[string]any{"repository_owner": "acme2"}, differ("repository_owner", "acme2", "acme", told)},
		{"another workflow", release, "github", githubClaims(), upload, map[string]any{"workflow_ref": other, "job_workflow_ref": other}, differ("workflow", other, "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0", told)},
		{"the workflow of another ref", release, "github", githubClaims(), upload, map[string]any{"workflow_ref": "acme/widget/.github/workflows/release.yml@refs/heads/x"}, differ("workflow", "acme/widget/.github/workflows/release.yml@refs/heads/x", "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0", told)},
		{"the workflow of another repository", release, "github", githubClaims(), upload, map[string]any{"workflow_ref": "evil/widget/.github/workflows/release.yml@refs/tags/v1.0.0"}, differ("workflow", "evil/widget/.github/workflows/release.yml@refs/tags/v1.0.0", "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0", told)},
		{"a job written elsewhere", release, "github", githubClaims(), upload, map[string]any{"job_workflow_ref": "acme/ci/.github/workflows/publish.yml@refs/heads/main"}, differ("job_workflow_ref", "acme/ci/.github/workflows/publish.yml@refs/heads/main", "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0", told)},
		{"no workflow", release, "github", githubClaims(), upload, map[string]any{"workflow_ref": nil}, differ("workflow", "", "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0", told)},
		{"no environment", release, "github", githubClaims(), upload, map[string]any{"environment": nil}, differ("environment", "", "release", told)},
		{"empty environment", release, "github", githubClaims(), upload, map[string]any{"environment": ""}, differ("environment", "", "release", told)},
		{"null environment", release, "github", githubClaims(), upload, map[string]any{"environment": any(nil)}, differ("environment", "", "release", told)},
		{"another environment", release, "github", githubClaims(), upload, map[string]any{"environment": "Release"}, differ("environment", "Release", "release", told)},
		{"environment in a list", release, "github", githubClaims(), upload, map[string]any{"environment": []any{"release"}}, differ("environment", "a value of another type", "release", told)},
		{"unprotected", release, "github", githubClaims(), upload, map[string]any{"ref_protected": "false"}, differ("ref_protected", "false", "true", told)},
		{"protected as a boolean", release, "github", githubClaims(), upload, map[string]any{"ref_protected": true}, differ("ref_protected", "a value of another type", "true", told)},
		{"a pull request", release, "github", githubClaims(), upload, map[string]any{"event_name": "pull_request_target"}, differ("event_name", "pull_request_target", "one of push, release, workflow_dispatch, schedule", told)},
		{"no event", release, "github", githubClaims(), upload, map[string]any{"event_name": nil}, differ("event_name", "", "one of push, release, workflow_dispatch, schedule", told)},
		{"a branch with a tag's name", release, "github", githubClaims(), upload, map[string]any{"ref_type": "branch"}, differ("tag", "", "v1 or an equal version", told)},
		{"another actor", release, "github", githubClaims(), upload, map[string]any{"actor_id": "334"}, differ("when", "false", `claims.actor_id == "333"`, told)},
		{"no actor", release, "github", githubClaims(), upload, map[string]any{"actor_id": nil}, differ("when", "no such key: actor_id", `claims.actor_id == "333"`, told)},

		{"gitlab", reports, "gitlab", gitlabClaims(), reportsUpload, nil, allowed("reports-release")},
		{"gitlab: another project", reports, "gitlab", gitlabClaims(), reportsUpload, map[string]any{"project_path": "acme/evil"}, differ("project_path", "acme/evil", "acme/reports", told)},
		{"gitlab: a name taken over", reports, "gitlab", gitlabClaims(), reportsUpload, map[string]any{"namespace_id": "73"}, differ("namespace_id", "73", "72", untold)},
		{"gitlab: another file", reports, "gitlab", gitlabClaims(), reportsUpload, map[string]any{"ci_config_ref_uri": "gitlab.example.com/acme/reports//evil.yml@refs/tags/v2.1"}, differ("config", "gitlab.example.com/acme/reports//evil.yml@refs/tags/v2.1", "gitlab.example.com/acme/reports//.gitlab-ci.yml@refs/tags/v2.1", told)},
		{"gitlab: a merge request", reports, "gitlab", gitlabClaims(), reportsUpload, map[string]any{"pipeline_source": "merge_request_event"}, differ("pipeline_source", "merge_request_event", "one of push, web, schedule", told)},
		{"gitlab: a branch", reports, "gitlab", gitlabClaims(), reportsUpload, map[string]any{"ref_type": "branch"}, differ("tag", "", "v2.1 or an equal version", told)},

		{"oidc", build, "build", buildClaims, tool, nil, allowed("build-release")},
		{"oidc: across a separator", build, "build", buildClaims, tool, map[string]any{"sub": "job:acme/tool/deep"}, differ("subject", "job:acme/tool/deep", "job:acme/*", untold)},
		{"oidc: unanchored", build, "build", buildClaims, tool, map[string]any{"sub": "x:job:acme/tool"}, differ("subject", "x:job:acme/tool", "job:acme/*", untold)},
		{"oidc: another claim", build, "build", buildClaims, tool, map[string]any{"team": "dev"}, differ("claims.team", "dev", "release", untold)},
		{"oidc: no claim", build, "build", buildClaims, tool, map[string]any{"team": nil}, differ("claims.team", "", "release", untold)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := mustLoad(t, tc.policy)
			got := set.Evaluate(identity(tc.issuer, with(tc.claims, tc.changes)), tc.target)
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Decision{}, "Hint")); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if got.Allow == (got.Hint != "") {
				t.Errorf("allow is %v and the hint %q", got.Allow, got.Hint)
			}
		})
	}
}

const told, untold = true, false

func allowed(policy string) Decision { return Decision{Allow: true, Policy: policy} }

// differ is a denial by the only policy there is, whose name the comparison leaves to the test below.
func differ(field, got, want string, reveal bool) Decision {
	policy := "widget-release"
	switch {
	case strings.HasPrefix(want, "job:") || strings.HasPrefix(field, "claims."):
		policy = "build-release"
	case strings.Contains(want, "gitlab") || strings.Contains(want, "reports") || want == "72" || strings.Contains(want, "web") || strings.HasPrefix(want, "v2.1"):
		policy = "reports-release"
	}
	return Decision{Code: model.CodeNoMatchingPolicy, Policy: policy, Field: field, Got: got, Want: want, Reveal: reveal}
}

func TestEvaluateTargets(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Target)
		want   Decision
	}{
		{"the package by its name", func(*Target) {}, allowed("widget-release")},
		{"the package by its pattern", func(g *Target) { g.Package = "acme-widget-extra" }, Decision{Allow: true, Policy: "widget-release", Exists: true}},
		{"reading by its pattern", func(g *Target) { g.Package, g.Action = "acme-widget-extra", ActionRead }, allowed("widget-release")},
		{"another package", func(g *Target) { g.Package = "acme-other" }, differ("package", "acme-other", "one of acme-widget, acme-widget-*", told)},
		{"a package that only begins like it", func(g *Target) { g.Package = "acme-widgets" }, differ("package", "acme-widgets", "one of acme-widget, acme-widget-*", told)},
		{"a spelling that is not canonical", func(g *Target) { g.Package = "Acme_Widget" }, differ("package", "Acme_Widget", "one of acme-widget, acme-widget-*", told)},
		{"a look-alike", func(g *Target) { g.Package = "\u0430cme-widget" }, differ("package", "\u0430cme-widget", "one of acme-widget, acme-widget-*", told)},
		{"another registry", func(g *Target) { g.Registry = "staging-pypi" }, differ("registry", "staging-pypi", "internal-pypi", told)},
		{"an unknown registry", func(g *Target) { g.Registry = "x" }, differ("registry", "x", "internal-pypi", told)},
		{"another version than the tag's", func(g *Target) { g.Version = "1.0.1" }, differ("tag", "v1.0.0", "v1.0.1 or an equal version", told)},
		{"no version", func(g *Target) { g.Version = "" }, differ("tag", "v1.0.0", "v{version}", told)},
		{"reading", func(g *Target) { g.Action, g.Version = ActionRead, "" }, allowed("widget-release")},
		{"overwriting", func(g *Target) { g.Action = ActionOverwrite }, differ("action", "overwrite", "publish", told)},
		{"deleting", func(g *Target) { g.Action = ActionDelete }, differ("action", "delete", "publish", told)},
		{"no action", func(g *Target) { g.Action = "" }, differ("action", "", "publish", told)},
		{"exchange", func(g *Target) { g.Package, g.Version = "", "" }, allowed("widget-release")},
		{"exchange without an action", func(g *Target) { g.Package, g.Version, g.Action = "", "", "" }, allowed("widget-release")},
		{"exchange for another action", func(g *Target) { g.Package, g.Version, g.Action = "", "", ActionYank }, differ("action", "yank", "publish", told)},
		{"exchange for another registry", func(g *Target) { g.Registry, g.Package, g.Version = "staging-pypi", "", "" }, differ("registry", "staging-pypi", "internal-pypi", told)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := mustLoad(t, release)
			target := widgetUpload()
			tc.change(&target)
			got := set.Evaluate(identity("github", githubClaims()), target)
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Decision{}, "Hint")); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvaluateNobody(t *testing.T) {
	set := mustLoad(t, release)
	if d := set.Evaluate(nil, widgetUpload()); d.Allow || d.Policy != "" {
		t.Errorf("without an identity: %+v", d)
	}
	d := set.Evaluate(identity("gitlab", gitlabClaims()), Target{Registry: "internal-pypi", Package: "unknown", Action: ActionPublish})
	want := Decision{Code: model.CodeNoMatchingPolicy, Field: "package", Got: "unknown", Hint: model.CodeNoMatchingPolicy.Info().Hint}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("a package of nobody (-want +got):\n%s", diff)
	}
}

func TestHintsOfOthersAreHidden(t *testing.T) {
	set := mustLoad(t, release)
	stranger := with(githubClaims(), map[string]any{"repository_owner_id": "999", "repository": "evil/widget", "event_name": "pull_request"})
	d := set.Evaluate(identity("github", stranger), widgetUpload())
	if d.Reveal || d.Hint != model.CodeNoMatchingPolicy.Info().Hint {
		t.Errorf("a stranger is told %+v", d)
	}
}

func TestEvaluateFields(t *testing.T) {
	policy := func(publisher string, rest ...string) string {
		return lines(append([]string{"policies:", "  - name: p", "    registry: internal-pypi", "    packages: [x]", "    publisher:", "      " + publisher}, rest...)...)
	}
	const reusable = "acme/ci/.github/workflows/publish.yml@refs/tags/v3"
	for _, tc := range []struct {
		name    string
		policy  string
		changes map[string]any
		want    bool
	}{
		{"repository id alone", policy(`github: {repository_id: "111"}`), nil, true},
		{"repository and its id, renamed", policy(`github: {repository: acme/gadget, repository_id: "111"}`), nil, false},
		{"any repository of an owner", policy(`github: {repository: "acme/*", repository_owner_id: "222"}`), nil, true},
		{"any repository of another owner", policy(`github: {repository: "acme/*", repository_owner_id: "223"}`), nil, false},
		{"owner id alone, on purpose", policy(`github: {repository_owner_id: "222"}`, "    allow_unpinned: true"), nil, true},
		{"names alone, on purpose", policy(`github: {repository: acme/widget}`, "    allow_unpinned: true"), nil, true},
		{"names with a pattern, on purpose", policy(`github: {repository: "acme/*"}`, "    allow_unpinned: true"), nil, true},
		{"names with another pattern", policy(`github: {repository: "evil/*"}`, "    allow_unpinned: true"), nil, false},
		{"a pattern that would have to cross a separator", policy(`github: {repository_id: "111", ref: "refs/*"}`), nil, false},
		{"a pattern with separators", policy(`github: {repository_id: "111", ref: "refs/*/v*"}`), nil, true},
		{"an added event", policy(`github: {repository_id: "111"}`, "    events: [workflow_run]"), map[string]any{"event_name": "workflow_run"}, true},
		{"an event beside an added one", policy(`github: {repository_id: "111"}`, "    events: [workflow_run]"), nil, true},
		{"an event that is not added", policy(`github: {repository_id: "111"}`, "    events: [workflow_run]"), map[string]any{"event_name": "pull_request"}, false},
		{"a reusable workflow", policy(`github: {repository_id: "111", workflow: release.yml, job_workflow: "` + reusable + `"}`), map[string]any{"job_workflow_ref": reusable}, true},
		{"another reusable workflow", policy(`github: {repository_id: "111", workflow: release.yml, job_workflow: "` + reusable + `"}`), map[string]any{"job_workflow_ref": "acme/ci/.github/workflows/publish.yml@refs/heads/x"}, false},
		{"a reusable workflow called from elsewhere", policy(`github: {repository_id: "111", workflow: release.yml, job_workflow: "` + reusable + `"}`), map[string]any{"job_workflow_ref": reusable, "workflow_ref": "acme/widget/.github/workflows/ci.yml@refs/tags/v1.0.0"}, false},
		{"a tag without a version", policy(`github: {repository_id: "111"}`, "    tag: v1.0.0"), nil, true},
		{"another tag without a version", policy(`github: {repository_id: "111"}`, "    tag: v1"), nil, false},
		{"a tag around the version", policy(`github: {repository_id: "111"}`, "    tag: rel-{version}-final"), map[string]any{"ref": "refs/tags/rel-1.0-final"}, true},
		{"a tag that is no version", policy(`github: {repository_id: "111"}`, "    tag: v{version}"), map[string]any{"ref": "refs/tags/vlatest"}, false},
		{"a tag without its version", policy(`github: {repository_id: "111"}`, "    tag: v{version}"), map[string]any{"ref": "refs/tags/v"}, false},
		{"before its first day", policy(`github: {repository_id: "111"}`, "    not_before: 2026-06-02"), nil, false},
		{"on its first day", policy(`github: {repository_id: "111"}`, "    not_before: 2026-06-01"), nil, true},
		{"at its first moment", policy(`github: {repository_id: "111"}`, "    not_before: 2026-06-01T12:00:00Z"), nil, true},
		{"before its first moment", policy(`github: {repository_id: "111"}`, "    not_before: 2026-06-01T14:00:01+02:00"), nil, false},
		{"one of two repositories", policy(`github: {repository: [acme/gadget, acme/widget], repository_owner_id: "222"}`), nil, true},
		{"none of two repositories", policy(`github: {repository: [acme/gadget, acme/gizmo], repository_owner_id: "222"}`), nil, false},
		{"one of two ids", policy(`github: {repository_id: ["110", "111"]}`), nil, true},
		{"a name or a pattern", policy(`github: {repository: [evil/x, "acme/*"], repository_owner_id: "222"}`), nil, true},
		{"two patterns that begin alike", policy(`github: {repository: ["acme/a*", "acme/w*"], repository_owner_id: "222"}`), nil, true},
		{"one of two workflows", policy(`github: {repository_id: "111", workflow: [ci.yml, release.yml]}`), nil, true},
		{"none of two workflows", policy(`github: {repository_id: "111", workflow: [ci.yml, test.yml]}`), nil, false},
		{"two workflows that differ between run and job", policy(`github: {repository_id: "111", workflow: [ci.yml, release.yml]}`), map[string]any{"job_workflow_ref": "acme/widget/.github/workflows/ci.yml@refs/tags/v1.0.0"}, false},
		{"one of two environments", policy(`github: {repository_id: "111", environment: [prod, "rel*"]}`), nil, true},
		{"lists, and a claim that is absent", policy(`github: {repository_id: "111", environment: [prod, release]}`), map[string]any{"environment": nil}, false},
		{"lists, and a claim that is empty", policy(`github: {repository_id: "111", environment: [prod, "*"]}`), map[string]any{"environment": ""}, false},
		{"the tag of a package", policy(`github: {repository_id: "111"}`, "    tag: '{package}-v{version}'"), map[string]any{"ref": "refs/tags/X-v1.0"}, true},
		{"the tag of another package", policy(`github: {repository_id: "111"}`, "    tag: '{package}-v{version}'"), map[string]any{"ref": "refs/tags/y-v1.0"}, false},
		{"a tag that splits in two ways", policy(`github: {repository_id: "111"}`, "    tag: '{version}-{package}'"), map[string]any{"ref": "refs/tags/1-0-x"}, false},
		{"a tag that splits in one of two ways", policy(`github: {repository_id: "111"}`, "    tag: '{version}-{package}'"), map[string]any{"ref": "refs/tags/1.0-x"}, true},
		{"a tag that is too long", policy(`github: {repository_id: "111"}`, "    tag: '{package}-v{version}'"), map[string]any{"ref": "refs/tags/x-v1." + strings.Repeat("0", 600)}, false},
		{"not expired on its last day", policy(`github: {repository_id: "111"}`, "    not_after: 2026-06-01"), nil, true},
		{"expired", policy(`github: {repository_id: "111"}`, "    not_after: 2026-05-31"), nil, false},
		{"expired at a moment", policy(`github: {repository_id: "111"}`, "    not_after: 2026-06-01T12:00:00Z"), nil, false},
		{"a moment before", policy(`github: {repository_id: "111"}`, "    not_after: 2026-06-01T12:00:01Z"), nil, true},
		{"when with the target", policy(`github: {repository_id: "111"}`, `    when: target.package == "x" && target.version == "1" && target.registry == "internal-pypi" && target.action == "publish"`), nil, true},
		{"when with the time", policy(`github: {repository_id: "111"}`, `    when: request.time < timestamp("2026-06-01T12:00:01Z")`), nil, true},
		{"when with a number", policy(`github: {repository_id: "111"}`, `    when: claims.attempt < 3`), map[string]any{"attempt": json.Number("2")}, true},
		{"when with a fraction", policy(`github: {repository_id: "111"}`, `    when: claims.attempt < 3.0`), map[string]any{"attempt": json.Number("2.5")}, true},
		{"when with a list", policy(`github: {repository_id: "111"}`, `    when: '"a" in claims.groups'`), map[string]any{"groups": []any{"b", "a"}}, true},
		{"when with an object", policy(`github: {repository_id: "111"}`, `    when: claims.pod.name == "p"`), map[string]any{"pod": map[string]any{"name": "p"}}, true},
		{"when with a claim that is absent", policy(`github: {repository_id: "111"}`, `    when: claims.nothing != "x"`), nil, false},
		{"when that costs too much", policy(`github: {repository_id: "111"}`, `    when: claims.groups.all(x, x == "a")`), map[string]any{"groups": many(20_000)}, false},
		{"another policy that matches", policy(`github: {repository_id: "1"}`) + strings.TrimPrefix(strings.Replace(policy(`github: {repository_id: "111"}`), "name: p", "name: q", 1), "policies:\n"), nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := mustLoad(t, tc.policy)
			target := widgetUpload()
			target.Package = "x"
			d := set.Evaluate(identity("github", with(githubClaims(), tc.changes)), target)
			if d.Allow != tc.want {
				t.Errorf("got %+v, expected allow %v", d, tc.want)
			}
		})
	}
}

func many(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = "a"
	}
	return out
}

// TestExchangeLeavesOpen: what an exchange does not name is judged at the upload; what it names is judged at once.
func TestExchangeLeavesOpen(t *testing.T) {
	text := func(rule string) string {
		return lines("policies:", "  - name: p", "    registry: internal-pypi", "    packages: [x]", "    publisher:", `      github: {repository_id: "111"}`, "    "+rule)
	}
	nameless := Target{Registry: "internal-pypi", Action: ActionPublish, Versionless: true}
	named := nameless
	named.Package = "x"
	upload := named
	upload.Versionless = false
	for _, tc := range []struct {
		rule                    string
		nameless, named, upload bool
	}{
		{`when: target.package == "y"`, true, false, false},
		{`when: target.package == "x"`, true, true, true},
		{`when: target.version == "2"`, true, true, false},
		{`when: target.package == "x" && target.version == "2"`, true, true, false},
		{`when: claims.actor_id == "1" && target.version == "2"`, true, true, false},
		{`when: claims.actor_id == "1"`, false, false, false},
		{`when: claims.actor_id == "333"`, true, true, true},
		{`tag: v{version}`, true, true, false},
		{`tag: "{package}-v{version}"`, false, false, false}, // the run's tag is v1.0.0
		{`tag: "v{package}"`, true, false, false},
		{`tag: v1.0.0`, true, true, true},
		{`tag: v2.0.0`, false, false, false},
	} {
		set := mustLoad(t, text(tc.rule))
		for _, q := range []struct {
			name   string
			target Target
			want   bool
		}{{"an exchange", nameless, tc.nameless}, {"an exchange for x", named, tc.named}, {"an upload without a version", upload, tc.upload}} {
			if d := set.Evaluate(identity("github", githubClaims()), q.target); d.Allow != q.want {
				t.Errorf("%s, %s: got %+v, expected allow %v", tc.rule, q.name, d, q.want)
			}
		}
	}
}

func TestNearestPolicy(t *testing.T) {
	set := mustLoad(t, release+strings.TrimPrefix(strings.NewReplacer("widget-release", "gadget-release", "Acme_Widget", "gadget",
		`"acme-widget.*"`, `"gadget-*"`, "acme/widget", "acme/gadget", `"111"`, `"112"`, "claims.actor_id", "claims.run_id").Replace(release), "policies:\n"))
	for _, tc := range []struct {
		name    string
		changes map[string]any
		pkg     string
		want    string
	}{
		{"one field of the package's policy", map[string]any{"environment": "dev"}, "acme-widget", "widget-release environment"},
		{"one field of the publisher's policy", nil, "gadget", "widget-release package"},
		{"more of the one than of the other", map[string]any{"environment": "dev", "event_name": "pull_request"}, "gadget", "widget-release environment"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := widgetUpload()
			target.Package = tc.pkg
			d := set.Evaluate(identity("github", with(githubClaims(), tc.changes)), target)
			if got := d.Policy + " " + d.Field; got != tc.want {
				t.Errorf("nearest is %q, expected %q", got, tc.want)
			}
		})
	}
}

func TestProtected(t *testing.T) {
	env := testEnv()
	env.Issuers = append(env.Issuers, Issuer{Name: "old", Provider: "gitlab", Disabled: true})
	set, err := loadText(t, strings.Replace(release, "2026-12-31", "2020-01-01", 1)+`  - name: open
    registry: internal-pypi
    packages: [shared, "shared-*"]
    publisher: {github: {repository_id: "5"}}
    exclusive: false
  - name: disabled
    registry: internal-pypi
    packages: [legacy]
    issuer: old
    publisher: {gitlab: {project_id: "5"}}
`, env)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, registry, pkg string
		want                bool
	}{
		{"an expired policy claims", "internal-pypi", "acme-widget", true},
		{"by its pattern", "internal-pypi", "acme-widget-x", true},
		{"in any spelling", "internal-pypi", "ACME.Widget", true},
		{"a disabled issuer's policy claims", "internal-pypi", "legacy", true},
		{"one that is not exclusive does not", "internal-pypi", "shared", false},
		{"nor by its pattern", "internal-pypi", "shared-x", false},
		{"a package of nobody", "internal-pypi", "other", false},
		{"another registry", "staging-pypi", "acme-widget", false},
		{"a name that is none", "internal-pypi", "acme widget", true},
		{"a registry that is none", "x", "acme-widget", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := set.Protected(tc.registry, tc.pkg); got != tc.want {
				t.Errorf("Protected(%q, %q) is %v, expected %v", tc.registry, tc.pkg, got, tc.want)
			}
		})
	}
	d := set.Evaluate(identity("old", with(gitlabClaims(), map[string]any{"project_id": "5"})), Target{Registry: "internal-pypi", Package: "legacy", Action: ActionPublish})
	if d.Allow || d.Field != "issuer" {
		t.Errorf("a disabled issuer's policy: %+v, expected a denial for the issuer", d)
	}
}

func TestAnyPackage(t *testing.T) {
	set := mustLoad(t, lines("policies:", "  - name: p", "    registry: internal-pypi", `    packages: ["*"]`, "    allow_any_package: true", "    publisher:", `      github: {repository_id: "111"}`))
	target := widgetUpload()
	target.Package = "whatever"
	if d := set.Evaluate(identity("github", githubClaims()), target); !d.Allow {
		t.Errorf("got %+v", d)
	}
	if !set.Protected("internal-pypi", "whatever") {
		t.Error("not protected")
	}
}

// A publisher with more policies than fit a small bucket is found by package, by pattern and, at an exchange, by its
// conditions.
func TestLargeBucket(t *testing.T) {
	var b strings.Builder
	b.WriteString("policies:\n")
	for i := range 50 {
		name := "p" + strings.Repeat("x", i)
		b.WriteString(lines("  - name: "+name, "    registry: internal-pypi", "    packages: ["+name+", \""+name+"-*\"]", "    publisher:", `      github: {repository_id: "111"}`))
	}
	b.WriteString(lines("  - name: special", "    registry: internal-pypi", "    packages: [special]", "    publisher:", `      github: {repository_id: "111", environment: special}`))
	set := mustLoad(t, b.String())
	for pkg, want := range map[string]string{"pxx": "pxx", "pxx-y": "pxx", "p": "p", "special": "", "pz": "", "": "p"} {
		target := Target{Registry: "internal-pypi", Package: pkg, Version: "1", Action: ActionPublish}
		if pkg == "" {
			target.Version = ""
		}
		d := set.Evaluate(identity("github", githubClaims()), target)
		if d.Allow != (want != "") || d.Allow && d.Policy != want {
			t.Errorf("package %q: got %+v, expected policy %q", pkg, d, want)
		}
	}
	d := set.Evaluate(identity("github", with(githubClaims(), map[string]any{"environment": "special", "event_name": "fork"})), Target{Registry: "internal-pypi"})
	if d.Allow || d.Field != "event_name" {
		t.Errorf("exchange of a fork: %+v", d)
	}
}

func TestExplainAgreesWithDenial(t *testing.T) {
	set := mustLoad(t, release)
	id := identity("github", with(githubClaims(), map[string]any{"environment": "dev"}))
	e := set.Explain(id, widgetUpload())
	var first *Check
	for i, c := range e.Policies[0].Checks {
		if !c.OK && !c.Open {
			first = &e.Policies[0].Checks[i]
			break
		}
	}
	if first == nil || first.Field != e.Decision.Field || first.Got != e.Decision.Got || first.Want != e.Decision.Want {
		t.Errorf("the first check that differs is %+v, the decision %+v", first, e.Decision)
	}
	want := lines("denied: no_matching_policy", "", "policy widget-release (F:2) does not grant",
		`  ok      issuer is "github"`,
		`  ok      repository is "acme/widget"`,
		`  ok      repository_id is "111"`,
		`  ok      repository_owner is "acme"`,
		`  ok      repository_owner_id is "222"`,
		`  ok      workflow is "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0"`,
		`  differs environment is "dev", expected release`,
		`  ok      ref is "refs/tags/v1.0.0"`,
		`  ok      ref_protected is "true"`,
		`  ok      registry is "internal-pypi"`,
		`  ok      package is "acme-widget"`,
		`  ok      action is "publish"`,
		`  ok      event_name is "push"`,
		`  ok      tag is "v1.0.0"`,
		`  ok      not_after is "2026-06-01T12:00:00Z"`,
		`  ok      new_packages is "allowed"`,
		`  ok      when is "true"`)
	if diff := cmp.Diff(want, strings.ReplaceAll(e.String(), e.Policies[0].File, "F")); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
	if granted := set.Explain(identity("github", githubClaims()), Target{Registry: "internal-pypi"}).String(); !strings.HasPrefix(granted, "allowed by policy widget-release\n") || !strings.Contains(granted, "open    tag is decided at the upload, expected v{version}\n") {
		t.Errorf("explanation of an exchange:\n%s", granted)
	}
}
