package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/trustpub/trustpub/policies"
)

// drawPolicy writes a policy whose parts are drawn from few values, so that policies often cover each other.
func drawPolicy(t *rapid.T, name string) string {
	var b strings.Builder
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	maybe := func(label, format string, from ...string) {
		if rapid.Bool().Draw(t, label+"?") {
			line(format, pick(label, from...))
		}
	}
	line("  - name: %s", name)
	line("    registry: %s", pick("registry", "r", "[r, s]"))
	line("    packages: %s", pick("packages", "[x]", "[x, y]", `["x*"]`, `["x-*"]`, `["*"]`, `["{claims.repository_name}"]`, `["x-{claims.repository_name}", x]`))
	line("    allow_any_package: true")
	maybe("actions", "    actions: %s", "[publish]", "[read]", "[publish, read]")
	maybe("events", "    events: %s", "[workflow_run]", "[workflow_run, fork]")
	maybe("tag", "    tag: %s", `"v{version}"`, "v1")
	maybe("when", "    when: %s", `claims.actor_id == "1"`, `claims.actor_id in ["1", "2"]`)
	maybe("time", "    %s", "not_before: 2026-01-01", "not_before: 2026-12-01", "not_after: 2026-01-01", "not_after: 2026-12-01",
		"not_before: 2026-01-01\n    not_after: 2026-12-01")
	maybe("new_packages", "    new_packages: %s", "true", "{until: 2026-12-01}", "{until: 2026-01-01}")
	line("    publisher:\n      github:\n        repository_owner_id: %s", pick("owner", `"1"`, `"2"`, `["1", "2"]`))
	line("        repository: %s", pick("repository", "a/x", `"a/*"`, `[a/x, a/y]`))
	maybe("workflow", "        workflow: %s", "r.yml", "[r.yml, c.yml]")
	maybe("job_workflow", "        job_workflow: %s", `"a/x/.github/workflows/r.yml@refs/tags/*"`)
	maybe("environment", "        environment: %s", "release", `"rel*"`, "[release, dev]")
	return b.String()
}

func drawRun(t *rapid.T) (*policies.Identity, policies.Target) {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	repository, file := pick("of", "a/x", "a/y", "a/z"), pick("file", "r.yml", "c.yml")
	ref := repository + "/.github/workflows/" + file + "@refs/tags/v1"
	id := &policies.Identity{Issuer: "github", Provider: "github", Claims: map[string]any{
		"sub": "s", "jti": "j", "repository": repository, "repository_id": "7", "repository_owner": "a", "repository_owner_id": pick("owner id", "1", "2"),
		"event_name": pick("event", "push", "workflow_run", "fork"), "ref": "refs/tags/v1", "ref_type": pick("ref_type", "tag", "branch"), "sha": "0", "run_id": "1",
		"workflow_ref": ref, "job_workflow_ref": ref, "environment": pick("in", "release", "rel", "dev"), "actor_id": pick("actor", "1", "2", "3"),
	}}
	return id, policies.Target{
		Ecosystem: "pypi", Registry: pick("to", "r", "s"), Package: pick("package", "x", "y", "x-y", "x-x", "z"), Version: pick("version", "1", "2"),
		Action: policies.Action(pick("action", "publish", "read")),
	}
}

// What is called shadowed can be left out, and no run is treated otherwise.
func TestPropertyShadowedPoliciesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []string
		for i := range rapid.IntRange(2, 6).Draw(t, "policies") {
			parts = append(parts, drawPolicy(t, fmt.Sprintf("p%d", i)))
		}
		all := "policies:\n" + strings.Join(parts, "")
		var left []string
		for _, f := range Check(map[string]string{"a.yaml": all}, Options{Now: clock}).Findings {
			if f.Code == codeLoad {
				t.Fatalf("%s\n%s", f.Message, all)
			}
			if f.Code == "shadowed" {
				left = append(left, f.Policy)
			}
		}
		if len(left) == 0 {
			return
		}
		less := "policies:\n"
		for i, part := range parts {
			if !slices.Contains(left, fmt.Sprintf("p%d", i)) {
				less += part
			}
		}
		with, without := parse(t, all), parse(t, less)
		for range 8 {
			id, target := drawRun(t)
			a, b := with.Evaluate(id, target), without.Evaluate(id, target)
			if a.Allow != b.Allow || a.Exists != b.Exists || with.Protected(target.Registry, target.Package) != without.Protected(target.Registry, target.Package) {
				t.Fatalf("without %v: got %+v, expected %+v, for %+v and %v\n%s", left, b, a, target, id.Claims, all)
			}
		}
	})
}

func parse(t *rapid.T, text string) *policies.Set {
	set, err := policies.Parse(map[string]string{"a.yaml": text}, policies.Env{AnyRegistry: "pypi", AnyIssuer: true, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// FuzzCheck: whatever a file holds, lint does not panic, a finding has a place in the file, and every format can be written.
func FuzzCheck(f *testing.F) {
	for _, r := range Rules() {
		f.Add(r.Why)
	}
	for _, seed := range []string{
		"", base, base + "# trustpub:ignore any_branch x", "policies: [{name: 'é', registry: r}]\n# trustpub:ignore", with("acme/widget\n", "\"*/ghp_aaaaaaaaaaaaaaaaaaaaaaaaa\"\n"),
		base + "    when: |\n      target.version == \"\"\n", with("[acme-widget]", "\n      - \"*\"") + "    allow_any_package: true\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := Check(map[string]string{"a.yaml": text}, Options{Now: clock, Registries: map[string]string{"r": "pypi"}})
		lines := strings.Split(text, "\n")
		for _, found := range slices.Concat(r.Findings, r.Ignored) {
			if found.Message == "" || found.Help == "" || ruleOf(found.Code) == nil {
				t.Errorf("a finding without a part: %+v", found)
			}
			if found.Line > 0 && (found.Column < 1 || found.EndColumn <= found.Column) || found.Line > len(lines)+strings.Count(text, "\r")+1 {
				t.Errorf("a finding without a place: %+v", found)
			}
		}
		for _, format := range Formats() {
			var b strings.Builder
			if err := r.Write(&b, format); err != nil {
				t.Error(err)
			}
			if utf8.ValidString(text) && !utf8.ValidString(b.String()) {
				t.Errorf("%s is not UTF-8", format)
			}
		}
	})
}
