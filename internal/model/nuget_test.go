package model_test

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func TestNuGetNames(t *testing.T) {
	for name, want := range map[string]string{
		"Acme.Widget": "acme.widget", "widget": "widget", "a-b_c.D9": "a-b_c.d9", strings.Repeat("a", 100): strings.Repeat("a", 100),
		"": "", ".a": "", "a.": "", "a..b": "", "a b": "", "a/b": "", "a\n": "", "w\u0131dget": "", strings.Repeat("a", 101): "",
	} {
		if got, err := model.NormalizeName("nuget", name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

func TestNuGetVersions(t *testing.T) {
	for version, want := range map[string]string{
		"1.0.0": "1.0.0", "1": "1.0.0", "1.0": "1.0.0", "1.0.0.0": "1.0.0", "1.2.3.4": "1.2.3.4", "01.002.3": "1.2.3", "1.0.0-Beta.1": "1.0.0-beta.1",
		"1.0.0+abc": "1.0.0", "1.0-rc+b-1": "1.0.0-rc", "1.0.0--": "1.0.0--", "2147483647.0.0": "2147483647.0.0",
		"": "", "v1.0": "", "1.0.0.0.0": "", "1..0": "", "1.0-": "", "1.0+": "", "1.0-a..b": "", " 1.0": "", "1.0\n": "", "1.*": "", "[1.0]": "",
		"2147483648.0.0": "", "1.0-\u00e9": "", "1.0-" + strings.Repeat("a", 64): "",
	} {
		if got, err := model.NormalizeVersion("nuget", version); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", version, got, err)
		}
	}
}
