package maven_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/maven"
	"github.com/trustpub/trustpub/internal/model"
)

func TestConformance(t *testing.T) {
	pom := strings.TrimSpace(releasePOM)
	put := func(path, body string) ecosystemtest.Request {
		return ecosystemtest.Request{Method: http.MethodPut, Path: path, Body: []byte(body)}
	}
	ecosystemtest.Run(t, ecosystemtest.Suite{
		Kind:     maven.Kind,
		Settings: ecosystem.Settings{Registry: "releases", Public: &url.URL{Scheme: "https", Host: "maven.example.com", Path: "/releases/"}},
		Publish:  put(pomPath, pom), Target: target(model.ActionPublish, "com.example:widget", "1.0", "widget-1.0.pom"), Size: int64(len(pom)),
		Edits: []ecosystemtest.Edit{
			{Name: "another package", Request: put(pomPath, strings.Replace(pom, "widget", "gadget", 1)), Code: model.CodePackageMismatch},
			{Name: "a name twice", Request: put(pomPath, strings.Replace(pom, "<version>", "<artifactId>gadget</artifactId><version>", 1)), Code: model.CodeDuplicateField},
			{Name: "another package in the path", Request: put("/com/example/widget/1.0/gadget-1.0.jar", "x"), Code: model.CodePackageMismatch},
		},
		Reads: []ecosystemtest.Request{{Method: http.MethodGet, Path: indexPath}, {Method: http.MethodGet, Path: "/com/example/"}},
		Unsafe: []ecosystemtest.Request{
			put("/com/example/widget/1.0/", "x"),
			put("/archetype-catalog.xml", "x"),
			{Method: http.MethodDelete, Path: jarPath},
		},
		Foreign: []string{"/com/example//widget/1.0/widget-1.0.pom", "/com/example/widget/1.0/../1.0/widget-1.0.pom", "/com/example/widget/1.0/widget-1.0.pom/", "/com/example/%77idget/1.0/widget-1.0.pom"},
	})
}
