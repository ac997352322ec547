package archtest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v4"

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
