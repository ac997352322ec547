package migration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

const (
	reusable = "acme/ci/.github/workflows/publish.yml@refs/tags/v3"
	mainFile = "acme/widget/.github/workflows/release.yml@refs/heads/main"
)

func tagged(tag string) map[string]any {
	ref := "acme/widget/.github/workflows/release.yml@refs/tags/" + tag
	return map[string]any{"ref": "refs/tags/" + tag, "workflow_ref": ref, "job_workflow_ref": ref}
}

func over(base map[string]any, more map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{base, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// onMain is a run of the branch main.
var onMain = map[string]any{"ref": "refs/heads/main", "ref_type": "branch", "workflow_ref": mainFile, "job_workflow_ref": mainFile}

// atNPM makes an event that of an exchange which named its package and was refused.
func atNPM(e *model.Event) {
	e.Operation, e.Target.Ecosystem, e.Target.Version = "token-exchange", "npm", ""
}

func TestSuggestions(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts SuggestOptions
		runs []run
	}{
		{"tags", SuggestOptions{}, []run{
			{over: tagged("v1.0"), version: "1", beside: true},
			{over: tagged("v1.1"), version: "1.1", beside: true},
			{over: tagged("v1.2rc1"), version: "1.2rc1"},
		}},
		{"packages-of-one-run", SuggestOptions{Shared: true}, []run{
			{over: tagged("v1.0"), version: "1", beside: true},
			{over: tagged("v1.0"), version: "1", pkg: "acme-gadget", beside: true},
			{over: tagged("v1.0"), version: "1", pkg: "acme-gadget", registry: "staging-pypi", beside: true},
		}},
		{"two-registries", SuggestOptions{}, []run{
			{over: tagged("v1.0"), version: "1", beside: true},
			{over: tagged("v1.0"), version: "1", registry: "staging-pypi", beside: true},
		}},
		{"monorepo", SuggestOptions{}, []run{
			{over: tagged("widget-2.0"), version: "2", beside: true},
			{over: tagged("gadget/v3.1"), version: "3.1", pkg: "acme-gadget", beside: true},
		}},
		{"a-tag-without-version", SuggestOptions{}, []run{{over: tagged("latest"), version: "1", beside: true}}},
		{"a-branch", SuggestOptions{}, []run{{over: over(onMain, map[string]any{"environment": nil, "ref_protected": "false"}), version: "1", beside: true}}},
		{"a-protected-branch", SuggestOptions{}, []run{{over: over(onMain, map[string]any{"environment": nil}), version: "1", beside: true}}},
		{"a-reusable-workflow", SuggestOptions{}, []run{{over: over(tagged("v1"), map[string]any{"job_workflow_ref": reusable}), version: "1", beside: true}}},
		{"refused-only", SuggestOptions{}, []run{{over: tagged("v1"), version: "1"}}},
		{"weak-trigger", SuggestOptions{Weak: true}, []run{{over: over(tagged("v1"), map[string]any{"event_name": "workflow_run"}), version: "1", beside: true}}},
		{"no-id", SuggestOptions{}, []run{{over: tagged("v1"), version: "1", beside: true, change: func(e *model.Event) {
			delete(e.Run, "repository_owner_id")
			delete(e.Run, "repository_id")
		}}}},
		{"gitlab", SuggestOptions{}, []run{
			{provider: "gitlab", issuer: "work-gitlab", version: "1", beside: true},
			{provider: "gitlab", issuer: "work-gitlab", version: "1", pkg: "acme-reports", over: map[string]any{"environment": nil, "environment_protected": nil}},
			{provider: "gitlab", issuer: "work-gitlab", version: "2", pkg: "acme-lists", over: map[string]any{
				"ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "environment_protected": "false",
				"ci_config_ref_uri": "gitlab.com/grp/ci//publish.yml@refs/heads/main",
			}},
		}},
		{"exchanges", SuggestOptions{}, []run{
			{over: tagged("v1.0.0"), pkg: "@acme/widget", change: atNPM},
			{over: tagged("v1.1.0"), pkg: "@acme/widget", version: "1.1.0", change: func(e *model.Event) { e.Target.Ecosystem = "npm" }},
			{over: tagged("latest"), pkg: "@acme/gadget", change: atNPM},
		}},
		{"oidc", SuggestOptions{}, []run{{provider: "oidc", issuer: "build", version: "1", beside: true}}},
		{"hostile", SuggestOptions{}, []run{{provider: "oidc", issuer: "build", version: "1", over: map[string]any{"sub": "a: \"b\" # c\u2028\u202ed"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := suggest(t, tc.opts, audited(t, tc.runs...))
			var b strings.Builder
			for i := range got.Files {
				b.WriteString("# " + got.Files[i].Name + "\n" + got.Files[i].Text())
			}
			if len(got.Left) > 0 {
				t.Errorf("left %v", got.Left)
			}
			golden(t, tc.name+".yaml", b.String())
		})
	}
}

// TestEveryProvider: for each platform the suggestion allows the whole token, not only what the audit kept of it, and not
// a token in which one of the claims that it asks for is another.
func TestEveryProvider(t *testing.T) {
	for _, name := range provider.Names() {
		t.Run(name, func(t *testing.T) {
			p, _ := provider.Get(name)
			got := suggest(t, SuggestOptions{}, audited(t, run{provider: name, issuer: "ci", version: "1"}))
			if len(got.Files) != 1 || len(got.Files[0].Drafts) != 1 {
				t.Fatalf("%+v", got)
			}
			set := load(t, got.Files)
			target := model.Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "acme-widget", Version: "1", Action: model.ActionPublish}
			id := &model.Identity{Issuer: "ci", Provider: name, Claims: claimsOf(t, name, nil)}
			if d := set.Evaluate(id, target); !d.Allow {
				t.Errorf("the whole token is refused: %+v\n%s", d, got.Files[0].Text())
			}
			draft := got.Files[0].Drafts[0]
			for _, pair := range draft.Publisher {
				f, _ := p.Field(pair.Field)
				claims := append([]string{f.Claim}, f.EqualClaims...)
				for _, claim := range claims {
					c, known := p.Claims[claim]
					if !known || len(c.Path) != 1 {
						continue
					}
					id := &model.Identity{Issuer: "ci", Provider: name, Claims: claimsOf(t, name, map[string]any{c.Path[0]: nil})}
					if set.Evaluate(id, target).Allow {
						t.Errorf("allowed without %s:\n%s", claim, got.Files[0].Text())
					}
				}
			}
			for _, change := range []func(*model.Target){
				func(t *model.Target) { t.Package = "acme-other" },
				func(t *model.Target) { t.Registry = "other" },
				func(t *model.Target) { t.Action = model.ActionDelete },
			} {
				other := target
				change(&other)
				if set.Evaluate(id, other).Allow {
					t.Errorf("%+v is allowed:\n%s", other, got.Files[0].Text())
				}
			}
		})
	}
}

func TestLeftOut(t *testing.T) {
	release := run{over: tagged("v1"), version: "1", beside: true}
	with := func(change func(*model.Event)) run { r := release; r.change = change; return r }
	more := func(claims map[string]any) run { r := release; r.over = over(r.over, claims); return r }
	for _, tc := range []struct {
		name string
		opts SuggestOptions
		run  run
		want []Left
	}{
		{"a pull request", SuggestOptions{}, more(map[string]any{"event_name": "pull_request_target"}), []Left{{
			"acme/widget", "acme-widget",
			"started by pull_request_target, which policies refuse by default since such a run may hold a stranger's code; --weak suggests it all the same", 1,
		}}},
		{"an unknown trigger", SuggestOptions{Weak: true}, more(map[string]any{"event_name": "brand_new"}), []Left{{"acme/widget", "acme-widget", `event_name is "brand_new", which no policy can name`, 1}}},
		{"no trigger", SuggestOptions{}, with(func(e *model.Event) { delete(e.Run, "event_name") }), []Left{{"acme/widget", "acme-widget", "the audit does not say what started the run (event_name)", 1}}},
		{"a star in the environment", SuggestOptions{}, more(map[string]any{"environment": "release-*"}), []Left{{"acme/widget", "acme-widget", `environment is "release-*", which a policy would read as a pattern`, 1}}},
		{"braces in the tag", SuggestOptions{}, run{over: tagged("v{x}"), version: "1"}, []Left{{"acme/widget", "acme-widget", `the tag is "v{x}", which a policy cannot name`, 1}}},
		{"no repository", SuggestOptions{}, with(func(e *model.Event) { delete(e.Run, "repository"); delete(e.Run, "repository_id") }), []Left{{"", "acme-widget", "the audit has no repository of the run", 1}}},
		{"what no policy can say", SuggestOptions{}, run{provider: "oidc", version: "1", over: map[string]any{"sub": "two\nlines"}}, []Left{{"two\nlines", "acme-widget", "L", 1}}},
		{"an exchange", SuggestOptions{}, with(func(e *model.Event) { e.Operation, e.Decision, e.Target = "mint-token", "deny", nil }), []Left{{"acme/widget", "", "it was refused at the exchange, which names no package: write its policy by hand, or import it", 1}}},
		{"an exchange for several registries", SuggestOptions{}, with(func(e *model.Event) { atNPM(e); e.Decision, e.Target.Registry = "deny", "" }), []Left{{"acme/widget", "acme-widget", "it was refused at the exchange for several registries, and does not say for which: write its policy by hand, or import it", 1}}},
		{"an exchange of a stranger", SuggestOptions{Owners: []string{"999"}}, with(func(e *model.Event) { e.Operation, e.Decision, e.Target = "mint-token", "deny", nil }), nil},
		{"an exchange that went well", SuggestOptions{}, with(func(e *model.Event) { e.Kind, e.Decision, e.Code, e.Target = model.EventExchange, "allow", "", nil }), nil},
		{"another owner", SuggestOptions{Owners: []string{"999", "other"}}, release, nil},
		{"allowed", SuggestOptions{}, with(func(e *model.Event) { e.Decision, e.Code = "would_allow", "" }), nil},
		{"refused for something else", SuggestOptions{}, with(func(e *model.Event) { e.Code = model.CodeReplayed }), nil},
		{"a read", SuggestOptions{}, with(func(e *model.Event) { e.Target.Action = model.ActionRead }), nil},
		{"the outcome", SuggestOptions{}, with(func(e *model.Event) { e.Kind = model.EventOutcome }), nil},
		{"a password alone", SuggestOptions{}, with(func(e *model.Event) { e.Issuer, e.Run = "", nil }), nil},
		{"an unknown provider", SuggestOptions{}, with(func(e *model.Event) { e.Provider, e.Issuer = "", "somewhere" }), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := suggest(t, tc.opts, audited(t, tc.run))
			if len(got.Files) > 0 {
				t.Errorf("suggested:\n%s", got.Files[0].Text())
			}
			if len(tc.want) == 1 && tc.want[0].Reason == "L" && len(got.Left) == 1 { // the loader's own words
				tc.want[0].Reason = got.Left[0].Reason
			}
			if diff := cmp.Diff(tc.want, got.Left, cmp.Transformer("none", func(l []Left) []Left {
				if len(l) == 0 {
					return nil
				}
				return l
			})); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSuggestOptions(t *testing.T) {
	release := run{over: tagged("v1"), version: "1", beside: true}
	t.Run("one of the owners", func(t *testing.T) {
		for _, owner := range []string{"222", "acme", "acme/widget", "111"} {
			if got := suggest(t, SuggestOptions{Owners: []string{"x", owner}}, audited(t, release)); len(got.Files) != 1 {
				t.Errorf("%s: %+v", owner, got)
			}
		}
	})
	t.Run("present policies need no other, and keep their names", func(t *testing.T) {
		first := suggest(t, SuggestOptions{}, audited(t, release))
		present := load(t, first.Files)
		got := suggest(t, SuggestOptions{Present: present}, audited(t, release, run{over: tagged("v1"), version: "1", pkg: "acme-gadget"}))
		if len(got.Files) != 1 || len(got.Files[0].Drafts) != 1 || got.Files[0].Drafts[0].Name != "acme-widget-2" {
			t.Errorf("%+v", got.Files)
		}
	})
	t.Run("an exchange that a policy of now allows", func(t *testing.T) {
		present := load(t, suggest(t, SuggestOptions{}, audited(t, release)).Files)
		r := release
		r.change = func(e *model.Event) { e.Operation, e.Decision, e.Target = "mint-token", "deny", nil }
		if got := suggest(t, SuggestOptions{Present: present}, audited(t, r)); len(got.Left) != 0 {
			t.Errorf("left %+v", got.Left)
		}
		r.over = over(r.over, map[string]any{"environment": nil})
		if got := suggest(t, SuggestOptions{Present: present}, audited(t, r)); len(got.Left) != 1 {
			t.Errorf("left %+v", got.Left)
		}
	})
	t.Run("an event of before the provider was named", func(t *testing.T) {
		old := func(e *model.Event) { e.Provider = "" }
		for issuer, providers := range map[string]map[string]string{"github": nil, "ci": {"ci": "github"}} {
			r := release
			r.change, r.issuer = old, issuer
			if got := suggest(t, SuggestOptions{Providers: providers}, audited(t, r)); len(got.Files) != 1 {
				t.Errorf("%s: %+v", issuer, got)
			}
		}
	})
	t.Run("a line that is there twice counts once", func(t *testing.T) {
		events := audited(t, release)
		got := suggest(t, SuggestOptions{}, append(events, events...))
		if want := "acme-widget: 1 request, versions 1, tags v1, 2030-01-02; 1 beside a password."; got.Files[0].Drafts[0].Comments[0] != want {
			t.Errorf("got %q, want %q", got.Files[0].Drafts[0].Comments[0], want)
		}
	})
	t.Run("a file that is no test", func(t *testing.T) {
		if got := (namer{}).fileName("acme/widget_test"); got != "acme-widget_test-policy.yaml" {
			t.Errorf("got %s, which the gateway would not load", got)
		}
	})
	t.Run("same slug", func(t *testing.T) {
		other := over(tagged("v1"), map[string]any{"repository": "acme-widget"})
		ref := "acme-widget/.github/workflows/release.yml@refs/tags/v1"
		other["workflow_ref"], other["job_workflow_ref"] = ref, ref
		got := suggest(t, SuggestOptions{}, audited(t, release, run{over: other, version: "1"}))
		if len(got.Files) != 2 || got.Files[0].Name == got.Files[1].Name || got.Files[0].Drafts[0].Name == got.Files[1].Drafts[0].Name {
			t.Errorf("%+v", got.Files)
		}
	})
	t.Run("the same whatever the order", func(t *testing.T) {
		events := audited(t, release, run{provider: "gitlab", version: "1"}, run{over: onMain, version: "1"}, run{over: tagged("v2"), version: "2", registry: "other"})
		want := suggest(t, SuggestOptions{}, events)
		for range 10 {
			first := events[0]
			copy(events, events[1:])
			events[len(events)-1] = first
			got := suggest(t, SuggestOptions{}, events)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
	t.Run("through JSON", func(t *testing.T) {
		b, err := json.Marshal(audited(t, release)[0])
		if err != nil {
			t.Fatal(err)
		}
		var e model.Event
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(suggest(t, SuggestOptions{}, audited(t, release)), suggest(t, SuggestOptions{}, []model.Event{e})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
