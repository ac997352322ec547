package rubygems

import (
	"bytes"
	"regexp"
	"strconv"
)

const (
	// block is the unit of a tar, in bytes.
	block = 512
	// maxEmpty bounds the zeros at the end: two blocks are the end, and some writers fill up to twenty.
	maxEmpty = 40 * block
)

// entryHandler takes the entries of a tar. The data comes in pieces of any size, none of them kept after the call.
type entryHandler interface {
	// begin takes the name and size of an entry, and the offset at which its data begins.
	begin(name string, size, at int64) error
	data(p []byte) error
	end() error
}

// tarball is a push parser of the tar that a gem is, for exactly the form in which gem writes it: plain files in ustar headers,
// nothing that changes a name or a size from elsewhere (pax and GNU headers, prefixes, links), and nothing but zeros between and after.
type tarball struct {
	entries entryHandler
	offset  int64
	head    [block]byte
	filled  int
	left    int64 // data of the current entry
	padding int64
	ended   bool
	empty   int64 // zeros since the last entry
}

// feed takes the next piece.
func (t *tarball) feed(p []byte) error {
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
func (t *tarball) step(p []byte) (n int, err error) {
	switch {
	case t.left > 0:
		n = int(min(t.left, int64(len(p))))
		t.left -= int64(n)
		if err = t.entries.data(p[:n]); err == nil && t.left == 0 {
			err = t.entries.end()
		}
	case t.padding > 0:
		n = int(min(t.padding, int64(len(p))))
		t.padding -= int64(n)
		err = zeros("padding of an entry", p[:n])
	case t.ended:
		n = len(p)
		if t.empty += int64(n); t.empty > maxEmpty {
			return 0, notGem("more after its end", "at most 40 empty blocks")
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
	sumDigits  = regexp.MustCompile(`^[0-7]{6}\x00[ \x00]$`)
)

// header reads a header, whose data begins at that offset.
func (t *tarball) header(at int64) error {
	h := t.head[:]
	if len(bytes.Trim(h, "\x00")) == 0 {
		t.ended, t.empty = true, block
		return nil
	}
	field, linked, prefix := h[:100], h[157:257], h[345:]
	sized, summed := h[124:136], h[148:156]
	name, rest, _ := bytes.Cut(field, []byte{0})
	switch {
	case string(h[257:265]) != "ustar\x0000":
		return notGem("another kind of header", "a tar as gem build writes it")
	case h[156] != '0':
		return notGem("an entry that is no plain file", "plain files")
	case len(bytes.Trim(linked, "\x00")) > 0 || len(bytes.Trim(prefix, "\x00")) > 0 || len(bytes.Trim(rest, "\x00")) > 0:
		return notGem("more in a header than name and size", "plain headers")
	case !sizeDigits.Match(sized) || !sumDigits.Match(summed):
		return notGem("another spelling of a number", "octal digits as gem build writes them")
	}
	// Both are octal digits, which these sizes hold.
	size, err := strconv.ParseInt(string(sized[:11]), 8, 64)
	if err != nil {
		return notGem("another spelling of a number", "octal digits").Because(err)
	}
	sum, err := strconv.ParseInt(string(summed[:6]), 8, 64)
	if err != nil || sum != headerSum(h) {
		return notGem("a header with another sum", "the sum of the header")
	}
	t.left, t.padding = size, (block-size%block)%block
	if err := t.entries.begin(string(name), size, at); err != nil {
		return err
	}
	if size == 0 {
		return t.entries.end()
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

// close checks that the tar has its end.
func (t *tarball) close() error {
	if !t.ended || t.empty < 2*block || t.empty%block != 0 {
		return notGem("no end", "two empty blocks at its end")
	}
	return nil
}

func zeros(where string, p []byte) error {
	if len(bytes.Trim(p, "\x00")) > 0 {
		return notGem("other bytes in the "+where, "zeros")
	}
	return nil
}
