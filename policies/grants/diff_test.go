package grants

import (
	"strings"
	"testing"
)

const base = `policies:
  - name: p
    issuer: github
    registry: one
    packages: ["x-*"]
    publisher: {github: {repository: acme/x, repository_owner_id: "1"}}
`

// TestFirstPublish: a pattern that may make new packages is more than one that may not, and so is a name beside a pattern.
func TestFirstPublish(t *testing.T) {
	for _, more := range []string{
		base + "    new_packages: true\n",
		strings.Replace(base, `["x-*"]`, `["x-*", x-new]`, 1),
	} {
		if r := Diff(load(t, base), load(t, more)); !r.Widening {
			t.Errorf("nothing widens with\n%s", more)
		}
		if r := Diff(load(t, more), load(t, base)); r.Widening {
			t.Errorf("%+v widens without it\n%s", r.Changes, more)
		}
	}
}
