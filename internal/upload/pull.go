package upload

import "io"

// Pull gives a reader of a file, which pulls, the bytes that a scanner is pushed. The reader runs in a goroutine of its own, beside
// whoever writes; a Pull that is given up needs Close.
type Pull struct {
	to   *io.PipeWriter
	done chan struct{}
	err  error // of the reader, once done is closed
}

// NewPull starts read. It must read to the end, or return why it does not.
func NewPull(read func(io.Reader) error) *Pull {
	from, to := io.Pipe()
	p := &Pull{to: to, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = guarded(func() error { return read(from) })
		_ = from.Close()
	}()
	return p
}

// Write waits until the reader has taken the bytes, and keeps none of them. It fails once the reader has ended: Finish says why.
func (p *Pull) Write(b []byte) (int, error) { return p.to.Write(b) }

// Finish tells the reader that the file has ended, and returns what it makes of it.
func (p *Pull) Finish() error {
	_ = p.to.Close()
	<-p.done
	return p.err
}

// Close ends a reader that nobody waits for.
func (p *Pull) Close() error { return p.to.CloseWithError(errStopped) }

var _ io.WriteCloser = (*Pull)(nil)
