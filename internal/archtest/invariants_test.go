package archtest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// invariants are the promises of docs/architecture.md; each has at least one test TestInvariant<Name>, and may have
// more whose names go on after that.
var invariants = []string{
	"AllowListBeforeFetch",
	"OneCredential",
	"JudgedBytesAreForwardedBytes",
	"DenyByDefault",
	"StableIdentity",
	"NoReplay",
	"SecretsStayInside",
	"PoliciesOfNow",
	"NothingHalfStored",
	"ReloadLosesNothing",
	"TrustedPublishingOnly",
}

var (
	invariantTest = regexp.MustCompile(`(?m)^func TestInvariant([A-Za-z]+)\(`)
	invariantName = regexp.MustCompile("`TestInvariant([A-Za-z]+)`")
)

func TestEveryInvariantHasATest(t *testing.T) {
	where := map[string][]string{}
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, _ := read(t, name)
		for _, m := range invariantTest.FindAllSubmatch(source, -1) {
			got := invariantOf(string(m[1]))
			where[got] = append(where[got], name)
		}
	}
	for _, want := range invariants {
		if len(where[want]) == 0 {
			t.Errorf("no test is named TestInvariant%s: a promise without a test", want)
		}
	}
	for _, got := range slices.Sorted(maps.Keys(where)) {
		if !slices.Contains(invariants, got) {
			t.Errorf("%v: TestInvariant%s names no invariant, expected one of %v", where[got], got, invariants)
		}
	}
}

// invariantOf cuts what a test's name has beside its invariant, as in NoReplayAcrossNodes.
func invariantOf(name string) string {
	for _, known := range invariants {
		if strings.HasPrefix(name, known) {
			return known
		}
	}
	return name
}

// TestDocumentsNameTheInvariants keeps the tests that documents name equal to those that exist, and both tables whole.
func TestDocumentsNameTheInvariants(t *testing.T) {
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		page, _ := read(t, name)
		named := map[string]bool{}
		for _, m := range invariantName.FindAllSubmatch(page, -1) {
			if got := string(m[1]); !slices.Contains(invariants, got) {
				t.Errorf("%s names TestInvariant%s, expected one of %v", name, got, invariants)
			} else {
				named[got] = true
			}
		}
		if name != "SECURITY.md" && name != "docs/architecture.md" {
			continue
		}
		for _, want := range invariants {
			if !named[want] {
				t.Errorf("%s lacks TestInvariant%s", name, want)
			}
		}
	}
}
