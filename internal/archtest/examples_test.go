package archtest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/cli"
	"github.com/trustpub/trustpub/internal/handover"
	"github.com/trustpub/trustpub/policies"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// yamlBlocks calls block with each YAML example of each document.
func yamlBlocks(t *testing.T, block func(name string, line int, source []byte)) {
	t.Helper()
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		page, _ := read(t, name)
		for _, m := range yamlBlock.FindAllSubmatchIndex(page, -1) {
			block(name, 1+bytes.Count(page[:m[2]], []byte("\n")), page[m[2]:m[3]])
		}
	}
}

// TestYAMLExamplesParse is for the workflow files, which nothing else here reads.
func TestYAMLExamplesParse(t *testing.T) {
	found := 0
	yamlBlocks(t, func(name string, line int, source []byte) {
		found++
		for d := yaml.NewDecoder(bytes.NewReader(source)); ; {
			var v any
			if err := d.Decode(&v); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Errorf("%s:%d: the example is no YAML: %v", name, line, err)
				return
			}
		}
	})
	if found == 0 {
		t.Error("no document shows YAML")
	}
}

var hasPolicies = regexp.MustCompile(`(?m)^policies:`)

// TestReadmePoliciesLoad loads the policies that a new user copies first, with the issuers and the registry of the Caddyfile
// beside them.
func TestReadmePoliciesLoad(t *testing.T) {
	env := policies.Env{
		Registries: map[string]string{"internal-pypi": "pypi"},
		Issuers:    []policies.Issuer{{Name: "github", Provider: "github"}, {Name: "gitlab", Provider: "gitlab"}},
	}
	found := 0
	yamlBlocks(t, func(name string, line int, source []byte) {
		if name != "README.md" || !hasPolicies.Match(source) {
			return
		}
		found++
		file := filepath.Join(t.TempDir(), "widget.yaml")
		if err := os.WriteFile(file, source, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := policies.Load([]string{file}, env); err != nil {
			t.Errorf("%s:%d: the example does not load: %v", name, line, err)
		}
	})
	if found == 0 {
		t.Error("README.md shows no policy")
	}
}

// execLine is a command line with trustpub exec, on a line of an example or between backticks.
var execLine = regexp.MustCompile("trustpub exec ([^\n`]*?)-- ([^\n`#]*)")

// TestExecExamples reads each command line of trustpub exec as the program would: its flags, where the identity token is, and which client
// is run.
func TestExecExamples(t *testing.T) {
	found := 0
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		page, _ := read(t, name)
		for _, m := range execLine.FindAllSubmatch(page, -1) {
			if bytes.Contains(m[0], []byte("CLIENT")) || bytes.Contains(m[0], []byte("...")) || bytes.Contains(m[0], []byte("…")) {
				continue // the form, and no example of it
			}
			found++
			if err := checkExec(strings.Fields(string(m[1])), strings.Fields(string(m[2]))); err != nil {
				t.Errorf("%s: %s: %v", name, m[0], err)
			}
		}
	}
	if found < 20 {
		t.Errorf("got %d examples of trustpub exec, expected those of the issuers' pages at least", found)
	}
}

func checkExec(flags, command []string) error {
	exec, _, err := cli.New(cli.Options{Name: "trustpub"}).Find([]string{"exec"})
	if err != nil {
		return err
	}
	if err := exec.ParseFlags(flags); err != nil {
		return err
	}
	if at := exec.Flag("identity").Value.String(); at != "" {
		if _, err := ambient.Find(ambient.Here(), at); err != nil {
			return err
		}
	}
	if words := exec.Flag("for").Value.String(); words != "" {
		_, err := handover.Named(strings.Trim(words, `"`))
		return err
	}
	_, err = handover.Of(command)
	return err
}
