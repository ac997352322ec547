package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shownOnPurpose are the findings that pages show on purpose: the fields that take a protection away have to be shown, and
// most examples show one field only.
var shownOnPurpose = map[string]bool{
	"any_branch": true, "any_package": true, "no_repository": true, "environment_may_not_exist": true, "outsider_trigger": true,
	// The README shows the job of one package on two platforms.
	"README.md overlapping_owners": true,
}

var policyBlock = regexp.MustCompile("(?ms)^```yaml\n((?:#[^\n]*\n)*policies:.*?)^```$")

// Every policy that a page shows loads and has no finding, but for those that are shown on purpose.
func TestDocumentedPolicies(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range policyBlock.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "\ntests:") {
				continue // a policy test, which another command reads
			}
			found++
			for _, f := range Check(map[string]string{"page.yaml": m[1]}, Options{Now: clock, Registries: registriesOf(page, string(data))}).Findings {
				if !shownOnPurpose[f.Code] && !shownOnPurpose[filepath.Base(page)+" "+f.Code] {
					t.Errorf("%s, example %d, line %d: %s: %s\n%s", page, i+1, f.Line, f.Code, f.Message, m[1])
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("got %d policies in the documentation, expected more", found)
	}
}

var registryLine = regexp.MustCompile(`(?m)^\s*registry (\S+) (\S+) https?://`)

// registriesOf are those that the page of an ecosystem configures; nil elsewhere, where any registry is one of Python packages.
func registriesOf(page, text string) (found map[string]string) {
	if filepath.Base(filepath.Dir(page)) != "clients" {
		return nil
	}
	for _, m := range registryLine.FindAllStringSubmatch(text, -1) {
		if found == nil {
			found = map[string]string{}
		}
		found[m[1]] = m[2]
	}
	return found
}

func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"../../README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md"} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}

// What people copy first has no finding at all.
func TestExamplesAreClean(t *testing.T) {
	r := Run([]string{"../examples"}, Options{Now: clock})
	if len(r.Findings) > 0 || len(r.Ignored) > 0 || r.Policies < 2 {
		t.Errorf("policies/examples:\n%s", r.text())
	}
}

// TestNoticesWhatIsShown: the page of the policy language shows each way to weaken a policy, and each is found.
func TestNoticesWhatIsShown(t *testing.T) {
	data, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, m := range policyBlock.FindAllStringSubmatch(string(data), -1) {
		for _, f := range Check(map[string]string{"page.yaml": m[1]}, Options{Now: clock}).Findings {
			got[f.Code] = true
		}
	}
	for _, code := range []string{"any_package", "no_repository", "outsider_trigger"} {
		if !got[code] {
			t.Errorf("%s is not found in docs/policies.md", code)
		}
	}
}

// BenchmarkCheck lints many policies in files of a thousand, a tenth of them with a finding.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		texts := map[string]string{}
		for from := 0; from < n; from += 1000 {
			var text strings.Builder
			text.WriteString("policies:\n")
			for i := from; i < from+1000; i++ {
				id := "repository_owner_id: \"222\""
				if i%10 == 0 {
					id = "repository_owner: acme"
				}
				fmt.Fprintf(&text, "  - name: widget-%d\n    registry: internal-pypi\n    packages: [acme-widget-%d, \"acme-widget-%d-*\"]\n", i, i, i)
				if i%10 == 0 {
					text.WriteString("    allow_unpinned: true\n")
				}
				fmt.Fprintf(&text, "    publisher:\n      github:\n        repository: acme/widget-%d\n        %s\n        workflow: release.yml\n        environment: release\n    tag: \"v{version}\"\n", i, id)
			}
			texts[fmt.Sprintf("%05d.yaml", from)] = text.String()
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := Check(texts, Options{Now: clock}); r.Policies != n || r.Count(Error) != n/10 {
					b.Fatal(cmp.Diff(n, r.Policies), r.sum())
				}
			}
		})
	}
}
