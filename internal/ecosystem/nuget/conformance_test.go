package nuget_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/nuget"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	put := func(text string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPut, Path: "/api/v2/package", Header: formType, Body: formOf(dotnetPart, packageOf(text))}
	}
	exchange := func(authorization, body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPost, Path: protocol(t).RootPaths()[0], Header: http.Header{"Authorization": {authorization}}, Body: []byte(body)}
	}
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind: nuget.Kind, Settings: ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "nuget.example.com", Path: "/"}},
		Publish: put(nuspec), Size: int64(len(packageOf(nuspec))), Spare: len("\r\n"),
		Target: model.Target{Ecosystem: "nuget", Registry: "main", Package: "acme.widget", Version: "1.0.0-beta", File: "acme.widget.1.0.0-beta.nupkg", Action: model.ActionPublish},
		Also:   []ecosystemtest.Request{{Method: http.MethodPut}, {Method: http.MethodPut, Path: "/"}},
		Edits: []ecosystemtest.Edit{
			{Name: "an id twice", Request: put(strings.Replace(nuspec, "<version>", "<id>Other</id><version>", 1)), Code: model.CodeDuplicateField},
			{Name: "an id that is none", Request: put(strings.Replace(nuspec, "Acme.Widget", "../Widget", 1)), Code: model.CodeMalformedUpload},
		},
		Reads: []ecosystemtest.Request{{Method: http.MethodGet, Path: "/index.json"}, {Method: http.MethodGet, Path: "/query?q=x"}},
		Unsafe: []ecosystemtest.Request{
			{Method: http.MethodPost, Path: "/api/v2/package", Header: formType},
			{Method: http.MethodDelete, Path: "/Acme.Widget"},
		},
		Foreign: []string{"/api/v2/package//", "//api/v2/package", "/api/v2/%70ackage", "/api/v2/./package"},
		Exchange: &ecosystemtest.Exchange{
			Request: exchange("Bearer a.b.c", `{"username":"acme","tokenType":"ApiKey"}`), Root: true, Token: "a.b.c",
			Edits: []ecosystemtest.Edit{
				{Name: "a key twice", Request: exchange("Bearer a.b.c", `{"tokenType":"ApiKey","tokenType":"ApiKey"}`), Code: model.CodeBadRequest},
				{Name: "another scheme", Request: exchange("Basic a", `{"tokenType":"ApiKey"}`), Code: model.CodeBadRequest},
			},
		},
	})
}
