package generic_test

import (
	"bytes"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/generic"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

var public = &url.URL{Scheme: "https", Host: "files.example.com", Path: "/raw/"}

const usual = "/{package}/{version}/{file}"

func protocol(tb testing.TB, layout string) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := generic.New(ecosystem.Settings{Registry: "raw", Public: public, Layout: layout})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

func target(action model.Action, pkg, version, file string) []model.Target {
	return []model.Target{{Ecosystem: "generic", Registry: "raw", Package: pkg, Version: version, File: file, Action: action}}
}

func TestLayouts(t *testing.T) {
	for _, tc := range []struct {
		layout, path string
		want         []model.Target // nil: not in the layout
	}{
		{usual, "/widget/1.0/widget.tar.gz", target("publish", "widget", "1.0", "widget.tar.gz")},
		{usual, "/Widget/v1.0+linux~1/a@b", target("publish", "Widget", "v1.0+linux~1", "a@b")},
		{usual, "/widget/1.0", nil},
		{usual, "/widget/1.0/", nil},
		{usual, "/widget/1.0/sub/widget.tar.gz", nil},
		{usual, "/widget//widget.tar.gz", nil},
		{usual, "/widget/.hidden/widget.tar.gz", nil},
		{usual, "/widget/1.0/.htaccess", nil},
		{usual, "/widget/1.0/widget%2Egz", nil},
		{usual, "/widget/1.0/widget;x=y", nil},
		{usual, "/widget/1.0/w\u00efdget", nil},
		{usual, "/" + strings.Repeat("w", 201) + "/1.0/x", nil},
		{usual, "", nil},
		{"/pool/{package}/{file}", "/pool/widget/widget_1.0_all.deb", target("publish", "widget", "", "widget_1.0_all.deb")},
		{"/pool/{package}/{file}", "/dists/widget/Release", nil},
		{"/{package}/@v/{version}.zip", "/widget/@v/v1.2.3.zip", target("publish", "widget", "v1.2.3", "v1.2.3.zip")},
		{"/{package}/@v/{version}.zip", "/widget/@v/v1.2.3.mod", nil},
		{"/{package}/@v/{version}.zip", "/widget/@v/.zip", nil},
		{"/{package}/v{version}/{file}", "/widget/v1.0/x", target("publish", "widget", "1.0", "x")},
		{"/{package}/v{version}/{file}", "/widget/1.0/x", nil},
		{"/{package}.tgz", "/widget.tgz", target("publish", "widget", "", "widget.tgz")},
	} {
		op, err := protocol(t, tc.layout).Classify(http.MethodPut, tc.path, nil, nil)
		if tc.want == nil {
			if ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
				t.Errorf("%s takes %q: %+v, %v", tc.layout, tc.path, op, err)
			}
			continue
		}
		want := model.Operation{Kind: model.OperationPublish, Name: "upload", Action: model.ActionPublish, Body: model.BodyStream, Once: true, Opaque: true, Targets: tc.want}
		if diff := cmp.Diff(want, op); diff != "" || err != nil {
			t.Errorf("%s, %s: %v\n%s", tc.layout, tc.path, err, diff)
		}
	}
}

func TestLayoutErrors(t *testing.T) {
	for layout, want := range map[string]string{
		"":                              "needs a layout",
		"{package}/{file}":              "begins with a slash",
		"/{package}/{file}/":            "does not end in one",
		"/{version}/{file}":             "{package} is missing",
		"/{package}/{package}":          "twice",
		"/{package}-{version}.tgz":      "two placeholders",
		"/{package}{package}/{file}":    "another placeholder",
		"/{package}/{name}":             "another placeholder",
		"/{package}//{file}":            "no plain segment",
		"/{package}/../{file}":          "no plain segment",
		"/{package}/a b/{file}":         "no plain segment",
		"/{package}/%2e/{file}":         "no plain segment",
		"/{package}/{file}?x={version}": "two placeholders",
	} {
		_, err := generic.New(ecosystem.Settings{Registry: "raw", Public: public, Layout: layout})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, expected %q", layout, err, want)
		}
	}
	for _, s := range []ecosystem.Settings{{Public: public, Layout: usual}, {Registry: "raw", Layout: usual}, {Registry: "raw", Public: public, Layout: usual, VerifyArchive: true}} {
		if _, err := generic.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestClassify(t *testing.T) {
	const path = "/widget/1.0/widget.tar.gz"
	form := http.Header{"Content-Type": {"Multipart/Form-Data; boundary=x"}}
	for _, tc := range []struct {
		name, method, path string
		query              url.Values
		header             http.Header
		want               model.Operation
		code               model.Code
	}{
		{name: "a read of a file", method: "GET", path: path, want: model.Operation{Kind: "read", Name: "file", Action: "read", Targets: target("read", "widget", "1.0", "widget.tar.gz")}},
		{name: "a read of a folder", method: "HEAD", path: "/widget/", want: model.Operation{Kind: "read", Name: "read", Action: "read"}},
		{name: "a deletion", method: "DELETE", path: path, want: model.Operation{Kind: "manage", Name: "delete", Action: "delete", Targets: target("delete", "widget", "1.0", "widget.tar.gz")}},
		{name: "a deletion of a folder", method: "DELETE", path: "/widget/1.0", code: model.CodeUnsupportedOperation},
		{name: "a post", method: "POST", path: path, want: model.Operation{Kind: "publish", Name: "upload", Action: "publish", Body: model.BodyStream, Once: true, Opaque: true, Targets: target("publish", "widget", "1.0", "widget.tar.gz")}},
		{name: "a post of a form", method: "POST", path: path, header: form, code: model.CodeMalformedUpload},
		{name: "a put of a form", method: "PUT", path: path, header: form, code: model.CodeMalformedUpload},
		{name: "a form in a second line", method: "PUT", path: path, header: http.Header{"Content-Type": {"text/plain", "application/x-www-form-urlencoded"}}, code: model.CodeMalformedUpload},
		{name: "a query", method: "PUT", path: path, query: url.Values{"x": {"y"}}, code: model.CodeMalformedUpload},
		{name: "a folder", method: "MKCOL", path: "/widget", code: model.CodeUnsupportedOperation},
		{name: "a copy", method: "COPY", path: path, code: model.CodeUnsupportedOperation},
		{name: "a move", method: "MOVE", path: path, code: model.CodeUnsupportedOperation},
		{name: "properties", method: "PROPPATCH", path: path, code: model.CodeUnsupportedOperation},
		{name: "a patch", method: "PATCH", path: path, code: model.CodeUnsupportedOperation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			op, err := protocol(t, usual).Classify(tc.method, tc.path, tc.query, tc.header)
			if ecosystemtest.Code(err) != tc.code {
				t.Fatalf("got %v, expected %s", err, tc.code)
			}
			if diff := cmp.Diff(tc.want, op); tc.code == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBody(t *testing.T) {
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for _, tc := range []struct {
		body, declared string
		want           model.Code
	}{{"hello", "", ""}, {"hello", sum, ""}, {"hello", strings.ToUpper(sum), ""}, {"hellO", sum, model.CodeDigestMismatch}, {"hello", "x", model.CodeDigestMismatch}, {"", "", ""}} {
		eco := protocol(t, usual)
		op, err := eco.Classify(http.MethodPut, "/widget/1.0/x", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := eco.Open(op, http.Header{"X-Checksum-Sha256": {tc.declared}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(tc.body) {
			if release, err := s.Scan([]byte(tc.body[i : i+1])); err != nil || release != int64(i) {
				t.Fatalf("after %d bytes %d may leave, %v", i+1, release, err)
			}
		}
		if err := s.Finish(); ecosystemtest.Code(err) != tc.want {
			t.Errorf("%q, %q: %v", tc.body, tc.declared, err)
		}
	}
	if _, err := protocol(t, usual).Open(model.Operation{Name: "delete"}, nil); ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
		t.Errorf("a deletion has a body: %v", err)
	}
}

func TestRender(t *testing.T) {
	for name, d := range map[string]*model.Denial{
		"policy":     model.Deny(model.CodeNoMatchingPolicy).Differ("environment", "staging", "release"),
		"credential": model.Deny(model.CodeExpired),
	} {
		d.Event = "0123456789abcdef0123"
		reply := protocol(t, usual).Render(model.Operation{}, d)
		var b bytes.Buffer
		b.WriteString(http.StatusText(reply.Status) + "\n" + reply.Reason + "\n")
		_ = reply.Header.Write(&b)
		b.WriteString("\n")
		b.Write(reply.Body)
		path := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if diff := cmp.Diff(string(want), b.String()); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// FuzzLayout: what a layout takes, it takes in one way: the placeholders filled in give the path again.
func FuzzLayout(f *testing.F) {
	f.Add(usual, "/widget/1.0/widget.tar.gz")
	f.Add("/{package}/@v/{version}.zip", "/widget/@v/v1.2.3.zip")
	f.Add("/x/y{package}z", "/x/ywidgetz")
	f.Fuzz(func(t *testing.T, layout, path string) {
		eco, err := generic.New(ecosystem.Settings{Registry: "raw", Public: public, Layout: layout})
		if err != nil {
			return
		}
		op, err := eco.Classify(http.MethodPut, path, nil, nil)
		if err != nil {
			return
		}
		named := op.Targets[0]
		filled := strings.NewReplacer("{package}", named.Package, "{version}", named.Version).Replace(layout)
		if before, after, ok := strings.Cut(filled, "{file}"); ok {
			if !strings.HasPrefix(path, before) && !strings.HasPrefix("/"+path, before) || !strings.HasSuffix(path, after) {
				t.Errorf("%q at %q is taken for %+v", layout, path, named)
			}
			return
		}
		if strings.TrimPrefix(path, "/") != strings.TrimPrefix(filled, "/") {
			t.Errorf("%q at %q is taken for %+v", layout, path, named)
		}
	})
}
