package npm_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
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

// worst are elements of lists that a document has no use for, again and again.
var worst = map[string]string{
	"numbers": "0,", "objects": `{"a":0,"b":{}},`, "deep": strings.Repeat("[", 50) + strings.Repeat("]", 50) + ",", "escapes": `"\u0041\ud83d\ude00",`, "texts": `"",`,
}

// worstDocument is a document of about that size that is nearly all such elements.
func worstDocument(element string, size int) []byte {
	large := []byte("archive\n")
	sum := sha512.Sum512(large)
	return fmt.Appendf(nil, `{"_id":"widget","name":"widget","versions":{"1.0.0":{"name":"widget","version":"1.0.0","dist":{"integrity":"sha512-%s"}}},"list":[%s0],`+
		`"_attachments":{"widget-1.0.0.tgz":{"data":"%s"}}}`, base64.StdEncoding.EncodeToString(sum[:]), strings.Repeat(element, size/len(element)), base64.StdEncoding.EncodeToString(large))
}

// BenchmarkWorst scans documents that are made to be slow.
func BenchmarkWorst(b *testing.B) {
	for name, element := range worst {
		b.Run(name, func(b *testing.B) {
			doc := worstDocument(element, 1<<20)
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				publishIn(b, doc)
			}
		})
	}
}

// TestWorstDocuments: no value of a document costs memory of its own that nobody asked for, which is what makes a byte of it dear.
// The keys of an object do, since none may stand twice.
func TestWorstDocuments(t *testing.T) {
	for name, element := range worst {
		doc := worstDocument(element, 1<<20)
		most := 1000.0
		if name == "objects" {
			most += 2 * float64(len(doc)) / float64(len(element))
		}
		if n := testing.AllocsPerRun(1, func() { publishIn(t, doc) }); n > most {
			t.Errorf("%s: %.0f pieces of memory for 1 MiB, want at most %.0f", name, n, most)
		}
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
