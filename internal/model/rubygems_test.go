package model_test

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func TestRubyGemsNames(t *testing.T) {
	for name, want := range map[string]string{
		"widget": "widget", "Widget": "widget", "acme-widget_x.y": "acme-widget_x.y", "7zip": "7zip", strings.Repeat("a", 128): strings.Repeat("a", 128),
		"": "", "123": "", "-widget": "", ".widget": "", "_widget": "", "wid get": "", "a/b": "", "widget\n": "", "w\u0131dget": "", strings.Repeat("a", 129): "",
	} {
		if got, err := model.NormalizeName("rubygems", name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

func TestRubyGemsVersions(t *testing.T) {
	for version, good := range map[string]bool{
		"1": true, "1.0": true, "1.0.0": true, "1.0.0.rc1": true, "2.a": true, "01.0": true, "1.0.RC1": true,
		"": false, "a": false, "1.": false, ".1": false, "1..0": false, "1.0-beta": false, "1.0+x": false, " 1.0": false, "1.0\n": false,
		"1." + strings.Repeat("1", 127): false,
	} {
		if got, err := model.NormalizeVersion("rubygems", version); (err == nil) != good || good && got != version {
			t.Errorf("%q: got %q, %v", version, got, err)
		}
	}
}

func TestGemFile(t *testing.T) {
	for platform, want := range map[string]string{
		"": "w-1.0.gem", "ruby": "w-1.0.gem", "java": "w-1.0-java.gem", "x86_64-linux": "w-1.0-x86_64-linux.gem", "x86-mswin32-60": "w-1.0-x86-mswin32-60.gem",
		"universal-darwin-9.8.0": "w-1.0-universal-darwin-9.8.0.gem",
		"-x":                     "", "2": "", "a/b": "", "a--b": "", "a\n": "", strings.Repeat("a", 129): "",
	} {
		if got, err := model.GemFile("w", "1.0", platform); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", platform, got, err)
		}
	}
}
