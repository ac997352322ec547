package pypi

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

func TestClassifyReads(t *testing.T) {
	file := func(pkg, version, name string) model.Target {
		return model.Target{Package: pkg, Version: version, File: name}
	}
	pkg := func(name string) model.Target { return model.Target{Package: name} }
	tests := []struct {
		method, path, name string
		target             model.Target
	}{
		{"GET", "", opRead, model.Target{}},
		{"GET", "/", opRead, model.Target{}},
		{"GET", "/simple/", opSimple, model.Target{}},
		{"GET", "/simple/Acme_Widget/", opSimple, pkg("acme-widget")},
		{"HEAD", "/+simple/acme-widget", opSimple, pkg("acme-widget")},
		{"GET", "/%2Bsimple/acme-widget/", opSimple, pkg("acme-widget")},
		{"OPTIONS", "/simple/acme-widget/", opSimple, pkg("acme-widget")},
		{"GET", "/simple/-/", opSimple, model.Target{}},
		{"GET", "/simple/a/b/", opSimple, model.Target{}},
		{"GET", "/+f/ab/cdef012/acme_widget-1.0-py3-none-any.whl", opFile, file("acme-widget", "1", "acme_widget-1.0-py3-none-any.whl")},
		{"GET", "/packages/acme_widget-1.0.tar.gz", opFile, file("acme-widget", "1", "acme_widget-1.0.tar.gz")},
		{"GET", "/files/acme_widget-1.0.tar.gz.metadata", opFile, file("acme-widget", "1", "acme_widget-1.0.tar.gz.metadata")},
		{"GET", "/packages/", opFile, model.Target{}},
		{"GET", "/packages/acme-2x-1.0.tar.gz", opFile, model.Target{}},
		{"GET", "/pypi/acme/json", opProject, pkg("acme")},
		{"GET", "/pypi/acme/1.0.0/json", opProject, model.Target{Package: "acme", Version: "1"}},
		{"GET", "/acme-widget", opProject, pkg("acme-widget")},
		{"GET", "/acme-widget/1.0", opProject, model.Target{Package: "acme-widget", Version: "1"}},
		{"GET", "/acme-widget/latest", opRead, model.Target{}},
		{"GET", "/acme-widget/1.0/+d/index.html", opRead, model.Target{}},
		{"GET", "/+api", opRead, model.Target{}},
		{"GET", "/users", opRead, model.Target{}},
		{"GET", "/Token", opRead, model.Target{}},
		{"GET", "/a%2fb", opRead, model.Target{}},
		{"GET", "/a%zz", opRead, model.Target{}},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got, err := index(t, false).Classify(tt.method, tt.path, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := model.Operation{Kind: model.OperationRead, Name: tt.name, Action: model.ActionRead}
			if tt.target.Package != "" {
				tt.target.Ecosystem, tt.target.Registry, tt.target.Action = "pypi", "internal", model.ActionRead
				want.Targets = []model.Target{tt.target}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClassifyUploads(t *testing.T) {
	header := http.Header{"Content-Type": {plainType}}
	for _, path := range []string{"", "/"} {
		for verify, body := range map[bool]model.BodyPlan{false: model.BodyStream, true: model.BodySpool} {
			got, err := index(t, verify).Classify(http.MethodPost, path, nil, header)
			want := model.Operation{Kind: model.OperationPublish, Name: opUpload, Action: model.ActionPublish, Body: body}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("POST %q: %v %s", path, err, diff)
			}
		}
	}
}

func TestClassifyRefuses(t *testing.T) {
	form := http.Header{"Content-Type": {plainType}}
	tests := []struct {
		name, method, path string
		query              url.Values
		header             http.Header
		want               model.Code
	}{
		{"devpi's push", "POST", "", nil, http.Header{"Content-Type": {"application/json"}}, model.CodeUnsupportedOperation},
		{"XML-RPC", "POST", "/", nil, http.Header{"Content-Type": {"text/xml"}}, model.CodeUnsupportedOperation},
		{"an urlencoded form", "POST", "/", nil, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, model.CodeUnsupportedOperation},
		{"no type", "POST", "/", nil, nil, model.CodeUnsupportedOperation},
		{"another path", "POST", "/simple/", nil, form, model.CodeUnsupportedOperation},
		{"a project page", "POST", "/acme", nil, form, model.CodeUnsupportedOperation},
		{"a file", "PUT", "/packages/acme-1.0.tar.gz", nil, form, model.CodeUnsupportedOperation},
		{"an index", "PUT", "", nil, nil, model.CodeUnsupportedOperation},
		{"a deletion", "DELETE", "/acme/1.0", nil, nil, model.CodeUnsupportedOperation},
		{"a patch", "PATCH", "/", nil, nil, model.CodeUnsupportedOperation},
		{"a test result", "POST", "/+f/ab/cdef/acme-1.0.tar.gz", nil, nil, model.CodeUnsupportedOperation},
		{"a made-up method", "PUBLISH", "/", nil, form, model.CodeUnsupportedOperation},
		{"small letters", "get", "/", nil, nil, model.CodeUnsupportedOperation},
		{"an action in the query", "POST", "/", url.Values{":action": {"file_upload"}}, form, model.CodeMalformedUpload},
		{"a name in the query", "POST", "/", url.Values{"name": {"evil"}}, form, model.CodeMalformedUpload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := index(t, false).Classify(tt.method, tt.path, tt.query, tt.header)
			if got := code(t, err); got != tt.want {
				t.Errorf("code is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNewRefusesHalfARegistry(t *testing.T) {
	if _, err := New(ecosystemSettings("", nil)); err == nil {
		t.Error("a registry without name and URL was made")
	}
}
