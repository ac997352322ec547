// Package jsonstream checks a JSON document while it flows, in constant memory, and tells a visitor what it asked for. It is
// stricter than RFC 8259 where two parsers could read one document in two ways: a key stands once in its object, texts are
// valid UTF-8 without lone surrogates, and nothing follows the document (RFC 7493 asks for the same).
package jsonstream

import (
	"fmt"

	"github.com/trustpub/trustpub/internal/model"
)

// Kind is what a value is.
type Kind byte

// The kinds of value. A Literal is true, false or null.
const (
	Object Kind = iota + 1
	Array
	String
	Number
	Literal
)

// String names the kind as errors show it.
func (k Kind) String() string {
	return [...]string{"nothing", "an object", "an array", "a string", "a number", "true, false or null"}[k]
}

// Mode is what a visitor wants of a value.
type Mode int

const (
	// Skip checks the value and keeps nothing of it.
	Skip Mode = iota
	// Keep hands the value over whole; it has no meaning for objects and arrays, whose values come one by one.
	Keep
	// Stream hands a string over in pieces as they arrive. It must be plain ASCII without escapes, as base64 is.
	Stream
)

// Element is the step of a path into an array. An object may have a key of that text too, so a visitor that looks into objects
// refuses arrays in Begin.
const Element = "[]"

// Visitor is told of the values of a document, in their order. A path holds the keys from the outermost object on, and is
// good during the call alone. An error ends the scan and is returned as it is.
type Visitor interface {
	// Begin is called where a value begins, and says what is wanted of it.
	Begin(path []string, kind Kind) (Mode, error)
	// Value hands over a kept value: a string without quotes and escapes, a number or literal as it was written.
	Value(path []string, kind Kind, text string) error
	// Piece hands over a piece of a streamed string, good during the call alone.
	Piece(path []string, piece []byte) error
	// End is called at the end of an object, an array and a streamed string.
	End(path []string, kind Kind) error
}

// Limits bound what a document may cost. Zero fields take the defaults.
type Limits struct {
	// Depth is how many objects and arrays may stand in each other; default 64.
	Depth int
	// Keys bounds the memory for the keys of all open objects, in bytes; default 512 KiB.
	Keys int
	// Text bounds a key and a kept value, in bytes; default 8 KiB.
	Text int
}

// keyCost is what a key costs beside its bytes.
const keyCost = 32

// smallObject is the number of keys up to which an object's set is used again for the next one of its depth.
const smallObject = 64

// state is what the scanner expects next.
type state byte

const (
	expectValue state = iota
	expectFirstElement
	expectFirstKey
	expectKey
	expectColon
	expectNext // a comma or the end of the object or array
	inString
	inEscape
	inHex
	inScalar // a number or a literal
	ended
)

// frame is an open object or array.
type frame struct {
	array bool
	keys  map[string]struct{}
	bytes int
}

// Scanner checks one document.
type Scanner struct {
	visitor Visitor
	limits  Limits

	state  state
	frames []frame
	path   []string
	keys   int // bytes of the keys of all open objects
	offset int64
	end    int64 // offset of the last byte of the document, once ended

	// Of the text or scalar under way.
	text  []byte
	mode  Mode
	key   bool
	kind  Kind
	rune  []byte // the bytes so far of a character beyond ASCII
	hex   rune
	hexes int
	high  rune // a high surrogate that waits for its low one

	err error
}

// New makes a scanner.
func New(v Visitor, l Limits) *Scanner {
	if l.Depth == 0 {
		l.Depth = 64
	}
	if l.Keys == 0 {
		l.Keys = 512 << 10
	}
	if l.Text == 0 {
		l.Text = 8 << 10
	}
	return &Scanner{visitor: v, limits: l}
}

// Feed takes the next piece. Errors are *model.Denial, or the visitor's own; after one the scanner returns it again.
func (s *Scanner) Feed(p []byte) error {
	for s.err == nil && len(p) > 0 {
		var n int
		n, s.err = s.step(p)
		s.offset += int64(n)
		p = p[n:]
	}
	return s.err
}

// Close is called at the end of the body; a document that is not whole is an error.
func (s *Scanner) Close() error {
	if s.err == nil && s.state != ended {
		s.err = model.Deny(model.CodeTruncated).Differ("JSON document", fmt.Sprintf("cut off after %d bytes", s.offset), "a whole one")
	}
	return s.err
}

// Release is the offset up to which bytes may leave while the last byte of the document, and all that follows, stays behind.
func (s *Scanner) Release() int64 {
	if s.state == ended {
		return s.end
	}
	return s.offset
}

// step takes at least one byte, or changes the state.
func (s *Scanner) step(p []byte) (int, error) {
	switch s.state {
	case inString:
		return s.inText(p)
	case inEscape:
		return 1, s.escape(p[0])
	case inHex:
		return 1, s.hexDigit(p[0])
	case inScalar:
		return s.scalar(p)
	}
	c := p[0]
	if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
		n := 1
		for n < len(p) && (p[n] == ' ' || p[n] == '\n' || p[n] == '\r' || p[n] == '\t') {
			n++
		}
		return n, nil
	}
	return 1, s.structure(c)
}

// structure takes a byte between texts and scalars.
func (s *Scanner) structure(c byte) error {
	switch s.state {
	case expectFirstElement:
		if c == ']' {
			return s.leave()
		}
		return s.begin(c)
	case expectValue:
		return s.begin(c)
	case expectFirstKey, expectKey:
		switch {
		case c == '"':
			s.state, s.key, s.text, s.mode = inString, true, s.text[:0], Keep
			return nil
		case c == '}' && s.state == expectFirstKey:
			return s.leave()
		}
		return s.unexpected(c, "a key")
	case expectColon:
		if c != ':' {
			return s.unexpected(c, "a colon")
		}
		s.state = expectValue
		return nil
	case expectNext:
		array := s.frames[len(s.frames)-1].array
		switch {
		case c == ',' && array:
			s.state = expectValue
			return nil
		case c == ',':
			s.state = expectKey
			return nil
		case c == ']' && array, c == '}' && !array:
			return s.leave()
		}
		return s.unexpected(c, "a comma, or the end of the object or array")
	}
	return s.unexpected(c, "nothing more")
}

// begin starts a value.
func (s *Scanner) begin(c byte) (err error) {
	switch {
	case c == '{':
		s.kind = Object
	case c == '[':
		s.kind = Array
	case c == '"':
		s.kind = String
	case len(s.frames) == 0:
		// The end of a scalar that stands alone could not be held back.
		return s.unexpected(c, "an object, an array or a string")
	case c == '-' || c >= '0' && c <= '9':
		s.kind = Number
	case c == 't' || c == 'f' || c == 'n':
		s.kind = Literal
	default:
		return s.unexpected(c, "a value")
	}
	if s.mode, err = s.visitor.Begin(s.path, s.kind); err != nil {
		return err
	}
	switch s.kind {
	case Object, Array:
		return s.enter(s.kind == Array)
	case String:
		s.state, s.key, s.text = inString, false, s.text[:0]
	default:
		s.state, s.text = inScalar, append(s.text[:0], c)
	}
	return nil
}

// enter opens an object or array.
func (s *Scanner) enter(array bool) error {
	if len(s.frames) >= s.limits.Depth {
		return model.Deny(model.CodeTooLarge).Differ(s.where(), "deeper", fmt.Sprintf("at most %d objects and arrays in each other", s.limits.Depth))
	}
	// The set of keys of an object that ended at this depth is used again.
	if n := len(s.frames); n < cap(s.frames) {
		s.frames = s.frames[:n+1]
	} else {
		s.frames = append(s.frames, frame{})
	}
	f := &s.frames[len(s.frames)-1]
	f.array, f.bytes = array, 0
	s.state = expectFirstKey
	if array {
		s.state = expectFirstElement
		s.path = append(s.path, Element)
	}
	return nil
}

// leave closes the innermost object or array.
func (s *Scanner) leave() error {
	f := &s.frames[len(s.frames)-1]
	kind := Object
	if f.array {
		kind = Array
		s.path = s.path[:len(s.path)-1]
	}
	s.keys -= f.bytes
	if len(f.keys) > smallObject {
		f.keys = nil // clearing a large set again and again would cost more than a new one
	} else {
		clear(f.keys)
	}
	s.frames = s.frames[:len(s.frames)-1]
	if err := s.visitor.End(s.path, kind); err != nil {
		return err
	}
	s.after()
	return nil
}

// after is the state behind a value.
func (s *Scanner) after() {
	if len(s.frames) == 0 {
		s.state, s.end = ended, s.offset
		return
	}
	s.state = expectNext
	if !s.frames[len(s.frames)-1].array {
		s.path = s.path[:len(s.path)-1]
	}
}

// addKey notes a key of the innermost object.
func (s *Scanner) addKey() error {
	key := string(s.text)
	f := &s.frames[len(s.frames)-1]
	if _, twice := f.keys[key]; twice {
		return model.Deny(model.CodeDuplicateField).Differ("key "+model.OneLine(key, 80)+" in "+s.where(), "twice", "once")
	}
	cost := len(key) + keyCost
	f.bytes, s.keys = f.bytes+cost, s.keys+cost
	if s.keys > s.limits.Keys {
		return model.Deny(model.CodeTooLarge).Differ("keys in "+s.where(), "more", fmt.Sprintf("at most %d bytes in open objects", s.limits.Keys))
	}
	if f.keys == nil {
		f.keys = map[string]struct{}{}
	}
	f.keys[key] = struct{}{}
	s.path = append(s.path, key)
	s.state = expectColon
	return nil
}

// where names the place for an error.
func (s *Scanner) where() string { return fmt.Sprintf("the JSON document at byte %d", s.offset) }

func (s *Scanner) unexpected(c byte, want string) error {
	got := fmt.Sprintf("%q", c)
	if c >= 0x80 {
		got = fmt.Sprintf("byte %#x", c)
	}
	return s.malformed(got, want)
}

func (s *Scanner) malformed(got, want string) error {
	return model.Deny(model.CodeMalformedUpload).Differ(s.where(), got, want)
}
