package oci

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// rangeHeader says which part of a blob a step sends. The specification writes it in a form of its own, without a unit and a total.
const rangeHeader = "Content-Range"

// rangeGrammar is the specification's, without the zeros that some parsers would take for octal.
var rangeGrammar = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})$`)

// ranged is the scanner of a body that says which part it is: what it announces is what comes.
type ranged struct {
	upload.Scanner
	announced string
	want, got int64
}

// partOf reads Content-Range, and wraps the scanner of a step in what it says; a step without one is left as it is. Of a blob's last step,
// which may have a body, the scanner compares the digest where the body is the whole blob; after other parts the registry alone can.
func partOf(scanner upload.Scanner, target model.Target, header http.Header) (upload.Scanner, error) {
	lines := header.Values(rangeHeader)
	if len(lines) == 0 {
		return scanner, nil
	}
	m := rangeGrammar.FindStringSubmatch(lines[0])
	if len(lines) > 1 || m == nil {
		return nil, malformed(rangeHeader, strings.Join(lines, ", "), "once the offsets of the first and the last byte, as in 0-1023")
	}
	// The grammar leaves no number that is too large.
	first, _ := strconv.ParseInt(m[1], 10, 64)
	last, _ := strconv.ParseInt(m[2], 10, 64)
	r := &ranged{Scanner: scanner, announced: lines[0], want: last - first + 1}
	if r.want <= 0 {
		return nil, malformed(rangeHeader, lines[0], "a last byte that is not before the first")
	}
	if length := header.Get("Content-Length"); length != "" && length != strconv.FormatInt(r.want, 10) {
		return nil, r.mismatch("a Content-Length of " + length)
	}
	if first > 0 {
		r.Scanner = &part{target: target}
	}
	return r, nil
}

// Scan takes the next piece.
func (r *ranged) Scan(p []byte) (int64, error) {
	if r.got += int64(len(p)); r.got > r.want {
		return 0, r.mismatch("more bytes")
	}
	return r.Scanner.Scan(p)
}

// Finish checks that all came that was announced.
func (r *ranged) Finish() error {
	if r.got != r.want {
		return r.mismatch(fmt.Sprintf("%d bytes", r.got))
	}
	return r.Scanner.Finish()
}

func (r *ranged) mismatch(got string) *model.Denial {
	return malformed("body of the part "+r.announced, got, fmt.Sprintf("%d bytes, as its Content-Range says", r.want))
}

var _ upload.Scanner = (*ranged)(nil)
