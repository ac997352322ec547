package upload

import (
	"crypto/sha256"
	"hash"
	"runtime"
	"sync"
)

const (
	// besideAfter is how much is hashed in line; only larger files are worth another goroutine and its memory.
	besideAfter = 1 << 20
	// blockSize is how much is handed over at once.
	blockSize = 128 << 10
)

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// Digest computes digests of a file beside the goroutine that writes to it: while one block is hashed,
// the next is collected. It is used by one goroutine at a time, and needs no end where an upload is given up.
type Digest struct {
	sum    hash.Hash // SHA-256
	hashes []hash.Hash
	size   int64
	alone  bool // there is no second processor

	// filling collects the block that is next; hashing belongs to the tasks until under is done.
	filling, hashing *[blockSize]byte
	filled           int
	tasks            []func()
	under            sync.WaitGroup
}

// NewDigest makes a digest. others are computed too, and asked for by Sum.
func NewDigest(others ...hash.Hash) *Digest {
	sum := sha256.New()
	d := NewDigestOf(append(others, sum)...)
	d.sum = sum
	return d
}

// NewDigestOf makes a digest of these algorithms alone, without SHA-256.
func NewDigestOf(hashes ...hash.Hash) *Digest {
	return &Digest{hashes: hashes, alone: runtime.GOMAXPROCS(0) == 1}
}

// Write takes the next piece, which may be overwritten afterwards. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	n := len(p)
	d.size += int64(n)
	if d.alone || d.size <= besideAfter {
		d.inLine(p)
		return n, nil
	}
	for len(p) > 0 {
		if d.filling == nil {
			d.filling = blocks.Get().(*[blockSize]byte)
		}
		k := copy(d.filling[d.filled:], p)
		d.filled += k
		p = p[k:]
		if d.filled == blockSize {
			d.handOver()
		}
	}
	return n, nil
}

func (d *Digest) inLine(p []byte) {
	for _, h := range d.hashes {
		_, _ = h.Write(p) // a hash never fails
	}
}

// handOver waits for the block under way and starts on the next, one goroutine for each digest.
func (d *Digest) handOver() {
	if d.tasks == nil {
		for _, h := range d.hashes {
			d.tasks = append(d.tasks, func() {
				defer d.under.Done()
				_, _ = h.Write(d.hashing[:])
			})
		}
	}
	d.under.Wait()
	d.filling, d.hashing, d.filled = d.hashing, d.filling, 0
	d.under.Add(len(d.tasks))
	for _, task := range d.tasks {
		go task()
	}
}

// settle hashes all that was written.
func (d *Digest) settle() {
	d.under.Wait()
	if d.filled > 0 {
		d.inLine(d.filling[:d.filled])
		d.filled = 0
	}
	for _, b := range []**[blockSize]byte{&d.filling, &d.hashing} {
		if *b != nil {
			blocks.Put(*b)
			*b = nil
		}
	}
}

// SHA256 is that of all that was written.
func (d *Digest) SHA256() [sha256.Size]byte { return [sha256.Size]byte(d.Sum(d.sum)) }

// Sum is what h, one of those that the digest was made with, makes of all that was written.
func (d *Digest) Sum(h hash.Hash) []byte {
	d.settle()
	return h.Sum(nil)
}
