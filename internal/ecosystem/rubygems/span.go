package rubygems

import (
	"crypto/sha256"
	"hash"
	"io"
	"sync/atomic"
)

// span hashes one entry of a gem among all the bytes that the gem's own digest is written, so that they are copied once for both. The
// entry is named while an earlier block is hashed, before the first of its bytes is.
type span struct {
	sum    hash.Hash // SHA-256
	offset int64     // of the next byte, in the gem
	entry  atomic.Pointer[[2]int64]
}

func newSpan() *span { return &span{sum: sha256.New()} }

// over names the entry, by the offsets of its first byte and of the one behind its last.
func (s *span) over(from, end int64) { s.entry.Store(&[2]int64{from, end}) }

// Write takes the next bytes of the gem.
func (s *span) Write(p []byte) (int, error) {
	size := int64(len(p))
	if entry := s.entry.Load(); entry != nil {
		from, end := max(0, entry[0]-s.offset), min(size, entry[1]-s.offset)
		if from < end {
			_, _ = s.sum.Write(p[from:end]) // a hash never fails
		}
	}
	s.offset += size
	return len(p), nil
}

var _ io.Writer = (*span)(nil)
