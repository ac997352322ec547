package archtest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const dependenciesPage = "docs/dependencies.md"

var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// TestDependenciesPage keeps the page and the imports equal, so that no library comes in without a reason, and the page
// gives none for one that has left.
func TestDependenciesPage(t *testing.T) {
	page, ok := read(t, dependenciesPage)
	if !ok {
		t.Fatalf("%s is missing", dependenciesPage)
	}
	used := map[string]bool{}
	for _, m := range dependencyRow.FindAllSubmatch(page, -1) {
		used[string(m[1])] = false
	}
	for _, target := range toolImports(t) {
		markUsed(t, used, target, "tools/go.mod")
	}
	for _, p := range packages(t) {
		for _, imports := range []map[string]string{p.imports, p.testImports} {
			for target, file := range imports {
				host, _, _ := strings.Cut(target, "/")
				if strings.Contains(host, ".") && target != module && !strings.HasPrefix(target, module+"/") {
					markUsed(t, used, target, file)
				}
			}
		}
	}
	for _, row := range slices.Sorted(maps.Keys(used)) {
		if !used[row] {
			t.Errorf("%s has a row for %s, which nothing imports: remove it", dependenciesPage, row)
		}
	}
}

// markUsed finds the row of the module that an import path is in.
func markUsed(t *testing.T, used map[string]bool, target, file string) {
	t.Helper()
	for at := target; at != "."; at = path.Dir(at) {
		if _, ok := used[at]; ok {
			used[at] = true
			return
		}
	}
	t.Errorf("%s imports %s, which has no row in %s: say there what it is for", file, target, dependenciesPage)
}

var toolLine = regexp.MustCompile(`(?m)^(?:tool )?\t?([a-z0-9.]+/[^\s]+/cmd/[^\s]+|mvdan\.cc/gofumpt)$`)

// toolImports are the programs that the tools module pins.
func toolImports(t *testing.T) []string {
	t.Helper()
	mod, ok := read(t, "tools/go.mod")
	if !ok {
		t.Fatal("tools/go.mod is missing")
	}
	var all []string
	for _, m := range toolLine.FindAllSubmatch(mod, -1) {
		all = append(all, string(m[1]))
	}
	if len(all) == 0 {
		t.Fatal("tools/go.mod has no tool lines")
	}
	return all
}
