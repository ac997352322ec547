package upload

import (
	"io"
	"sync"
)

// Source is what the reader of a Pull reads. It copies nothing ahead, so that a reader of bytes takes no more than it asks for.
type Source interface {
	io.Reader
	io.ByteReader
}

// Pull gives a reader of a file, which pulls, the bytes that a scanner is pushed. The reader runs in a goroutine of its own, beside
// whoever writes, and reads from the very bytes that are written; a Pull that is given up needs Close.
type Pull struct {
	pieces  chan []byte
	taken   chan struct{} // the reader is done with a piece
	stopped chan struct{}
	stop    func()
	done    chan struct{}
	err     error // of the reader, once done is closed
}

// NewPull starts read. It must read to the end, or return why it does not.
func NewPull(read func(Source) error) *Pull {
	p := &Pull{pieces: make(chan []byte), taken: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{})}
	p.stop = sync.OnceFunc(func() { close(p.stopped) })
	go func() {
		defer close(p.done)
		p.err = guarded(func() error { return read(&source{pull: p}) })
	}()
	return p
}

// Write waits until the reader has taken the bytes, and keeps none of them. It fails once the reader has ended: Finish says why.
func (p *Pull) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	select {
	case p.pieces <- b:
	case <-p.done:
		return 0, io.ErrClosedPipe
	case <-p.stopped:
		return 0, errStopped
	}
	select {
	case <-p.taken:
		return len(b), nil
	case <-p.done:
		return 0, io.ErrClosedPipe
	}
}

// Finish tells the reader that the file has ended, and returns what it makes of it. It is called once, after the last Write.
func (p *Pull) Finish() error {
	close(p.pieces)
	<-p.done
	return p.err
}

// Close ends a reader that nobody waits for. It may be called at any time, and more than once.
func (p *Pull) Close() error {
	p.stop()
	return nil
}

// source is the reader's side.
type source struct {
	pull *Pull
	now  []byte
	held bool // whoever wrote the piece waits for it
}

// more waits for the next piece.
func (s *source) more() error {
	if s.held {
		s.held = false
		s.pull.taken <- struct{}{} // never waits for long: its writer is there
	}
	select {
	case piece, ok := <-s.pull.pieces:
		if !ok {
			return io.EOF
		}
		s.now, s.held = piece, true
		return nil
	case <-s.pull.stopped:
		return errStopped
	}
}

// Read gives what is left of a piece.
func (s *source) Read(b []byte) (int, error) {
	if len(s.now) == 0 {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.now)
	s.now = s.now[n:]
	return n, nil
}

// ReadByte gives one byte.
func (s *source) ReadByte() (byte, error) {
	if len(s.now) == 0 {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	c := s.now[0]
	s.now = s.now[1:]
	return c, nil
}

var (
	_ io.WriteCloser = (*Pull)(nil)
	_ Source         = (*source)(nil)
)
