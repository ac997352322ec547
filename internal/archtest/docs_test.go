package archtest

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the generated part of docs/errors.md")

// The generated part of docs/errors.md lies between these two lines.
const (
	errorsPage  = "docs/errors.md"
	codesBegin  = "<!-- codes: written by go test ./internal/archtest -run TestErrorsPage -update -->\n"
	codesEnd    = "<!-- end of codes -->\n"
	defaultHint = "correct the part that the sentence names"
)

func TestErrorsPage(t *testing.T) {
	name := filepath.Join(root, errorsPage)
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), codesBegin)
	got, after, ok2 := strings.Cut(rest, codesEnd)
	if !ok || !ok2 {
		t.Fatalf("%s: the lines %q and %q are missing", errorsPage, strings.TrimSpace(codesBegin), strings.TrimSpace(codesEnd))
	}
	want := codesTable()
	if *update {
		if err := os.WriteFile(name, []byte(before+codesBegin+want+codesEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from internal/model/code.go: run go test ./internal/archtest -run TestErrorsPage -update (-want +got):\n%s", errorsPage, diff)
	}
}

// codesTable is the list of all codes, then each with its sentence, its meaning and what to do.
func codesTable() string {
	var b strings.Builder
	b.WriteString("\n| code | status | sentence |\n|---|---|---|\n")
	for _, c := range model.Codes() {
		info := c.Info()
		fmt.Fprintf(&b, "| [`%s`](#%s) | %d | %s |\n", c, c, info.Status, info.Message)
	}
	for _, c := range model.Codes() {
		info := c.Info()
		hint := info.Hint
		if hint == "" {
			hint = defaultHint
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%d %s. %s\n\n*What to do:* %s.\n", c, info.Status, http.StatusText(info.Status), info.Meaning, hint)
	}
	b.WriteString("\n")
	return b.String()
}

func TestEveryCodeIsWhole(t *testing.T) {
	for _, c := range model.Codes() {
		info := c.Info()
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(string(c)) {
			t.Errorf("%q: a code is lower-case words with underscores", c)
		}
		if info.Status < 400 || http.StatusText(info.Status) == "" {
			t.Errorf("%s: got status %d, expected a known one of 400 and above: a denial is never a success", c, info.Status)
		}
		if info.Message == "" || strings.HasSuffix(info.Message, ".") {
			t.Errorf("%s: got message %q, expected a sentence without its full stop", c, info.Message)
		}
		if !strings.HasSuffix(info.Meaning, ".") {
			t.Errorf("%s: got meaning %q, expected whole sentences", c, info.Meaning)
		}
	}
}

// link is one link of a page: its target as written and its line.
type link struct {
	target string
	line   int
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()\s]*\))?)\)`)
	codeSpan       = regexp.MustCompile("`[^`]*`")
	headingPattern = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	notInSlug      = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// prose calls line for each line of a page outside fenced code.
func prose(page []byte, line func(number int, text string)) {
	fenced := false
	for i, l := range bytes.Split(page, []byte("\n")) {
		if bytes.HasPrefix(bytes.TrimSpace(l), []byte("```")) {
			fenced = !fenced
			continue
		}
		if !fenced {
			line(i+1, string(l))
		}
	}
}

// links finds the links of a page.
func links(page []byte) []link {
	var all []link
	prose(page, func(number int, text string) {
		for _, m := range linkPattern.FindAllStringSubmatch(codeSpan.ReplaceAllString(text, ""), -1) {
			all = append(all, link{m[1], number})
		}
	})
	return all
}

// anchors are the names that the headings of a page can be linked by, as forges make them.
func anchors(page []byte) map[string]bool {
	all := map[string]bool{}
	prose(page, func(_ int, text string) {
		m := headingPattern.FindStringSubmatch(text)
		if m == nil {
			return
		}
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		name := slug
		for n := 1; all[name]; n++ {
			name = fmt.Sprintf("%s-%d", slug, n)
		}
		all[name] = true
	})
	return all
}

func TestAnchors(t *testing.T) {
	page := "# A page\n## What `it` does, and not\n```\n# no heading\n```\n### `not_found`\n## A page\n"
	want := map[string]bool{"a-page": true, "what-it-does-and-not": true, "not_found": true, "a-page-1": true}
	if diff := cmp.Diff(want, anchors([]byte(page))); diff != "" {
		t.Errorf("anchors (-want +got):\n%s", diff)
	}
}

func TestEveryLinkResolves(t *testing.T) {
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		page, ok := read(t, name)
		if !ok {
			continue
		}
		for _, l := range links(page) {
			if err := resolve(name, page, l.target); err != nil {
				t.Errorf("%s:%d: link %s: %v", name, l.line, l.target, err)
			}
		}
	}
}

// resolve checks a link to a file of this tree and to a heading in it; links to elsewhere are not followed.
func resolve(from string, page []byte, target string) error {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return nil
	}
	file, anchor, hasAnchor := strings.Cut(target, "#")
	if file != "" {
		file = path.Join(path.Dir(from), file)
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return fmt.Errorf("no such file: %s", file)
		}
		if info.IsDir() || !hasAnchor {
			return nil
		}
		if page, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(file))); err != nil {
			return err
		}
	}
	if hasAnchor && !anchors(page)[anchor] {
		return fmt.Errorf("no heading makes the anchor #%s", anchor)
	}
	return nil
}
