package caddymodule_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var caddyfileBlock = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")

// around are the places that a snippet of a document may be meant for; "%" stands for the snippet. A snippet that shows one
// registry's subdirectives is not repeated whole in the document, but must be understood all the same.
var around = []string{
	"%",
	"{\ntrusted_publishing {\npolicies ./policies\nissuer github\n}\n}\n%",
	"{\ntrusted_publishing {\npolicies ./policies\nissuer github\n%}\n}\n",
	"{\ntrusted_publishing {\npolicies ./policies\n%}\n}\n",
	"{\ntrusted_publishing {\nissuer github\n%}\n}\n",
	"{\n%}\n",
	"pypi.example.com {\n%}\n",
	"pypi.example.com {\ntrusted_publishing {\n%}\n}\n",
	"pypi.example.com {\ntrusted_publishing {\nregistry internal-pypi pypi https://pypi.example.com/root/prod/ {\n%}\n}\n}\n",
	"pypi.example.com {\ntrusted_publishing {\nregistry internal-pypi pypi https://pypi.example.com/root/prod/ {\ncredential static {\nbearer {env.TOKEN}\n}\n%}\n}\n}\n",
	"pypi.example.com {\nreverse_proxy devpi:3141 {\n%}\n}\n",
}

// TestDocumentedCaddyfiles adapts each Caddyfile, and each snippet of one, that a document shows.
func TestDocumentedCaddyfiles(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != ".." {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		page, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range caddyfileBlock.FindAllSubmatchIndex(page, -1) {
			found++
			line := 1 + strings.Count(string(page[:m[2]]), "\n")
			understood(t, name, line, string(page[m[2]:m[3]]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no document shows a Caddyfile")
	}
}

// understood fails unless the snippet adapts in one of its possible places.
func understood(t *testing.T, name string, line int, snippet string) {
	t.Helper()
	var tried []string
	for _, place := range around {
		_, err := adapt(strings.Replace(place, "%", snippet, 1))
		if err == nil {
			return
		}
		tried = append(tried, err.Error())
	}
	t.Errorf("%s:%d: the snippet is no Caddyfile, nor a part of one:\n%s\ntried:\n%s", name, line, snippet, strings.Join(tried, "\n"))
}
