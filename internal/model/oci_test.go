package model_test

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func TestOCINames(t *testing.T) {
	for name, good := range map[string]bool{
		"acme/widget": true, "a": true, "a__b/c-d.e/f--g": true, strings.Repeat("a", 255): true,
		"": false, "Acme/widget": false, "acme//widget": false, "/acme": false, "acme/": false, "a___b": false, "a..b": false, "-a": false,
		"acme/../b": false, "acme/blobs/x": false, "acme/manifests": false, "localhost:5000/a": false, strings.Repeat("a", 256): false,
	} {
		if _, err := model.NormalizeName("oci", name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	for tag, good := range map[string]bool{"1.0.0": true, "latest": true, "_x": true, "": false, ".a": false, "a/b": false, "sha256:ab": false, strings.Repeat("a", 129): false} {
		if _, err := model.NormalizeVersion("oci", tag); (err == nil) != good {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
}

// TestOCIRelease: one repository is never the beginning of another, whatever their names.
func TestOCIRelease(t *testing.T) {
	of := func(repository string) string {
		return model.Target{Ecosystem: "oci", Registry: "main", Package: repository, Version: "1.0.0"}.Release()
	}
	if strings.HasPrefix(of("acme/widget"), of("acme")) || strings.HasPrefix(of("acme-widget"), of("acme")) {
		t.Errorf("%s begins with %s", of("acme/widget"), of("acme"))
	}
}
