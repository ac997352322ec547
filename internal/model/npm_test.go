package model_test

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func TestNPMNames(t *testing.T) {
	for name, good := range map[string]bool{
		"widget": true, "@acme/widget": true, "@acme/widget.js": true, "0x": true, "a_b~c.d-e": true, strings.Repeat("a", 214): true,
		"Widget": false, "@Acme/widget": false, ".widget": false, "_widget": false, "-": false, "-widget": false, "@acme": false, "@/widget": false,
		"@acme/": false, "@acme/widget/x": false, "acme/widget": false, "@acme/.widget": false, "wid get": false, "w\u0131dget": false, "": false,
		"@acme%2fwidget": false, "widget\n": false, strings.Repeat("a", 215): false,
	} {
		if got, err := model.NormalizeName("npm", name); (err == nil) != good || good && got != name {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

func TestSemanticVersions(t *testing.T) {
	for version, good := range map[string]bool{
		"1.0.0": true, "0.0.0": true, "1.0.0-beta.1": true, "1.0.0-0a": true, "1.0.0--": true, "1.0.0+build.01": true, "1.0.0-a+b": true,
		"1.0": false, "1": false, "v1.0.0": false, "01.0.0": false, "1.0.0-01": false, "1.0.0-": false, "1.0.0+": false, "1.0.0-a..b": false,
		"1.0.0 ": false, "1.0.0\n": false, "": false, "1.0.0-\u00e9": false, "1.0.0-" + strings.Repeat("a", 256): false,
	} {
		if got, err := model.NormalizeVersion("npm", version); (err == nil) != good || good && got != version {
			t.Errorf("%q: got %q, %v", version, got, err)
		}
	}
}
