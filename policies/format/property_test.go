package format

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trustpub/trustpub/policies"
)

// drawFile writes a file as untidily as people do: fields in any order, lists and mappings in any form, comments and blank
// lines wherever YAML lets them be.
func drawFile(t *rapid.T) string {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	var lines []string
	for i := range rapid.IntRange(1, 3).Draw(t, "policies") {
		fields := []string{
			pick("name", "name: p%d", "name: 'p%d'", `name: "p%d"`),
			pick("registry", "registry: r", "registry: [r]", "registry:\n- r", "registry:\n    - 'r'"),
			pick("packages", "packages: a", `packages: ["a-*", b]`, "packages: [\n  a,\n  \"b-*\"\n  ]", "packages:\n- a\n- 'b-*'"),
			pick("publisher", "publisher:\n  github:\n    workflow: r.yml\n    repository: a/b\n    repository_id: '1'",
				"publisher: {github: {repository: a/b, repository_id: \"1\"}}",
				"publisher:\n      github: {repository_id: '1',\n        environment: [release, \"rel-*\"], repository: a/b}"),
		}
		for _, more := range []string{
			"actions: publish", "events:\n- workflow_run", "tag: v{version}", "exclusive: false", "not_after: 2030-01-31", "new_packages: {until: 2030-01-31}",
			"when: claims.a == \"b\"", "when: |\n  claims.a == 'b # none'\n\n  || claims.c == \"d\"", "when: >-\n    claims.a == 'b'\n    && true", "when: 'claims.a == \"b\"'",
		} {
			key, _, _ := strings.Cut(more, ":")
			if rapid.Bool().Draw(t, more) && !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, key+":") }) {
				fields = append(fields, more)
			}
		}
		fields = rapid.Permutation(fields).Draw(t, "order")
		for j, field := range fields {
			prefix := "    "
			if j == 0 {
				prefix = "  - "
			}
			for _, line := range strings.Split(strings.ReplaceAll(field, "p%d", fmt.Sprintf("p%d", i)), "\n") {
				lines = append(lines, prefix+line)
				prefix = "    "
			}
		}
	}
	return untidy(t, append([]string{"policies:"}, lines...))
}

// untidy adds comments and blank lines, but not into blocks of text.
func untidy(t *rapid.T, lines []string) string {
	var b strings.Builder
	inside := false
	for i, line := range lines {
		if strings.HasSuffix(line, "|") || strings.HasSuffix(line, ">-") {
			b.WriteString(line + "\n")
			inside = true
			continue
		}
		trimmed := strings.TrimLeft(line, " ")
		if inside && (strings.HasPrefix(line, "      ") || trimmed == "") {
			b.WriteString(line + "\n")
			continue
		}
		deepest := 9
		if inside {
			deepest = 4 // deeper ones would belong to the block
		}
		inside = false
		switch rapid.IntRange(0, 5).Draw(t, "above") {
		case 0:
			b.WriteString(strings.Repeat(" ", rapid.IntRange(0, deepest).Draw(t, "indent")) + fmt.Sprintf("# above %d\n", i))
		case 1:
			b.WriteString("\n")
		}
		b.WriteString(line)
		if rapid.IntRange(0, 5).Draw(t, "behind") == 0 {
			fmt.Fprintf(&b, " # behind %d", i)
		}
		b.WriteString("\n")
	}
	if !inside && rapid.Bool().Draw(t, "end") {
		b.WriteString("      # end\n\n\n")
	}
	return b.String()
}

// However a file is written, it can be formatted, and what it says stays: policies, decisions, comments.
func TestPropertyUntidyFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawFile(t)
		out, err := Source(in)
		if err != nil {
			t.Fatalf("%v\n%s", err, in)
		}
		if again, err := Source(out); err != nil || again != out {
			t.Fatalf("formatted twice it differs: %v\n%s", err, cmp.Diff(out, again))
		}
		if diff := cmp.Diff(said(t, in), said(t, out)); diff != "" {
			t.Fatalf("policies (-in +out):\n%s\n%s\n%s", diff, in, out)
		}
		for _, mark := range []string{"# above", "# behind", "# end"} {
			if strings.Count(in, mark) != strings.Count(out, mark) {
				t.Fatalf("comments are lost:\n%s\n%s", in, out)
			}
		}
	})
}

// said is what a file's policies are and decide.
func said(t *rapid.T, text string) []string {
	set, err := policies.Parse(map[string]string{"a.yaml": text}, env())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var out []string
	for _, p := range set.Policies() {
		grants, fields := p.Grants(), p.Fields()
		one := fmt.Sprint(p.Name, p.Issuer(), p.Actions(), p.Events(), p.Tag(), p.When(), p.NotAfter(), p.Exclusive())
		for _, g := range grants {
			for _, pkg := range g.Packages {
				one += fmt.Sprint(g.Registry, pkg.Pattern, pkg.Glob)
			}
		}
		for _, f := range fields {
			one += f.Name
			for _, v := range f.Values {
				one += fmt.Sprint(v.Text, v.Glob)
			}
		}
		out = append(out, one)
	}
	d := set.Evaluate(run(), policies.Target{Ecosystem: "pypi", Registry: "r", Package: "a", Version: "1", Action: policies.ActionPublish})
	return append(out, fmt.Sprintf("%+v", d))
}
