package grants

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trustpub/trustpub/policies"
)

// TestPropertyCandidates: whatever covers a package is among its candidates.
func TestPropertyCandidates(t *testing.T) {
	text := rapid.StringMatching(`[ab*-]{1,5}`)
	draw := func(t *rapid.T, label string) policies.Package {
		p := policies.Package{Pattern: strings.ReplaceAll(text.Draw(t, label), "**", "*")}
		switch rapid.IntRange(0, 3).Draw(t, label+" is") {
		case 0:
			p.Covers = p.Pattern
			p.Template, p.Pattern = true, strings.ReplaceAll(p.Pattern, "*", "{claims.x}")
		default:
			p.Glob = strings.Contains(p.Pattern, "*")
			p.Any = p.Pattern == "*"
		}
		return p
	}
	rapid.Check(t, func(t *rapid.T) {
		wide, narrow := draw(t, "wide"), draw(t, "narrow")
		c := newCover[policies.Package]()
		c.put(wide, wide)
		found := false
		for one := range c.candidates(narrow) {
			found = found || one == wide
		}
		if covers(wide, narrow) && !found {
			t.Fatalf("%+v covers %+v, and is no candidate", wide, narrow)
		}
	})
}

// BenchmarkDiff compares 10,000 policies that have all changed.
func BenchmarkDiff(b *testing.B) {
	set := func(environment string) *policies.Set {
		var text strings.Builder
		text.WriteString("policies:\n")
		for i := range 10_000 {
			fmt.Fprintf(&text, "  - name: p%[1]d\n    issuer: github\n    registry: one\n    packages: [pkg-%[1]d, \"pkg-%[1]d-*\"]\n    publisher:\n      github:\n"+
				"        repository: a/r%[1]d\n        repository_owner_id: \"1\"\n        environment: %[2]s\n", i, environment)
		}
		return load(b, text.String())
	}
	before, after := set("release"), set("production")
	b.ResetTimer()
	for b.Loop() {
		if r := Diff(before, after); len(r.Changes) == 0 {
			b.Fatal("nothing changed")
		}
	}
}
