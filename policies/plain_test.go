package policies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// tree is what policies look at of a YAML node.
type tree struct {
	Kind         yaml.Kind
	Tag, Value   string
	Style        yaml.Style
	Line, Column int
	Content      []tree
}

func treeOf(n *yaml.Node) tree {
	t := tree{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style, Line: n.Line, Column: n.Column}
	for _, c := range n.Content {
		t.Content = append(t.Content, treeOf(c))
	}
	return t
}

// agrees fails where the plain reader reads a text and the library reads another thing, or nothing.
func agrees(t *testing.T, text string) (plain bool) {
	t.Helper()
	root, ok := readPlain(text)
	if !ok {
		return false
	}
	s := &source{file: "F", data: text}
	want := s.library()
	if want == nil {
		t.Fatalf("the library refuses what is read plainly: %v\n%s", s.errors, text)
	}
	if diff := cmp.Diff(treeOf(want), treeOf(root)); diff != "" {
		t.Fatalf("read plainly (-library +plain):\n%s\n%s", diff, text)
	}
	return true
}

func TestPlainAgreesWithTheLibrary(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		plain      bool
	}{
		{"a policy", valid, true},
		{"the examples of the benchmarks", "policies:\n  - name: w\n    registry: r\n    packages: [a-1, \"b-*\"]\n", true},
		{"a list at the key's own indent", "policies:\n- name: a\n  packages:\n  - x\n  - 'y'\nother: z\n", true},
		{"comments and blank lines", "# head\n\na:   # why\n\n  # between\n  - b # that\n  - c\n", true},
		{"words", "a: claims.x == \"y\" && z\nb: .gitlab-ci.yml\nc: true\n", true},
		{"no line break at the end", "a: b", true},
		{"deeper after a list", "a:\n  b:\n    - c\n  d: e\n", true},
		{"a number", "a: 1\n", false},
		{"a date", "a: 2026-01-01\n", false},
		{"nothing", "a:\n", false},
		{"a word that was a boolean once", "a: yes\n", false},
		{"continued", "a: b\n  c\n", false},
		{"a colon inside", "a: b:c\n", false},
		{"a comment that is none", "a: b#c\n", false},
		{"a comment without a blank", "a: \"b\"#c\n", false},
		{"escapes", "a: \"b\\n\"\n", false},
		{"doubled quotes", "a: 'b''c'\n", false},
		{"flow mapping", "a: {b: c}\n", false},
		{"an empty list", "a: []\n", false},
		{"a trailing comma", "a: [b,]\n", false},
		{"anchor", "a: &b c\n", false},
		{"block text", "a: |\n  b\n", false},
		{"two documents", "a: b\n---\nc: d\n", false},
		{"the end of a document", "a: b\n...\n", false},
		{"tab", "a:\tb\n", false},
		{"carriage return", "a: b\r\n", false},
		{"not ASCII", "a: b\u00e9\n", false},
		{"a deeper key", "a: b\n   c: d\n", false},
		{"a shallower key", "a:\n    b: c\n  d: e\n", false},
		{"nested dashes", "a:\n  - - b\n", false},
		{"too deep", strings.Repeat("- ", 30) + "a\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := agrees(t, tc.text); got != tc.plain {
				t.Errorf("read plainly: %v, expected %v", got, tc.plain)
			}
		})
	}
}

// FuzzPlain holds that whatever is read plainly is read as the library reads it.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{
		valid, release, reports, build, policy("one", "two"), "policies:\n- name: a\n  packages:\n  - x\n  - 'y'\nother: z\n",
		"# head\n\na:   # why\n\n  # between\n  - b # that\n  - c\n", "a: claims.x == \"y\" && z\nb: .gitlab-ci.yml\nc: true\n", "a: [b, \"c\", 'd'] # e\n",
	} {
		f.Add(seed)
	}
	paths, err := filepath.Glob("examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) { agrees(t, text) })
}
