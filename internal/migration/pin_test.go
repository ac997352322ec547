package migration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/policies"
)

// evidenceOf is a run of a provider with some claims replaced.
func evidenceOf(t testing.TB, name string, over map[string]any) Evidence {
	return Evidence{Issuer: name, Provider: name, Claims: claimsOf(t, name, over)}
}

const names = `# our policies
policies:
  - name: widget-release   # the widget
    registry: internal-pypi
    packages: [acme-widget]
    publisher:
      github:
        # who
        repository: acme/widget # it
        workflow: release.yml
`

func TestPin(t *testing.T) {
	github := []Evidence{evidenceOf(t, "github", nil)}
	swap := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(names) }
	owner := Pinned{Policy: "widget-release", Line: 3, Field: "repository_owner_id", Value: "222"}
	why := func(reason string) []Pinned { return []Pinned{{Policy: "widget-release", Line: 3, Reason: reason}} }
	const line = "        repository: acme/widget # it\n"
	id := "        repository_owner_id: \"222\"\n"
	for _, tc := range []struct {
		name, text string
		from       []Evidence
		want       string // empty: unchanged
		pinned     []Pinned
	}{
		{"a block", names, github, swap(line, line+id), []Pinned{owner}},
		{"carriage returns", strings.ReplaceAll(names, "\n", "\r\n"), github, strings.ReplaceAll(swap(line, line+id), "\n", "\r\n"), []Pinned{owner}},
		{
			"flow", swap("      github:\n        # who\n"+line+"        workflow: release.yml\n", "      github: {repository: acme/widget, workflow: release.yml}\n"), github,
			swap("      github:\n        # who\n"+line+"        workflow: release.yml\n", "      github: {repository: acme/widget, repository_owner_id: \"222\", workflow: release.yml}\n"),
			[]Pinned{owner},
		},
		{
			"flow in quotes behind other letters", swap("    publisher:\n      github:\n        # who\n"+line+"        workflow: release.yml\n", "    publisher: {github: {\"environment\": \"ö\", repository: \"acme/widget\"}}\n"), github,
			swap("    publisher:\n      github:\n        # who\n"+line+"        workflow: release.yml\n", "    publisher: {github: {\"environment\": \"ö\", repository: \"acme/widget\", repository_owner_id: \"222\"}}\n"),
			[]Pinned{owner},
		},
		{"no line break at the end", strings.TrimSuffix(swap("        workflow: release.yml\n", "", " # it", ""), "\n"), github, strings.TrimSuffix(swap("        workflow: release.yml\n", id, " # it", ""), "\n"), []Pinned{owner}},
		{"a list", swap(line, "        repository: [acme/other, acme/widget]\n"), github, swap(line, "        repository: [acme/other, acme/widget]\n"+id), []Pinned{owner}},
		{"a list in a block", swap(line, "        repository:\n          - acme/other\n          - acme/widget\n"), github, swap(line, "        repository:\n          - acme/other\n          - acme/widget\n"+id), []Pinned{owner}},
		{"a list in a list", swap("      github:\n        # who\n"+line+"        workflow: release.yml\n", "      github: {repository: [acme/widget , ]}\n"), github, swap("      github:\n        # who\n"+line+"        workflow: release.yml\n", "      github: {repository: [acme/widget , ], repository_owner_id: \"222\"}\n"), []Pinned{owner}},
		{"an owner alone", swap("repository: acme/widget", "repository_owner: acme"), github, swap("repository: acme/widget # it\n", "repository_owner: acme # it\n"+id), []Pinned{owner}},
		{"the issuer too", swap("    publisher:", "    issuer: github\n    publisher:"), github, swap("    publisher:", "    issuer: github\n    publisher:", line, line+id), []Pinned{owner}},
		{"no longer unpinned", names + "    allow_unpinned: true\n", github, swap(line, line+id) + "    allow_unpinned: true\n", []Pinned{{Policy: "widget-release", Line: 3, Field: "repository_owner_id", Value: "222", Unpinned: true}}},
		{"an older audit", names, []Evidence{evidenceOf(t, "github", map[string]any{"repository_owner_id": nil})}, swap(line, line+"        repository_id: \"111\"\n"), []Pinned{{Policy: "widget-release", Line: 3, Field: "repository_id", Value: "111"}}},
		{"gitlab", swap("github:", "gitlab:", "repository: acme/widget", "project_path: grp/prj", "workflow: release.yml", "environment: prod"), []Evidence{github[0], evidenceOf(t, "gitlab", nil)}, swap("github:", "gitlab:", line, "        project_path: grp/prj # it\n        namespace_id: \"72\"\n", "workflow: release.yml", "environment: prod"), []Pinned{{Policy: "widget-release", Line: 3, Field: "namespace_id", Value: "72"}}},
		{"a token", names, []Evidence{{Claims: claimsOf(t, "github", map[string]any{"iss": "https://token.actions.githubusercontent.com/acme"})}}, swap(line, line+id), []Pinned{owner}},

		{"pinned already", swap(line, line+id), github, "", nil},
		{"pinned by the repository", swap(line, line+"        repository_id: \"9\"\n"), github, "", nil},
		{"no ids to have", swap("github:", "oidc:", "repository: acme/widget", "subject: x"), github, "", nil},
		{"no names", swap("        repository: acme/widget # it\n", ""), github, "", nil},
		{"no publisher", "policies:\n  - name: x\n", github, "", nil},
		{"another repository", swap("acme/widget", "acme/other"), github, "", why("no run with these names was seen")},
		{"another case", swap("acme/widget", "Acme/widget"), github, "", why("no run with these names was seen")},
		{"the beginning of the name", swap("acme/widget", "acme/widge"), github, "", why("no run with these names was seen")},
		{"a pattern", swap("acme/widget", "acme/*"), github, "", why(`repository is the pattern "acme/*"; an id is filled in for names that are written out`)},
		{"another issuer", swap("    publisher:", "    issuer: other\n    publisher:"), github, "", why("no run with these names was seen")},
		{"another provider", names, []Evidence{{Issuer: "gitlab", Provider: "gitlab", Claims: claimsOf(t, "github", nil)}}, "", why("no run with these names was seen")},
		{"a token of another issuer", names, []Evidence{{Claims: claimsOf(t, "github", map[string]any{"iss": "https://gitlab.example.com"})}}, "", why("no run with these names was seen")},
		{"a token without a claim", names, []Evidence{{Claims: claimsOf(t, "github", map[string]any{"run_id": nil})}}, "", why("no run with these names was seen")},
		{"two owners", names, []Evidence{github[0], evidenceOf(t, "github", map[string]any{"repository_owner_id": "111"})}, "", why("runs with these names had the ids 111 and 222: the name has passed to another, or two issuers use it; find out which is yours")},
		{"no id in the audit", names, []Evidence{evidenceOf(t, "github", map[string]any{"repository_owner_id": nil, "repository_id": nil})}, "", why("the runs that were seen have no stable id")},
		{"no id of the owner", swap("repository: acme/widget", "repository_owner: acme"), []Evidence{evidenceOf(t, "github", map[string]any{"repository_owner_id": nil})}, "", why("the runs that were seen have no stable id")},
		{"folded", swap(line, "        repository: >-\n          acme/widget\n"), github, "", why(errLayout.Error())},
		{"escaped in flow", swap("      github:\n        # who\n"+line+"        workflow: release.yml\n", "      github: {repository: \"acme\\/widget\"}\n"), github, "", why(errLayout.Error())},
		{"a list over lines in flow", swap("      github:\n        # who\n"+line+"        workflow: release.yml\n", "      github: {repository: [acme/widget\n        ]}\n"), github, "", why(errLayout.Error())},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, pinned, err := Pin(tc.text, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == "" {
				tc.want = tc.text
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.pinned, pinned); diff != "" {
				t.Errorf("pinned (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPinSeveral: each policy gets its own id, and the result loads.
func TestPinSeveral(t *testing.T) {
	second := strings.TrimPrefix(strings.NewReplacer("widget-release", "gadget-release", "acme/widget", "acme/gadget").Replace(names), "# our policies\npolicies:\n")
	got, pinned, err := Pin(names+second, []Evidence{
		evidenceOf(t, "github", nil), evidenceOf(t, "github", map[string]any{"repository": "acme/gadget", "repository_owner_id": "999"}),
	})
	if err != nil || len(pinned) != 2 {
		t.Fatalf("%v %+v", err, pinned)
	}
	set, err := policies.Parse(map[string]string{"a.yaml": got}, policies.Env{AnyRegistry: "pypi", AnyIssuer: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	if diff := cmp.Diff([]string{"widget-release", "gadget-release"}, set.Names()); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got, "acme/widget # it\n        repository_owner_id: \"222\"\n") || !strings.Contains(got, "acme/gadget # it\n        repository_owner_id: \"999\"\n") {
		t.Errorf("ids in the wrong places:\n%s", got)
	}
	again, pinned, err := Pin(got, nil)
	if err != nil || again != got || len(pinned) != 0 {
		t.Errorf("a second time: %v %+v\n%s", err, pinned, again)
	}
}

func TestPinErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":             "no documents in stream",
		"a: b\n":       "the file has no list policies",
		"policies: {}": "the file has no list policies",
		"policies: [":  "did not find expected node content",
	} {
		if _, _, err := Pin(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// FuzzPin: no text panics; what is edited says the same as before and the ids, which Pin itself checks.
func FuzzPin(f *testing.F) {
	f.Add(names)
	f.Add("policies: [{name: x, publisher: {github: {repository: [acme/widget], environment: \"é\"}}}]\n")
	f.Add("policies:\n- publisher:\n    github:\n      repository:\n      - acme/widget\n")
	from := []Evidence{evidenceOf(f, "github", nil)}
	f.Fuzz(func(t *testing.T, text string) {
		got, pinned, err := Pin(text, from)
		if err != nil && strings.Contains(err.Error(), "please report it") {
			t.Errorf("%v\n%s\n%s\n%+v", err, text, got, pinned)
		}
	})
}
