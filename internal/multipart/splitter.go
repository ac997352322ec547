// Package multipart reads multipart/form-data bodies while they flow, in exactly the form in which upload clients write them: what
// two parsers could read differently is refused. It knows no protocol; an ecosystem judges the parts.
package multipart

import (
	"bytes"
	"slices"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// maxBoundary is RFC 2046's limit, in bytes.
	maxBoundary = 70
	// maxMarker is the longest "--boundary"; maxDelimiter the longest CRLF and marker.
	maxMarker    = maxBoundary + 2
	maxDelimiter = maxMarker + 2
	// maxPartHeader bounds the header lines of one part, in bytes: two lines of a name, a file name and a type.
	maxPartHeader = 1 << 10
)

var (
	lineBreak = []byte("\r\n")
	headerEnd = []byte("\r\n\r\n")
	closing   = []byte("--")
)

// Handler takes what a Splitter finds.
type Handler interface {
	// Begin takes the header lines of a part, and the offset in the body at which the part's data begins.
	Begin(header []byte, at int64) error
	// Data takes the data of one part, in pieces of any size, none of which may be kept after the call.
	Data(p []byte) error
	// End ends the part.
	End() error
}

// place is where in the grammar a Splitter stands.
type place int

const (
	atStart      place = iota // the first marker, which begins the body: there is no preamble
	atMarkerEnd               // two bytes after a marker: CRLF or the final "--"
	atHeader                  // header lines up to an empty one
	atData                    // data up to CRLF and a marker
	atClosed                  // after the final "--": CRLF or nothing
	atClosedLine              // inside that CRLF
	atEnd                     // nothing more
)

// Splitter is a push parser of multipart bodies, for exactly the form in which upload clients write them: no preamble, no
// epilogue beyond one CRLF, no padding after a boundary. The marker "--boundary" may stand nowhere but in a delimiter, however
// its line begins and ends, since parsers differ in what they take for a delimiter; boundaries are random, so no honest body
// has one by accident. The pieces are searched where they lie; only what may be the beginning of a delimiter is copied.
type Splitter struct {
	parts  Handler
	marker []byte
	place  place
	offset int64 // bytes of the body that were taken

	// carry is the end of a part's data that may belong to a delimiter: the last len(delimiter)-1 bytes, or all of it.
	carry   [maxDelimiter]byte
	carried int
	window  [2 * maxDelimiter]byte
	two     [2]byte // what follows a marker
	pending int     // how much of the current fixed text was seen
	header  []byte  // of a part, as far as it came in another piece

	mayBeBare, bare bool
}

// New makes a splitter of a body with that boundary.
func New(boundary string, parts Handler) *Splitter {
	return &Splitter{parts: parts, marker: []byte("--" + boundary)}
}

// NewMendable makes a splitter that also takes a last delimiter of which nothing but the CR of its line break is absent, at the very
// end of the body. Parsers differ there: some end the part, some take the line for its data, some find no end. So the body
// must not be handed on as it is; see Bare.
func NewMendable(boundary string, parts Handler) *Splitter {
	s := New(boundary, parts)
	s.mayBeBare = true
	return s
}

// Bare is true for a body whose last line break is a bare line feed: whoever hands it on ends it anew, with End.
func (s *Splitter) Bare() bool { return s.bare }

// End is how a body ends: what follows the data of the last part.
func (s *Splitter) End() []byte {
	return slices.Concat(lineBreak, s.marker, closing, lineBreak)
}

// delimiter is the length of CRLF and marker.
func (s *Splitter) delimiter() int { return len(s.marker) + len(lineBreak) }

// Feed takes the next piece.
func (s *Splitter) Feed(p []byte) error {
	for len(p) > 0 {
		n, err := s.step(p)
		if err != nil {
			return err
		}
		s.offset += int64(n)
		p = p[n:]
	}
	return nil
}

// step takes at least one byte of p.
func (s *Splitter) step(p []byte) (int, error) {
	switch s.place {
	case atStart:
		return s.start(p)
	case atMarkerEnd:
		return s.markerEnd(p)
	case atHeader:
		return s.headers(p)
	case atData:
		return s.body(p)
	case atClosed, atClosedLine:
		return s.close(p)
	default:
		return 0, malformed("body", "more after its closing boundary", "nothing")
	}
}

// start takes the marker that begins the body.
func (s *Splitter) start(p []byte) (int, error) {
	want := s.marker[s.pending:]
	n := min(len(p), len(want))
	if !bytes.Equal(p[:n], want[:n]) {
		return 0, malformed("body", "text before the first boundary", "the boundary of the Content-Type")
	}
	s.pending += n
	if s.pending == len(s.marker) {
		s.place, s.pending = atMarkerEnd, 0
	}
	return n, nil
}

// markerEnd takes the two bytes that say whether a part or the end follows.
func (s *Splitter) markerEnd(p []byte) (int, error) {
	n := copy(s.two[s.pending:], p)
	s.pending += n
	if s.pending < len(s.two) {
		return n, nil
	}
	s.pending = 0
	switch {
	case s.bare && !bytes.Equal(s.two[:], closing):
		return 0, strayMarker()
	case s.bare:
		s.place = atEnd
	case bytes.Equal(s.two[:], lineBreak):
		s.place, s.header = atHeader, s.header[:0]
	case bytes.Equal(s.two[:], closing):
		s.place = atClosed
	default:
		return 0, malformed("boundary line", "followed by other text", "CRLF, or -- and CRLF")
	}
	return n, nil
}

// headers collects the header lines of a part, which nearly always come in one piece.
func (s *Splitter) headers(p []byte) (int, error) {
	n := min(len(p), maxPartHeader-len(s.header))
	block, from := p[:n], 0
	if before := len(s.header); before > 0 {
		s.header = append(s.header, block...)
		block, from = s.header, max(0, before-len(headerEnd)+1)
	}
	at := bytes.Index(block[from:], headerEnd)
	if at >= 0 {
		end := from + at
		taken := n - (len(block) - end - len(headerEnd))
		s.place, s.carried = atData, 0
		return taken, s.parts.Begin(block[:end], s.offset+int64(taken))
	}
	if len(block) == maxPartHeader {
		return 0, malformed("header of a part", "longer", "two lines of at most 1024 bytes, ended by CRLF")
	}
	if len(s.header) == 0 {
		s.header = append(s.header, block...)
	}
	return n, nil
}

// body takes data up to a delimiter.
func (s *Splitter) body(p []byte) (int, error) {
	if s.carried > 0 {
		if n, done, err := s.across(p); done || err != nil {
			return n, err
		}
	}
	at := bytes.Index(p, s.marker)
	if at >= 0 {
		end := s.dataEnd(p, at)
		if end < 0 {
			return 0, strayMarker()
		}
		if err := s.flush(p[:end]); err != nil {
			return 0, err
		}
		return at + len(s.marker), s.endPart()
	}
	keep := min(len(p), s.delimiter()-1)
	if err := s.flush(p[:len(p)-keep]); err != nil {
		return 0, err
	}
	s.carried = copy(s.carry[:], p[len(p)-keep:])
	return len(p), nil
}

// across looks for a marker that begins in the carry, or so early in p that its CRLF is there. It is done with p when it
// has found one, and when p is too short to be searched by itself.
func (s *Splitter) across(p []byte) (n int, done bool, err error) {
	reach := min(len(p), s.delimiter()-1)
	w := s.window[:copy(s.window[:], s.carry[:s.carried])]
	w = append(w, p[:reach]...)
	at := bytes.Index(w, s.marker)
	end := s.dataEnd(w, at)
	switch {
	case at >= 0 && end < 0:
		return 0, true, strayMarker()
	case at >= 0:
		if err := s.parts.Data(w[:end]); err != nil {
			return 0, true, err
		}
		n = at + len(s.marker) - s.carried
		s.carried = 0
		return n, true, s.endPart()
	case reach == len(p):
		settled := max(0, len(w)-s.delimiter()+1)
		if settled > 0 {
			if err := s.parts.Data(w[:settled]); err != nil {
				return 0, true, err
			}
		}
		s.carried = copy(s.carry[:], w[settled:])
		return len(p), true, nil
	}
	return 0, false, nil
}

// dataEnd is where the data before a marker ends, and -1 where no line break stands between them.
func (s *Splitter) dataEnd(p []byte, marker int) int {
	switch {
	case marker >= len(lineBreak) && bytes.Equal(p[marker-len(lineBreak):marker], lineBreak):
		return marker - len(lineBreak)
	case s.mayBeBare && marker > 0 && p[marker-1] == '\n':
		s.bare = true
		return marker - 1
	}
	return -1
}

// flush hands on the carry and then p, which are now known to be data.
func (s *Splitter) flush(p []byte) error {
	if s.carried > 0 {
		n := s.carried
		s.carried = 0
		if err := s.parts.Data(s.carry[:n]); err != nil {
			return err
		}
	}
	if len(p) == 0 {
		return nil
	}
	return s.parts.Data(p)
}

func (s *Splitter) endPart() error {
	s.place, s.pending = atMarkerEnd, 0
	return s.parts.End()
}

// close takes the CRLF after the closing boundary.
func (s *Splitter) close(p []byte) (int, error) {
	if p[0] != lineBreak[s.place-atClosed] {
		return 0, malformed("body", "more after its closing boundary", "nothing")
	}
	s.place++
	return 1, nil
}

// Closed is true where the body may end.
func (s *Splitter) Closed() bool { return s.place == atClosed || s.place == atEnd }

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, got, want)
}

func strayMarker() *model.Denial {
	return malformed("boundary", "in the middle of a part", "only on lines of its own, after CRLF")
}
