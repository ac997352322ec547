package integration

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// TestFormsInForms gives the file types that make registries read the part as a form of its own: pypiserver keeps an empty file
// of that name, and devpi breaks.
func TestFormsInForms(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			w := newWheel(t, "acme-widget", "1.0")
			for _, media := range []string{"application/x-www-form-urlencoded", "multipart/mixed; boundary=x", "message/rfc822"} {
				body := bytes.Replace(w.form().Bytes(), []byte("application/octet-stream"), []byte(media), 1)
				header := bearer(r.identity(nil))
				header.Set("Content-Type", client.Form{}.ContentType())
				a := r.send(t, http.MethodPost, r.site.Registry.Path, header, body)
				refused(t, a, http.StatusBadRequest, model.CodeMalformedUpload)
				r.holds(t)
			}
		})
	}
}
