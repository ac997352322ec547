package npm_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"runtime"
	"testing"
)

// largeDocument is a document of 100 MB with the digest that npm declares.
func largeDocument() []byte {
	large := bytes.Repeat([]byte("archive\n"), 75<<20/8)
	sum := sha512.Sum512(large)
	return fmt.Appendf(nil, `{"_id":"widget","name":"widget","versions":{"1.0.0":{"name":"widget","version":"1.0.0","dist":{"integrity":"sha512-%s"}}},`+
		`"_attachments":{"widget-1.0.0.tgz":{"data":"%s"}}}`, base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(large))
}

// publishIn scans a document in pieces as a server reads them.
func publishIn(tb testing.TB, doc []byte) {
	tb.Helper()
	s, err := protocol(tb).Open(operation(tb, "PUT", "/widget", "publish"), nil)
	if err != nil {
		tb.Fatal(err)
	}
	for at := 0; at < len(doc); at += 32 << 10 {
		if _, err := s.Scan(doc[at:min(at+32<<10, len(doc))]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Finish(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkPublish scans a document of 100 MB: JSON, base64 and three digests.
func BenchmarkPublish(b *testing.B) {
	doc := largeDocument()
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		publishIn(b, doc)
	}
}

// TestPublishMemory: a document of 100 MB costs less than 1 MiB of memory in all.
func TestPublishMemory(t *testing.T) {
	doc := largeDocument()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	publishIn(t, doc)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated for a document of %d, want at most 1 MiB", got, len(doc))
	}
}
