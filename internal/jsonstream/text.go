package jsonstream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/segmentio/asm/ascii"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// shortRun is how long a run is before windows of it are searched: most texts end sooner, and a search would find that anew each time.
	shortRun = 256
	// window is how much is searched at once. What was searched in vain is looked at once more, so it is not the whole piece.
	window = 1 << 10
)

// plain is the length of the run of bytes that need no look one by one: printable ASCII but quotes and backslashes. Most of a
// large document is one such run.
func plain(p []byte) int {
	n := words(p[:min(len(p), shortRun)])
	if n < shortRun {
		return n
	}
	for len(p)-n >= window {
		w := p[n : n+window]
		if bytes.IndexByte(w, '"') >= 0 || bytes.IndexByte(w, '\\') >= 0 || !ascii.ValidPrint(w) {
			break
		}
		n += window
	}
	return n + words(p[n:])
}

// words is plain, eight bytes at a time.
func words(p []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	n := 0
	for ; len(p)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(p[n:])
		quote, slash := x^('"'*ones), x^('\\'*ones)
		// A byte's high bit is set where it is beyond ASCII, below a space, a quote or a backslash; a borrow may also set that of
		// a byte behind such a one, which the loop below finds first.
		if (x|(x-0x20*ones)&^x|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			break
		}
	}
	for ; n < len(p); n++ {
		if c := p[n]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			break
		}
	}
	return n
}

// inText takes bytes of a key or a string.
func (s *Scanner) inText(p []byte) (int, error) {
	if len(s.rune) > 0 {
		return 1, s.beyond(p[0])
	}
	if s.high != 0 && p[0] != '\\' {
		return 0, s.malformed("half of a surrogate pair", "both halves")
	}
	if n := plain(p); n > 0 {
		if s.mode == Stream {
			return n, s.visitor.Piece(s.path, p[:n])
		}
		return n, s.add(p[:n]...)
	}
	switch c := p[0]; {
	case c == '"':
		return 1, s.endText()
	case c < 0x20:
		return 0, s.malformed(fmt.Sprintf("control character %#x in a text", c), "an escape")
	case s.mode == Stream:
		return 0, s.unexpected(c, "base64 without escapes")
	case c == '\\':
		s.state = inEscape
		return 1, nil
	default:
		return 1, s.beyond(c)
	}
}

// add keeps bytes of a text that is wanted.
func (s *Scanner) add(p ...byte) error {
	if s.mode != Keep {
		return nil
	}
	if len(s.text)+len(p) > s.limits.Text {
		return model.Deny(model.CodeTooLarge).Differ("text in "+s.where(), "longer", fmt.Sprintf("at most %d bytes", s.limits.Text))
	}
	s.text = append(s.text, p...)
	return nil
}

// beyond takes a byte of a character beyond ASCII.
func (s *Scanner) beyond(c byte) error {
	s.rune = append(s.rune, c)
	if !utf8.FullRune(s.rune) {
		return nil
	}
	if r, size := utf8.DecodeRune(s.rune); r == utf8.RuneError && size <= 1 {
		return s.malformed("bytes that are no UTF-8", "UTF-8")
	}
	err := s.add(s.rune...)
	s.rune = s.rune[:0]
	return err
}

// endText ends a key or a string.
func (s *Scanner) endText() error {
	var err error
	switch {
	case s.key:
		return s.addKey()
	case s.mode == Keep:
		err = s.visitor.Value(s.path, String, string(s.text))
	case s.mode == Stream:
		err = s.visitor.End(s.path, String)
	}
	if err == nil {
		s.after()
	}
	return err
}

// escapes are those of one letter.
var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape takes the byte behind a backslash.
func (s *Scanner) escape(c byte) error {
	if c == 'u' {
		s.state, s.hex, s.hexes = inHex, 0, 0
		return nil
	}
	plain, ok := escapes[c]
	switch {
	case s.high != 0:
		return s.malformed("half of a surrogate pair", "both halves")
	case !ok:
		return s.unexpected(c, "an escape")
	}
	s.state = inString
	return s.add(plain)
}

// hexDigit takes one of the four digits of \u.
func (s *Scanner) hexDigit(c byte) error {
	var digit byte
	switch {
	case c >= '0' && c <= '9':
		digit = c - '0'
	case c >= 'a' && c <= 'f':
		digit = c - 'a' + 10
	case c >= 'A' && c <= 'F':
		digit = c - 'A' + 10
	default:
		return s.unexpected(c, "four hexadecimal digits")
	}
	s.hex = s.hex<<4 | rune(digit)
	if s.hexes++; s.hexes < 4 {
		return nil
	}
	s.state = inString
	r := s.hex
	switch {
	case s.high != 0:
		if r = utf16.DecodeRune(s.high, s.hex); r == utf8.RuneError {
			return s.malformed("half of a surrogate pair", "both halves")
		}
		s.high = 0
	case r >= 0xdc00 && r <= 0xdfff:
		return s.malformed("half of a surrogate pair", "both halves")
	case utf16.IsSurrogate(r):
		s.high = r
		return nil
	}
	var room [utf8.UTFMax]byte
	return s.add(utf8.AppendRune(room[:0], r)...)
}

// maxScalar bounds a number, in bytes.
const maxScalar = 64

// isNumber is true for a number as RFC 8259 has it.
func isNumber(text []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(text) && text[n] >= '0' && text[n] <= '9' {
			n++
		}
		text = text[n:]
		return n > 0
	}
	text = bytes.TrimPrefix(text, []byte("-"))
	if zero := len(text) > 0 && text[0] == '0'; zero {
		text = text[1:]
	} else if !digits() {
		return false
	}
	if len(text) > 0 && text[0] == '.' {
		if text = text[1:]; !digits() {
			return false
		}
	}
	if len(text) > 0 && (text[0] == 'e' || text[0] == 'E') {
		if text = text[1:]; len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(text) == 0
}

// isLiteral is true for the three words that are values.
func isLiteral(text []byte) bool {
	switch string(text) { // which makes no text
	case "true", "false", "null":
		return true
	}
	return false
}

// scalar takes bytes of a number or literal, up to the byte behind it.
func (s *Scanner) scalar(p []byte) (int, error) {
	n := 0
	for n < len(p) && ofScalar(p[n]) {
		n++
	}
	if len(s.text)+n > maxScalar {
		return 0, model.Deny(model.CodeTooLarge).Differ("number in "+s.where(), "longer", fmt.Sprintf("at most %d bytes", maxScalar))
	}
	s.text = append(s.text, p[:n]...)
	if n == len(p) {
		return n, nil
	}
	if s.kind == Number && !isNumber(s.text) || s.kind == Literal && !isLiteral(s.text) {
		return n, s.malformed(model.OneLine(string(s.text), 80), s.kind.String())
	}
	if s.mode == Keep {
		if err := s.visitor.Value(s.path, s.kind, string(s.text)); err != nil {
			return n, err
		}
	}
	s.after()
	return n, nil
}

func ofScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+' || c == '-' || c == '.'
}
