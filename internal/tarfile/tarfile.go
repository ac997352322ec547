// Package tarfile holds tars to a form of which every reader sees the same entries. Readers differ in what they make of records that
// rename or resize an entry, where several are there, and of what a header has beside them.
package tarfile

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// block is the unit of a tar, in bytes.
const block = 512

// Defect is what is wrong with a tar.
type Defect struct{ Got, Want string }

// Error names what was found and what is expected.
func (d *Defect) Error() string { return fmt.Sprintf("tar has %s, expected %s", d.Got, d.Want) }

// NewReader is a reader of the standard library's that fails with a *Defect where other readers could see other entries. The caller
// calls Check with each header.
func NewReader(r io.Reader) *tar.Reader { return tar.NewReader(io.TeeReader(r, &walk{})) }

// Check refuses an entry by what the standard library has read of it: no kind but files, folders and links, and names in UTF-8.
func Check(h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeLink, tar.TypeSymlink, tar.TypeXGlobalHeader:
	default:
		return &Defect{fmt.Sprintf("an entry %.80q of kind %q", h.Name, h.Typeflag), "files, folders and links"}
	}
	if !utf8.ValidString(h.Name) {
		return &Defect{fmt.Sprintf("an entry %.80q", h.Name), "names in UTF-8"}
	}
	return nil
}

// walk goes from header to header, as the simplest of readers does.
type walk struct {
	head   [block]byte
	filled int
	skip   int64  // data and padding of the entry under way
	left   int    // of the records under way, in bytes
	record []byte // what was seen of them
	global bool   // they are for all entries that follow
	sized  string // the size that they give the next entry
	before string // kinds of the headers that belong to the next entry
	long   bool   // the data under way is a long name
	name   int64  // what is left of it, in bytes
	begun  bool   // some of it was seen
	ended  bool
}

// Write takes the next bytes of the tar.
func (w *walk) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && !w.ended; {
		if w.skip > 0 {
			n := min(w.skip, int64(len(rest)))
			if err := errors.Join(w.longName(rest[:n]), w.records(rest[:n])); err != nil {
				return 0, err
			}
			w.skip, rest = w.skip-n, rest[n:]
			continue
		}
		n := copy(w.head[w.filled:], rest)
		rest = rest[n:]
		if w.filled += n; w.filled < block {
			continue
		}
		w.filled = 0
		if err := w.header(w.head[:]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// errNoName is for a long name that is empty, which some readers leave out.
var errNoName = &Defect{"a long name of nothing", "a name"}

// numbers are the fields of a header that are numbers, beside its size. Python takes a header with another text in one of them for the
// end of the tar.
var numbers = [][2]int{{100, 108}, {108, 116}, {116, 124}, {136, 148}, {329, 337}, {337, 345}}

// plainNumber is octal digits, or nothing.
var plainNumber = regexp.MustCompile(`^ *[0-7]*[ \x00]*$`)

var octal = regexp.MustCompile(`^ *([0-7]{1,12})[ \x00]*$`)

// The magics of headers. Only those of POSIX have a prefix of the name.
const (
	posix = "ustar\x0000"
	gnu   = "ustar  \x00"
	old   = "\x00\x00\x00\x00\x00\x00\x00\x00"
)

// fields checks the form of a header and gives its size.
func fields(h []byte) (size int64, err error) {
	m := octal.FindSubmatch(h[124:136])
	if m == nil {
		return 0, &Defect{"another spelling of a size", "octal digits"}
	}
	if size, err = strconv.ParseInt(string(m[1]), 8, 64); err != nil {
		return 0, &Defect{"another spelling of a size", "octal digits"}
	}
	for _, at := range numbers {
		const base256, negative = 0x80, 0xff
		if field := h[at[0]:at[1]]; field[0] != base256 && field[0] != negative && !plainNumber.Match(field) {
			return 0, &Defect{"another spelling of a number", "octal digits"}
		}
	}
	magic := string(h[257:265])
	if magic != posix && magic != gnu && magic != old {
		return 0, &Defect{"another kind of header", "one of POSIX, of GNU or of old times"}
	}
	if magic != posix && len(bytes.Trim(h[345:500], "\x00")) > 0 {
		return 0, &Defect{"more of a name in a header that has no place for it", "the name in its own field"}
	}
	return size, nil
}

func (w *walk) header(h []byte) error {
	w.long = false
	if len(bytes.Trim(h, "\x00")) == 0 {
		w.ended = true
		return nil
	}
	size, err := fields(h)
	if err != nil {
		return err
	}
	if kind := h[156]; w.sized != "" && strings.IndexByte("xgLK", kind) < 0 {
		if w.sized != strconv.FormatInt(size, 10) {
			return &Defect{"two sizes for one entry", "one"}
		}
		w.sized = ""
	}
	switch kind := h[156]; kind {
	case 'x', 'L', 'K':
		// Of two that say the same, and of an extended header beside a long name, readers believe different ones.
		if strings.IndexByte(w.before, kind) >= 0 || strings.IndexByte(w.before, 'x') >= 0 || kind == 'x' && w.before != "" {
			return &Defect{"two headers for the name of one entry", "one"}
		}
		w.before += string(rune(kind))
		if kind == 'x' {
			return w.expect(size, false)
		}
		if size == 0 {
			return errNoName
		}
		w.long, w.name, w.begun = true, size, false
	case 'g':
		if w.before != "" {
			return &Defect{"a header for all entries between those of one", "one before them"}
		}
		return w.expect(size, true)
	case '0':
		w.before = ""
	case 0:
		// Old files are folders where their name ends in a slash, for some in the header and for others in the record.
		if w.before != "" {
			return &Defect{"an old header behind one that names its entry", "a header of its time"}
		}
	default:
		// Some readers skip so many bytes, others read a header there.
		if size != 0 {
			return &Defect{"a folder or link with a size", "data in files alone"}
		}
		w.before = ""
	}
	w.skip = blocks(size)
	return nil
}

func blocks(size int64) int64 { return (size + block - 1) / block * block }

// expect begins extended records of that size.
func (w *walk) expect(size int64, global bool) error {
	if size > maxRecords {
		return &Defect{"more records for one entry", "at most 1 MiB"}
	}
	w.left, w.record, w.global, w.skip = int(size), w.record[:0], global, blocks(size)
	return nil
}

// longName looks at a long name. Some readers take it up to its length, and others up to the first zero in its last block.
func (w *walk) longName(p []byte) error {
	if !w.long {
		return nil
	}
	if !w.begun && p[0] == 0 {
		return errNoName
	}
	n := min(w.name, int64(len(p)))
	w.begun, w.name = true, w.name-n
	if len(bytes.Trim(p[n:], "\x00")) > 0 {
		return &Defect{"more behind a long name", "zeros up to the next block"}
	}
	return nil
}

// maxRecords bounds the extended records of one entry, in bytes, as the library does.
const maxRecords = 1 << 20

var recordLength = regexp.MustCompile(`^([0-9]{1,7}) `)

// records collects the extended records of an entry. Of two that say the same, some readers take the first and some the last.
func (w *walk) records(p []byte) error {
	if w.left == 0 {
		return nil
	}
	n := min(w.left, len(p))
	w.record = append(w.record, p[:n]...)
	if w.left -= n; w.left > 0 {
		return nil
	}
	seen := map[string]bool{}
	for rest := w.record; len(rest) > 0; {
		m := recordLength.FindSubmatch(rest)
		size := 0
		if m != nil {
			size, _ = strconv.Atoi(string(m[1])) // digits that an int holds
		}
		if m == nil || size <= len(m[0]) || size > len(rest) || rest[size-1] != '\n' {
			return &Defect{"a record of another form", "LENGTH KEY=VALUE"}
		}
		key, value, found := bytes.Cut(rest[len(m[0]):size-1], []byte("="))
		switch {
		case !found || seen[string(key)]:
			return &Defect{"a record " + fmt.Sprintf("%.40q", key) + " twice, or without a value", "each once"}
		case w.global && string(key) != "comment": // which git archive writes
			return &Defect{"a record " + fmt.Sprintf("%.40q", key) + " for all entries", "a comment at most"}
		case misplaced(string(key)) || (string(key) == "path" || string(key) == "size") && len(value) == 0:
			return &Defect{"a record " + fmt.Sprintf("%.40q", key), "sizes and names in the headers"}
		}
		if string(key) == "size" {
			w.sized = string(value)
		}
		seen[string(key)] = true
		rest = rest[size:]
	}
	return nil
}

// misplaced is true for records that some readers do not know. A size, which moves where the next header is, must be that of the header.
func misplaced(key string) bool {
	return key == "hdrcharset" || strings.HasPrefix(key, "GNU.sparse.")
}
