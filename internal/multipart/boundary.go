package multipart

import (
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// The header as every client writes it: one parameter, quoted or not, after a space or none.
const (
	mediaType    = "multipart/form-data;"
	boundaryName = "boundary="
	plainSigns   = "'+_.-"
	quotedSigns  = "'()+_,./:=?-"
)

// Boundary reads the boundary from the request's header.
func Boundary(h http.Header) (string, error) {
	lines := h.Values("Content-Type")
	if len(lines) != 1 {
		return "", malformed("Content-Type", strings.Join(lines, ", "), "one line: multipart/form-data; boundary=...")
	}
	boundary, ok := boundaryOf(lines[0])
	if !ok {
		return "", malformed("Content-Type", model.OneLine(lines[0], 120), "multipart/form-data; boundary=... and nothing more")
	}
	return boundary, nil
}

func boundaryOf(line string) (boundary string, ok bool) {
	line, ok = strings.CutPrefix(line, mediaType)
	if !ok {
		return "", false
	}
	if boundary, ok = strings.CutPrefix(strings.TrimPrefix(line, " "), boundaryName); !ok {
		return "", false
	}
	signs := plainSigns
	if n := len(boundary); n >= 2 && boundary[0] == '"' && boundary[n-1] == '"' {
		boundary, signs = boundary[1:n-1], quotedSigns
	}
	if boundary == "" || len(boundary) > maxBoundary {
		return "", false
	}
	for i := range len(boundary) {
		if c := boundary[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0 {
			return "", false
		}
	}
	return boundary, true
}
