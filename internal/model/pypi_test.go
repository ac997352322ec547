package model

import (
	"regexp"
	"strings"
	"testing"

	"deps.dev/util/semver"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNormalizeNamePyPI(t *testing.T) {
	tests := []struct{ in, want string }{
		{"acme", "acme"},
		{"Acme_Widget", "acme-widget"},
		{"acme.-_widget", "acme-widget"},
		{"A", "a"},
		{"0x10c-asm", "0x10c-asm"},
		{"a--b", "a-b"},
		{strings.Repeat("a", 128), strings.Repeat("a", 128)},
		{"", ""},
		{"-acme", ""},
		{"acme-", ""},
		{"acme.", ""},
		{"acme widget", ""},
		{"acme\n", ""},
		{"acme/widget", ""},
		{"acmé", ""},
		{"\u212aelvin", ""},
		{"acme\x00", ""},
		{strings.Repeat("a", 129), ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := NormalizeName("pypi", tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("NormalizeName(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestNormalizeVersionPyPI(t *testing.T) {
	tests := []struct {
		want string
		in   []string
	}{
		{"1", []string{"1", "1.0", "1.0.0", "1.0.0.0", "v1.0", "V1", "01.0", "0!1"}},
		{"0", []string{"0", "0.0", "00.0.0"}},
		{"1.0.1", []string{"1.0.1", "1.0.1.0"}},
		{"10", []string{"10"}},
		{"1!2", []string{"1!2.0", "v01!2"}},
		{"1a0", []string{"1a", "1.0a0", "1-alpha", "1.0.ALPHA.0", "1_a_00"}},
		{"1rc2", []string{"1rc2", "1c2", "1.0-pre2", "1preview.2", "1.0RC2"}},
		{"1.post1", []string{"1.0-1", "1.0.post1", "1.0post1", "1-r1", "1_rev.01"}},
		{"1.post0", []string{"1.post", "1.0-r", "1.0-0"}},
		{"1.dev0", []string{"1.dev", "1-dev0", "1.0dev"}},
		{"1b2.post3.dev4", []string{"1.0b2.post3.dev4", "1beta2-3dev4"}},
		{"1+local.1", []string{"1.0+Local.1", "1.0+local.1", "1+local-1", "1+LOCAL_01"}},
		{"1.99999999999999999999999", []string{"1.99999999999999999999999"}},
		{"", []string{
			"", " 1.0", "1.0 ", "1.0\n", "x", "1.x", "1.*", "∞", "1..0", "1.0.", ".1", "1.0+", "1.0+a..b", "1.0+a+b", "1.0-",
			"1.0a1b2", "1.0--1", "1!2!3", "!1", "vv1", "1,0", "१", "1.0\x00", "1.0/2", strings.Repeat("1", 129),
		}},
	}
	for _, tt := range tests {
		for _, in := range tt.in {
			t.Run(in, func(t *testing.T) {
				got, err := NormalizeVersion("pypi", in)
				if got != tt.want || (err == nil) != (tt.want != "") {
					t.Errorf("NormalizeVersion(%q) = %q, %v; want %q", in, got, err, tt.want)
				}
			})
		}
	}
}

// versions draws spellings in which equal versions are frequent.
var versions = rapid.Custom(func(t *rapid.T) string {
	piece := func(name string, options ...string) string { return rapid.SampledFrom(options).Draw(t, name) }
	// The other implementation does not know a v before an epoch.
	return piece("start", "", "", "v", "V", "0!", "1!") + piece("major", "0", "1", "01") + piece("minor", "", ".0", ".1", ".00") +
		piece("micro", "", ".0", ".2") + piece("pre", "", "", "a", "-alpha.1", "RC1", "c1", ".pre_1") + piece("post", "", "", "-1", ".post1", "post", "r0") +
		piece("dev", "", "", ".dev", "dev0", "-DEV_1") + piece("local", "", "", "+abc", "+abc.1", "+ABC-1", "+abc.01", "+5")
})

func TestNormalizeVersionAgainstAnotherImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := versions.Draw(t, "a"), versions.Draw(t, "b")
		na, err := NormalizeVersion("pypi", a)
		if err != nil {
			t.Fatal(err)
		}
		nb, err := NormalizeVersion("pypi", b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := NormalizeVersion("pypi", na); err != nil || again != na {
			t.Fatalf("NormalizeVersion(%q) = %q, %v; want itself", na, again, err)
		}
		if na == nb && semver.PyPI.Compare(strings.ToLower(a), strings.ToLower(b)) != 0 {
			t.Fatalf("%q and %q are both %q, but are different versions", a, b, na)
		}
		// The other implementation compares a post-release's number before its local part, and drops one of two parts that are both
		// present; so only versions without such pairs count in this direction.
		if na != nb && !strings.Contains(a+b, "+") && !strings.Contains(na+nb, "post") && semver.PyPI.Compare(a, b) == 0 {
			t.Fatalf("%q and %q are equal, but are %q and %q", a, b, na, nb)
		}
	})
}

// pypiNameGrammar is that of PEP 508; ASCII only, so that no case folding can surprise.
var pypiNameGrammar = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// TestPyPIGrammars holds what reads names and versions to the grammars that it stands for.
func TestPyPIGrammars(t *testing.T) {
	for name, tc := range map[string]struct {
		grammar string
		accepts func(string) bool
		signs   string
	}{
		"name":         {pypiNameGrammar.String(), func(s string) bool { _, err := pypiName(s); return err == nil }, "._-"},
		"wheel's name": {`^[A-Za-z0-9]+(?:[._][A-Za-z0-9]+)*$`, func(s string) bool { return words(s, "", "._") }, "._"},
		"build tag":    {`^[0-9][A-Za-z0-9_.]*$`, func(s string) bool { return beginsWithDigit(s, "_.") }, "_."},
		"tag":          {`^[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*$`, func(s string) bool { return words(s, "_", ".") }, "_."},
		"file version": {`^[0-9][A-Za-z0-9._+!]*$`, func(s string) bool { return beginsWithDigit(s, "._+!") }, "._+!"},
	} {
		grammar := regexp.MustCompile(tc.grammar)
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			text := rapid.StringOfN(rapid.SampledFrom([]rune("aZ09"+tc.signs+"._-+!/ \né\x00")), 0, 6, -1).Draw(t, "text")
			if got, want := tc.accepts(text), grammar.MatchString(text); got != want {
				t.Fatalf("%q: accepted is %t, by the grammar it is %t", text, got, want)
			}
		}))
	}
}

// TestPlainRelease: the short way gives what the grammar gives.
func TestPlainRelease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.StringMatching(`([0-9]{1,3}|\.|0|v|a){0,6}`).Draw(t, "version")
		got, ok := plainRelease(version)
		if !ok {
			return
		}
		// The epoch of none keeps it from the short way.
		if want, err := pypiVersion("0!" + version); err != nil || got != want {
			t.Fatalf("%q: %q, by the grammar %q, %v", version, got, want, err)
		}
	})
	for _, version := range []string{"1", "1.0", "0", "0.0", "10.20.0.0", "1.10"} {
		if _, ok := plainRelease(version); !ok {
			t.Errorf("%q does not go the short way", version)
		}
	}
}

func TestParsePyPIFile(t *testing.T) {
	wheel := func(pkg, version, python string) PyPIFile {
		return PyPIFile{Type: PyPIWheel, Package: pkg, Version: version, Python: python}
	}
	sdist := func(pkg, version string) PyPIFile { return PyPIFile{Type: PyPISdist, Package: pkg, Version: version} }
	tests := []struct {
		in   string
		want PyPIFile
	}{
		{"acme_widget-1.0-py3-none-any.whl", wheel("acme-widget", "1", "py3")},
		{"Acme.Widget-1.0-py3-none-any.whl", wheel("acme-widget", "1", "py3")},
		{"acme-1.0-1-py2.py3-none-any.whl", wheel("acme", "1", "py2.py3")},
		{"acme-1.0+ubuntu_1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", wheel("acme", "1+ubuntu.1", "cp311")},
		{"acme-1!2.0rc1-py3-none-any.whl", wheel("acme", "1!2rc1", "py3")},
		{"acme_widget-1.0.tar.gz", sdist("acme-widget", "1")},
		{"acme-widget-1.0.tar.gz", sdist("acme-widget", "1")},
		{"zope.interface-4.0.tar.gz", sdist("zope-interface", "4")},
		{"Acme_Widget-1.0.zip", sdist("acme-widget", "1")},
		{"acme_2x-1.0.tar.gz", sdist("acme-2x", "1")},
		{"ruamel.yaml-0.17.tar.gz", sdist("ruamel-yaml", "0.17")},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParsePyPIFile(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParsePyPIFileRefuses(t *testing.T) {
	tests := []struct{ name, in string }{
		{"empty", ""},
		{"no extension", "acme-1.0"},
		{"an egg", "acme-1.0-py3.11.egg"},
		{"another compression", "acme-1.0.tar.bz2"},
		{"capital extension", "acme-1.0.TAR.GZ"},
		{"a signature", "acme-1.0.tar.gz.asc"},
		{"a path", "dir/acme-1.0.tar.gz"},
		{"a parent", "../acme-1.0.tar.gz"},
		{"a backslash", `dir\acme-1.0.tar.gz`},
		{"a quote", `a"b-1.0.tar.gz`},
		{"a line break", "acme-1.0\n.tar.gz"},
		{"a null byte", "acme-1.0.tar.gz\x00.whl"},
		{"not ASCII", "acmé-1.0.tar.gz"},
		{"no version", "acme.tar.gz"},
		{"no name", "-1.0.tar.gz"},
		{"no valid version", "acme-latest.tar.gz"},
		{"a version with v", "acme-v1.0.tar.gz"},
		{"a version with a hyphen", "acme-1.0-1.tar.gz"},
		{"a name that reads as a version", "acme-2x-tools-1.0.tar.gz"},
		{"a name that reads as a Python tag", "acme-py3-1.0.tar.gz"},
		{"a name with dot and hyphen", "acme.py3-x-1.0.tar.gz"},
		{"a leading dot", ".acme-1.0.tar.gz"},
		{"a wheel of four parts", "acme-1.0-none-any.whl"},
		{"a wheel of seven parts", "acme-1.0-1-2-py3-none-any.whl"},
		{"a wheel with a hyphen in its name", "acme-widget-1.0-py3-none-any.whl"},
		{"a wheel with a doubled underscore", "acme__widget-1.0-py3-none-any.whl"},
		{"a wheel with an empty tag", "acme-1.0-py3--any.whl"},
		{"a wheel with a strange tag", "acme-1.0-py3-none-an%79.whl"},
		{"a wheel version with v", "acme-v1.0-py3-none-any.whl"},
		{"too long", strings.Repeat("a", 250) + "-1.0.tar.gz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParsePyPIFile(tt.in); err == nil {
				t.Errorf("ParsePyPIFile(%q) = %+v, want an error", tt.in, got)
			}
		})
	}
}

func TestNormalizeUnknownEcosystem(t *testing.T) {
	if _, err := NormalizeName("gopher", "a"); err == nil {
		t.Error("a name of an unknown ecosystem was normalised")
	}
	if _, err := NormalizeVersion("gopher", "1"); err == nil {
		t.Error("a version of an unknown ecosystem was normalised")
	}
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{
		"acme_widget-1.0-py3-none-any.whl", "acme-1.0-1-cp311-abi3-win32.whl", "acme-widget-1.0.tar.gz", "Acme-1.0.zip", "a-1!0.tar.gz",
		"acme-2x-1.0.tar.gz", "../acme-1.tar.gz", "a-1+x_1.zip",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		got, err := ParsePyPIFile(file)
		if err != nil {
			return
		}
		if strings.ContainsAny(file, "/\\\"\r\n\x00 %;") || strings.HasPrefix(file, ".") {
			t.Errorf("%q was accepted", file)
		}
		if name, err := NormalizeName("pypi", got.Package); err != nil || name != got.Package {
			t.Errorf("%q: package %q is not canonical", file, got.Package)
		}
		if version, err := NormalizeVersion("pypi", got.Version); err != nil || version != got.Version {
			t.Errorf("%q: version %q is not canonical", file, got.Version)
		}
	})
}

// What the quick look takes for folded is what the grammar accepts and PEP 503 leaves as it is; all short names are tried.
func TestPyPIFolded(t *testing.T) {
	names := []string{""}
	for range 4 {
		for _, name := range names {
			for _, c := range "a0Z-_.é" {
				names = append(names, name+string(c))
			}
		}
	}
	runs := regexp.MustCompile(`[-_.]+`)
	for _, name := range names {
		want := pypiNameGrammar.MatchString(name) && strings.ToLower(runs.ReplaceAllString(name, "-")) == name
		if got := pypiFolded(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
