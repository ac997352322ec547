package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/trustpub/trustpub/policies"
)

var update = flag.Bool("update", false, "write the expected texts and docs/lint.md")

// noon is the clock of the tests.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// example is what testdata/rules has of one rule.
type example struct {
	path      string
	archive   *txtar.Archive
	bad, good string
	opts      Options
}

func readExample(t *testing.T, code string) *example {
	t.Helper()
	e := &example{path: filepath.Join("testdata", "rules", code+".txtar"), opts: Options{Now: clock}}
	archive, err := txtar.ParseFile(e.path)
	if err != nil {
		t.Fatalf("rule %s: %v", code, err)
	}
	e.archive, e.bad, e.good = archive, part(archive, "bad.yaml"), part(archive, "good.yaml")
	for line := range strings.Lines(string(archive.Comment)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for pair := range strings.SplitSeq(value, ", ") {
			left, right, _ := strings.Cut(pair, "=")
			switch name {
			case "registries":
				e.opts.Registries = map[string]string{left: right}
			case "issuers":
				kind, disabled := strings.CutSuffix(right, " disabled")
				e.opts.Issuers = append(e.opts.Issuers, policies.Issuer{Name: left, Provider: kind, Disabled: disabled})
			}
		}
	}
	return e
}

func part(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func (e *example) report(t *testing.T, text string) *Report {
	t.Helper()
	if text == "" {
		t.Fatalf("%s: a part is missing", e.path)
	}
	return Check(map[string]string{"policies.yaml": text}, e.opts)
}

// Every rule finds what its failing example shows, nothing else is found in it, and nothing at all in its passing one.
func TestRules(t *testing.T) {
	for _, rule := range Rules() {
		t.Run(rule.Code, func(t *testing.T) {
			e := readExample(t, rule.Code)
			bad := e.report(t, e.bad)
			for _, f := range bad.Findings {
				if f.Code != rule.Code && rule.Code != codeIgnoreInvalid {
					t.Errorf("the failing example also has %+v", f)
				}
			}
			if len(bad.Findings) == 0 {
				t.Error("nothing is found in the failing example")
			}
			if good := e.report(t, e.good); len(good.Findings) > 0 {
				t.Errorf("the passing example has findings:\n%s", good.text())
			}
			want := part(e.archive, "want.txt")
			if *update {
				setPart(e.archive, "want.txt", bad.text())
				if err := os.WriteFile(e.path, txtar.Format(e.archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, bad.text()); diff != "" {
				t.Errorf("text, run with -update to write it (-want +got):\n%s", diff)
			}
		})
	}
}

func setPart(a *txtar.Archive, name, text string) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(text)
		}
	}
}

// Every rule is whole, and every example has a rule.
func TestRulesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(r.Code) || seen[r.Code] {
			t.Errorf("code %q: expected lower-case words with underscores, used once", r.Code)
		}
		seen[r.Code] = true
		if !slices.Contains(Severities(), r.Severity) || r.Title == "" || !strings.HasSuffix(r.Why, ".") && !strings.HasSuffix(r.Why, ")") || r.Fix == "" {
			t.Errorf("rule %s is not whole: %+v", r.Code, r)
		}
	}
	files, err := filepath.Glob("testdata/rules/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[strings.TrimSuffix(filepath.Base(f), ".txtar")] {
			t.Errorf("%s has no rule", f)
		}
	}
}

const docsPage = "../../docs/lint.md"

const (
	docsBegin = "<!-- rules: written by go test ./policies/lint -run TestDocs -update -->\n"
	docsEnd   = "<!-- end of rules -->\n"
)

// docs/lint.md says what the rules say.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), docsBegin)
	got, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s: the lines %q and %q are missing", docsPage, docsBegin, docsEnd)
	}
	want := documented(t)
	if *update {
		if err := os.WriteFile(docsPage, []byte(before+docsBegin+want+docsEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from the rules: run go test ./policies/lint -run TestDocs -update (-want +got):\n%s", docsPage, diff)
	}
}

func documented(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("\n| code | severity | finds |\n|---|---|---|\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", r.Code, r.Code, r.Severity, r.Title)
	}
	for _, r := range Rules() {
		e := readExample(t, r.Code)
		fmt.Fprintf(&b, "\n### `%s`\n\n%s: %s.\n\n%s\n\n*What to do:* %s.\n", r.Code, capital(string(r.Severity)), r.Title, r.Why, r.Fix)
		fmt.Fprintf(&b, "\n```text\n%s```\n", part(e.archive, "want.txt"))
		fmt.Fprintf(&b, "\nPasses:\n\n```yaml\n%s```\n", e.good)
	}
	b.WriteString("\n")
	return b.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
