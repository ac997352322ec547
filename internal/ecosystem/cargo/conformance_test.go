package cargo_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/cargo"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	const path = "/api/v1/crates/new"
	crate := widget(t)
	put := func(body []byte) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPut, Path: path, Body: body}
	}
	edit := func(name, old, with string, code model.Code) ecosystemtest.Edit {
		return ecosystemtest.Edit{Name: name, Request: put(body(strings.Replace(document, old, with, 1), crate)), Code: code}
	}
	exchange := func(text string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: "/api/v1/trusted_publishing/tokens", Body: []byte(text)}
	}
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: cargo.Kind, Settings: ecosystem.Settings{Registry: "main", Public: public},
		Publish: put(body(document, crate)), Size: int64(len(crate)),
		Target: model.Target{Ecosystem: "cargo", Registry: "main", Package: "acme-widget", Version: "1.0.0", File: "acme-widget-1.0.0.crate", Action: model.ActionPublish},
		Edits: []ecosystemtest.Edit{
			edit("another package", "acme-widget", "acme-gadget", model.CodePackageMismatch),
			edit("a name twice", `"features":{}`, `"name":"x"`, model.CodeDuplicateField),
			{
				Name: "a form", Code: model.CodeMalformedUpload,
				Request: ecosystemtest.Request{Method: http.MethodPut, Path: path, Header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, Body: body(document, crate)},
			},
			{Name: "an edited archive", Request: put(body(document, bytes.Replace(crate, crate[20:24], []byte("evil"), 1))), Code: model.CodeMalformedUpload},
		},
		Reads: []ecosystemtest.Request{
			{Method: http.MethodGet, Path: "/config.json"},
			{Method: http.MethodGet, Path: "/ac/me/acme-widget"},
			{Method: http.MethodGet, Path: "/api/v1/crates?q=x"},
			{Method: http.MethodPost, Path: "/git/git-upload-pack"},
		},
		Unsafe: []ecosystemtest.Request{
			{Method: http.MethodPut, Path: "/api/v1/crates/acme-widget/owners"},
			{Method: http.MethodPut, Path: "/api/v1/me/tokens"},
		},
		Foreign: []string{"/api/v1/crates/new/", "//api/v1/crates/new", "/api/v1/crates/%6eew", "/API/v1/crates/new", "/api/v1/./crates/new", "/api/v1/crates/new;x"},
		Exchange: &ecosystemtest.Exchange{Request: exchange(`{"jwt":"x.y.z"}`), Token: "x.y.z", Edits: []ecosystemtest.Edit{
			{Name: "a key twice", Request: exchange(`{"jwt":"x","jwt":"y"}`), Code: model.CodeBadRequest},
			{Name: "nothing", Request: exchange(``), Code: model.CodeBadRequest},
		}},
	})
}
