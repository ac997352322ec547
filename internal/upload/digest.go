package upload

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
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
	sum   hash.Hash // SHA-256
	to    []io.Writer
	size  int64
	alone bool // there is no second processor

	// filling collects the block that is next; hashing belongs to the tasks until under is done.
	filling, hashing *[blockSize]byte
	filled           int
	tasks            []func()
	errs             []error // of the tasks, before under is waited for
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
	d := &Digest{alone: runtime.GOMAXPROCS(0) == 1}
	for _, h := range hashes {
		d.to = append(d.to, h)
	}
	return d
}

// Beside gives all that is written from now on to w too, which must not keep it. It is called before the first Write.
func (d *Digest) Beside(w io.Writer) { d.to = append(d.to, w) }

// Write takes the next piece, which may be overwritten afterwards. Its error is that of what was given to Beside: a digest never fails.
func (d *Digest) Write(p []byte) (int, error) {
	n := len(p)
	d.size += int64(n)
	if !digesting {
		return n, nil
	}
	if d.alone || d.size <= besideAfter {
		return n, d.inLine(p)
	}
	for len(p) > 0 {
		if d.filling == nil {
			d.filling = blocks.Get().(*[blockSize]byte)
		}
		k := copy(d.filling[d.filled:], p)
		d.filled += k
		p = p[k:]
		if d.filled == blockSize {
			if err := d.handOver(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (d *Digest) inLine(p []byte) error {
	for _, w := range d.to {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// handOver waits for the block under way and starts on the next, one goroutine for each that wants it.
func (d *Digest) handOver() error {
	if d.tasks == nil {
		d.errs = make([]error, len(d.to))
		for i, w := range d.to {
			d.tasks = append(d.tasks, func() {
				defer d.under.Done()
				_, d.errs[i] = w.Write(d.hashing[:])
			})
		}
	}
	d.under.Wait()
	if err := errors.Join(d.errs...); err != nil {
		return err
	}
	d.filling, d.hashing, d.filled = d.hashing, d.filling, 0
	d.under.Add(len(d.tasks))
	for _, task := range d.tasks {
		go task()
	}
	return nil
}

// settle hands over all that was written.
func (d *Digest) settle() {
	d.under.Wait()
	if d.filled > 0 {
		_ = d.inLine(d.filling[:d.filled]) // whoever is given it besides knows its own error
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
