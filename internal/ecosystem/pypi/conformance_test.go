package pypi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	post := func(body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: "/", Header: http.Header{"Content-Type": {plainType}}, Body: []byte(body)}
	}
	exchange := func(body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: "/_/oidc/mint-token", Body: []byte(body)}
	}
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind:     Kind,
		Settings: ecosystem.Settings{Registry: "internal", Public: &url.URL{Scheme: "https", Host: "pypi.example.com", Path: "/root/prod/"}},
		Publish:  post(plain()), Size: int64(len(plainData)), Spare: len("\r\n"),
		Target: model.Target{Ecosystem: "pypi", Registry: "internal", Package: "acme-widget", Version: "1", File: wheelFile, Action: model.ActionPublish},
		Edits: []ecosystemtest.Edit{
			{Name: "another package", Request: post(strings.Replace(plain(), "acme-widget", "acme-gadget", 1)), Code: model.CodePackageMismatch},
			{Name: "a name twice", Request: post(field("name", "acme-widget") + plain()), Code: model.CodeDuplicateField},
		},
		Reads:   []ecosystemtest.Request{{Method: http.MethodGet, Path: "/+simple/acme-widget/"}, {Method: http.MethodGet, Path: "/simple/"}},
		Unsafe:  []ecosystemtest.Request{{Method: http.MethodDelete, Path: "/acme/1.0"}, {Method: http.MethodPost, Path: "/+login"}},
		Foreign: []string{"//", "/simple/", "/.", "/%2f", "/;x"},
		Exchange: &ecosystemtest.Exchange{Request: exchange(`{"token":"x.y.z"}`), Root: true, Token: "x.y.z", Edits: []ecosystemtest.Edit{
			{Name: "a key twice", Request: exchange(`{"token":"x","token":"y"}`), Code: model.CodeBadRequest},
			{Name: "nothing", Request: exchange(``), Code: model.CodeBadRequest},
		}},
	})
}
