package gateway

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func denialCode(err error) model.Code {
	var d *model.Denial
	if errors.As(err, &d) {
		return d.Code
	}
	if err != nil {
		return model.Code(err.Error())
	}
	return ""
}

func TestCheckPath(t *testing.T) {
	for target, want := range map[string]model.Code{
		"/root/prod/":                       "",
		"/root/prod/+simple/acme-widget/":   "",
		"/root/prod/+f/a/w-1.0%2Blocal.whl": "",
		"/root/prod/?x=1&y=%20":             "",
		"/npm/@acme%2fwidget":               "",
		"/npm/@acme%2Fwidget":               "",
		"/npm/%40acme%2fwidget":             "",
		"/npm/%40acme%2Fw/-/1/w-1.tgz":      "",
		"/npm/%40acme%2f..":                 model.CodeAmbiguousPath,
		"/npm/%40ac%2dme%2fwidget":          model.CodeAmbiguousPath,
		"/npm/%40%40acme%2fwidget":          model.CodeAmbiguousPath,
		"/npm/x%40acme%2fwidget":            model.CodeAmbiguousPath,
		"/npm/acme%2fwidget":                model.CodeAmbiguousPath,
		"/npm/@%2fwidget":                   "",
		"/npm/@acme%2f":                     model.CodeAmbiguousPath,
		"/npm/@acme%2f../x":                 model.CodeAmbiguousPath,
		"/npm/@acme%2F.":                    model.CodeAmbiguousPath,
		"/npm/@acme%2f%2e%2e/x":             model.CodeAmbiguousPath,
		"/npm/@acme%2fa%2f..":               model.CodeAmbiguousPath,
		"/root//prod/":                      model.CodeAmbiguousPath,
		"/root/./prod/":                     model.CodeAmbiguousPath,
		"/root/../prod/":                    model.CodeAmbiguousPath,
		"/root/prod/..":                     model.CodeAmbiguousPath,
		"/root/%2e%2e/prod/":                model.CodeAmbiguousPath,
		"/root;x/prod/":                     model.CodeAmbiguousPath,
		"/root/prod%3bx/":                   model.CodeAmbiguousPath,
		"/root/prod%00":                     model.CodeAmbiguousPath,
		"/root%5cprod/":                     model.CodeAmbiguousPath,
		"/root/%70rod/":                     model.CodeAmbiguousPath,
		"/root/prod%252f":                   model.CodeAmbiguousPath,
		"/root/prod/%C3%A9":                 model.CodeAmbiguousPath,
		"/root/prod/?a;b":                   model.CodeAmbiguousPath,
		"/root/prod/?a=%zz":                 model.CodeAmbiguousPath,
		"http://pypi.example.com/root/":     model.CodeAmbiguousPath,
	} {
		t.Run(target, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			r.URL, r.RequestURI = u, target
			if got := denialCode(checkPath(r, nil)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestCheckPathSeesRawBytes(t *testing.T) {
	for _, raw := range []string{"/root/prod\\x", "/root/prod#x", "/root/\x80", "/root/ x"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI = raw
		if got := denialCode(checkPath(r, nil)); got != model.CodeAmbiguousPath {
			t.Errorf("%q: got %q", raw, got)
		}
	}
}

func TestRewrittenPathIsRefused(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/root/prod/", nil)
	for _, original := range []string{"/other/", "/root/prod/?x=1"} {
		u, _ := url.Parse(original)
		if got := denialCode(checkPath(r, u)); got != model.CodeRewrittenPath {
			t.Errorf("%s: got %q", original, got)
		}
	}
}

func TestCheckMethod(t *testing.T) {
	for _, tc := range []struct {
		method string
		length int64
		want   model.Code
	}{
		{"GET", 0, ""},
		{"POST", 5, ""},
		{"POST", -1, ""},
		{"GET", 5, model.CodeUnsupportedFraming},
		{"HEAD", -1, model.CodeUnsupportedFraming},
		{"CONNECT", 0, model.CodeUnsupportedFraming},
		{"TRACE", 0, model.CodeUnsupportedFraming},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Method, r.ContentLength = tc.method, tc.length
		if got := denialCode(checkMethod(r)); got != tc.want {
			t.Errorf("%s %d: got %q, want %q", tc.method, tc.length, got, tc.want)
		}
	}
}

func testRegistry(name, public string) registry {
	u, _ := url.Parse(public)
	return registry{Registry: Registry{Name: name, Public: u}, prefix: u.EscapedPath()}
}

func TestRoute(t *testing.T) {
	g := &Gateway{registries: []registry{
		testRegistry("prod", "https://pypi.example.com/root/prod/"),
		testRegistry("nested", "https://pypi.example.com/root/prod/nested/"),
		testRegistry("whole", "https://whole.example.com/"),
		testRegistry("inside", "https://whole.example.com/inside/"),
		testRegistry("port", "https://localhost:8443/legacy/"),
	}}
	for _, tc := range []struct {
		host, path, registry, rel string
		code                      model.Code
	}{
		{host: "pypi.example.com", path: "/root/prod/", registry: "prod", rel: "/"},
		{host: "pypi.example.com", path: "/root/prod", registry: "prod", rel: ""},
		{host: "PyPI.Example.com:443", path: "/root/prod/x", registry: "prod", rel: "/x"},
		{host: "pypi.example.com", path: "/root/prod/nested/x", registry: "nested", rel: "/x"},
		{host: "pypi.example.com", path: "/root/production/"},
		{host: "pypi.example.com", path: "/ROOT/prod/", code: model.CodeAmbiguousPath},
		{host: "pypi.example.com", path: "/Root/Prod", code: model.CodeAmbiguousPath},
		{host: "whole.example.com", path: "/INSIDE/x", registry: "whole", code: model.CodeAmbiguousPath},
		{host: "whole.example.com", path: "/inside", registry: "inside", rel: ""},
		{host: "pypi.example.com", path: "/elsewhere"},
		{host: "pypi.example.com:80", path: "/root/prod/", code: model.CodeUnknownHost},
		{host: "pypi.example.com:8443", path: "/root/prod/", code: model.CodeUnknownHost},
		{host: "pypi.example.com.", path: "/root/prod/", code: model.CodeUnknownHost},
		{host: "evil.example.com", path: "/root/prod/", code: model.CodeUnknownHost},
		{host: "whole.example.com", path: "/a", registry: "whole", rel: "/a"},
		{host: "localhost:8443", path: "/legacy/", registry: "port", rel: "/"},
		{host: "localhost", path: "/legacy/", code: model.CodeUnknownHost},
	} {
		t.Run(tc.host+tc.path, func(t *testing.T) {
			rt, err := g.route(tc.host, tc.path)
			if got := denialCode(err); got != tc.code {
				t.Fatalf("got code %q, want %q", got, tc.code)
			}
			name := ""
			if rt.registry != nil {
				name = rt.registry.Name
			}
			if name != tc.registry || err == nil && rt.path != tc.rel {
				t.Errorf("got %q %q, want %q %q", name, rt.path, tc.registry, tc.rel)
			}
		})
	}
}

func TestDefaultAudiences(t *testing.T) {
	u, _ := url.Parse("https://npm.example.com:8443/team/")
	got := DefaultAudiences("npm", u)
	for _, want := range []string{
		"npm.example.com:8443", "npm.example.com:8443/team", "https://npm.example.com:8443/team/", "npm:npm.example.com", "npm:npm.example.com:8443",
	} {
		found := false
		for _, have := range got {
			found = found || have == want
		}
		if !found {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	for _, aud := range []string{"pypi", "sigstore", "sts.amazonaws.com", "", " "} {
		if CheckAudience(aud) == nil {
			t.Errorf("audience %q is accepted", aud)
		}
	}
}
