package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
)

// volatile are the parts of a client's output that differ from run to run, from machine to machine, or between registries.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`tpub_[\w.-]+`), "<PUBLISH-TOKEN>"},
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "<IDENTITY-TOKEN>"},
	{regexp.MustCompile(`/api/packages/o[0-9a-f]{12}/`), "/api/packages/<OWNER>/"},
	{regexp.MustCompile(`localhost%3A\d+`), "<REGISTRY>"},
	{regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+(/publisher/i[0-9a-f]+)?`), "<REGISTRY>"},
	{regexp.MustCompile(`/publisher/i[0-9a-f]+`), ""},
	{regexp.MustCompile(`\b[0-9a-f]{20}\b`), "<EVENT>"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "<SHA256>"},
	{regexp.MustCompile(`\(\d+(\.\d+)? ?(B|KB|KiB)\)`), "(SIZE)"},
	{regexp.MustCompile(`\d+(\.\d+)?(ms|s)\b`), "<TIME>"},
	{regexp.MustCompile(`/(tmp|var)/[^\s"']*/`), "<DIR>/"},
}

// wrapped is how a line of twine goes on.
const wrapped = "         "

// terminal is what a user saw, without what differs from run to run.
func terminal(name string, r client.Result) string {
	text := strings.ReplaceAll(r.Output, "\r\n", "\n")
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "exit status %d\n", r.Code)
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(name, "twine") && strings.HasPrefix(line, wrapped):
			// twine breaks lines at a width that depends on the length of the URL before.
			joined := strings.TrimSuffix(b.String(), "\n") + " " + strings.TrimSpace(line) + "\n"
			b.Reset()
			b.WriteString(joined)
		case strings.HasPrefix(name, "pdm") && !strings.HasPrefix(line, "[") && !strings.HasPrefix(line, "Failed"):
			// pdm shows nothing of what the server says, only the status among its own progress.
		default:
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	return b.String()
}

// golden compares what a client showed with testdata/golden. With -update it writes the file.
func golden(t *testing.T, name string, r client.Result) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	got := terminal(name, r)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: the client shows something else (-want +got):\n%s", path, diff)
	}
}
