package policies

import (
	"strings"
	"testing"
)

// patterns are all texts of these letters, up to a length, that are patterns.
func patterns(letters string, longest int) []string {
	all := []string{""}
	for from := 0; longest > 0; longest-- {
		to := len(all)
		for _, short := range all[from:to] {
			for _, letter := range letters {
				if text := short + string(letter); !strings.HasSuffix(text, "**") {
					all = append(all, text)
				}
			}
		}
		from = to
	}
	return all
}

// fillings are what a pattern may stand for: each of its stars replaced by each of the texts.
func fillings(pattern string, texts ...string) []string {
	before, after, found := strings.Cut(pattern, "*")
	if !found {
		return []string{pattern}
	}
	var all []string
	for _, rest := range fillings(after, texts...) {
		for _, text := range texts {
			all = append(all, before+text+rest)
		}
	}
	return all
}

// TestPropertyCoversPattern: what the narrow pattern matches, the wide one that is said to cover it matches too. All pairs of short
// patterns are looked at, so the test finds the same in each run.
func TestPropertyCoversPattern(t *testing.T) {
	all := patterns("a/*-", 4)
	covered := 0
	for _, wide := range all {
		var glob *glob
		if isGlob(wide) {
			var err error
			if glob, err = newGlob(wide); err != nil {
				t.Fatalf("%q: %v", wide, err)
			}
		}
		for _, narrow := range all {
			if !CoversPattern(wide, narrow) {
				continue
			}
			covered++
			for _, filled := range fillings(narrow, "", "a", "-b") {
				if glob != nil && !glob.match(filled) || glob == nil && wide != filled {
					t.Fatalf("%q is said to cover %q, but not %q", wide, narrow, filled)
				}
			}
		}
	}
	if covered <= len(all) {
		t.Errorf("got %d covered of %d patterns, expected more than each by itself", covered, len(all))
	}
}
