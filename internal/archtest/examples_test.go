package archtest

import (
	"bytes"
	"errors"
	"io"
	"path"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v4"
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
