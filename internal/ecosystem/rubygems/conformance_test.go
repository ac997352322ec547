package rubygems_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/rubygems"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	post := func(body []byte) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: "/api/v1/gems", Header: rawType, Body: body}
	}
	exchange := func(body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: "/api/v1/oidc/trusted_publisher/exchange_token", Body: []byte(body)}
	}
	gem := gemOf(metadata)
	other := bytes.Clone(gem)
	other[bytes.Index(other, []byte("data.tar.gz"))+512+20] ^= 1
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: rubygems.Kind, Settings: ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "gems.example.com", Path: "/"}},
		Publish: post(gem), Target: target("1.0.0", "widget-1.0.0.gem"), Size: int64(len(gem)),
		Edits: []ecosystemtest.Edit{
			{Name: "a name twice", Request: post(gemOf(strings.Replace(metadata, "name: widget", "name: widget\nname: gadget", 1))), Code: model.CodeDuplicateField},
			{Name: "other data", Request: post(other), Code: model.CodeDigestMismatch},
			{Name: "a name that is none", Request: post(gemOf(strings.Replace(metadata, "name: widget", "name: ../widget", 1))), Code: model.CodeMalformedUpload},
		},
		Reads: []ecosystemtest.Request{{Method: http.MethodGet, Path: "/info/widget"}, {Method: http.MethodGet, Path: "/versions"}},
		Unsafe: []ecosystemtest.Request{
			{Method: http.MethodPost, Path: "/api/v1/gems/widget/owners"},
			{Method: http.MethodPut, Path: "/api/v1/gems/unyank"},
			{Method: http.MethodPost, Path: "/api/v1/gems?overwrite=true", Header: rawType},
		},
		Foreign: []string{"/api/v1/gems/", "//api/v1/gems", "/api/v1/./gems", "/api/v1/%67ems", "/API/v1/gems"},
		Exchange: &ecosystemtest.Exchange{Request: exchange(`{"jwt":"x.y.z"}`), Root: true, Token: "x.y.z", Edits: []ecosystemtest.Edit{
			{Name: "a key twice", Request: exchange(`{"jwt":"x","jwt":"y"}`), Code: model.CodeBadRequest},
			{Name: "nothing", Request: exchange(``), Code: model.CodeBadRequest},
		}},
	})
}
