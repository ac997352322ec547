package policies

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/provider"
)

// valid is a policy that loads; the tests break one thing of it at a time.
const valid = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
`

func TestLoadRefuses(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(valid, old) {
			t.Fatalf("%q is not in the valid file", old)
		}
		return strings.Replace(valid, old, new, 1)
	}
	add := func(line string) string { return valid + "    " + line + "\n" }
	for _, tc := range []struct{ name, content, want string }{
		{"empty", "", "F: the file is empty; write policies: [] where no policy is meant"},
		{"only a comment", "# nothing\n", "F: the file is empty; write policies: [] where no policy is meant"},
		{"not UTF-8", "policies: \xff\n", "F: the file is not UTF-8 text"},
		{"byte order mark", "\ufeff" + valid, "F:1:1: the file begins with a byte order mark; save it without"},
		{"control character", swap("acme/widget", "acme/\x01widget"), "F: not YAML: control characters are not allowed (value: 1)"},
		{"not YAML", "policies: [\n", "F:2:1: not YAML: while parsing a flow node: did not find expected node content"},
		{"second document", valid + "---\npolicies: []\n", "F:10:1: a second document begins here; write one document per file"},
		{"a list at the top", "- name: x\n", "F:1:1: got a list, expected a mapping (key: value)"},
		{"no policies", "{}\n", "F:1:1: policies: the field is missing; write policies: and a list below it"},
		{"policies twice", valid + "policies: []\n", "F:10:1: policies: the key is written twice; the first is in line 1"},
		{"policies is null", "policies:\n", "F:1:10: policies: got nothing, expected a list of policies"},
		{"policies is a mapping", "policies: {a: b}\n", "F:1:11: policies: got a mapping, expected a list of policies"},
		{"unknown top field", valid + "version: 1\n", `F:10:1: version: unknown field; known are policies`},
		{"unknown field", add("pacakges: [x]"), `F:10:5: policies[0].pacakges: unknown field; did you mean "packages"?`},
		{"duplicate key", add("name: other"), "F:10:5: policies[0].name: the key is written twice; the first is in line 2"},
		{"duplicate publisher key", add("    repository: a/b") + "", "F:10:9: policies[0].publisher.github.repository: the key is written twice; the first is in line 7"},
		{"anchor", swap("acme/widget\n", "&a acme/widget\n"), "F:7:21: policies[0].publisher.github.repository: anchors (&a) are not allowed; write the value out"},
		{"alias", swap("name: widget-release", "name: &n widget-release") + "    issuer: *n\n", "F:2:11: policies[0].name: anchors (&n) are not allowed; write the value out"},
		{"merge key", add("<<: {name: x}"), "F:10:5: policies[0]: got a merge key as a key, expected a name"},
		{"tag", swap("acme/widget\n", "!!str acme/widget\n"), "F:7:21: policies[0].publisher.github.repository: tags (!!str) are not allowed; quote the value to make it a string"},
		{"binary tag", swap("acme/widget\n", "!!binary YWNtZQ==\n"), "F:7:21: policies[0].publisher.github.repository: tags (!!binary) are not allowed; quote the value to make it a string"},
		{"complex key", "policies:\n  - ? [a]\n    : b\n", "F:2:7: policies[0]: got a list as a key, expected a name"},

		{"no name", swap("name: widget-release", "issuer: github"), "F:2:5: policies[0].name: the field is missing"},
		{"no registry", swap("    registry: internal-pypi\n", ""), "F:2:5: policies[0].registry: the field is missing"},
		{"no packages", swap("    packages: [acme-widget]\n", ""), "F:2:5: policies[0].packages: the field is missing"},
		{"name with blanks", swap("widget-release", "widget release"), `F:2:11: policies[0].name: name is "widget release", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit first`},
		{"name is a number", swap("widget-release", "12"), `F:2:11: policies[0].name: got the number 12, expected a string: write "12" in quotes`},
		{"name used twice", valid + strings.TrimPrefix(valid, "policies:\n"), `F:10:11: policies[1].name: the name "widget-release" is used twice; the first is in line 2`},

		{"unknown registry", swap("internal-pypi", "internal-pypy"), `F:3:15: policies[0].registry: registry "internal-pypy" is not configured; did you mean "internal-pypi"?`},
		{"registry twice", swap("internal-pypi", "[internal-pypi, internal-pypi]"), `F:3:31: policies[0].registry: registry "internal-pypi" is named twice`},
		{"no package", swap("[acme-widget]", "[]"), "F:4:15: policies[0].packages: the list is empty; leave the field out or name at least one value"},
		{"malformed package", swap("[acme-widget]", "[acme widget]"), `F:4:16: policies[0].packages[0]: package name is "acme widget", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit at both ends`},
		{"package that folds onto a name", swap("[acme-widget]", "[\u212aey]"), `F:4:16: policies[0].packages[0]: package name is "` + "\u212a" + `ey", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit at both ends`},
		{"any package", swap("[acme-widget]", `["*"]`), `F:4:16: policies[0].packages[0]: "*" covers every package; name packages, or say allow_any_package: true`},
		{"nearly any package", swap("[acme-widget]", `["*-*"]`), `F:4:16: policies[0].packages[0]: "*-*" covers every package; name packages, or say allow_any_package: true`},
		{"double star", swap("[acme-widget]", `["acme-**"]`), `F:4:16: policies[0].packages[0]: "**" is not a pattern: a single "*" stands for any text without "/" and ":"`},
		{"glob that is no name", swap("[acme-widget]", `["acme/*"]`), `F:4:16: policies[0].packages[0]: "acme/*" is not a pattern of package names of the ecosystem pypi: "*" would have to stand for part of a name`},
		{"unknown action", add("actions: [pubish]"), `F:10:15: policies[0].actions: action "pubish" is unknown; did you mean "publish"?`},
		{"action that the ecosystem does not have", add("actions: [publish, yank]"), `F:10:24: policies[0].actions: registry internal-pypi of the ecosystem pypi has no action "yank", only read, publish`},
		{"action twice", add("actions: [publish, publish]"), `F:10:24: policies[0].actions: action "publish" is named twice`},

		{"unknown issuer", add("issuer: ghes"), `F:10:13: policies[0].issuer: issuer "ghes" is not configured; known are github`},
		{"issuer of another provider", add("issuer: gitlab"), `F:10:13: policies[0].issuer: issuer "gitlab" is of the provider gitlab, and the publisher is github`},
		{"unknown provider", swap("      github:", "      githib:"), `F:6:7: policies[0].publisher.githib: unknown field; did you mean "github"?`},
		{"no provider", swap("publisher:\n      github:\n        repository: acme/widget\n        repository_owner_id: \"222\"\n        workflow: release.yml\n", "publisher: {}\n"), "F:5:16: policies[0].publisher: 0 providers are named, expected exactly one of " + strings.Join(provider.Names(), ", ")},
		{"two providers", add("  gitlab: {project_id: \"1\"}"), "F:6:7: policies[0].publisher: 2 providers are named, expected exactly one of " + strings.Join(provider.Names(), ", ")},
		{"unknown publisher field", swap("workflow: release.yml", "workflw: release.yml"), `F:9:9: policies[0].publisher.github.workflw: unknown field; did you mean "workflow"?`},
		{"id without quotes", swap(`"222"`, "222"), `F:8:30: policies[0].publisher.github.repository_owner_id: ids are quoted strings: write "222" with its quotes`},
		{"id without quotes that is no number", swap(`"222"`, "a22"), `F:8:30: policies[0].publisher.github.repository_owner_id: ids are quoted strings: write "a22" with its quotes`},
		{"id is a glob", swap(`"222"`, `"2*"`), `F:8:30: policies[0].publisher.github.repository_owner_id: "2*" is a pattern, and repository_owner_id takes exact values only`},
		{"workflow is a glob", swap("release.yml", `"*.yml"`), `F:9:19: policies[0].publisher.github.workflow: "*.yml" is a pattern, and workflow takes exact values only`},
		{"octal", swap("release.yml", "0123"), `F:9:19: policies[0].publisher.github.workflow: got the number 0123, expected a string: write "0123" in quotes`},
		{"date", swap("release.yml", "2026-01-01"), `F:9:19: policies[0].publisher.github.workflow: got the date 2026-01-01, expected a string: write "2026-01-01" in quotes`},
		{"boolean", swap("release.yml", "true"), `F:9:19: policies[0].publisher.github.workflow: got the boolean true, expected a string: write "true" in quotes`},
		{"null", swap("release.yml", "~"), `F:9:19: policies[0].publisher.github.workflow: got nothing, expected a string: write "~" in quotes`},
		{"empty value", swap("release.yml", `""`), "F:9:19: policies[0].publisher.github.workflow: the value is empty; an absent claim never matches, so leave the field out or name a value"},
		{"blanks at the end", swap("release.yml", `"release.yml "`), `F:9:19: policies[0].publisher.github.workflow: the value "release.yml " holds a line break, a tab or blanks at its ends, which no claim has`},
		{"mapping for a value", swap("release.yml", "{a: b}"), "F:9:19: policies[0].publisher.github.workflow: got a mapping, expected a list"},
		{"empty list for a value", swap("release.yml", "[]"), "F:9:19: policies[0].publisher.github.workflow: the list is empty; leave the field out or name at least one value"},
		{"list with a list", swap("release.yml", "[a, [b]]"), "F:9:23: policies[0].publisher.github.workflow[1]: got a list, expected a string"},
		{"list with a value twice", swap("release.yml", "[a, b, a]"), `F:9:26: policies[0].publisher.github.workflow[2]: the value "a" is written twice`},
		{"list with a pattern", swap("release.yml", `[a, "b*"]`), `F:9:23: policies[0].publisher.github.workflow[1]: "b*" is a pattern, and workflow takes exact values only`},
		{"list of ids without quotes", swap(`"222"`, `["222", 333]`), `F:8:38: policies[0].publisher.github.repository_owner_id[1]: ids are quoted strings: write "333" with its quotes`},
		{"too long", swap("release.yml", strings.Repeat("a", 1025)), "F:9:19: policies[0].publisher.github.workflow: the value has 1025 bytes, at most 1024 are allowed"},
		{"boolean string", add("    ref_protected: \"yes\""), `F:10:24: policies[0].publisher.github.ref_protected: "yes", expected "true" or "false", in quotes`},

		{"no stable id", swap("        repository_owner_id: \"222\"\n", ""), "F:7:9: policies[0].publisher.github: names can pass to other owners, and no stable id is named; add repository_id or repository_owner_id (in quotes), or say allow_unpinned: true"},
		{"no repository", swap("        repository: acme/widget\n", ""), "F:7:9: policies[0].publisher.github: no repository is named; add repository or repository_id, or say allow_unpinned: true"},
		{"nobody in particular", swap("        repository: acme/widget\n        repository_owner_id: \"222\"\n", "") + "    allow_unpinned: true\n", "F:7:9: policies[0].publisher.github: nothing here says whose run it is; name repository or repository_id or repository_owner or repository_owner_id"},
		{"open glob without an id", swap("repository: acme/widget\n        repository_owner_id: \"222\"", `repository: "ac*/widget"`) + "    allow_unpinned: true\n", `F:7:9: policies[0].publisher.github.repository: "ac*/widget" begins with a pattern and no stable id is named, so that a stranger's run could match; write the first part out or add repository_id or repository_owner_id`},

		{"unknown event", add("events: [pull_requests]"), `F:10:14: policies[0].events: event "pull_requests" is unknown to the provider github; did you mean "pull_request"?`},
		{"tag with two versions", add(`tag: "{version}{version}"`), `F:10:10: policies[0].tag: tag is "{version}{version}", expected text around one {version} and one {package} at most, with text between them, as in "v{version}"`},
		{"tag with a glob", add(`tag: "v*"`), `F:10:10: policies[0].tag: tag is "v*", expected text around one {version} and one {package} at most, with text between them, as in "v{version}"`},
		{"tag with its ref", add(`tag: "refs/tags/v{version}"`), `F:10:10: policies[0].tag: tag is "refs/tags/v{version}", expected the tag's own name without refs/tags/`},
		{"tag with two packages", add(`tag: "{package}-{package}"`), `F:10:10: policies[0].tag: tag is "{package}-{package}", expected text around one {version} and one {package} at most, with text between them, as in "v{version}"`},
		{"tag with nothing between", add(`tag: "{package}{version}"`), `F:10:10: policies[0].tag: tag is "{package}{version}", expected text around one {version} and one {package} at most, with text between them, as in "v{version}"`},
		{"tag with another placeholder", add(`tag: "v{tag}"`), `F:10:10: policies[0].tag: tag is "v{tag}", expected text around one {version} and one {package} at most, with text between them, as in "v{version}"`},
		{"template of an unknown claim", swap("[acme-widget]", `["{claims.name}"]`), `F:4:16: policies[0].packages[0]: "{claims.name}": packages cannot be named after the claim "name", expected one that the platform alone sets: one of repository_id, repository_name, repository_owner, repository_owner_id`},
		{"template of a claim that a run chooses", swap("[acme-widget]", `["{claims.environment}"]`), `F:4:16: policies[0].packages[0]: "{claims.environment}": packages cannot be named after the claim "environment", expected one that the platform alone sets: one of repository_id, repository_name, repository_owner, repository_owner_id`},
		{"template without its end", swap("[acme-widget]", `["{claims.repository_name"]`), `F:4:16: policies[0].packages[0]: "{claims.repository_name": packages cannot be named after the claim "repository_name", expected one that the platform alone sets: one of repository_id, repository_name, repository_owner, repository_owner_id`},
		{"template with other braces", swap("[acme-widget]", `["{repository}"]`), `F:4:16: policies[0].packages[0]: "{repository}" is not a template: write {claims.NAME} for a claim, and no "*" beside it`},
		{"template with a star", swap("[acme-widget]", `["{claims.repository_name}-*"]`), `F:4:16: policies[0].packages[0]: "{claims.repository_name}-*" is not a template: write {claims.NAME} for a claim, and no "*" beside it`},
		{"template of claims side by side", swap("[acme-widget]", `["{claims.repository_owner}{claims.repository_name}"]`), `F:4:16: policies[0].packages[0]: two claims stand side by side, so that one name could be made in two ways; write text between them`},
		{"template that is no name", swap("[acme-widget]", `["acme/{claims.repository_name}"]`), `F:4:16: policies[0].packages[0]: "acme/{claims.repository_name}" is not a template of package names of the ecosystem pypi`},
		{"end before beginning", add("not_before: 2026-06-01\n    not_after: 2026-05-31"), `F:11:16: policies[0].not_after: the policy would end before it begins; not_before is 2026-06-01`},
		{"not_before in a list", add("not_before: [2026-06-01]"), `F:10:17: policies[0].not_before: got a list, expected a date such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z`},
		{"new_packages in words", add("new_packages: always"), `F:10:19: policies[0].new_packages: got "always", expected true or false`},
		{"new_packages without a date", add("new_packages: {}"), `F:10:19: policies[0].new_packages: the mapping is empty; write true, or until: and a date`},
		{"new_packages until never", add("new_packages: {until: never}"), `F:10:27: policies[0].new_packages.until: got "never", expected a date such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z`},
		{"new_packages since", add("new_packages: {since: 2026-01-01}"), `F:10:20: policies[0].new_packages.since: unknown field; known are until`},
		{"exclusive in quotes", add(`exclusive: "true"`), `F:10:16: policies[0].exclusive: got "true", expected true or false`},
		{"exclusive yes", add(`exclusive: yes`), `F:10:16: policies[0].exclusive: got "yes", expected true or false`},
		{"not_after never", add(`not_after: never`), `F:10:16: policies[0].not_after: got "never", expected a date such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z`},

		{"when does not parse", add("when: claims.a =="), "F:10:22: policies[0].when: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"},
		{"when names an unknown variable", add(`when: claims.a == "b" && clams.c == "d"`), "F:10:30: policies[0].when: undeclared reference to 'clams' (did you mean 'claims'?)"},
		{"when in quotes", add(`when: 'target.version == 1'`), "F:10:27: policies[0].when: found no matching overload for '_==_' applied to '(string, int)'"},
		{"when over lines", add("when: |\n      target.version != \"1\" &&\n      target.package == 2"), "F:12:22: policies[0].when: found no matching overload for '_==_' applied to '(string, int)'"},
		{"when names the package by its word", add(`when: package == "x"`), "F:10:11: policies[0].when: there is no variable package; write target.package"},
		{"when names the version by its word", add(`when: version == "x"`), "F:10:11: policies[0].when: there is no variable version; write target.version"},
		{"when with loops in loops", add(`when: claims.a.all(x, claims.a.all(y, x == y))`), "F:10:39: policies[0].when: comprehension exceeds nesting limit"},
		{"when folded", add("when: >\n      target.version != \"1\" &&\n      target.package == 2"), "F:10:11: policies[0].when: found no matching overload for '_==_' applied to '(string, int)' (line 1, column 41 of the expression)"},
		{"when gives no boolean", add("when: claims.a"), "F:10:11: policies[0].when: the expression gives a dyn, expected true or false: compare it with something"},
		{"when with a regular expression", add(`when: claims.ref.matches("v1")`), "F:10:29: policies[0].when: matches is not available, since an unanchored expression matches more than it says; use ==, startsWith, endsWith or in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policies.yaml")
			writeFile(t, path, tc.content)
			set, err := Load([]string{path}, testEnv())
			if err == nil {
				t.Fatalf("loaded %d policies, expected the error %q", set.Len(), tc.want)
			}
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("the error is a %T, expected Errors", err)
			}
			if diff := cmp.Diff(tc.want, strings.Replace(all[0].Error(), path, "F", 1)); diff != "" {
				t.Errorf("first of %d errors (-want +got):\n%s", len(all), diff)
			}
		})
	}
}

// TestErrorOncePerPlace: a package is read for each registry, and what is wrong with it for all of them is told once.
func TestErrorOncePerPlace(t *testing.T) {
	text := strings.Replace(strings.Replace(valid, "registry: internal-pypi", "registry: [internal-pypi, staging-pypi]", 1), "[acme-widget]", `["acme/widget"]`, 1)
	_, err := Parse(map[string]string{"F": text}, testEnv())
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %v, expected Errors", err)
	}
	want := Errors{{
		File: "F", Line: 4, Column: 16, Field: "policies[0].packages[0]",
		Message: `package name is "acme/widget", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit at both ends`,
	}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestLoadOpenID(t *testing.T) {
	policy := func(publisher string) string {
		return lines("policies:", "  - name: x", "    registry: internal-pypi", "    packages: [x]", "    publisher:", "      oidc: "+publisher)
	}
	for _, tc := range []struct{ name, content, want string }{
		{"subject", policy("{subject: \"job:acme/widget\"}"), ""},
		{"subject and claims", policy(`{subject: "job:acme/widget", claims: {team: release}}`), ""},
		{"claims alone", policy(`{claims: {team: release}}`), `F:6:13: policies[0].publisher.oidc: no repository is named; add subject, or say allow_unpinned: true`},
		{"claims alone, on purpose", policy(`{claims: {team: release}}`) + "    allow_unpinned: true\n", ""},
		{"open subject", policy(`{subject: "*"}`), `F:6:13: policies[0].publisher.oidc.subject: "*" begins with a pattern and no stable id is named, so that a stranger's run could match; write the first part out or add `},
		{"claim with its own field", policy(`{subject: "a", claims: {sub: "a"}}`), `F:6:37: policies[0].publisher.oidc.claims.sub: this claim has a publisher field of its own; use that`},
		{"claim of the gateway", policy(`{subject: "a", claims: {aud: "a"}}`), `F:6:37: policies[0].publisher.oidc.claims.aud: the issuer's configuration and the gateway check this claim; leave it out`},
		{"claim with a glob", policy(`{subject: "a", claims: {team: "a*"}}`), `F:6:43: policies[0].publisher.oidc.claims.team: "a*" is a pattern, and claims take exact values only`},
		{"claim is a number", policy(`{subject: "a", claims: {team: 1}}`), `F:6:43: policies[0].publisher.oidc.claims.team: got the number 1, expected a string: write "1" in quotes`},
		{"no claims", policy(`{subject: "a", claims: {}}`), `F:6:36: policies[0].publisher.oidc.claims: the mapping is empty; leave the field out or name at least one claim`},
		{"events", policy(`{subject: "a"}`) + "    events: [push]\n", "F:7:13: policies[0].events: tokens of the provider oidc do not say what started a run"},
		{"tag", policy(`{subject: "a"}`) + "    tag: v1\n", "F:7:10: policies[0].tag: tokens of the provider oidc do not name a tag"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policies.yaml")
			writeFile(t, path, tc.content)
			_, err := Load([]string{path}, testEnv())
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), path, "F")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadIssuers(t *testing.T) {
	two := testEnv()
	two.Issuers = append(two.Issuers, Issuer{Name: "ghes", Provider: "github", Disabled: true})
	none := testEnv()
	none.Issuers = nil
	open := Env{AnyRegistry: "pypi", AnyIssuer: true}
	for _, tc := range []struct {
		name, content string
		env           Env
		want          string
	}{
		{"two issuers and none named", valid, two, "F:6:7: policies[0].issuer: the provider github has 2 issuers; add issuer: and one of ghes, github"},
		{"two issuers and one named", valid + "    issuer: ghes\n", two, ""},
		{"no issuer", valid, none, "F:6:7: policies[0].publisher: no issuer of the provider github is configured"},
		{"away from the gateway", valid, open, ""},
		{"away from the gateway with a name", valid + "    issuer: ghes\n", open, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policies.yaml")
			writeFile(t, path, tc.content)
			_, err := Load([]string{path}, tc.env)
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), path, "F")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadEnv(t *testing.T) {
	for _, tc := range []struct {
		name    string
		issuers []Issuer
		want    string
	}{
		{"unknown provider", []Issuer{{Name: "x", Provider: "jenkinz"}}, "issuer x: provider is \"jenkinz\", expected one of [" + strings.Join(provider.Names(), " ") + "]"},
		{"name twice", []Issuer{{Name: "x", Provider: "github"}, {Name: "x", Provider: "gitlab"}}, `issuer "x": names must be unique and not empty`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(nil, Env{Issuers: tc.issuers})
			if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadPaths(t *testing.T) {
	named := func(name string) string { return strings.ReplaceAll(valid, "widget-release", name) }
	dir := t.TempDir()
	for _, sub := range []string{"team/deep", ".hidden", "..2026_11_23", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "a.yaml"), named("a"))
	writeFile(t, filepath.Join(dir, "team/b.yml"), named("b"))
	writeFile(t, filepath.Join(dir, "team/deep/c.yaml"), named("c"))
	writeFile(t, filepath.Join(dir, "README.md"), "not a policy")
	writeFile(t, filepath.Join(dir, ".a.yaml.swp.yaml"), "not a policy")
	writeFile(t, filepath.Join(dir, ".hidden/d.yaml"), "not a policy")
	writeFile(t, filepath.Join(dir, "..2026_11_23/e.yaml"), named("e"))
	if err := os.Symlink("..2026_11_23", filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/e.yaml", filepath.Join(dir, "e.yaml")); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	at := func(p string) string { return filepath.Join(dir, p) }
	for _, tc := range []struct {
		name  string
		paths []string
		want  []string
		err   string
	}{
		{"a file", []string{at("a.yaml")}, []string{"a"}, ""},
		{"a directory with all below, hidden names left out", []string{dir}, []string{"a", "e", "b", "c"}, ""},
		{"a link to a directory", []string{linked}, []string{"a", "e", "b", "c"}, ""},
		{"a glob", []string{at("team/*.yml")}, []string{"b"}, ""},
		{"a glob of directories", []string{at("te*")}, []string{"b", "c"}, ""},
		{"the same file by three names", []string{at("a.yaml"), at("./a.yaml"), at("*.yaml")}, []string{"a", "e"}, ""},
		{"an empty directory", []string{at("empty")}, []string{}, ""},
		{"nothing", []string{at("nothing.yaml")}, nil, at("nothing.yaml") + ": there is no such file or directory"},
		{"a glob of nothing", []string{at("x*.yaml")}, nil, at("x*.yaml") + ": the glob matches no file"},
		{"a malformed glob", []string{at("[.yaml")}, nil, at("[.yaml") + ": malformed glob: syntax error in pattern"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := Load(tc.paths, testEnv())
			if err != nil {
				if diff := cmp.Diff(tc.err, err.Error()); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				return
			}
			if diff := cmp.Diff(tc.want, set.Names()); diff != "" || tc.err != "" {
				t.Errorf("policies (-want +got):\n%s\nexpected error %q", diff, tc.err)
			}
		})
	}
}

func TestLoadSameNameInTwoFiles(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	writeFile(t, a, valid)
	writeFile(t, b, valid)
	_, err := Load([]string{dir}, testEnv())
	want := b + `:2:11: policies[0].name: the name "widget-release" is used twice; the first is in ` + a + ":2"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestLoadReportsAll(t *testing.T) {
	_, err := loadText(t, lines("policies:", "  - nam: x", "  - name: y", "    registry: nowhere", "    packages: [a b]", "    publisher: {github: {repository: 1}}"), testEnv())
	var all Errors
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Field))
	}
	want := []string{"2:5 policies[0].nam", "4:15 policies[1].registry", "6:38 policies[1].publisher.github.repository"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestHashIsOfTheContent(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(one, "a.yaml"), valid)
	writeFile(t, filepath.Join(one, "b.yaml"), "policies: []\n")
	writeFile(t, filepath.Join(two, "z.yaml"), valid)
	writeFile(t, filepath.Join(two, "y.yaml"), "policies: []\n")
	hash := func(dir string) string {
		set, err := Load([]string{dir}, testEnv())
		if err != nil {
			t.Fatal(err)
		}
		return set.Hash()
	}
	if hash(one) != hash(two) {
		t.Error("the same content has two hashes")
	}
	before := hash(one)
	writeFile(t, filepath.Join(one, "b.yaml"), "policies: [] # edited\n")
	if hash(one) == before {
		t.Error("other content has the same hash")
	}
}

func TestExamplesLoad(t *testing.T) {
	set, err := Load([]string{"examples"}, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"reports-release", "plugins", "widget-release"}, set.Names()); diff != "" {
		t.Errorf("examples (-want +got):\n%s", diff)
	}
}
