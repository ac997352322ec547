package policies

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParse: texts give what files of the same content and names give.
func TestParse(t *testing.T) {
	other := `policies:
  - name: gadget-release
    registry: internal-pypi
    packages: [acme-gadget]
    publisher: {gitlab: {project_path: acme/gadget, project_id: "7"}}
`
	set, err := Parse(map[string]string{"b.yaml": valid, "a.yaml": other}, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"gadget-release", "widget-release"}, set.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	loaded, err := loadText(t, valid, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Parse(map[string]string{"x.yaml": valid}, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loaded.Hash(), alone.Hash()); diff != "" {
		t.Errorf("hash (-loaded +parsed):\n%s", diff)
	}
	for _, tc := range []struct {
		name  string
		texts map[string]string
		want  string
	}{
		{"broken", map[string]string{"a.yaml": "policies: [\n"}, "a.yaml:2:1: not YAML: while parsing a flow node: did not find expected node content"},
		{"a name twice", map[string]string{"a.yaml": valid, "b.yaml": valid}, `b.yaml:2:11: policies[0].name: the name "widget-release" is used twice; the first is in a.yaml:2`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Parse(tc.texts, testEnv()); err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := Parse(nil, Env{Issuers: []Issuer{{Name: "x", Provider: "nowhere"}}}); err == nil {
		t.Error("a broken environment is accepted")
	}
}
