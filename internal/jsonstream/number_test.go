package jsonstream

import (
	"regexp"
	"testing"
)

// TestNumber holds the reading of numbers to the grammar of RFC 8259, over all short texts of its characters.
func TestNumber(t *testing.T) {
	grammar := regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
	var compare func(text string)
	compare = func(text string) {
		if got, want := isNumber([]byte(text)), grammar.MatchString(text); got != want {
			t.Fatalf("%q: got %t, expected %t", text, got, want)
		}
		if len(text) < 6 {
			for _, c := range "019-+.eEx" {
				compare(text + string(c))
			}
		}
	}
	compare("")
}
