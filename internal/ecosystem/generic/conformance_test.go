package generic_test

import (
	"net/http"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/generic"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	const path = "/widget/1.0/widget.tar.gz"
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: generic.Kind, Settings: ecosystem.Settings{Registry: "raw", Public: public, Layout: usual}, Opaque: true,
		Publish: ecosystemtest.Request{Method: http.MethodPut, Path: path, Body: []byte("the file")}, Size: 8,
		Target: target(model.ActionPublish, "widget", "1.0", "widget.tar.gz")[0],
		Edits: []ecosystemtest.Edit{{
			Name: "another digest", Code: model.CodeDigestMismatch,
			Request: ecosystemtest.Request{Method: http.MethodPut, Path: path, Header: http.Header{"X-Checksum-Sha256": {"00"}}, Body: []byte("the file")},
		}},
		Reads:   []ecosystemtest.Request{{Method: http.MethodGet, Path: "/widget/"}},
		Unsafe:  []ecosystemtest.Request{{Method: http.MethodPut, Path: "/widget/1.0"}, {Method: http.MethodDelete, Path: "/widget"}, {Method: http.MethodPost, Path: path + "?x=y"}},
		Foreign: []string{"/widget//widget.tar.gz", "/widget/1.0/../x", "/widget/1.0/%77idget", "/widget/1.0/x;y", "/widget/1.0/.htaccess"},
	})
}
