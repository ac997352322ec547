package upload

import (
	"net/http"
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
