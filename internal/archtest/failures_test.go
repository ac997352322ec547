package archtest

import (
	"regexp"
	"strings"
	"testing"
)

// failureRows is how many rows docs/failures.md has: a row that is lost is a promise that is lost.
const failureRows = 24

// TestFailuresPage: each row of docs/failures.md names tests of integration/ that exist, those of invariants included.
func TestFailuresPage(t *testing.T) {
	tests := map[string]bool{}
	for _, name := range tracked(t) {
		if !strings.HasPrefix(name, "integration/") || !strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, _ := read(t, name)
		for _, m := range regexp.MustCompile(`(?m)^func (Test[A-Za-z]+)\(`).FindAllSubmatch(source, -1) {
			tests[string(m[1])] = true
		}
	}
	page, _ := read(t, "docs/failures.md")
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what breaks") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 5 || len(named) == 0 {
			t.Errorf("a row of docs/failures.md has %d cells and names %d tests, expected 5 cells and a test at least: %s", len(cells), len(named), line)
		}
		for _, m := range named {
			if !tests[m[1]] {
				t.Errorf("docs/failures.md names %s, which is no test of integration/", m[1])
			}
		}
	}
	if rows != failureRows {
		t.Errorf("docs/failures.md has %d rows, expected %d", rows, failureRows)
	}
}
