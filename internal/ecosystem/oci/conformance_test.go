package oci_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/oci"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	put := func(path, body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPut, Path: path, Header: http.Header{"Content-Type": {imageType}}, Body: []byte(body)}
	}
	const path = "/v2/acme/widget/manifests/1.0.0"
	token := func(authorization string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodGet, Path: "/v2/token?scope=repository:acme/widget:pull", Header: http.Header{"Authorization": {authorization}}}
	}
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: oci.Kind, Settings: ecosystem.Settings{Registry: "main", Public: public("/")},
		Publish: put(path, image), Target: tagged("1.0.0", model.ActionPublish), Size: int64(len(image)),
		Edits: []ecosystemtest.Edit{
			{Name: "another digest", Request: put("/v2/acme/widget/manifests/"+short, image), Code: model.CodeDigestMismatch},
			{
				Name: "a blob in a form", Code: model.CodeMalformedUpload,
				Request: ecosystemtest.Request{
					Method: http.MethodPatch, Path: "/v2/acme/widget/blobs/uploads/1", Header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, Body: []byte("x"),
				},
			},
			{Name: "a key twice", Request: put(path, strings.Replace(image, `"layers"`, `"config"`, 1)), Code: model.CodeDuplicateField},
		},
		Reads: []ecosystemtest.Request{
			{Method: http.MethodGet, Path: "/v2/"},
			{Method: http.MethodGet, Path: "/v2/acme/widget/tags/list"},
			{Method: http.MethodGet, Path: "/v2/acme/widget/blobs/" + short},
		},
		Unsafe: []ecosystemtest.Request{
			{Method: http.MethodGet, Path: "/v2/_catalog"},
			{Method: http.MethodPut, Path: "/v2/acme/widget/blobs/" + short},
			{Method: http.MethodPost, Path: "/v2/acme/widget/blobs/uploads/?mount=" + short},
		},
		Foreign: []string{
			path + "/", "/v2//acme/widget/manifests/1.0.0", "/v2/acme/widget/manifests/1.0.0;x", "/v2/Acme/widget/manifests/1.0.0",
			"/v2/acme/../widget/manifests/1.0.0", "/v2/acme%2fwidget/manifests/1.0.0", "/v2/acme/blobs/uploads/manifests/1.0.0",
		},
		Exchange: &ecosystemtest.Exchange{
			Request: token("Basic " + base64.StdEncoding.EncodeToString([]byte("oidc:x.y.z"))), Token: "x.y.z",
			Edits: []ecosystemtest.Edit{
				{Name: "another scheme", Request: token("Bearer x.y.z"), Code: model.CodeNoCredential},
				{Name: "no password", Request: token("Basic " + base64.StdEncoding.EncodeToString([]byte("oidc:"))), Code: model.CodeNoCredential},
			},
		},
	})
}
