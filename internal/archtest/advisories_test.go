package archtest

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// advisoriesPage says which test stands for which advisories.
const advisoriesPage = "docs/advisories.md"

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)\(`)
	testNamed = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
)

// TestDocumentsNameTestsThatExist: a threat is answered by a test that is there, whole or as the beginning of several names.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	var names []string
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, _ := read(t, name)
		for _, m := range testFunc.FindAllSubmatch(source, -1) {
			names = append(names, string(m[1]))
		}
	}
	all := "\n" + strings.Join(names, "\n") + "\n"
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		page, _ := read(t, name)
		for _, m := range testNamed.FindAllSubmatch(page, -1) {
			if got := string(m[1]); !strings.Contains(all, "\n"+got) {
				t.Errorf("%s names %s, which is no test", name, got)
			}
		}
	}
	page, _ := read(t, advisoriesPage)
	for _, name := range names {
		if strings.HasPrefix(name, "TestAdvisory") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s lacks %s", advisoriesPage, name)
		}
	}
}

var requiredCaddy = regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/caddyserver/caddy/v2 v2\.([0-9]+)\.([0-9]+)$`)

// TestAdvisoryCaddyIsNewEnough: some advisories are about Caddy itself; 2.11.4 has the fixes of all that docs/advisories.md lists.
func TestAdvisoryCaddyIsNewEnough(t *testing.T) {
	text, _ := read(t, "go.mod")
	m := requiredCaddy.FindSubmatch(text)
	if m == nil {
		t.Fatal("go.mod requires no Caddy 2 of a released version")
	}
	minor, _ := strconv.Atoi(string(m[1]))
	patch, _ := strconv.Atoi(string(m[2]))
	if minor < 11 || minor == 11 && patch < 4 {
		t.Errorf("Caddy is 2.%d.%d, expected 2.11.4 or later", minor, patch)
	}
}
