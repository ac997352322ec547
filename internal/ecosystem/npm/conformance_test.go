package npm_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	put := func(body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPut, Path: "/@acme%2fwidget", Body: []byte(body)}
	}
	edit := func(name, old, with string, code model.Code) ecosystemtest.Edit {
		return ecosystemtest.Edit{Name: name, Request: put(strings.Replace(document(), old, with, 1)), Code: code}
	}
	exchange := func(path, authorization string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: "/-/npm/v1/oidc/token/exchange/package/" + path, Header: http.Header{"Authorization": {authorization}}}
	}
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: npm.Kind, Settings: ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "npm.example.com", Path: "/"}},
		Publish: put(document()), Size: int64(len(archive)),
		Target: model.Target{Ecosystem: "npm", Registry: "main", Package: "@acme/widget", Version: "1.0.0", File: "widget-1.0.0.tgz", Action: model.ActionPublish},
		Edits: []ecosystemtest.Edit{
			edit("another package", `"_id":"@acme/widget"`, `"_id":"@acme/gadget"`, model.CodePackageMismatch),
			edit("a name twice", `"description":"x"`, `"name":"@acme/widget"`, model.CodeDuplicateField),
			edit("another archive", `"data":"YXJj`, `"data":"YXJk`, model.CodeDigestMismatch),
		},
		Reads: []ecosystemtest.Request{
			{Method: http.MethodGet, Path: "/widget/-/widget-1.0.0.tgz"},
			{Method: http.MethodGet, Path: "/-/ping"},
			{Method: http.MethodPost, Path: "/-/npm/v1/security/advisories/bulk"},
		},
		Unsafe: []ecosystemtest.Request{
			{Method: http.MethodPut, Path: "/-/user/org.couchdb.user:x"},
			{Method: http.MethodPost, Path: "/-/npm/v1/tokens"},
			{Method: http.MethodPut, Path: "/-/team/acme/x/package"},
		},
		Foreign: []string{"/@acme%2f%2fwidget", "/@acme/../widget", "/@Acme/widget", "/@acme%2fWidget", "/@acme/widget/", "//@acme/widget"},
		Exchange: &ecosystemtest.Exchange{Request: exchange("@acme%2fwidget", "Bearer x.y.z"), Root: true, Token: "x.y.z", Edits: []ecosystemtest.Edit{
			{Name: "another scheme", Request: exchange("widget", "Basic eDp5"), Code: model.CodeBadRequest},
			{Name: "no package", Request: exchange("", "Bearer x.y.z"), Code: model.CodeBadRequest},
		}},
	})
}
