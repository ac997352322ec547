package policies

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// writing is a policy file in the making: what rapid draws is written as a person would write it.
type writing struct{ b strings.Builder }

// drawPolicy adds a policy whose parts are drawn from few values, so that policies and runs often meet.
func (w *writing) drawPolicy(t *rapid.T, name string) {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	line := func(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }
	line("  - name: %s", name)
	line("    registry: %s", pick("registry", "internal-pypi", "staging-pypi", "[internal-pypi, staging-pypi]"))
	gitlab := rapid.Bool().Draw(t, "gitlab")
	template := "{claims.repository_name}"
	if gitlab {
		template = "{claims.project_name}"
	}
	line("    packages: %s", pick("packages", "[x]", "[y]", "[x, y]", `["x*"]`, `["x-*", y]`, `["*"]`, `["`+template+`"]`, `["x-`+template+`", y]`))
	if rapid.Bool().Draw(t, "new") {
		line("    new_packages: %s", pick("new_packages", "true", "false", "{until: 2026-06-01}", "{until: 2026-05-31}"))
	}
	if rapid.Bool().Draw(t, "timed") {
		line("    %s", pick("time", "not_before: 2026-06-01", "not_before: 2026-06-02", "not_after: 2026-06-01", "not_after: 2026-05-31"))
	}
	line("    allow_any_package: true")
	line("    actions: %s", pick("actions", "[publish]", "[read]", "[publish, read]"))
	if gitlab {
		line("    publisher:\n      gitlab:\n        project_id: %s", pick("project_id", `"1"`, `"2"`, `["1", "2"]`))
		w.optional(t, "project_path", "a/x", `"a/*"`, "b/x", `[b/x, "a/*"]`)
		w.optional(t, "environment", "release", `"rel*"`)
	} else {
		line("    publisher:\n      github:\n        repository_owner_id: %s", pick("owner_id", `"1"`, `"2"`))
		line("        repository: %s", pick("repository", "a/x", `"a/*"`, "b/x", "[a/x, b/x]", `["a/x*", "a/y*"]`))
		w.optional(t, "repository_id", `"1"`, `"2"`)
		w.optional(t, "workflow", "release.yml", "ci.yml", "[ci.yml, release.yml]")
		w.optional(t, "environment", "release", `"rel*"`)
		w.optional(t, "ref", "refs/tags/v1", `"refs/tags/*"`)
	}
	if rapid.Bool().Draw(t, "tag") {
		line("    tag: %s", pick("tag", "v{version}", "v1", "'{package}-{version}'"))
	}
	if rapid.Bool().Draw(t, "when") {
		// Conditions that ask for claims; one that asks for the absence of a claim may well grow with it.
		line("    when: %s", pick("when", `claims.ref_protected == "true"`, `claims.actor_id in ["1", "2"] || claims.environment == "release"`))
	}
}

func (w *writing) optional(t *rapid.T, field string, from ...string) {
	if rapid.Bool().Draw(t, field+"?") {
		fmt.Fprintf(&w.b, "        %s: %s\n", field, rapid.SampledFrom(from).Draw(t, field))
	}
}

func drawSet(t *rapid.T, n int) string {
	w := &writing{}
	w.b.WriteString("policies:\n")
	for i := range n {
		w.drawPolicy(t, fmt.Sprintf("p%d", i))
	}
	return w.b.String()
}

// drawRun is a run and what it asks for.
func drawRun(t *rapid.T) (*Identity, Target) {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	id := &Identity{Claims: map[string]any{
		"sub": "s", "jti": "j", "environment": pick("environment", "release", "rel-2", "dev", ""), "ref_type": pick("ref_type", "tag", "branch"),
		"ref_protected": pick("ref_protected", "true", "false"), "actor_id": pick("actor_id", "1", "3"),
	}}
	if rapid.Bool().Draw(t, "gitlab run") {
		id.Issuer, id.Provider = "gitlab", "gitlab"
		id.Claims["project_path"], id.Claims["project_id"] = pick("path", "a/x", "a/y", "a/x/y", "b/x"), pick("id", "1", "2")
		id.Claims["pipeline_source"], id.Claims["ref_path"] = pick("source", "push", "web", "api"), pick("ref", "refs/tags/v1", "refs/tags/x-1")
	} else {
		id.Issuer, id.Provider = "github", "github"
		repository := pick("repository", "a/x", "a/y", "b/x")
		ref := repository + "/.github/workflows/release.yml@refs/tags/v1"
		maps.Copy(id.Claims, map[string]any{
			"repository": repository, "repository_id": pick("id", "1", "2"), "repository_owner_id": pick("owner", "1", "2"),
			"event_name": pick("event", "push", "fork"), "ref": "refs/tags/v1", "workflow_ref": ref, "job_workflow_ref": ref,
		})
	}
	return id, Target{
		Ecosystem: "pypi", Registry: pick("to", "internal-pypi", "staging-pypi"), Package: pick("package", "x", "y", "x-z", "z", ""),
		Version: pick("version", "1", "2", ""), Action: Action(pick("action", "publish", "read", "yank", "delete")),
	}
}

func loadDrawn(t *rapid.T, content string) *Set {
	env, err := newEnvironment(testEnv())
	if err != nil {
		t.Fatal(err)
	}
	c := compileOne(file{path: "drawn.yaml", data: content}, env)
	if len(c.errors) > 0 {
		t.Fatalf("%v\n%s", c.errors, content)
	}
	return newSet(env, []*compiled{c})
}

// rank orders decisions by how much they allow.
func rank(d Decision) int {
	switch {
	case !d.Allow:
		return 0
	case d.Exists:
		return 1
	}
	return 2
}

func TestPropertyFewerClaimsNeverAllowMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := loadDrawn(t, drawSet(t, rapid.IntRange(1, 6).Draw(t, "policies")))
		id, target := drawRun(t)
		before := rank(set.Evaluate(id, target))
		names := slices.Sorted(maps.Keys(id.Claims))
		for range rapid.IntRange(1, 4).Draw(t, "removed") {
			delete(id.Claims, rapid.SampledFrom(names).Draw(t, "claim"))
			if d := set.Evaluate(id, target); rank(d) > before {
				t.Fatalf("allowed by %s with fewer claims: %+v", d.Policy, d)
			}
		}
	})
}

func TestPropertyMorePoliciesNeverDenyMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := drawSet(t, rapid.IntRange(1, 5).Draw(t, "few"))
		id, target := drawRun(t)
		before := rank(loadDrawn(t, few).Evaluate(id, target))
		w := &writing{}
		w.b.WriteString(few)
		for i := range rapid.IntRange(1, 20).Draw(t, "more") {
			w.drawPolicy(t, fmt.Sprintf("q%d", i))
		}
		if d := loadDrawn(t, w.b.String()).Evaluate(id, target); rank(d) < before {
			t.Fatalf("denied with more policies: %+v", d)
		}
	})
}

// The index finds exactly what looking at every policy finds, and a denial is never of a policy that grants.
func TestPropertyIndexAgreesWithLookingAtAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := loadDrawn(t, drawSet(t, rapid.IntRange(1, 40).Draw(t, "policies")))
		id, target := drawRun(t)
		f := facts{id: id, target: target, clock: set.env.now}
		want := 0
		for _, p := range set.policies {
			if p.allows(&f) {
				want = max(want, rank(Decision{Allow: true, Exists: target.Package != "" && p.testNew(&f) == open}))
			}
		}
		d := set.Evaluate(id, target)
		if rank(d) != want {
			t.Fatalf("got %+v, expected rank %d", d, want)
		}
		if !d.Allow && d.Policy != "" && d.Field == "" {
			t.Fatalf("a denial without a field: %+v", d)
		}
		if target.Package != "" {
			claimed := slices.ContainsFunc(set.policies, func(p *Policy) bool {
				g := p.grant(target.Registry)
				return g != nil && (g.any || g.names(target.Package) ||
					slices.ContainsFunc(g.patternGlobs(), func(one *glob) bool { return one.match(target.Package) }))
			})
			if got := set.Protected(target.Registry, target.Package); got != claimed {
				t.Fatalf("Protected is %v, expected %v", got, claimed)
			}
		}
	})
}

// What explains is what decides: the decision, the policies that grant, and the first check that differs.
func TestPropertyExplainAgreesWithEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := loadDrawn(t, drawSet(t, rapid.IntRange(1, 20).Draw(t, "policies")))
		id, target := drawRun(t)
		d, e := set.Evaluate(id, target), set.Explain(id, target)
		if diff := cmp.Diff(d, e.Decision); diff != "" {
			t.Fatalf("decision (-evaluated +explained):\n%s", diff)
		}
		grants := false
		for _, p := range e.Policies {
			grants = grants || p.Grants
			at := slices.IndexFunc(p.Checks, func(c Check) bool { return !c.OK && !c.Open })
			if p.Grants != (at < 0) {
				t.Fatalf("policy %s grants: %v, but its checks say\n%s", p.Policy, p.Grants, e)
			}
			if !d.Allow && p.Policy == d.Policy && (p.Checks[at].Field != d.Field || p.Checks[at].Got != d.Got || p.Checks[at].Want != d.Want) {
				t.Fatalf("the denial is %+v, the first check that differs %+v", d, p.Checks[at])
			}
		}
		if grants != d.Allow {
			t.Fatalf("decision %+v, explanation\n%s", d, e)
		}
	})
}

// What an upload may do, its exchange may do: an exchange leaves open what it can't know, and nothing else.
func TestPropertyExchangeAllowsWhatTheUploadMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := loadDrawn(t, drawSet(t, rapid.IntRange(1, 20).Draw(t, "policies")))
		id, target := drawRun(t)
		if !set.Evaluate(id, target).Allow {
			return
		}
		target.Package, target.Version = "", ""
		if d := set.Evaluate(id, target); !d.Allow {
			t.Fatalf("the upload is allowed and its exchange is not: %+v", d)
		}
	})
}

func TestPropertyGlobs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.ReplaceAll(rapid.StringMatching(`[ab/:*-]{0,8}`).Draw(t, "pattern"), "**", "*")
		if pattern = strings.ReplaceAll(pattern, "**", "*"); !isGlob(pattern) {
			return
		}
		g, err := newGlob(pattern)
		if err != nil {
			return
		}
		oracle := regexp.MustCompile(`^` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[^/:]*`) + `$`)
		s := rapid.StringMatching(`[ab/:-]{0,10}`).Draw(t, "text")
		if got, want := g.match(s), oracle.MatchString(s); got != want {
			t.Fatalf("%q matches %q: %v, expected %v", pattern, s, got, want)
		}
		if g.match(s) && strings.Count(s, "/")+strings.Count(s, ":") != strings.Count(pattern, "/")+strings.Count(pattern, ":") {
			t.Fatalf("%q crosses a separator in %q", pattern, s)
		}
		if !strings.HasPrefix(s, g.stem()) && g.match(s) {
			t.Fatalf("%q matches %q, which does not begin with %q", pattern, s, g.stem())
		}
	})
}
