package upload

import (
	"crypto/sha256"
	"hash"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// besideAfter is how much is hashed in line; only larger files are worth another goroutine and its memory.
	besideAfter = 1 << 20
	// blockSize is how much is handed over at once, in bytes.
	blockSize = 64 << 10
	// depth is how many blocks a file has at least: whoever writes runs ahead of a digest by as much as all but one of them.
	depth = 6
	// most is how many blocks the files with one digest share, though each has depth of them. A block that has left the other processor's
	// cache since it was hashed there is written sooner, so that a file is the faster the more there are; memory is the limit.
	most = 40
	// growth is after how many bytes of a file it may have another block: files that begin together share before one of them has all.
	growth = 1 << 20
)

// hashing is how many files have blocks.
var hashing atomic.Int32

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// Digest computes digests of a file beside the goroutine that writes to it: while some blocks are hashed,
// the next is collected. It is used by one goroutine at a time, and needs no end where an upload is given up.
type Digest struct {
	sum   hash.Hash // SHA-256
	to    []io.Writer
	few   [2]io.Writer // what to has room for at once
	size  int64
	alone bool // there is no second processor

	filling *shared
	lanes   []*lane
	made    int
	free    chan *shared
	counted runtime.Cleanup // takes it out of hashing, where nobody asks for the digest
	under   sync.WaitGroup  // one for each block in each lane
	failed  atomic.Pointer[error]
}

// NewDigest makes a digest. others are computed too, and asked for by Sum.
func NewDigest(others ...hash.Hash) *Digest {
	d := &Digest{alone: runtime.GOMAXPROCS(0) == 1, sum: sha256.New()}
	d.to = d.few[:0]
	for _, h := range others {
		d.to = append(d.to, h)
	}
	d.to = append(d.to, d.sum)
	return d
}

// Beside gives all that is written from now on to w too, which must not keep it. It is called before the first Write.
func (d *Digest) Beside(w io.Writer) { d.to = append(d.to, w) }

// Write takes the next piece, which may be overwritten afterwards. Its error is that of what was given to Beside: a digest never fails.
func (d *Digest) Write(p []byte) (int, error) {
	n := len(p)
	if !digesting {
		return n, nil
	}
	d.size += int64(n)
	if d.alone || d.size <= besideAfter {
		return n, d.inLine(p)
	}
	if err := d.failed.Load(); err != nil {
		return 0, *err
	}
	for len(p) > 0 {
		if d.filling == nil {
			d.filling = d.room()
		}
		b := d.filling
		k := copy(b.data[b.size:], p)
		b.size += k
		if p = p[k:]; b.size == blockSize {
			d.handOver()
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

// shared is a block that all lanes read.
type shared struct {
	data *[blockSize]byte
	size int
	left atomic.Int32 // lanes that have not read it
}

// room is an empty block. It waits where all of them are under way.
func (d *Digest) room() *shared {
	if d.lanes == nil {
		d.begin()
	}
	allowed := d.allowed()
	for {
		select {
		case b := <-d.free:
			if d.made <= allowed {
				return b
			}
			d.made--
			blocks.Put(b.data)
			continue
		default:
		}
		if d.made < allowed {
			d.made++
			return &shared{data: blocks.Get().(*[blockSize]byte)}
		}
		return <-d.free
	}
}

// begin makes the lanes.
func (d *Digest) begin() {
	d.free = make(chan *shared, most)
	for _, w := range d.to {
		l := &lane{digest: d, to: w}
		l.work = l.run
		d.lanes = append(d.lanes, l)
	}
	hashing.Add(1)
	d.counted = runtime.AddCleanup(d, func(n int32) { hashing.Add(n) }, -1)
}

// allowed is how many blocks there may be just now. Several digests take longer than blocks of any number save.
func (d *Digest) allowed() int {
	if len(d.lanes) > 1 {
		return depth
	}
	share := most / int64(max(1, hashing.Load()))
	return int(max(depth, min(share, depth+(d.size-besideAfter)/growth)))
}

// handOver gives the block to each lane.
func (d *Digest) handOver() {
	b := d.filling
	d.filling = nil
	b.left.Store(int32(len(d.lanes))) //nolint:gosec // a handful
	d.under.Add(len(d.lanes))
	for _, l := range d.lanes {
		l.take(b)
	}
}

// lane writes blocks to one of those who want them, in order. Its goroutine ends when there are none.
type lane struct {
	digest *Digest
	to     io.Writer
	work   func() // run, made once

	mu      sync.Mutex
	queue   [most]*shared
	first   int
	length  int
	running bool
}

func (l *lane) take(b *shared) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue[(l.first+l.length)%most] = b
	l.length++
	if !l.running {
		l.running = true
		go l.work()
	}
}

func (l *lane) next() *shared {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.length == 0 {
		l.running = false
		return nil
	}
	b := l.queue[l.first]
	l.first, l.length = (l.first+1)%most, l.length-1
	return b
}

func (l *lane) run() {
	d := l.digest
	for b := l.next(); b != nil; b = l.next() {
		if d.failed.Load() == nil {
			if _, err := l.to.Write(b.data[:b.size]); err != nil {
				failure := err // the address of err itself would cost an allocation for each block
				d.failed.Store(&failure)
			}
		}
		if b.left.Add(-1) == 0 {
			b.size = 0
			d.free <- b // never waits: there are no more of them
		}
		d.under.Done()
	}
}

// settle hands over all that was written, and waits for it.
func (d *Digest) settle() {
	d.under.Wait()
	if d.filling != nil {
		_ = d.inLine(d.filling.data[:d.filling.size]) // whoever is given it besides knows its own error
		d.filling.size = 0
		d.free <- d.filling
		d.filling = nil
	}
	for ; d.made > 0; d.made-- {
		blocks.Put((<-d.free).data)
	}
	if d.lanes != nil {
		d.counted.Stop()
		d.lanes = nil
		hashing.Add(-1)
	}
}

// SHA256 is that of all that was written.
func (d *Digest) SHA256() [sha256.Size]byte { return [sha256.Size]byte(d.Sum(d.sum)) }

// Sum is what h, one of those that the digest was made with, makes of all that was written.
func (d *Digest) Sum(h hash.Hash) []byte {
	d.settle()
	return h.Sum(nil)
}
