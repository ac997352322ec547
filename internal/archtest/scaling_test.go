package archtest

import (
	"regexp"
	"strings"
	"testing"
)

// TestScalingPageNamesCommands: the commands by which docs/scaling.md was measured name tests and benchmarks that exist.
func TestScalingPageNamesCommands(t *testing.T) {
	var functions []string
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, _ := read(t, name)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)[A-Za-z]+)\(`).FindAllSubmatch(source, -1) {
			functions = append(functions, string(m[1]))
		}
	}
	page, _ := read(t, "docs/scaling.md")
	commands := regexp.MustCompile(`-(bench|run) '?((?:Test)?[A-Z][A-Za-z]+)`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 5 {
		t.Errorf("docs/scaling.md has %d commands, expected 5 at least", len(commands))
	}
	for _, m := range commands {
		want := m[2]
		if m[1] == "bench" {
			want = "Benchmark" + want
		}
		if !contains(functions, want) {
			t.Errorf("docs/scaling.md names %s, which does not exist", want)
		}
	}
}

func contains(all []string, want string) bool {
	for _, one := range all {
		if strings.HasPrefix(one, want) {
			return true
		}
	}
	return false
}
