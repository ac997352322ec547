package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/policies"
)

const policyText = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: ["acme-*", Acme.Widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`

// TestPolicies: policies are loaded as a gateway does, and what lint says of them is passed on.
func TestPolicies(t *testing.T) {
	env := policies.Env{Registries: map[string]string{"internal-pypi": "pypi"}, Issuers: []policies.Issuer{{Name: "github", Provider: "github"}}}
	for _, tc := range []struct {
		name, text string
		mode       os.FileMode
		want       []string
		pkg        string
	}{
		{"well", policyText, 0o600, []string{"ok 1 policy in force"}, "acme-widget"},
		{"a wildcard owner", strings.Replace(policyText, "acme/widget", `"acme*/widget"`, 1), 0o600, []string{
			"ok 1 policy in force", `warn DIR/a.yaml:7: repository is "acme*/widget", a pattern that covers more than one owner [wildcard_owner]`,
		}, "acme-widget"},
		{"names only", strings.Replace(strings.Replace(policyText, "        repository_owner_id: \"222\"\n", "", 1), "    publisher", "    allow_unpinned: true\n    publisher", 1), 0o600, []string{
			"ok 1 policy in force", "fail DIR/a.yaml:8: repository is a name, which can pass to others, and no stable id",
		}, "acme-widget"},
		{"a pattern only", strings.Replace(policyText, ", Acme.Widget", "", 1), 0o600, []string{"ok 1 policy in force"}, "acme-trustpub-doctor"},
		{"an unknown field", policyText + "    colour: red\n", 0o600, []string{"fail DIR/a.yaml:11:5: policies[0].colour"}, ""},
		{"a file that others write", policyText, 0o666, []string{"fail DIR/a.yaml"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "a.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tc.mode); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, f := range Policies([]string{dir}, env).Run(t.Context()) {
				line := strings.ReplaceAll(fmt.Sprintf("%s %s", f.Status, f.Message), dir, "DIR")
				if i < len(tc.want) && strings.HasPrefix(line, tc.want[i]) {
					line = tc.want[i]
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := PackageOf([]string{dir}, env, "internal-pypi"); got != tc.pkg {
				t.Errorf("the package is %q, expected %q", got, tc.pkg)
			}
		})
	}
}
