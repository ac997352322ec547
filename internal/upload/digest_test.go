package upload_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/trustpub/trustpub/internal/upload"
)

// TestDigest holds digests beside the writer to those of the whole, whatever the pieces, each of which is overwritten at once.
func TestDigest(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 1<<20 + 128<<10, 1<<20 + 128<<10 + 1, 5<<20 + 12345} {
		file := make([]byte, size)
		_, _ = source.Read(file)
		for _, most := range []int{1000, 32 << 10, 3 << 20} {
			long := sha512.New()
			d := upload.NewDigest(long)
			for rest := file; len(rest) > 0; {
				n := min(1+rand.IntN(most), len(rest))
				piece := bytes.Clone(rest[:n])
				if written, err := d.Write(piece); written != n || err != nil {
					t.Fatal(written, err)
				}
				clear(piece)
				rest = rest[n:]
			}
			for range 2 { // asking changes nothing
				if d.SHA256() != sha256.Sum256(file) {
					t.Errorf("%d bytes in pieces of at most %d: another SHA-256", size, most)
				}
				if [sha512.Size]byte(d.Sum(long)) != sha512.Sum512(file) {
					t.Errorf("%d bytes in pieces of at most %d: another SHA-512", size, most)
				}
			}
		}
	}
}

// TestDigestOfOneProcessor: where nothing can run beside, the digest is the same.
func TestDigestOfOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	d := upload.NewDigest()
	file := body(3 << 20)
	_, _ = d.Write(file)
	if d.SHA256() != sha256.Sum256(file) {
		t.Error("another SHA-256")
	}
}

// TestDigestAllocatesNothing holds a piece in the middle of a large file to no allocation.
func TestDigestAllocatesNothing(t *testing.T) {
	d := upload.NewDigest(sha512.New())
	_, _ = d.Write(body(2 << 20))
	piece := body(32 << 10)
	if n := testing.AllocsPerRun(100, func() { _, _ = d.Write(piece) }); n != 0 {
		t.Errorf("a piece costs %v allocations, want none", n)
	}
}
