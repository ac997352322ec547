package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMigrationPage: docs/migration.md shows just the commands that the script migration.txtar runs, in its order.
func TestMigrationPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile("testdata/script/migration.txtar")
	if err != nil {
		t.Fatal(err)
	}
	script, _, _ := strings.Cut(string(archive), "\n-- ")
	var shown, run []string
	for _, m := range regexp.MustCompile(`(?m)^\$ (.*?)(?: +# .*)?$`).FindAllStringSubmatch(string(page), -1) {
		shown = append(shown, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:exec|exec-code \d) (.*)$`).FindAllStringSubmatch(script, -1) {
		run = append(run, m[1])
	}
	if diff := cmp.Diff(run, shown); diff != "" || len(shown) == 0 {
		t.Errorf("docs/migration.md (-run by the script +shown):\n%s", diff)
	}
}
