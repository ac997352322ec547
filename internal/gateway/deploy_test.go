package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProperties: those that the registry allows are taken off the path of a PUT and put back; anything else stays, and is refused with
// the path.
func TestProperties(t *testing.T) {
	allowed := &registry{Registry: Registry{Properties: []string{"build.name", "go.version"}}}
	for name, tc := range map[string]struct {
		reg        *registry
		method     string
		path       string
		bare, kept string
		fails      string
	}{
		"one":                  {allowed, "PUT", "/a/x.jar;build.name=ci", "/a/x.jar", ";build.name=ci", ""},
		"two":                  {allowed, "PUT", "/a/x.jar;build.name=ci;go.version=v1.2.3", "/a/x.jar", ";build.name=ci;go.version=v1.2.3", ""},
		"several values":       {allowed, "PUT", "/a/x.jar;build.name=a,b", "/a/x.jar", ";build.name=a,b", ""},
		"an escaped path":      {allowed, "PUT", "/a/%40x.jar;build.name=ci", "/a/%40x.jar", ";build.name=ci", ""},
		"none":                 {allowed, "PUT", "/a/x.jar", "/a/x.jar", "", ""},
		"another":              {allowed, "PUT", "/a/x.jar;qa=passed", "", "", "one of build.name, go.version"},
		"another beside one":   {allowed, "PUT", "/a/x.jar;build.name=ci;qa=1", "", "", "one of build.name"},
		"no value":             {allowed, "PUT", "/a/x.jar;build.name", "", "", "up to 200 letters"},
		"an empty one":         {allowed, "PUT", "/a/x.jar;", "", "", "one of"},
		"an escaped value":     {allowed, "PUT", "/a/x.jar;build.name=%2e%2e", "", "", "up to 200 letters"},
		"a step in the value":  {allowed, "PUT", "/a/x.jar;build.name=ci/../../other", "/a/x.jar;build.name=ci/../../other", "", ""},
		"in the middle":        {allowed, "PUT", "/a;build.name=ci/x.jar", "/a;build.name=ci/x.jar", "", ""},
		"a read":               {allowed, "GET", "/a/x.jar;build.name=ci", "/a/x.jar;build.name=ci", "", ""},
		"a removal":            {allowed, "DELETE", "/a/x.jar;build.name=ci", "/a/x.jar;build.name=ci", "", ""},
		"a registry of others": {&registry{}, "PUT", "/a/x.jar;build.name=ci", "/a/x.jar;build.name=ci", "", ""},
		"no registry":          {nil, "PUT", "/a/x.jar;build.name=ci", "/a/x.jar;build.name=ci", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, tc.path, nil)
			sent := *r.URL
			tx := &transaction{r: r}
			err := tx.properties(tc.reg)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("got %v, expected a refusal with %q", err, tc.fails)
				}
				return
			}
			if diff := cmp.Diff([]string{tc.bare, tc.kept}, []string{tx.r.URL.EscapedPath(), tx.props}); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if strings.Contains(tc.bare, ";") {
				if checkEscaped(tx.r.URL.EscapedPath()) == nil {
					t.Error("the semicolon is not refused")
				}
				return
			}
			if err := checkPath(tx.r, tx.withoutProperties(&sent)); err != nil {
				t.Errorf("the path without properties: %v", err)
			}
			other := url.URL{Path: "/other"}
			if tx.props != "" && checkPath(tx.r, tx.withoutProperties(&other)) == nil {
				t.Error("another path as it was sent is accepted")
			}
			out := tx.r.Clone(t.Context())
			tx.withProperties(out)
			if out.URL.EscapedPath() != tc.path || tc.kept != "" && out.RequestURI != tc.path {
				t.Errorf("forwarded %q as %q, expected %q", out.URL.EscapedPath(), out.RequestURI, tc.path)
			}
		})
	}
}

func FuzzProperties(f *testing.F) {
	f.Add("/a/x.jar;build.name=ci")
	f.Add("/a/x;build.name=%2f;go.version=1")
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Scheme != "" {
			return
		}
		r := &http.Request{Method: http.MethodPut, URL: u, RequestURI: path}
		tx := &transaction{r: r}
		before := u.EscapedPath()
		if tx.properties(&registry{Registry: Registry{Properties: []string{"build.name"}}}) != nil || tx.props == "" {
			return
		}
		out := tx.r.Clone(t.Context())
		tx.withProperties(out)
		if out.URL.EscapedPath() != before || strings.ContainsAny(tx.props, "/%?#\\") {
			t.Fatalf("%q is forwarded as %q", before, out.URL.EscapedPath())
		}
	})
}

func TestCheckMeaning(t *testing.T) {
	for _, name := range meaningHeaders {
		for except, want := range map[bool]bool{false: true, true: name != headerByChecksum} {
			err := checkMeaning(http.Header{name: {"true"}}, except)
			if (err != nil) != want || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s, allowed %t: got %v", name, except, err)
			}
		}
	}
	if err := checkMeaning(http.Header{"Content-Type": {"x"}}, false); err != nil {
		t.Error(err)
	}
}
