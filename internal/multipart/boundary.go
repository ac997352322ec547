package multipart

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// contentType is the header as every client writes it: one parameter, quoted or not.
var contentType = regexp.MustCompile(`^multipart/form-data; ?boundary=(?:([0-9A-Za-z'+_.-]{1,70})|"([0-9A-Za-z'()+_,./:=?-]{1,70})")$`)

// Boundary reads the boundary from the request's header.
func Boundary(h http.Header) (string, error) {
	lines := h.Values("Content-Type")
	if len(lines) != 1 {
		return "", malformed("Content-Type", strings.Join(lines, ", "), "one line: multipart/form-data; boundary=...")
	}
	m := contentType.FindStringSubmatch(lines[0])
	if m == nil {
		return "", malformed("Content-Type", model.OneLine(lines[0], 120), "multipart/form-data; boundary=... and nothing more")
	}
	return m[1] + m[2], nil
}
