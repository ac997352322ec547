package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// TestGeneric publishes files with curl into a store that checks nothing itself.
func TestGeneric(t *testing.T) {
	t.Parallel()
	policy := strings.Replace(widgetPolicy, "    publisher:", "    actions: [publish, delete]\n    publisher:", 1)
	r := newRig(t, "webdav", withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"), withPolicy("widget.yaml", policy))
	wheel := newWheel(t, "acme-widget", "1.0")
	token := r.identity(nil)
	auth := []string{"--fail-with-body", "--upload-file", wheel.path, "--header", "Authorization: Bearer " + token}
	got, err := r.home(nil).CurlRaw(t.Context(), r.site.Public()+"acme-widget/1.0/"+wheel.file, auth...)
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	path := "acme-widget/1.0/" + wheel.file
	if diff := cmp.Diff(map[string]string{path: wheel.sha256}, r.files()); diff != "" {
		t.Fatal(diff)
	}
	fresh := func(claims map[string]any) http.Header { return bearer(r.identity(claims)) }
	digest := sha256.Sum256([]byte("file"))
	for _, tc := range []struct {
		name, method, path string
		header             http.Header
		code               model.Code
	}{
		{"a replay for another version", "PUT", "/acme-widget/1.1/x.tar.gz", bearer(token), model.CodeReplayed},
		{"what is there", "PUT", "/" + path, fresh(nil), model.CodeAlreadyExists},
		{"another package", "PUT", "/other/1.0/x.tar.gz", fresh(nil), model.CodeNoMatchingPolicy},
		{"another spelling of the package", "PUT", "/Acme-Widget/1.0/x.tar.gz", fresh(nil), model.CodeNoMatchingPolicy},
		{"another repository", "PUT", "/acme-widget/1.1/x.tar.gz", fresh(otherRepository), model.CodeNoMatchingPolicy},
		{"outside the layout", "PUT", "/acme-widget/x.tar.gz", fresh(nil), model.CodeUnsupportedOperation},
		{"a deeper path", "PUT", "/acme-widget/1.0/sub/x.tar.gz", fresh(nil), model.CodeUnsupportedOperation},
		{"a folder", "MKCOL", "/acme-widget/2.0/", fresh(nil), model.CodeUnsupportedOperation},
		{"a copy", "COPY", "/" + path, with(fresh(nil), "Destination", "/other/1.0/x"), model.CodeUnsupportedOperation},
		{"a move", "MOVE", "/" + path, with(fresh(nil), "Destination", "/other/1.0/x"), model.CodeUnsupportedOperation},
		{"a digest of another file", "PUT", "/acme-widget/1.2/x.tar.gz", with(fresh(nil), "X-Checksum-Sha256", hex.EncodeToString(digest[:])), model.CodeDigestMismatch},
		{"the store's own password", "PUT", "/acme-widget/1.2/x.tar.gz", basic(r.reg.Password), model.CodeTrustedPublishingOnly},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				var body []byte
				if tc.method == http.MethodPut {
					body = []byte("edited file")
				}
				if a := r.send(t, tc.method, tc.path, tc.header, body); a.code() != string(tc.code) {
					t.Errorf("got %d %q, expected %s\n%s", a.Status, a.code(), tc.code, a.Body)
				}
			})
		})
	}
	for _, tc := range []struct{ name, path, token string }{
		{"a-replayed-token", "acme-widget/1.1/x.tar.gz", token},
		{"a-file-that-exists", path, r.identity(nil)},
		{"another-package", "other/1.0/x.tar.gz", r.identity(nil)},
		{"another-repository", "acme-widget/1.1/x.tar.gz", r.identity(otherRepository)},
		{"a-stranger", "acme-widget/1.1/x.tar.gz", r.identity(foreignRepository)},
		{"a-stolen-password", "acme-widget/1.1/x.tar.gz", r.reg.Password},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				args := []string{"--fail-with-body", "--upload-file", wheel.path, "--header", "Authorization: Bearer " + tc.token}
				got, err := r.home(nil).CurlRaw(t.Context(), r.site.Public()+tc.path, args...)
				if err != nil || got.Code == 0 {
					t.Errorf("%v, exit status %d\n%s", err, got.Code, got.Output)
				}
				golden(t, "curl-file-"+tc.name, got)
			})
		})
	}
	if a := r.send(t, http.MethodDelete, "/"+path, fresh(nil), nil); a.Status/100 != 2 {
		t.Errorf("the deletion: %d %s", a.Status, a.Body)
	}
	if diff := cmp.Diff(map[string]string{}, r.files()); diff != "" {
		t.Error(diff)
	}
}

// with adds a header.
func with(h http.Header, name, value string) http.Header {
	h.Set(name, value)
	return h
}
