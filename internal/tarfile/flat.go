package tarfile

import (
	"bytes"
	"regexp"
	"strconv"
)

// maxEmpty bounds the zeros at the end: two blocks are the end, and some writers fill up to twenty.
const maxEmpty = 40 * block

// Entries takes the entries of a tar. The data comes in pieces of any size, none of them kept after the call.
type Entries interface {
	// Begin takes the name and size of an entry, and the offset at which its data begins.
	Begin(name string, size, at int64) error
	Data(p []byte) error
	End() error
}

// Flat is a push parser of the tars that packages are (gems, Hex's releases): plain files in plain headers, nothing that changes a
// name or a size from elsewhere (pax and GNU records, prefixes, links), and nothing but zeros between and after. Its errors are
// those of Entries, and *Defect.
type Flat struct {
	// GNU takes headers of GNU too, beside those of POSIX: Gleam writes such.
	GNU bool

	entries Entries
	offset  int64
	head    [block]byte
	filled  int
	left    int64 // data of the current entry
	padding int64
	ended   bool
	empty   int64 // zeros since the last entry
}

// NewFlat makes a parser.
func NewFlat(entries Entries) *Flat { return &Flat{entries: entries} }

// Offset is how many bytes were taken.
func (t *Flat) Offset() int64 { return t.offset }

// Feed takes the next piece.
func (t *Flat) Feed(p []byte) error {
	for len(p) > 0 {
		n, err := t.step(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// step takes at least one byte of p.
func (t *Flat) step(p []byte) (n int, err error) {
	switch {
	case t.left > 0:
		n = int(min(t.left, int64(len(p))))
		t.left -= int64(n)
		if err = t.entries.Data(p[:n]); err == nil && t.left == 0 {
			err = t.entries.End()
		}
	case t.padding > 0:
		n = int(min(t.padding, int64(len(p))))
		t.padding -= int64(n)
		err = zeros("padding of an entry", p[:n])
	case t.ended:
		n = len(p)
		if t.empty += int64(n); t.empty > maxEmpty {
			return 0, &Defect{"more after its end", "at most 40 empty blocks"}
		}
		err = zeros("end", p)
	default:
		n = copy(t.head[t.filled:], p)
		if t.filled += n; t.filled == block {
			t.filled = 0
			err = t.header(t.offset + int64(n))
		}
	}
	t.offset += int64(n)
	return n, err
}

// The fields of a header, by where they lie.
var (
	sizeDigits = regexp.MustCompile(`^[0-7]{11}[\x00 ]$`)
	sumDigits  = regexp.MustCompile(`^(?:[0-7]{6}\x00[ \x00]|[0-7]{7}\x00)$`)
)

// header reads a header, whose data begins at that offset.
func (t *Flat) header(at int64) error {
	h := t.head[:]
	if len(bytes.Trim(h, "\x00")) == 0 {
		t.ended, t.empty = true, block
		return nil
	}
	// What is behind 345 is a prefix of the name for POSIX, and times for GNU.
	field, linked, prefix := h[:100], h[157:257], h[345:]
	sized, summed := h[124:136], h[148:156]
	name, rest, _ := bytes.Cut(field, []byte{0})
	magic := string(h[257:265])
	switch {
	case magic != posix && (magic != gnu || !t.GNU):
		return &Defect{"another kind of header", "one of POSIX"}
	case h[156] != '0':
		return &Defect{"an entry that is no plain file", "plain files"}
	case len(bytes.Trim(linked, "\x00")) > 0 || len(bytes.Trim(prefix, "\x00")) > 0 || len(bytes.Trim(rest, "\x00")) > 0:
		return &Defect{"more in a header than name and size", "plain headers"}
	case !sizeDigits.Match(sized) || !sumDigits.Match(summed):
		return &Defect{"another spelling of a number", "octal digits that fill their field"}
	}
	// Both are octal digits, which these sizes hold.
	size, err := strconv.ParseInt(string(sized[:11]), 8, 64)
	if err != nil {
		return &Defect{"another spelling of a number", "octal digits"}
	}
	sum, err := strconv.ParseInt(string(bytes.TrimRight(summed, "\x00 ")), 8, 64)
	if err != nil || sum != headerSum(h) {
		return &Defect{"a header with another sum", "the sum of the header"}
	}
	t.left, t.padding = size, (block-size%block)%block
	if err := t.entries.Begin(string(name), size, at); err != nil {
		return err
	}
	if size == 0 {
		return t.entries.End()
	}
	return nil
}

// headerSum adds the bytes of a header, with blanks where the sum is.
func headerSum(h []byte) (sum int64) {
	for i, b := range h {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += int64(b)
	}
	return sum
}

// Close checks that the tar has its end.
func (t *Flat) Close() error {
	if !t.ended || t.empty < 2*block || t.empty%block != 0 {
		return &Defect{"no end", "two empty blocks at its end"}
	}
	return nil
}

func zeros(where string, p []byte) error {
	if len(bytes.Trim(p, "\x00")) > 0 {
		return &Defect{"other bytes in the " + where, "zeros"}
	}
	return nil
}
