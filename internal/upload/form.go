package upload

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// NotAForm refuses the media types of forms for a body that is the file itself, whatever the method: registries that take both keep what
// is inside a form, or nothing, and other bytes were judged.
func NotAForm(header http.Header) error {
	for _, media := range header.Values("Content-Type") {
		media = strings.ToLower(strings.TrimSpace(media))
		if strings.HasPrefix(media, "multipart/") || strings.HasPrefix(media, "application/x-www-form-urlencoded") {
			return model.Deny(model.CodeMalformedUpload).Differ("Content-Type", model.OneLine(media, 120), "the file itself, not a form")
		}
	}
	return nil
}

// plainType is a media type with nothing beside it but UTF-8. Other parameters are refused, and charset* among them: the readers of
// Go take it for a charset that goes before the plain one, those of Node.js for another parameter.
var plainType = regexp.MustCompile(`^([0-9A-Za-z.+-]+/[0-9A-Za-z.+-]+)(?:; ?(?i:charset)=(?:(?i:utf-8)|"(?i:utf-8)"))?$`)

// MediaType is the one Content-Type of a body that is text, in small letters. ok is false for one that readers could take for another
// type or for other characters: some know UTF-7, in which letters and signs of a text stand for quotes.
func MediaType(header http.Header) (media string, ok bool) {
	lines := header.Values("Content-Type")
	if len(lines) != 1 {
		return "", false
	}
	m := plainType.FindStringSubmatch(lines[0])
	if m == nil {
		return "", false
	}
	return strings.ToLower(m[1]), true
}
