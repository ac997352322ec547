package format

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/policies"
)

// text joins the lines of a file.
func text(all ...string) string { return strings.Join(all, "\n") + "\n" }

func TestSource(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"fields come in their order, the publisher's too",
			text("policies:", "  - publisher:", "      github:", "        workflow: r.yml", "        repository: a/b", "    name: x", "    unknown: 1", "    registry: r"),
			text("policies:", "  - name: x", "    registry: r", "    publisher:", "      github:", "        repository: a/b", "        workflow: r.yml", "    unknown: 1"),
		},
		{
			"indents are two, dashes stand below their key",
			text("policies:", "-   name: x", "    packages:", "    -    a", "    -    b"),
			text("policies:", "  - name: x", "    packages:", "      - a", "      - b"),
		},
		{
			"a list of one registry is one value, and lists are lists",
			text("policies:", "  - registry: [r]", "    packages: a", "    actions: publish", "    events: workflow_run"),
			text("policies:", "  - registry: r", "    packages: [a]", "    actions: [publish]", "    events: [workflow_run]"),
		},
		{
			"two registries stay a list",
			text("policies:", "  - registry: [ r,s ]"),
			text("policies:", "  - registry: [r, s]"),
		},
		{
			"words need no quotes, patterns and what looks like something else do",
			text("policies:", "  - name: 'x'", "    packages: ['a', b-*, \"on\", 'c d', '1']", "    tag: v{version}"),
			text("policies:", "  - name: x", "    packages: [a, \"b-*\", \"on\", \"c d\", \"1\"]", "    tag: \"v{version}\""),
		},
		{
			"quotes of a publisher stay, since ids need them",
			text("policies:", "  - publisher:", "      github:", "        repository_id: 'abc'", "        environment: 'release'"),
			text("policies:", "  - publisher:", "      github:", "        repository_id: \"abc\"", "        environment: \"release\""),
		},
		{
			"dates, booleans and nothing stay what they are",
			text("policies:", "  - x:   2027-01-31", "    exclusive:   false", "    tag:", "    z: ~"),
			text("policies:", "  - tag:", "    exclusive: false", "    x: 2027-01-31", "    z: ~"),
		},
		{
			"brackets around a publisher are opened",
			text("policies: [{name: x, publisher: {github: {repository: a/b}}}]"),
			text("policies:", "  - name: x", "    publisher:", "      github:", "        repository: a/b"),
		},
		{
			"comments go with what they stand above and behind",
			text("# top", "policies:", "    # the policy", "  - registry: r   # where", "    # its name", "    name: x"),
			text("# top", "policies:", "  # the policy", "  # its name", "  - name: x", "    registry: r  # where"),
		},
		{
			"comments below stand as deep as they did",
			text("policies:", "  - name: x", "    # after x", "  # before y", "  - name: y", "    # after y", "# the end"),
			text("policies:", "  - name: x", "    # after x", "  # before y", "  - name: y", "    # after y", "# the end"),
		},
		{
			"a list with comments has one item on a line",
			text("policies:", "  - packages: [a, # one", "      # above b", "      b] # all"),
			text("policies:", "  - packages:  # all", "      - a  # one", "      # above b", "      - b"),
		},
		{
			"what looks like a comment in a value is none",
			text("policies:", "  - name: 'a # b'", "    tag: a#b", "    when: |", "      claims.a == 'x' # no comment", "", "      && true # none"),
			text("policies:", "  - name: \"a # b\"", "    tag: a#b", "    when: |", "      claims.a == 'x' # no comment", "", "      && true # none"),
		},
		{
			"blocks of text keep their lines",
			text("policies:", "  - when: |- # why", "        claims.a &&", "          claims.b", "", "    name: x"),
			text("policies:", "  - name: x", "    when: |-  # why", "      claims.a &&", "        claims.b"),
		},
		{
			"folded text stays folded",
			text("policies:", "  - when: >", "        claims.a &&", "        claims.b", "    name: x"),
			text("policies:", "  - name: x", "    when: >", "      claims.a &&", "      claims.b"),
		},
		{
			"a condition with quotes is quoted the other way",
			text("policies:", "  - when: \"claims.a == \\\"b\\\"\"", "    name: x"),
			text("policies:", "  - name: x", "    when: 'claims.a == \"b\"'"),
		},
		{
			"one blank line stays one",
			text("", "# top", "", "", "policies:", "", "  - name: x", "", "", "  # y", "", "  - name: y", "", ""),
			text("# top", "", "policies:", "  - name: x", "", "  # y", "", "  - name: y"),
		},
		{"an empty list", "policies:   []", "policies: []\n"},
		{"other line breaks", "policies:\r\n  - name: x   \r\n", "policies:\n  - name: x\n"},
		{"a document's mark", "---\npolicies: [] # none\n", "policies: []  # none\n"},
		{
			"a long list is opened",
			"policies:\n  - packages: [" + strings.Repeat("aaaaaaaaaaaaaaaaaaaa, ", 4) + "b]\n",
			"policies:\n  - packages:\n" + strings.Repeat("      - aaaaaaaaaaaaaaaaaaaa\n", 4) + "      - b\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Source(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("formatted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSourceRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", "", "the file is empty; write policies: [] where no policy is meant"},
		{"only a comment", "# a\n", "the file is empty; write policies: [] where no policy is meant"},
		{"a list", "- a\n", "the file holds no mapping; write policies: and a list below it"},
		{"no YAML", "policies: [", "2:1: not YAML: while parsing a flow node: did not find expected node content"},
		{"two documents", "a: 1\n---\nb: 2\n", "2:1: a second document begins here; write one document per file"},
		{"an anchor", "policies: &a []\n", "1:11: an anchor is not allowed in policies; write the value out"},
		{"an alias", "a: &x b\nc: *x\n", "1:4: an anchor is not allowed in policies; write the value out"},
		{"a tag", "policies: !!seq []\n", "1:11: a tag is not allowed in policies; write the value out"},
		{"a mark", "\ufeffpolicies: []\n", "1:1: the file begins with a byte order mark; save it without"},
		{"a directive", "%YAML 1.2\n---\npolicies: []\n", "the file has a directive (a line that begins with %); leave it out"},
		{"other text", "policies: []\n# \xff\n", "the file is not UTF-8 text"},
		{"a carriage return", "policies: []\r# x\n", "the file has line breaks other than LF and CRLF; write LF"},
		{"a list of lists", "policies:\n  - [a, b]\n", "2:3: an item that is neither a value nor a mapping with fields has no canonical form"},
		{"a key that is a list", "[a]: b\n", "1:1: a key is no name; write a field's name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Source(tt.in)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v and %q, expected an error of this package", err, got)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComments(t *testing.T) {
	got, err := Comments(text("# top", "policies:  # list  ", "  - name: 'é # no'  # yes", "    when: |  # why", "      # no", "    # own"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Comment{
		{Line: 1, Column: 1, Text: "# top", Own: true},
		{Line: 2, Column: 12, Text: "# list"},
		{Line: 3, Column: 21, Text: "# yes"},
		{Line: 4, Column: 14, Text: "# why"},
		{Line: 6, Column: 5, Text: "# own", Own: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
}

// The examples that people copy are in the form that they will get.
func TestExamplesAreFormatted(t *testing.T) {
	examples, err := policies.Files([]string{"../examples"})
	if err != nil || len(examples) == 0 {
		t.Fatal("no examples", err)
	}
	for _, path := range examples {
		if policies.IsTestFile(path) {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Source(string(data))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if diff := cmp.Diff(got, string(data)); diff != "" {
			t.Errorf("%s is not formatted; run trustpub policy fmt -w (-formatted +file):\n%s", path, diff)
		}
	}
}
