package upload

import (
	"errors"
	"io"
	"sync"

	"github.com/trustpub/trustpub/internal/model"
)

// DefaultHeadLimit bounds what is kept in memory before the body has named its target, in bytes.
const DefaultHeadLimit = 8 << 20

// SmallBody is the largest body that Gather takes, in bytes: the buffer that a stream has anyway holds it.
const SmallBody = pieceSize

const (
	// pieceSize is how much is read from the client at once.
	pieceSize = 32 << 10
	// directSize is the least room in the registry's side's buffer for which a piece is read straight into it.
	directSize = 8 << 10
	// keepCap is the largest buffer that goes back to the pool.
	keepCap = 2 * pieceSize
)

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, keepCap); return &b }}

// State is where a stream stands.
type State int

// The states.
const (
	// Pending: the verdict has not fallen.
	Pending State = iota
	// Passed: every check passed, the tail may leave.
	Passed
	// Failed: a check failed, or the client went away; the registry sees a cut body.
	Failed
)

// errStopped is what the reader of a stopped stream sees.
var errStopped = errors.New("upload stopped")

// Stream is the body of an upload on its way to the registry. Head reads until the target is named; after that Read gives
// the registry's side only what the scanner has released, and the held-back tail only after Finish and the verdict.
type Stream struct {
	src     io.Reader
	scanner Scanner
	verdict func() error

	// reading serialises Head, Read and Stop; state guards what other goroutines ask for.
	reading sync.Mutex
	buf     []byte // bytes from the client; those from off on have not left
	off     int
	pooled  *[]byte
	base    int64 // the offset in the body of buf[off]
	release int64
	done    bool // the end of src was seen
	gather  bool // nothing leaves before that
	stopped bool

	state sync.Mutex
	now   State
	err   error
	gone  bool // the client's side failed, rather than a check
	read  int64
}

// NewStream makes a stream of src, judged by scanner. verdict is called once, when the body ended and the scanner agreed; the
// tail leaves only if it returns nil.
func NewStream(src io.Reader, scanner Scanner, verdict func() error) *Stream {
	p := pieces.Get().(*[]byte)
	return &Stream{src: src, scanner: scanner, verdict: verdict, buf: (*p)[:0], pooled: p}
}

// Gather keeps a body of at most SmallBody bytes together: it leaves in one piece, once it was judged, rather than in two or more of which
// each wakes the registry. One that turns out to be longer flows as any other. It is called before the first Read.
func (s *Stream) Gather() { s.gather = true }

// Head reads until the target is named and returns it. A body that ends before that fails as the scanner's Finish says.
func (s *Stream) Head(limit int) (model.Target, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	for {
		if t, ok := s.scanner.Target(); ok {
			return t, nil
		}
		if s.done {
			err := s.scanner.Finish()
			if err == nil {
				err = model.Deny(model.CodeMissingField).Differ("target", "", "a package and a version")
			}
			return model.Target{}, s.fail(err, false)
		}
		if len(s.buf)-s.off >= limit {
			return model.Target{}, s.fail(model.Deny(model.CodeTooLarge).Differ("fields before the file", "more", byteCount(limit)), false)
		}
		if err := s.fill(); err != nil {
			return model.Target{}, err
		}
	}
}

// fill reads one piece, scans it and keeps it. At the end of src it sets done.
func (s *Stream) fill() error {
	s.makeRoom()
	n, err := s.src.Read(s.buf[len(s.buf) : len(s.buf)+pieceSize])
	piece := s.buf[len(s.buf) : len(s.buf)+n]
	s.buf = s.buf[:len(s.buf)+n]
	return s.take(piece, err)
}

// through reads one piece straight into p, behind what is held back, and returns how much of p may leave. Only the rest is copied.
func (s *Stream) through(p []byte) (int, error) {
	held := copy(p, s.buf[s.off:])
	n, err := s.src.Read(p[held:])
	if err := s.take(p[held:held+n], err); err != nil {
		return 0, err
	}
	ready := min(s.release-s.base, int64(held+n))
	s.buf, s.off = append(s.buf[:0], p[ready:held+n]...), 0
	s.base += ready
	return int(ready), nil
}

// take scans a piece that came with that error.
func (s *Stream) take(piece []byte, err error) error {
	if len(piece) > 0 {
		s.count(len(piece))
		if err := guarded(func() error { return s.scan(piece) }); err != nil {
			return s.fail(err, false)
		}
	}
	if errors.Is(err, io.EOF) {
		s.done = true
		return nil
	}
	if err != nil {
		return s.fail(cut(err), true)
	}
	return nil
}

func (s *Stream) scan(piece []byte) error {
	release, err := s.scanner.Scan(piece)
	s.release = max(s.release, release)
	return err
}

// cut is the refusal of a body whose source failed: the source's own, where it has one.
func cut(err error) error {
	var denial *model.Denial
	if errors.As(err, &denial) {
		return denial
	}
	return model.Deny(model.CodeTruncated).Because(err)
}

// makeRoom moves what has not left to the front, or grows the buffer where that is not enough (before the target is named).
func (s *Stream) makeRoom() {
	if cap(s.buf)-len(s.buf) >= pieceSize {
		return
	}
	held := s.buf[s.off:]
	if len(held)+pieceSize <= cap(s.buf) {
		s.buf = s.buf[:copy(s.buf, held)]
	} else {
		grown := make([]byte, len(held), 2*cap(s.buf)+pieceSize)
		copy(grown, held)
		s.buf = grown
	}
	s.off = 0
}

// Read gives the bytes that may leave. It returns the denial when a check fails, so that the transport aborts the request.
func (s *Stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	for {
		if err := s.Err(); err != nil {
			return 0, err
		}
		if s.stopped {
			return 0, errStopped
		}
		if s.gather = s.gather && len(s.buf)-s.off <= SmallBody; !s.gather || s.State() == Passed {
			if n := s.deliver(p); n > 0 {
				return n, nil
			}
		}
		if s.done {
			if s.State() == Passed {
				return 0, io.EOF
			}
			if err := s.finish(); err != nil {
				return 0, err
			}
			continue
		}
		if s.gather || len(p)-(len(s.buf)-s.off) < directSize {
			if err := s.fill(); err != nil {
				return 0, err
			}
			continue
		}
		if n, err := s.through(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// deliver copies released bytes into p.
func (s *Stream) deliver(p []byte) int {
	held := s.buf[s.off:]
	ready := min(s.release-s.base, int64(len(held)))
	if ready <= 0 {
		return 0
	}
	n := copy(p, held[:ready])
	s.base += int64(n)
	s.off += n
	return n
}

// finish asks the scanner and then the verdict, and releases the tail.
func (s *Stream) finish() error {
	if err := guarded(s.scanner.Finish); err != nil {
		return s.fail(err, false)
	}
	if s.verdict != nil {
		if err := guarded(s.verdict); err != nil {
			return s.fail(err, false)
		}
	}
	s.release = s.base + int64(len(s.buf)-s.off)
	s.state.Lock()
	defer s.state.Unlock()
	s.now = Passed
	return nil
}

func (s *Stream) fail(err error, gone bool) error {
	s.state.Lock()
	defer s.state.Unlock()
	if s.now != Failed {
		s.now, s.err, s.gone = Failed, err, gone
	}
	return s.err
}

func (s *Stream) count(n int) {
	s.state.Lock()
	s.read += int64(n)
	s.state.Unlock()
}

// State says where the stream stands.
func (s *Stream) State() State {
	s.state.Lock()
	defer s.state.Unlock()
	return s.now
}

// Err is the reason of a failed stream, else nil.
func (s *Stream) Err() error {
	s.state.Lock()
	defer s.state.Unlock()
	return s.err
}

// ClientGone is true when the stream failed because the client's side ended it.
func (s *Stream) ClientGone() bool {
	s.state.Lock()
	defer s.state.Unlock()
	return s.gone
}

// Size is how many bytes came from the client.
func (s *Stream) Size() int64 {
	s.state.Lock()
	defer s.state.Unlock()
	return s.read
}

// Close ends reading from the registry's side; the client's body stays open for the drain. It never waits.
func (s *Stream) Close() error { return nil }

// Stop waits for a read under way and makes all later ones fail, so that the caller has the client's body to itself. The
// caller unblocks a read on a silent client by a read deadline first.
func (s *Stream) Stop() {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.stop()
}

// TryStop is Stop where no read is under way, and does nothing and returns false where one is.
func (s *Stream) TryStop() bool {
	if !s.reading.TryLock() {
		return false
	}
	defer s.reading.Unlock()
	s.stop()
	return true
}

func (s *Stream) stop() {
	if s.stopped {
		return
	}
	s.stopped = true
	release(s.scanner)
	if cap(s.buf) <= keepCap {
		*s.pooled = s.buf[:0]
	}
	pieces.Put(s.pooled)
	s.buf, s.pooled = nil, nil
}

var _ io.ReadCloser = (*Stream)(nil)
