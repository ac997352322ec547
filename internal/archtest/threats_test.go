package archtest

import (
	"regexp"
	"strings"
	"testing"
)

// threatRows is how many rows the threat model has at least: a row that is lost is a promise that is lost.
const threatRows = 36

var threatTest = regexp.MustCompile("`(?:Test|Fuzz)[A-Z][A-Za-z0-9]*`")

// TestEveryThreatHasATest: each threat of SECURITY.md says what stops it and names a test at least. That each name is one of a test
// is what TestDocumentsNameTestsThatExist looks at.
func TestEveryThreatHasATest(t *testing.T) {
	page, _ := read(t, "SECURITY.md")
	_, section, found := strings.Cut(string(page), "\n## Threats")
	if !found {
		t.Fatal("SECURITY.md has no section Threats")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| threat |") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 {
			t.Errorf("a threat has %d cells, expected the threat, what stops it, and its tests: %s", len(cells), line)
			continue
		}
		if !threatTest.MatchString(cells[2]) {
			t.Errorf("no test is named for a threat: %s", line)
		}
	}
	if rows < threatRows {
		t.Errorf("SECURITY.md has %d threats, expected at least %d", rows, threatRows)
	}
}
