package hex_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/hex"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	post := func(path string, body []byte) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: path, Header: bytesType, Body: body}
	}
	publish := func(body []byte) ecosystemtest.Request { return post("/api/publish?replace=false", body) }
	release := releaseOf(terms)
	edited := bytes.Clone(release)
	edited[bytes.Index(edited, []byte("contents.tar.gz"))+512+20] ^= 1
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: hex.Kind, Settings: settings,
		Publish: publish(release), Target: target("acme_widget-1.0.0.tar", model.ActionPublish), Size: int64(len(release)),
		Also: []ecosystemtest.Request{
			post("/api/packages/acme_widget/releases/1.0.0/docs", []byte(zipped("docs"))),
			post("/api/repos/acme/publish?replace=false", gleamOf(terms)),
		},
		Edits: []ecosystemtest.Edit{
			{Name: "a name twice", Request: publish(releaseOf(terms + `{<<"name">>, <<"acme_gadget">>}.`)), Code: model.CodeDuplicateField},
			{Name: "other contents", Request: publish(edited), Code: model.CodeDigestMismatch},
			{Name: "another package in the URL", Request: post("/api/packages/acme_gadget/releases?replace=false", release), Code: model.CodePackageMismatch},
			{Name: "a name that is none", Request: publish(releaseOf(strings.Replace(terms, "acme_widget", "../x", 1))), Code: model.CodeMalformedUpload},
		},
		Reads: []ecosystemtest.Request{{Method: http.MethodGet, Path: "/packages/acme_widget"}, {Method: http.MethodGet, Path: "/names"}},
		Unsafe: []ecosystemtest.Request{
			{Method: http.MethodPut, Path: "/api/packages/acme_widget/owners/mallory"},
			{Method: http.MethodPost, Path: "/api/keys"},
			{Method: http.MethodPost, Path: "/api/packages/acme_widget/retire"},
			{Method: http.MethodPost, Path: "/api/publish?replace=false&repository=acme", Header: bytesType},
		},
		Foreign: []string{"/api/publish/", "//api/publish", "/api/./publish", "/api/%70ublish", "/API/publish", "/api/packages/acme_widget/releases/1.0.0/docs/"},
	})
}
