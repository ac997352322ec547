package integration

import (
	"net/http"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// TestDisguisedOperation hides a removal in a field of an honest upload, and has Connection name the Content-Type, so that a
// registry that never sees the type would read the whole body as a urlencoded form. pypiserver does, and removes.
func TestDisguisedOperation(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			first := newWheel(t, "acme-widget", "1.0")
			ok(t, r.upload(t, bearer(r.identity(nil)), first.form()))
			form := newWheel(t, "acme-widget", "2.0").form().
				Before("content", "comment", "x&:action=remove_pkg&name=acme-widget&version=1.0&x=")
			for _, named := range []string{"Content-Type", "close, content-type", "Content-Length", "Transfer-Encoding", "User-Agent"} {
				header := bearer(r.identity(nil))
				header["Connection"] = []string{named}
				header["Content-Type"] = []string{form.ContentType()}
				a := r.send(t, http.MethodPost, r.site.Registry.Path, header, form.Bytes())
				refused(t, a, http.StatusBadRequest, model.CodeUnsupportedFraming)
				r.holds(t, first)
			}
		})
	}
}
