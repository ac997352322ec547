// Package tarfile holds tars to a form of which every reader sees the same entries. Readers differ in what they make of records that
// rename or resize an entry, where several are there, and of what a header has beside them.
package tarfile

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
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

// Check refuses an entry by what the standard library has read of it: no kind but files, folders and links, and no extended record
// that moves where the next header is or that some readers do not know.
func Check(h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeLink, tar.TypeSymlink:
	case tar.TypeXGlobalHeader: // what git archive writes
		for record := range h.PAXRecords {
			if record != "comment" {
				return &Defect{"a record " + fmt.Sprintf("%.40q", record) + " for all entries", "a comment at most"}
			}
		}
	default:
		return &Defect{fmt.Sprintf("an entry %.80q of kind %q", h.Name, h.Typeflag), "files, folders and links"}
	}
	for record, value := range h.PAXRecords {
		if record == "size" || record == "hdrcharset" || strings.HasPrefix(record, "GNU.sparse.") || record == "path" && value == "" {
			return &Defect{"a record " + fmt.Sprintf("%.40q", record), "sizes and names in the headers"}
		}
	}
	return nil
}

// walk goes from header to header, as the simplest of readers does.
type walk struct {
	head   [block]byte
	filled int
	skip   int64  // data and padding of the entry under way
	before string // kinds of the headers that belong to the next entry
	ended  bool
}

// Write takes the next bytes of the tar.
func (w *walk) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && !w.ended; {
		if w.skip > 0 {
			n := min(w.skip, int64(len(rest)))
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

var octal = regexp.MustCompile(`^ *([0-7]{1,12})[ \x00]*$`)

// posix is the magic of the only headers that have a prefix of the name.
const posix = "ustar\x0000"

func (w *walk) header(h []byte) error {
	if len(bytes.Trim(h, "\x00")) == 0 {
		w.ended = true
		return nil
	}
	m := octal.FindSubmatch(h[124:136])
	if m == nil {
		return &Defect{"another spelling of a size", "octal digits"}
	}
	size, err := strconv.ParseInt(string(m[1]), 8, 64)
	if err != nil {
		return &Defect{"another spelling of a size", "octal digits"}
	}
	if string(h[257:265]) != posix && len(bytes.Trim(h[345:500], "\x00")) > 0 {
		return &Defect{"more of a name in a header that has no place for it", "the name in its own field"}
	}
	switch kind := h[156]; kind {
	case 'x', 'L', 'K':
		// Of two that say the same, and of an extended header beside a long name, readers believe different ones.
		if strings.IndexByte(w.before, kind) >= 0 || strings.IndexByte(w.before, 'x') >= 0 || kind == 'x' && w.before != "" {
			return &Defect{"two headers for the name of one entry", "one"}
		}
		w.before += string(rune(kind))
	case 'g':
		if w.before != "" {
			return &Defect{"a header for all entries between those of one", "one before them"}
		}
	case '0', 0:
		w.before = ""
	default:
		// Some readers skip so many bytes, others read a header there.
		if size != 0 {
			return &Defect{"a folder or link with a size", "data in files alone"}
		}
		w.before = ""
	}
	w.skip = (size + block - 1) / block * block
	return nil
}
