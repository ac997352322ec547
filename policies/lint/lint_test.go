package lint

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const base = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        environment: release
        ref_protected: "true"
`

// codes are the findings of a text as "line code".
func codes(r *Report) []string {
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, fmt.Sprintf("%d %s", f.Line, f.Code))
	}
	return list
}

// with replaces parts of the base, which is clean as it is.
func with(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(base) }

// TestMay: a finding says what the policy grants, and not more.
func TestMay(t *testing.T) {
	const owner = `repository_owner_id: "222"`
	anyRun := with("environment: release\n        ref_protected: \"true\"", "ref: \"refs/heads/*\"")
	for name, tc := range map[string]struct{ text, actions, want string }{
		"nothing said":            {anyRun, "", "so a run of any branch may publish"},
		"publish beside the rest": {anyRun, "[tag, read, publish]", "so a run of any branch may publish"},
		"read":                    {anyRun, "[read]", "so a run of any branch may read"},
		"two":                     {anyRun, "[tag, read]", "so a run of any branch may read and tag"},
		"three":                   {anyRun, "[tag, yank, read]", "so a run of any branch may read, yank and tag"},
		"an owner":                {with("repository: acme/widget\n        "+owner, "repository_owner: acme\n        "+owner) + "    allow_unpinned: true\n", "[read]", "so all of the owner's repositories may read"},
		"pull requests":           {with("    publisher", "    events: [pull_request]\n    publisher"), "[read]", `event "pull_request": runs for pull requests may read`},
	} {
		t.Run(name, func(t *testing.T) {
			opts := Options{Now: clock, Registries: map[string]string{"internal-pypi": "npm"}}
			if tc.actions != "" {
				tc.text = strings.Replace(tc.text, "    publisher", "    actions: "+tc.actions+"\n    publisher", 1)
			}
			got := Check(map[string]string{"policies.yaml": tc.text}, opts)
			if len(got.Findings) != 1 || !strings.HasSuffix(got.Findings[0].Message, tc.want) {
				t.Errorf("got %+v, expected one finding that ends in %q", got.Findings, tc.want)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	const owner = `repository_owner_id: "222"`
	oidc := func(publisher string) string {
		return "policies:\n  - name: a\n    registry: r\n    packages: [a]\n    publisher:\n      oidc:\n" + publisher
	}
	second := strings.NewReplacer("policies:\n", "", "widget-release", "second").Replace
	tests := []struct {
		name, text string
		want       []string
	}{
		{"the base", base, []string{}},
		{"a repository's id pins", with(owner, `repository_id: "1"`), []string{}},
		{"an owner's name does not pin", with(owner, `repository_owner: acme`, "        environment", "        environment") + "    allow_unpinned: true\n", []string{"7 unpinned_name"}},
		{"a star below the owner", with("acme/widget\n", "\"acme/widget-*\"\n"), []string{}},
		{"a star for the owner", with("acme/widget\n", "\"*/widget\"\n"), []string{"7 wildcard_owner"}},
		{"a star for the owner of a reusable workflow", with("        environment", "        job_workflow: \"*/ci/.github/workflows/x.yml@refs/tags/v1\"\n        environment"), []string{"9 wildcard_owner"}},
		{"only the owner's name", with("repository: acme/widget\n        "+owner, "repository_owner: acme\n        "+owner) + "    allow_unpinned: true\n", []string{"7 no_repository"}},
		{"each repository its own package", with("repository: acme/widget\n        "+owner, owner, "[acme-widget]", `["{claims.repository_name}"]`) + "    allow_unpinned: true\n", []string{}},
		{"a pattern of separators only", with("[acme-widget]", `["*-*"]`) + "    allow_any_package: true\n", []string{"4 any_package"}},
		{"several claims about the ref", oidc("        claims:\n          build_branch: main\n          ref_type: branch\n") + "    allow_unpinned: true\n", []string{"8 ref_only"}},
		{"a ref and an owner", oidc("        claims:\n          build_branch: main\n          organization: acme\n") + "    allow_unpinned: true\n", []string{}},
		{"names that only sound like a ref", oidc("        claims:\n          href: a\n") + "    allow_unpinned: true\n", []string{}},
		{"a subject and a claim", oidc("        subject: a\n        claims:\n          id: b\n"), []string{}},
		{"a hyphen in a name", oidc("        subject: \"repo:acme/widget-1:ref:main\"\n        claims:\n          id: b\n"), []string{}},
		{"ids behind hyphens with a star", oidc("        subject: \"repo:acme-1/widget-2:*\"\n        claims:\n          id: b\n"), []string{"7 ambiguous_subject"}},
		{"a workflow at any tag", with("        environment", "        job_workflow: \"acme/ci/.github/workflows/x.yml@refs/tags/*\"\n        environment"), []string{"9 moving_workflow"}},
		{"a workflow at a commit", with("        environment", "        job_workflow: acme/ci/.github/workflows/x.yml@6dcb09b5b57875f334f61aebed695e2e4193db5e\n        environment"), []string{}},
		{"an event that is allowed anyway", with("    publisher", "    events: [push, issue_comment, \"pull_request\"]\n    publisher"), []string{"5 outsider_trigger", "5 pull_request_trigger"}},
		{"any branch by a pattern", with("environment: release\n        ref_protected: \"true\"", "ref: \"refs/heads/*\""), []string{"6 any_branch"}},
		{"one branch", with("environment: release\n        ref_protected: \"true\"", "ref: refs/heads/main"), []string{}},
		{"branches of a form", with("environment: release\n        ref_protected: \"true\"", "ref: \"refs/heads/release-*\""), []string{}},
		{"any environment", with("environment: release\n        ref_protected: \"true\"", "environment: \"*\""), []string{"6 any_branch"}},
		{"no protection", with("environment: release\n        ref_protected: \"true\"", "ref_protected: \"false\""), []string{"6 any_branch"}},
		{"tags", with("environment: release\n        ref_protected: \"true\"", "ref_type: tag"), []string{}},
		{"branches by type", with("environment: release\n        ref_protected: \"true\"", "ref_type: branch"), []string{"6 any_branch"}},
		{"a condition on the ref", with("environment: release\n        ref_protected: \"true\"", "actor_id: \"1\"") + "    when: claims.ref.startsWith(\"refs/heads/release-\")\n", []string{}},
		{"a condition on something else", with("environment: release\n        ref_protected: \"true\"", "actor_id: \"1\"") + "    when: claims[\"run_attempt\"] == \"1\"\n", []string{"6 any_branch"}},
		{"claims in a text only", base + "    when: target.version != \"claims\"\n", []string{"11 when_ignores_claims"}},
		{"claims of something else", base + "    when: target.version != \"\" && {\"claims\":true}.claims\n", []string{"11 when_ignores_claims"}},
		{"two owners by name", base + second(with("acme/widget\n", "other/widget\n", owner, "repository_id: \"9\"")), []string{"13 overlapping_owners"}},
		{"two owners of whom one only reads", base + second(with("acme/widget\n", "other/widget\n", owner, "repository_id: \"9\"", "    publisher", "    actions: [read]\n    publisher")), []string{}},
		{"one owner by name and id", base + second(with("acme/widget\n", "acme/second\n", owner, "repository_id: \"9\"")), []string{}},
		{"patterns that meet", with("[acme-widget]", `["acme-*"]`) + second(with("[acme-widget]", `["acme-widget-*"]`, "acme/widget\n", "other/x\n", `"222"`, `"9"`)), []string{"13 overlapping_owners"}},
		{"patterns that do not meet", with("[acme-widget]", `["acme-*-a"]`) + second(with("[acme-widget]", `["acme-*-b"]`, "acme/widget\n", "other/x\n", `"222"`, `"9"`)), []string{}},
		{"a pattern behind the name", base + second(with("[acme-widget]", `["acme-*"]`, "acme/widget\n", "other/x\n", `"222"`, `"9"`)), []string{"4 overlapping_owners"}},
		{"other registries", base + second(with("internal-pypi", "staging-pypi", "acme/widget\n", "other/x\n", `"222"`, `"9"`)), []string{}},
		{"twins", base + second(base), []string{"11 shadowed"}},
		{"the larger one comes later", with("        environment", "        actor_id: \"1\"\n        environment") + second(base), []string{"2 shadowed"}},
		{"more packages", with("[acme-widget]", "[acme-widget, b]") + second(base), []string{"11 shadowed"}},
		{"other packages", base + second(with("[acme-widget]", "[acme-widget, b]")), []string{"2 shadowed"}},
		{"a pattern does not shadow a name", with("[acme-widget]", `["acme-*"]`) + second(base), []string{}},
		{"a pattern that lets new packages in shadows a name", with("[acme-widget]", `["acme-*"]`) + "    new_packages: true\n" + second(base), []string{"12 shadowed"}},
		{"a pattern that lets them in for a time does not", with("[acme-widget]", `["acme-*"]`) + "    new_packages: {until: 2027-01-01}\n" + second(base), []string{}},
		{"new packages of a smaller pattern", with("[acme-widget]", `["acme-*"]`) + second(with("[acme-widget]", `["acme-w*"]`)) + "    new_packages: true\n", []string{}},
		{"a pattern shadows a template", with("[acme-widget]", `["acme-*"]`) + second(with("[acme-widget]", `["acme-{claims.repository_name}"]`)), []string{"11 shadowed"}},
		{"a template does not shadow a pattern", with("[acme-widget]", `["acme-{claims.repository_name}"]`) + second(with("[acme-widget]", `["acme-*"]`)), []string{"2 shadowed"}},
		{"equal templates", with("[acme-widget]", `["{claims.repository_name}"]`) + second(with("[acme-widget]", `["{claims.repository_name}"]`)), []string{"11 shadowed"}},
		{"a template of another owner", with("[acme-widget]", `["acme-{claims.repository_name}"]`, "acme/widget\n", "other/x\n", `"222"`, `"9"`) + second(base), []string{"13 overlapping_owners"}},
		{"a later start", base + "    not_before: 2026-01-01\n" + second(base), []string{"2 shadowed"}},
		{"an earlier end", base + second(base) + "    not_after: 2027-01-01\n", []string{"11 shadowed"}},
		{"one of several environments", with("environment: release", `environment: [release, staging]`) + second(base), []string{"11 shadowed"}},
		{"several of one environment", base + second(with("environment: release", `environment: [release, staging]`)), []string{"2 shadowed"}},
		{"protected or not", with("environment: release\n        ref_protected: \"true\"", `ref_protected: ["true", "false"]`), []string{"6 any_branch"}},
		{"a star for one of the owners", with("acme/widget\n", "[acme/widget, \"*/tools\"]\n"), []string{"7 wildcard_owner"}},
		{"a pattern shadows a pattern", with("[acme-widget]", `["acme-*"]`) + second(with("[acme-widget]", `["acme-w*"]`)), []string{"11 shadowed"}},
		{"a pattern of an environment shadows", with("environment: release", `environment: "rel*"`) + second(base), []string{"11 shadowed"}},
		{"another workflow", with("        environment", "        workflow: a.yml\n        environment") + second(with("        environment", "        workflow: b.yml\n        environment")), []string{}},
		{"who publishes may read", base + second(with("    publisher", "    actions: [publish, read]\n    publisher")), []string{"11 shadowed"}},
		{"who reads may not publish", with("    publisher", "    actions: [read]\n    publisher") + second(base), []string{"2 shadowed"}},
		{"another condition", base + "    when: claims.a == \"b\"\n" + second(base) + "    when: claims.a == \"c\"\n", []string{}},
		{"an expired one shadows nothing", base + "    not_after: 2026-01-01\n" + second(base), []string{"11 expired"}},
		{"what does not claim shadows nothing that claims", base + "    exclusive: false\n" + second(base), []string{"2 shadowed"}},
		{"case", base + second(with("acme/widget\n", "acme/Widget\n", "[acme-widget]", "[b]")), []string{"16 look_alike"}},
		{"a digit for a letter", base + second(with("[acme-widget]", "[acme-w1dget]")), []string{}},
		{"a zero for a letter", with("[acme-widget]", "[acme-tool]") + second(with("[acme-widget]", "[acme-t0ol]")), []string{"13 look_alike"}},
		{"an invisible letter", with("acme/widget\n", "\"acme/wid\u200bget\"\n"), []string{"7 look_alike"}},
		{"full width", with(" release\n", " \uff52elease\n"), []string{"9 look_alike"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := codes(Check(map[string]string{"a.yaml": tt.text}, Options{Now: clock}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%s", diff, tt.text)
			}
		})
	}
}

// secretsOfEachKind are made up here, so that no file holds one.
func secretsOfEachKind() []string {
	body := strings.Repeat("aB3dE5gH7j", 8)
	hex := strings.Repeat("0a1b2c3d4e", 8)
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return []string{
		"gh" + "p_" + body[:36], "github" + "_pat_" + body, "glp" + "at-" + body[:20], "py" + "pi-" + body, "np" + "m_" + body[:36], "ruby" + "gems_" + hex[:48],
		"cmVmd" + "Gtu" + body[:56], "AK" + "Cp" + body[:70], "dckr" + "_pat_" + body[:27], "AK" + "IA" + "ABCDEFGHIJKLMNOP", "hv" + "s." + body[:30], "xo" + "xb-" + body[:40],
		"tp" + "ub_" + body[:40], b64(`{"alg":"none","typ":"JWT"}`) + "." + b64(`{"sub":"somebody"}`) + "." + body, "https://ci:" + body[:12] + "@pypi.example.com/",
	}
}

// No secret leaves in any format, whatever rule speaks of its line.
func TestSecretsAreNeverShown(t *testing.T) {
	key := "-----BEGIN RSA " + "PRIVATE KEY-----\n      " + strings.Repeat("abcdEFGH", 8) + "\n      -----END RSA " + "PRIVATE KEY-----"
	places := []string{
		"# %s\n" + base,
		base + "    when: \"%s\"\n",
		base + "    %s: 1\n",
		strings.Replace(base, "acme/widget", `"acme*/%s"`, 1),
		strings.Replace(base, "[acme-widget]", `["%s"]`, 1),
		strings.Replace(base, "widget-release", `%s`, 1),
		strings.Replace(base, "        environment: release", "        environment: release  # trustpub:ignore any_branch %s", 1),
		"policies: %s\n", "%s",
	}
	for i, secret := range append(secretsOfEachKind(), key) {
		for _, place := range places {
			text := fmt.Sprintf(place, secret)
			r := Check(map[string]string{"a.yaml": text}, Options{Now: clock})
			if !regexp.MustCompile(`\d secret`).MatchString(strings.Join(codes(r), ",")) {
				t.Errorf("secret %d is not found in %q", i, place)
			}
			telling := secret[len(secret)-12:]
			if secret == key {
				telling = "abcdEFGH"
			} else if strings.HasPrefix(secret, "https") {
				telling = secret[11:20]
			}
			for _, format := range Formats() {
				var b strings.Builder
				if err := r.Write(&b, format); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(b.String(), telling) {
					t.Errorf("secret %d at %q is shown as %s:\n%s", i, place, format, b.String())
				}
			}
		}
	}
}

func TestIgnore(t *testing.T) {
	loose := with("environment: release\n        ref_protected: \"true\"", "environment: release%s")
	tests := []struct {
		name, text string
		want       []string
		ignored    int
	}{
		{"behind", fmt.Sprintf(loose, "  # trustpub:ignore environment_may_not_exist it is protected"), []string{}, 1},
		{"above", strings.Replace(fmt.Sprintf(loose, ""), "        environment", "        # trustpub:ignore environment_may_not_exist it is protected\n        # see the runbook\n        environment", 1), []string{}, 1},
		{"another code", fmt.Sprintf(loose, "  # trustpub:ignore any_branch it is protected"), []string{"9 environment_may_not_exist", "9 ignore_unused"}, 0},
		{"another line", "# trustpub:ignore environment_may_not_exist it is protected\n" + fmt.Sprintf(loose, ""), []string{"1 ignore_unused", "10 environment_may_not_exist"}, 0},
		{"no reason", fmt.Sprintf(loose, "  # trustpub:ignore environment_may_not_exist"), []string{"9 environment_may_not_exist", "9 ignore_invalid"}, 0},
		{"no code", fmt.Sprintf(loose, "  # trustpub:ignore"), []string{"9 environment_may_not_exist", "9 ignore_invalid"}, 0},
		{"an unknown code", fmt.Sprintf(loose, "  # trustpub:ignore environment it is protected"), []string{"9 environment_may_not_exist", "9 ignore_invalid"}, 0},
		{"a rule that cannot be ignored", fmt.Sprintf(loose, "  # trustpub:ignore ignore_unused it is"), []string{"9 environment_may_not_exist", "9 ignore_invalid"}, 0},
		{"in the middle of a comment", fmt.Sprintf(loose, "  # see trustpub:ignore"), []string{"9 environment_may_not_exist", "9 ignore_invalid"}, 0},
		{"in a value", with(" release\n", " \"# trustpub:ignore any_branch x\"\n"), []string{}, 0},
		{"in a file that does not load", with("registry", "registri") + "# trustpub:ignore any_branch x\n", []string{"3 load_error"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Check(map[string]string{"a.yaml": tt.text}, Options{Now: clock})
			if diff := cmp.Diff(tt.want, codes(r)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if len(r.Ignored) != tt.ignored {
				t.Errorf("got %d ignored, expected %d", len(r.Ignored), tt.ignored)
			}
		})
	}
}

func TestRunFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.yaml": base, "b.yaml": "policies: [", "c.yml": strings.Replace(base, "acme-widget", "b", 1), "notes.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	missing := filepath.Join(dir, "missing.yaml")
	r := Run([]string{dir, missing}, Options{Now: clock})
	var got []string
	for _, f := range r.Findings {
		got = append(got, fmt.Sprintf("%s:%d %s %s", filepath.Base(f.File), f.Line, f.Code, f.Message))
	}
	want := []string{
		"b.yaml:2 load_error not YAML: while parsing a flow node: did not find expected node content",
		`c.yml:2 load_error policies[0].name: the name "widget-release" is used twice; the first is in ` + filepath.Join(dir, "a.yaml") + ":2",
		"missing.yaml:0 load_error there is no such file or directory",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if r.Files != 3 || r.Policies != 1 {
		t.Errorf("got %d files and %d policies, expected 3 and 1", r.Files, r.Policies)
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a*", "abc", true},
		{"a*", "a/b", false},
		{"a*", "ab*", true},
		{"ab*", "a*", false},
		{"*", "*", true},
		{"a*b*c", "axbyc", true},
		{"a*b*c", "a/b/c", false},
		{"a*c", "a*b*c", true},
		{"a*b*c", "a*c", false},
	}
	for _, tt := range tests {
		if got := covers(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q covers %q: got %v", tt.pattern, tt.text, got)
		}
	}
}
