package policies

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPropertyCoversPattern: what the narrow pattern matches, the wide one that is said to cover it matches too.
func TestPropertyCoversPattern(t *testing.T) {
	covered := 0
	text := rapid.StringMatching(`[ab/*-]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		wide, narrow := text.Draw(t, "wide"), text.Draw(t, "narrow")
		if strings.Contains(wide, "**") || strings.Contains(narrow, "**") || !CoversPattern(wide, narrow) {
			return
		}
		covered++
		filled := strings.NewReplacer("*", rapid.StringMatching(`[ab-]{0,3}`).Draw(t, "star")).Replace(narrow)
		if isGlob(wide) {
			g, _ := newGlob(wide)
			if !g.match(filled) {
				t.Fatalf("%q is said to cover %q, but not %q", wide, narrow, filled)
			}
		} else if wide != filled {
			t.Fatalf("%q is said to cover %q, but not %q", wide, narrow, filled)
		}
	})
	if covered == 0 {
		t.Error("nothing was covered")
	}
}
