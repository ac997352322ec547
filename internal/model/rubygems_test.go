package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestRivals: each rival has a version and a platform with which its file has the same name.
func TestRivals(t *testing.T) {
	for file, want := range map[string][]string{
		"foo-1-a-2.gem":                {"foo-1-a"},
		"Foo-1-A-2.gem":                {"foo-1-a"},
		"foo-1.0.gem":                  nil,
		"foo-1.0-java.gem":             nil,
		"foo-1.0-x86_64-darwin-22.gem": {"foo-1.0-x86_64-darwin"},
		"foo-1-2.gem":                  {"foo-1"},
		"foo-1-a-2-b-3.gem":            {"foo-1-a", "foo-1-a-2-b"},
		"foo-1-.gem":                   nil,
		"1-2-a-3.gem":                  {"1-2-a"},
		"":                             nil,
	} {
		target := model.Target{Ecosystem: "rubygems", Package: "foo", File: file}
		if diff := cmp.Diff(want, model.Rivals(target)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	if got := model.Rivals(model.Target{Ecosystem: "cargo", Package: "foo", File: "foo-1-a-2.gem"}); got != nil {
		t.Errorf("a crate has rivals: %v", got)
	}
}

// FuzzRivals: the package itself is never among them, and whatever could have the name is.
func FuzzRivals(f *testing.F) {
	f.Add("foo", "1", "a-2", "foo-1-a", "2", "")
	f.Fuzz(func(t *testing.T, name, version, platform, other, otherVersion, otherPlatform string) {
		gem := func(name, version, platform string) (canonical, file string, ok bool) {
			canonical, err := model.NormalizeName("rubygems", name)
			if err != nil {
				return "", "", false
			}
			if _, err := model.NormalizeVersion("rubygems", version); err != nil {
				return "", "", false
			}
			file, err = model.GemFile(name, version, platform)
			return canonical, file, err == nil
		}
		pkg, file, ok := gem(name, version, platform)
		if !ok {
			return
		}
		rivals := model.Rivals(model.Target{Ecosystem: "rubygems", Package: pkg, File: file})
		if slices.Contains(rivals, pkg) {
			t.Fatalf("%s is its own rival", file)
		}
		if rival, same, ok := gem(other, otherVersion, otherPlatform); ok && same == file && rival != pkg && !slices.Contains(rivals, rival) {
			t.Fatalf("%s could be of %s, and the rivals are %v", file, rival, rivals)
		}
	})
}
