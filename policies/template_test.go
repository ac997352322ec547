package policies

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// following is a policy whose packages are named after the run's repository.
func following(packages string, rest ...string) string {
	return lines(append([]string{
		"policies:", "  - name: p", "    registry: internal-pypi", "    packages: " + packages,
		"    publisher: {github: {repository_owner_id: \"222\"}}",
	}, rest...)...)
}

func TestTemplates(t *testing.T) {
	const all = "    new_packages: true"
	for _, tc := range []struct {
		name, packages string
		changes        map[string]any
		pkg            string
		want           bool
	}{
		{"the repository", `"{claims.repository_name}"`, nil, "widget", true},
		{"another package", `"{claims.repository_name}"`, nil, "gadget", false},
		{"in the ecosystem's spelling", `"{claims.repository_name}"`, map[string]any{"repository": "acme/Wid_get.x"}, "wid-get-x", true},
		{"text around it", `"acme-{claims.repository_name}-lib"`, nil, "acme-widget-lib", true},
		{"text around it that differs", `"acme-{claims.repository_name}-lib"`, nil, "acme-widget", false},
		{"two claims", `"{claims.repository_owner}-{claims.repository_name}"`, nil, "acme-widget", true},
		{"two claims whose names run together", `"{claims.repository_owner}-{claims.repository_name}"`, map[string]any{"repository": "acme/b-c", "repository_owner": "a"}, "a-b-c", true},
		{"an id", `"acme-{claims.repository_id}"`, nil, "acme-111", true},
		{"a value with a separator", `"acme-{claims.repository_owner}"`, map[string]any{"repository_owner": "a/b"}, "acme-a", false},
		{"a value with a star", `"acme-{claims.repository_owner}"`, map[string]any{"repository_owner": "*"}, "acme-widget", false},
		{"a value with a brace", `"acme-{claims.repository_owner}"`, map[string]any{"repository_owner": "{x}"}, "acme-x", false},
		{"a value that is no name", `"acme-{claims.repository_owner}"`, map[string]any{"repository_owner": "\u212a"}, "acme-k", false},
		{"a value of separators of the ecosystem", `"acme-{claims.repository_owner}"`, map[string]any{"repository_owner": "-"}, "acme", false},
		{"an empty value", `"acme-{claims.repository_owner}-x"`, map[string]any{"repository_owner": ""}, "acme-x", false},
		{"an absent value", `"acme-{claims.repository_owner}-x"`, map[string]any{"repository_owner": nil}, "acme-x", false},
		{"a value of another type", `"acme-{claims.repository_id}"`, map[string]any{"repository_id": true}, "acme-true", false},
		{"beside a name", `[other, "{claims.repository_name}"]`, nil, "widget", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := mustLoad(t, following(tc.packages, all, "    allow_unpinned: true"))
			target := widgetUpload()
			target.Package = tc.pkg
			d := set.Evaluate(identity("github", with(githubClaims(), tc.changes)), target)
			if d.Allow != tc.want || d.Exists {
				t.Errorf("got %+v, expected allow %v", d, tc.want)
			}
		})
	}
}

// A repository need not be named where it names the package, and must be where it does not.
func TestTemplatesNameTheRepository(t *testing.T) {
	for _, tc := range []struct {
		packages string
		good     bool
	}{
		{`["{claims.repository_name}"]`, true},
		{`["{claims.repository_name}", "lib-{claims.repository_id}"]`, true},
		{`["{claims.repository_owner}-x"]`, false},
		{`["{claims.repository_name}", other]`, false},
		{`["{claims.repository_name}", "other-*"]`, false},
	} {
		_, err := loadText(t, following(tc.packages), testEnv())
		if (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.packages, err)
		}
	}
}

// A template claims what it could name, for whatever run.
func TestTemplatesClaimPackages(t *testing.T) {
	set := mustLoad(t, following(`"acme-{claims.repository_name}"`, "    not_after: 2020-01-01"))
	for pkg, want := range map[string]bool{"acme-widget": true, "Acme_Other": true, "acme": false, "other": false} {
		if got := set.Protected("internal-pypi", pkg); got != want {
			t.Errorf("Protected of %s is %v", pkg, got)
		}
	}
}

func TestTemplateDenial(t *testing.T) {
	set := mustLoad(t, following(`["acme-{claims.repository_name}", "{claims.repository_name}-{claims.repository_owner}"]`))
	for _, tc := range []struct {
		name    string
		changes map[string]any
		want    string
	}{
		{"filled in", nil, "one of acme-widget, widget-acme"},
		{"that cannot be filled in", map[string]any{"repository_owner": nil}, "one of acme-widget, {claims.repository_name}-{claims.repository_owner}"},
	} {
		d := set.Evaluate(identity("github", with(githubClaims(), tc.changes)), Target{Registry: "internal-pypi", Package: "x", Version: "1", Action: ActionPublish})
		if diff := cmp.Diff(tc.want, d.Want); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestNewPackages(t *testing.T) {
	const exact = "  - {name: q, registry: internal-pypi, packages: acme-x, publisher: {github: {repository_id: \"111\"}}}\n"
	policy := func(rest string) string {
		return lines("policies:", "  - name: p", "    registry: internal-pypi", `    packages: [acme-widget, "acme-*"]`,
			`    actions: [publish, read]`, `    publisher: {github: {repository_id: "111"}}`) + rest
	}
	for _, tc := range []struct {
		name, policy, pkg string
		action            Action
		allow, exists     bool
	}{
		{"a name", policy(""), "acme-widget", ActionPublish, true, false},
		{"a pattern", policy(""), "acme-x", ActionPublish, true, true},
		{"reading by a pattern", policy(""), "acme-x", ActionRead, true, false},
		{"neither", policy(""), "other", ActionPublish, false, false},
		{"a template", following(`"{claims.repository_name}"`), "widget", ActionPublish, true, true},
		{"any package", following(`"*"`, "    allow_any_package: true", "    allow_unpinned: true"), "widget", ActionPublish, true, true},
		{"a pattern, new packages too", policy("    new_packages: true\n"), "acme-x", ActionPublish, true, false},
		{"a pattern, no new packages", policy("    new_packages: false\n"), "acme-x", ActionPublish, true, true},
		{"a pattern, new packages until today", policy("    new_packages: {until: 2026-06-01}\n"), "acme-x", ActionPublish, true, false},
		{"a pattern, new packages until yesterday", policy("    new_packages: {until: 2026-05-31}\n"), "acme-x", ActionPublish, true, true},
		{"a pattern, and a name in another policy", policy("") + exact, "acme-x", ActionPublish, true, false},
		{"an exchange", policy(""), "", ActionPublish, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := Target{Registry: "internal-pypi", Package: tc.pkg, Version: "1", Action: tc.action}
			d := mustLoad(t, tc.policy).Evaluate(identity("github", githubClaims()), target)
			if d.Allow != tc.allow || d.Exists != tc.exists || d.Allow == (d.Code == model.CodeNoMatchingPolicy) {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestViewOfTemplatesAndTimes(t *testing.T) {
	set := mustLoad(t, following(`["acme-{claims.repository_name}"]`, "    not_before: 2026-01-01", "    not_after: 2026-12-31", "    new_packages: {until: 2026-02-01T00:00:00Z}"))
	p := set.Policies()[0]
	want := []Package{{Pattern: "acme-{claims.repository_name}", Template: true, Covers: "acme-*", Position: Position{4, 16}}}
	if diff := cmp.Diff(want, p.Grants()[0].Packages); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	allowed, until := p.NewPackages()
	if !p.NotBefore().Equal(day(2026, 1, 1)) || !p.NotAfter().Equal(day(2027, 1, 1)) || !allowed || !until.Equal(day(2026, 2, 1)) {
		t.Errorf("times: %v %v %v %v", p.NotBefore(), p.NotAfter(), allowed, until)
	}
}
