package caddymodule_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/caddymodule"
)

var block = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// Every whole Caddyfile that a document shows is one that adapts.
func TestDocumentedCaddyfilesAdapt(t *testing.T) {
	files, err := filepath.Glob("../*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("../docs", func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			shown++
			if _, err := adapt(m[1]); err != nil {
				t.Errorf("%s shows a Caddyfile that doesn't adapt: %v\n%s", file, err, m[1])
			}
		}
	}
	if shown < 2 {
		t.Errorf("found %d Caddyfiles in the documents, expected more: did the pattern change?", shown)
	}
}

// Every field of the configuration is named in docs/caddyfile.md, under the word that the Caddyfile has for it.
func TestEveryDirectiveIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{ // where the Caddyfile's word is another than JSON's
		"issuers": "issuer", "registries": "registry", "audiences": "audience", "direct_off": "direct off", "public_url": "PUBLIC-URL",
		"provider": "PROVIDER", "url": "URL", "ecosystem": "ECOSYSTEM", "method": "METHOD", "prefix": "PREFIX",
	}
	for _, v := range []any{caddymodule.App{}, caddymodule.Handler{}, caddymodule.Registry{}, caddymodule.Issuer{}, caddymodule.Passthrough{}} {
		for i := range reflect.TypeOf(v).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if word, ok := words[name]; ok {
				name = word
			}
			if !strings.Contains(string(text), name) {
				t.Errorf("docs/caddyfile.md does not mention %s", name)
			}
		}
	}
}
