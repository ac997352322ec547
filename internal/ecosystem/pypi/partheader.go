package pypi

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// part is what the header of a part says.
type part struct {
	field *formField
	// file is the file name; isFile is true where the header has one.
	file   string
	isFile bool
}

// The header lines of a part are these, with what stands between them. Everything else that a parser might read differently has no
// place here: other headers, other parameters (name*, filename*), other orders, other cases, white space, comments, escapes,
// unquoted values, and line breaks that are not CRLF.
var (
	partDisposition = []byte(`Content-Disposition: form-data; name="`)
	partFile        = []byte(`"; filename="`)
	partType        = []byte("\"\r\nContent-Type: application/")
)

// The longest that may stand between them, in bytes; a name without its colon.
const (
	maxPartName = 64
	maxPartFile = 1000
	maxPartType = 64
)

// maxFileName is what file systems of registries take, in bytes.
const maxFileName = 255

// rawPart is a part in the memory of its header lines.
type rawPart struct {
	name, file, media []byte
	isFile            bool
}

// parsePart reads the header lines of a part.
func parsePart(header []byte) (part, error) {
	raw, ok := splitPart(header)
	if !ok {
		return part{}, malformed("header of a part", brief(string(header)),
			`Content-Disposition: form-data; name="FIELD", for a file also ; filename="FILE" and a plain Content-Type`)
	}
	p := part{isFile: raw.isFile}
	if p.field = usualFields[string(raw.name)]; p.field == nil {
		p.field = &formField{name: string(raw.name), value: -1, limit: maxField}
	}
	limit := maxFileName
	if p.field.name == fieldSignature {
		limit += len(signatureEnd)
	}
	if len(raw.file) > limit {
		return part{}, model.Deny(model.CodeTooLarge).Differ("file name", fmt.Sprintf("%d bytes", len(raw.file)), fmt.Sprintf("at most %d bytes", limit))
	}
	if bytes.EqualFold(raw.media, urlencoded) {
		// Python's cgi module would read the rest of the body as a form.
		return part{}, malformed("Content-Type of the file", "a form", "application/octet-stream")
	}
	if raw.isFile {
		p.file = string(raw.file)
	}
	return p, nil
}

var urlencoded = []byte("x-www-form-urlencoded")

// splitPart takes header lines apart; ok is false for all but the one form that they may have. A small wheel has more than a dozen
// parts, so this is no regular expression; the tests hold it to one.
func splitPart(header []byte) (p rawPart, ok bool) {
	rest, ok := bytes.CutPrefix(header, partDisposition)
	if !ok {
		return p, false
	}
	n := bytes.IndexByte(rest, '"')
	if n < 0 || !isPartName(rest[:n]) {
		return p, false
	}
	p.name, rest = rest[:n], rest[n:]
	if len(rest) == 1 {
		return p, true
	}
	if rest, ok = bytes.CutPrefix(rest, partFile); !ok {
		return p, false
	}
	n = bytes.IndexByte(rest, '"')
	if n < 1 || n > maxPartFile || !only(rest[:n], "._+!-") {
		return p, false
	}
	p.file, p.isFile, rest = rest[:n], true, rest[n:]
	if len(rest) == 1 {
		return p, true
	}
	p.media, ok = bytes.CutPrefix(rest, partType)
	return p, ok && len(p.media) > 0 && len(p.media) <= maxPartType && only(p.media, ".+-")
}

// isPartName is true for a field's name as metadata has them, with or without the colon of the action.
func isPartName(name []byte) bool {
	if len(name) > 0 && name[0] == ':' {
		name = name[1:]
	}
	if len(name) == 0 || len(name) > maxPartName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// only is true for a text of ASCII letters, digits and these signs.
func only(text []byte, signs string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return true
}

// brief cuts a hostile value to what an error can show.
func brief(s string) string { return model.OneLine(s, 120) }

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, got, want)
}
