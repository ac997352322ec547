package pypi

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	benchFile     = 32 << 20
	benchBoundary = "0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4" // of the length that twine's have
	benchType     = "multipart/form-data; boundary=" + benchBoundary
)

// benchBodies are an ordinary wheel, whose bytes look random, and the worst cases of parsers that look for line breaks.
func benchBodies(b *testing.B) map[string][]byte {
	b.Helper()
	make32 := func(pattern string) []byte { return bytes.Repeat([]byte(pattern), benchFile/len(pattern)) }
	out := map[string][]byte{}
	for name, file := range map[string][]byte{"random": randomBytes(benchFile), "crlf": make32("\r\n"), "crlf-hyphens": make32("\r\n--"), "hyphens": make32("-")} {
		head := plainHead() + filePart("content", wheelFile, "")
		head = head[:len(head)-2]
		long := func(s string) []byte { return []byte(strings.ReplaceAll(s, "BbB", benchBoundary)) }
		out[name] = append(append(long(head), file...), long("\r\n"+plainEnd)...)
	}
	return out
}

// BenchmarkScan is the whole scanner over an upload of 32 MiB in pieces of 32 KiB.
func BenchmarkScan(b *testing.B) {
	p := index(b, false)
	for name, body := range benchBodies(b) {
		for _, hashing := range []bool{false, true} {
			label := name + "/plain"
			if hashing {
				label = name + "/sha256"
			}
			b.Run(label, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					opened, err := p.Open(model.Operation{Name: opUpload}, http.Header{"Content-Type": {benchType}})
					if err != nil {
						b.Fatal(err)
					}
					s := opened.(*scanner) //nolint:forcetypeassert // Open makes nothing else
					s.form.hashing = hashing
					for rest := body; len(rest) > 0; {
						n := min(len(rest), 32<<10)
						if _, err := s.Scan(rest[:n]); err != nil {
							b.Fatal(err)
						}
						rest = rest[n:]
					}
					if err := s.Finish(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStandardLibrary reads the same bodies with mime/multipart, for comparison.
func BenchmarkStandardLibrary(b *testing.B) {
	for name, body := range benchBodies(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			buf := make([]byte, 32<<10)
			for b.Loop() {
				r := multipart.NewReader(bytes.NewReader(body), benchBoundary)
				for {
					part, err := r.NextRawPart()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{part}, buf); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// onlyReader and onlyWriter hide what would let io.Copy bring its own buffer.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// TestScanAllocatesNothing holds a piece in the middle of a file to no allocation at all.
func TestScanAllocatesNothing(t *testing.T) {
	opened, err := index(t, false).Open(model.Operation{Name: opUpload}, http.Header{"Content-Type": {plainType}})
	if err != nil {
		t.Fatal(err)
	}
	head := plainHead() + filePart("content", wheelFile, "")
	if _, err := opened.Scan([]byte(head[:len(head)-2])); err != nil {
		t.Fatal(err)
	}
	piece := randomBytes(32 << 10)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := opened.Scan(piece); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a piece costs %v allocations, want none", n)
	}
}

// BenchmarkSmall is the whole scanner over a small upload in one piece, whose file is nothing beside its fields.
func BenchmarkSmall(b *testing.B) {
	p := index(b, false)
	body := []byte(strings.ReplaceAll(plain(), "BbB", benchBoundary))
	header := http.Header{"Content-Type": {benchType}}
	b.ReportAllocs()
	for b.Loop() {
		s, err := p.Open(model.Operation{Name: opUpload}, header)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Scan(body); err != nil {
			b.Fatal(err)
		}
		if err := s.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
