package upload

import (
	"crypto/sha256"
	"hash"
	"io"
	"sync/atomic"
)

// Span hashes one entry of an archive among all the bytes that the archive's own Digest is written, so that they are copied once for
// both: it is given to Beside. The entry is named while an earlier block is hashed, before the first of its bytes is.
type Span struct {
	sum    hash.Hash // SHA-256
	offset int64     // of the next byte, in the archive
	entry  atomic.Pointer[[2]int64]
}

// NewSpan makes a span of nothing.
func NewSpan() *Span { return &Span{sum: sha256.New()} }

// Over names the entry, by the offsets of its first byte and of the one behind its last. What before holds is hashed in front of it.
func (s *Span) Over(from, end int64, before ...[]byte) {
	for _, p := range before {
		_, _ = s.sum.Write(p) // a hash never fails
	}
	s.entry.Store(&[2]int64{from, end})
}

// Write takes the next bytes of the archive.
func (s *Span) Write(p []byte) (int, error) {
	size := int64(len(p))
	if entry := s.entry.Load(); entry != nil {
		from, end := max(0, entry[0]-s.offset), min(size, entry[1]-s.offset)
		if from < end {
			_, _ = s.sum.Write(p[from:end]) // as above
		}
	}
	s.offset += size
	return len(p), nil
}

// SHA256 is the digest. The Digest that it stands beside was asked for its own first, which waits for this one.
func (s *Span) SHA256() []byte { return s.sum.Sum(nil) }

var _ io.Writer = (*Span)(nil)
