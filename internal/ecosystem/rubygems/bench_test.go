package rubygems_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkPush scans a gem of 64 MB in pieces as a server reads them: a tar and two digests.
func BenchmarkPush(b *testing.B) {
	gem := tarOf(entry{"metadata.gz", zipped(metadata)}, entry{"data.tar.gz", string(bytes.Repeat([]byte("archive\n"), 8<<20))})
	b.SetBytes(int64(len(gem)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := judge(b, pushOp, rawType, gem, 32<<10); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzPush holds the scanner against itself, with a body whole and cut into pieces.
func FuzzPush(f *testing.F) {
	built, err := os.ReadFile(filepath.Join("testdata", "widget-1.0.rc1.gem"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(built, false, uint8(7))
	f.Add(gemOf(metadata), false, uint8(1))
	f.Add(formOf("widget-1.0.0.gem", gemOf(metadata)), true, uint8(100))
	f.Fuzz(func(t *testing.T, body []byte, form bool, size uint8) {
		header := rawType
		if form {
			header = formType
		}
		whole, err := judge(t, pushOp, header, body, len(body)+1)
		cut, cutErr := judge(t, pushOp, header, body, 1+int(size))
		if (err == nil) != (cutErr == nil) || whole.Target != cut.Target || whole.Artifact != cut.Artifact {
			t.Fatalf("whole %+v, %v, cut %+v, %v", whole, err, cut, cutErr)
		}
		if err == nil && (whole.Target.Package == "" || whole.Target.Version == "" || whole.Target.File == "") {
			t.Fatalf("got %+v", whole.Target)
		}
	})
}

// FuzzSpecification looks for metadata that panics, or that gives a target which is none.
func FuzzSpecification(f *testing.F) {
	f.Add(metadata)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := judge(t, pushOp, rawType, gemOf(text), 1<<20)
		if err == nil && (v.Target.Package == "" || v.Target.Version == "") {
			t.Fatalf("got %+v of %q", v.Target, text)
		}
	})
}
