package npm_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"testing"
)

// BenchmarkPublish scans a document of 100 MB in pieces as a server reads them: JSON, base64 and three digests.
func BenchmarkPublish(b *testing.B) {
	large := bytes.Repeat([]byte("archive\n"), 75<<20/8)
	sum := sha512.Sum512(large)
	doc := fmt.Appendf(nil, `{"_id":"widget","name":"widget","versions":{"1.0.0":{"name":"widget","version":"1.0.0","dist":{"integrity":"sha512-%s"}}},`+
		`"_attachments":{"widget-1.0.0.tgz":{"data":"%s"}}}`, base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(large))
	op := operation(b, "PUT", "/widget", "publish")
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := protocol(b).Open(op, nil)
		if err != nil {
			b.Fatal(err)
		}
		for at := 0; at < len(doc); at += 32 << 10 {
			if _, err := s.Scan(doc[at:min(at+32<<10, len(doc))]); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
