package grants

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trustpub/trustpub/policies"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func testEnv() policies.Env {
	return policies.Env{
		Registries: map[string]string{"one": "pypi", "two": "pypi"},
		Issuers:    []policies.Issuer{{Name: "github", Provider: "github"}, {Name: "ghes", Provider: "github"}, {Name: "off", Provider: "github", Disabled: true}},
		Now:        func() time.Time { return noon },
	}
}

func load(t interface{ Fatalf(string, ...any) }, text string) *policies.Set {
	set, err := policies.Parse(map[string]string{"p.yaml": text}, testEnv())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return set
}

// draw writes a set whose parts come from few values, so that sets and runs often meet.
func draw(t *rapid.T, label string) string {
	var b strings.Builder
	n := rapid.IntRange(0, 3).Draw(t, label)
	if n == 0 {
		return "policies: []\n"
	}
	b.WriteString("policies:\n")
	pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	maybe := func(format string, from ...string) {
		if rapid.IntRange(0, 3).Draw(t, "maybe") == 0 {
			fmt.Fprintf(&b, format, pick("optional", from...))
		}
	}
	for i := range n {
		fmt.Fprintf(&b, "  - name: p%d\n    issuer: %s\n    registry: %s\n", i, pick("issuer", "github", "github", "ghes", "off"), pick("registry", "one", "one", "two", "[one, two]"))
		fmt.Fprintf(&b, "    packages: %s\n    allow_any_package: true\n", pick("packages", "[x]", "[x, y]", `["x*"]`, `["x-*"]`, `["*-z"]`, `["*"]`, `["{claims.repository_name}"]`, `["x-{claims.repository_name}"]`))
		maybe("    actions: %s\n", "[read]", "[publish, read]")
		maybe("    tag: %s\n", "v{version}", "v1", "'{package}-{version}'")
		maybe("    when: %s\n", `claims.actor_id == "1"`, "target.version == '1'")
		maybe("    events: %s\n", "[pull_request]")
		maybe("    new_packages: %s\n", "true", "{until: 2026-06-01}", "{until: 2026-05-31}", "{until: 2026-07-01}")
		maybe("    not_before: %s\n", "2026-06-01", "2026-06-02")
		maybe("    not_after: %s\n", "2026-06-30", "2026-07-05")
		maybe("    exclusive: %s\n", "false")
		fmt.Fprintf(&b, "    publisher:\n      github:\n        repository_owner_id: %s\n        repository: %s\n",
			pick("owner", `"1"`, `["1", "2"]`), pick("repository", "a/x", "[a/x, a/y]", `"a/*"`, `"a/x*"`))
		maybe("        workflow: %s\n", "ci.yml", "release.yml", "[ci.yml, release.yml]")
		maybe("        job_workflow: %s\n", `"a/x/.github/workflows/*.yml@refs/tags/v1"`, "a/x/.github/workflows/ci.yml@refs/tags/v1")
		maybe("        environment: %s\n", "prod", `"pr*"`, `"p*d"`, "[prod, dev]")
	}
	return b.String()
}

// question is a run and a target out of the values that policies are drawn from.
func question(r *rand.Rand) (*policies.Identity, policies.Target) {
	pick := func(_ string, from ...string) string { return from[r.IntN(len(from))] }
	repository := pick("repo", "a/x", "a/y", "a/x-z")
	file := func() string {
		return repository + "/.github/workflows/" + pick("file", "ci.yml", "release.yml") + "@refs/tags/v1"
	}
	claims := map[string]any{
		"repository": repository, "repository_owner_id": pick("owner id", "1", "2"), "environment": pick("env", "prod", "dev", "pd", ""),
		"event_name": pick("event", "push", "push", "pull_request"), "ref": "refs/tags/" + pick("tag", "v1", "x-1"), "ref_type": "tag", "actor_id": pick("actor", "1", "2"),
		"workflow_ref": file(), "job_workflow_ref": file(),
	}
	return &policies.Identity{Issuer: pick("of", "github", "github", "ghes", "off"), Provider: "github", Claims: claims}, policies.Target{
		Ecosystem: "pypi", Registry: pick("to", "one", "two"), Package: pick("package", "x", "y", "x-z", "x-y", "x-x", "z", ""),
		Version: pick("version", "1", "2"), Action: policies.Action(pick("action", "publish", "read")),
	}
}

// level orders decisions by what they let through.
func level(d policies.Decision) int {
	switch {
	case !d.Allow:
		return 0
	case d.Exists:
		return 1
	}
	return 2
}

// without is the set without one of its lines; where it does not load so, another set.
func without(t *rapid.T, text string) string {
	lines := strings.SplitAfter(text, "\n")
	at := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
	less := strings.Join(lines[:at], "") + strings.Join(lines[at+1:], "")
	if _, err := policies.Parse(map[string]string{"p.yaml": less}, testEnv()); err != nil {
		return draw(t, "another set")
	}
	return less
}

// TestPropertyNothingWidens: where the report says that nothing widens, no question is answered more freely than before.
func TestPropertyNothingWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Most changes are small: one line less, or one more.
		old := draw(t, "set")
		next := without(t, old)
		if rapid.Bool().Draw(t, "other way") {
			old, next = next, old
		}
		before, after := load(t, old), load(t, next)
		if r := Diff(before, after); r.Widening {
			return
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "questions"), 1))
		for range 1500 {
			id, target := question(r)
			was, is := before.Evaluate(id, target), after.Evaluate(id, target)
			if level(is) > level(was) {
				t.Fatalf("said that nothing widens, but %+v of %v was %+v and is %+v\nold:\n%s\nnew:\n%s", target, id.Claims, was, is, old, next)
			}
			if target.Package != "" && before.Protected(target.Registry, target.Package) && !after.Protected(target.Registry, target.Package) {
				t.Fatalf("said that nothing widens, but %s/%s is no longer protected\nold:\n%s\nnew:\n%s", target.Registry, target.Package, old, next)
			}
		}
	})
}

// TestPropertySameSet: a set differs from itself in nothing, in whatever order its policies stand.
func TestPropertySameSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := draw(t, "set")
		if r := Diff(load(t, text), load(t, text)); r.Widening || len(r.Changes) > 0 {
			t.Fatalf("differs from itself: %+v\n%s", r, text)
		}
	})
}
