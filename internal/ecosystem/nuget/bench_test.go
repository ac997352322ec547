package nuget_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkPush spools and opens a package of 64 MB.
func BenchmarkPush(b *testing.B) {
	body := formOf(dotnetPart, zipOf(false, entry{"Acme.Widget.nuspec", nuspec}, entry{"lib/a.dll", string(bytes.Repeat([]byte("archive\n"), 8<<20))}))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := judge(b, "push", body); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzPackage looks for packages that panic, or whose target is none.
func FuzzPackage(f *testing.F) {
	built, err := os.ReadFile(filepath.Join("testdata", "Acme.Widget.1.0.0-Beta.nupkg"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(built)
	f.Add(packageOf(nuspec))
	f.Add(zipOf(true, entry{"Acme.Widget.nuspec", nuspec}))
	f.Fuzz(func(t *testing.T, pkg []byte) {
		target, _, err := judge(t, "push", formOf(dotnetPart, pkg))
		if err == nil && (target.Package == "" || target.Version == "" || target.File == "") {
			t.Fatalf("got %+v", target)
		}
	})
}

// FuzzNuspec does the same for the document inside.
func FuzzNuspec(f *testing.F) {
	f.Add(nuspec, rels)
	f.Fuzz(func(t *testing.T, text, related string) {
		target, _, err := judge(t, "push", formOf(dotnetPart, zipOf(false, entry{"_rels/.rels", related}, entry{"Acme.Widget.nuspec", text})))
		if err == nil && (target.Package == "" || target.Version == "") {
			t.Fatalf("got %+v of %q", target, text)
		}
	})
}
