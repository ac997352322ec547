package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The limits of one Go file, in lines.
const (
	maxLines     = 450
	maxTestLines = 900
)

// registryHosts are the hosts of public package registries. Examples and tests use names like pypi.example.com, so that
// no copied command and no forgotten default ever publishes to, or sends a token to, somebody else's registry.
// They are written as words, so that this file does not name them either.
var registryHosts = dotted(
	"pypi org",
	"pythonhosted org",
	"npmjs org",
	"npmjs com",
	"yarnpkg com",
	"crates io",
	"rubygems org",
	"nuget org",
	"hex pm",
	"proxy golang org",
	"sum golang org",
	"repo maven apache org",
	"repo1 maven org",
	"central sonatype com",
	"docker io",
	"ghcr io",
	"quay io",
	"packagist org",
	"conda anaconda org",
	"deb debian org",
)

// marks are what work leaves behind; nothing of it belongs into a finished file.
var marks = []mark{
	{"a note to self", regexp.MustCompile(`\b(` + strings.Join(joined([][2]string{{"TO", "DO"}, {"FIX", "ME"}, {"XX", "X"}, {"HA", "CK"}}), "|") + `)\b`)},
	{"a conflict", regexp.MustCompile(`(?m)^(` + strings.Repeat("<", 7) + `|` + strings.Repeat(">", 7) + `) `)},
	{"a path of one machine", regexp.MustCompile(`/(work/(main|shared|\.)|root/(go|\.[a-z]+)/|home/[a-z]+/|Users/[A-Za-z]+/)`)},
}

// testMarks are what no test may do: a test that sleeps is slow or flaky, one that skips proves nothing.
var testMarks = []mark{
	{"a sleep (wait for a signal, or inject the clock)", regexp.MustCompile(`\btime\.` + `Sleep\(`)},
	{"a skip (fail and say what is missing)", regexp.MustCompile(`\b[tbf]\.` + `Skip(Now|f)?\(`)},
}

type mark struct {
	name    string
	pattern *regexp.Regexp
}

func dotted(words ...string) []string {
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, " ", ".")
	}
	return words
}

func joined(halves [][2]string) []string {
	var out []string
	for _, h := range halves {
		out = append(out, h[0]+h[1])
	}
	return out
}

// tracked lists the files of the project: those that git tracks, or all below the root where there is no git.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	}
	var files []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return filepath.SkipDir
		}
		if entry.Type().IsRegular() {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("listing the files: %v", err)
	}
	return files
}

// read returns a tracked file's bytes; false for one that was deleted but is still tracked, and for a link.
func read(t *testing.T, name string) ([]byte, bool) {
	t.Helper()
	full := filepath.Join(root, filepath.FromSlash(name))
	info, err := os.Lstat(full)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	b, err := os.ReadFile(full)
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return b, true
}

// isText is true for what a person may read; archives and fuzz inputs are left alone.
func isText(b []byte) bool { return !bytes.ContainsRune(b, 0) }

func TestNoFileNamesAPublicRegistry(t *testing.T) {
	var quoted []string
	for _, h := range registryHosts {
		quoted = append(quoted, regexp.QuoteMeta(h))
	}
	// A host ends where its last label ends, and may have labels before it.
	host := regexp.MustCompile(`(?i)(^|[^a-z0-9-])((` + strings.Join(quoted, "|") + `))([^a-z0-9-]|$)`)
	eachLine(t, func(name string) bool { return path.Base(name) != "go.sum" }, func(name string, number int, line []byte) {
		if found := host.FindSubmatch(line); found != nil {
			t.Errorf("%s:%d names %s: write a name below example.com", name, number, found[2])
		}
	})
}

func TestNothingWasLeftBehind(t *testing.T) {
	eachLine(t, func(name string) bool { return path.Base(name) != "go.sum" }, func(name string, number int, line []byte) {
		for _, m := range marks {
			if found := m.pattern.Find(line); found != nil {
				t.Errorf("%s:%d holds %s: %s", name, number, m.name, found)
			}
		}
	})
	eachLine(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }, func(name string, number int, line []byte) {
		for _, m := range testMarks {
			if m.pattern.Match(line) {
				t.Errorf("%s:%d holds %s", name, number, m.name)
			}
		}
	})
}

func TestFilesStaySmall(t *testing.T) {
	for _, name := range tracked(t) {
		if path.Ext(name) != ".go" {
			continue
		}
		limit := maxLines
		if strings.HasSuffix(name, "_test.go") {
			limit = maxTestLines
		}
		if b, ok := read(t, name); ok {
			if got := bytes.Count(b, []byte("\n")); got > limit {
				t.Errorf("%s: got %d lines, expected at most %d: split it by what its parts are for", name, got, limit)
			}
		}
	}
}

// eachLine calls line for each line of each tracked text file that want accepts.
func eachLine(t *testing.T, want func(string) bool, line func(name string, number int, line []byte)) {
	t.Helper()
	for _, name := range tracked(t) {
		if !want(name) {
			continue
		}
		b, ok := read(t, name)
		if !ok || !isText(b) {
			continue
		}
		for i, l := range bytes.Split(b, []byte("\n")) {
			line(name, i+1, l)
		}
	}
}
