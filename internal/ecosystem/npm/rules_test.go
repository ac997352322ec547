package npm

import (
	"strings"
	"testing"
)

// TestRulesAreTheirPlaces: a path is compared with a rule as its spelling is.
func TestRulesAreTheirPlaces(t *testing.T) {
	keys := []string{"", "*", "/", "[]", "a/b", "versions", "Versions", "dist-tags", "_attachments", "1.0.0", "name", "NAME", "_id", "dist", "data", "version", "integrity", "\u017fhasum", "shasum"}
	var compare func(path []string)
	compare = func(path []string) {
		if len(path) > 0 {
			at := place(path)
			for _, r := range publishRules {
				same, folded := r.is(path)
				if want := at != "" && strings.EqualFold(at, r.place); folded != want || folded && same != (at == r.place) {
					t.Errorf("%q and %s: got %t, %t, the place is %q", path, r.place, same, folded, at)
				}
			}
		}
		if len(path) < maxPlace {
			for _, key := range keys {
				compare(append(path[:len(path):len(path)], key))
			}
		}
	}
	compare(nil)
}
