package pypi

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// part is what the header of a part says.
type part struct {
	name string
	// file is the file name; isFile is true where the header has one.
	file   string
	isFile bool
}

// partLines are the header lines of a part. Everything else that a parser might read differently has no place here: other
// headers, other parameters (name*, filename*), other orders, other cases, white space, comments, escapes, unquoted values, and
// line breaks that are not CRLF.
var partLines = regexp.MustCompile(`^Content-Disposition: form-data; name="(:?[a-z][a-z0-9_]{0,63})"` +
	`(?:; filename="([0-9A-Za-z._+!-]{1,1000})"(?:\r\nContent-Type: application/([0-9A-Za-z.+-]{1,64}))?)?$`)

// maxFileName is what file systems of registries take, in bytes.
const maxFileName = 255

// parsePart reads the header lines of a part.
func parsePart(header []byte) (part, error) {
	m := partLines.FindSubmatchIndex(header)
	if m == nil {
		return part{}, malformed("header of a part", brief(string(header)),
			`Content-Disposition: form-data; name="FIELD", for a file also ; filename="FILE" and a plain Content-Type`)
	}
	p := part{name: string(header[m[2]:m[3]])}
	if m[4] >= 0 {
		p.file, p.isFile = string(header[m[4]:m[5]]), true
	}
	limit := maxFileName
	if p.name == fieldSignature {
		limit += len(signatureEnd)
	}
	if len(p.file) > limit {
		return part{}, model.Deny(model.CodeTooLarge).Differ("file name", fmt.Sprintf("%d bytes", len(p.file)), fmt.Sprintf("at most %d bytes", limit))
	}
	if m[6] >= 0 && strings.EqualFold(string(header[m[6]:m[7]]), "x-www-form-urlencoded") {
		// Python's cgi module would read the rest of the body as a form.
		return part{}, malformed("Content-Type of the file", "a form", "application/octet-stream")
	}
	return p, nil
}

// brief cuts a hostile value to what an error can show.
func brief(s string) string { return model.OneLine(s, 120) }

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, got, want)
}
