package rubygems_test

import (
	"crypto/sha256"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/rubygems"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSettings(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "gems.example.com", Path: "/"}
	for _, s := range []ecosystem.Settings{{Public: public}, {Registry: "main"}, {Registry: "main", Public: public, Layout: "/x"}, {Registry: "main", Public: public, VerifyArchive: true}} {
		if _, err := rubygems.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestClassify(t *testing.T) {
	read := func(pkg string) model.Operation {
		return model.Operation{Kind: model.OperationRead, Name: "gem", Action: model.ActionRead, Targets: []model.Target{
			{Ecosystem: "rubygems", Registry: "main", Package: pkg, Action: model.ActionRead, Versionless: true},
		}}
	}
	plain := model.Operation{Kind: model.OperationRead, Name: "read", Action: model.ActionRead}
	yank := model.Operation{Kind: model.OperationManage, Name: "yank", Action: model.ActionYank, Body: model.BodySpool}
	named := model.Operation{
		Kind: model.OperationManage, Name: "yank", Action: model.ActionYank, Query: []string{"gem_name", "version", "platform"},
		Targets: []model.Target{{Ecosystem: "rubygems", Registry: "main", Package: "widget", Version: "1.0", File: "Widget-1.0-java.gem", Action: model.ActionYank}},
	}
	for _, tc := range []struct {
		request string
		want    model.Operation
		code    model.Code
	}{
		{"GET /info/widget", read("widget"), ""},
		{"HEAD /info/Widget", read("widget"), ""},
		{"GET /api/v1/gems/widget.json", read("widget"), ""},
		{"GET /api/v1/versions/widget.yaml", read("widget"), ""},
		{"GET /gems/wid-get-1.0.0-x86_64-linux.gem", read("wid-get"), ""},
		{"GET /quick/Marshal.4.8/widget-1.0.0.gemspec.rz", read("widget"), ""},
		{"GET /gems/widget-1-2.gem", plain, ""},
		{"GET /gems/widget.gem", plain, ""},
		{"GET /info/a%62c", plain, ""},
		{"GET /info/123", plain, ""},
		{"GET /versions", plain, ""},
		{"GET /names", plain, ""},
		{"GET /specs.4.8.gz", plain, ""},
		{"GET /api/v1/dependencies?gems=widget", plain, ""},
		{"POST /api/v1/gems", model.Operation{Kind: model.OperationPublish, Name: "push", Action: model.ActionPublish, Body: model.BodyStream}, ""},
		{"POST /api/v1/oidc/trusted_publisher/exchange_token", model.Operation{Kind: model.OperationExchange, Name: "exchange-token"}, ""},
		{"DELETE /api/v1/gems/yank", yank, ""},
		{"DELETE /api/v1/gems/yank?gem_name=Widget&version=1.0&platform=java", named, ""},
		{"DELETE /api/v1/gems/yank?gem_name=widget", model.Operation{}, model.CodeMalformedUpload},
		{"DELETE /api/v1/gems/yank?gem_name=widget&version=1.0&version=2.0", model.Operation{}, model.CodeDuplicateField},
		{"DELETE /api/v1/gems/yank?gem_name=widget&version=1.0&rubygem=x", model.Operation{}, model.CodeMalformedUpload},
		{"POST /api/v1/gems?overwrite=true", model.Operation{}, model.CodeMalformedUpload},
		{"POST /api/v1/gems/", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /api/v1/gems/widget/owners", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /api/v1/gems/widget/owners", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /api/v1/gems/unyank", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /api/v1/api_key", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /api/v1/oidc/api_key_roles/x/assume_role", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /upload", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /gems/widget-1.0.gem", model.Operation{}, model.CodeUnsupportedOperation},
		{"PATCH ", model.Operation{}, model.CodeUnsupportedOperation},
	} {
		ecosystemtest.Classifies(t, protocol(t), tc.request, nil, tc.want, tc.code)
	}
}

func target(version, file string) model.Target {
	return model.Target{Ecosystem: "rubygems", Registry: "main", Package: "widget", Version: version, File: file, Action: model.ActionPublish}
}

func TestPush(t *testing.T) {
	built, err := os.ReadFile(filepath.Join("testdata", "widget-1.0.rc1.gem"))
	if err != nil {
		t.Fatal(err)
	}
	meta, data := zipped(metadata), zipped("data")
	for name, tc := range map[string]struct {
		header http.Header
		gem    []byte
		form   string // the file's name in a form
		want   model.Target
	}{
		"built by gem": {gem: built, want: target("1.0.rc1", "widget-1.0.rc1.gem")},
		"with attestations": {
			gem: built, form: "pkg/widget-1.0.rc1.gem", want: target("1.0.rc1", "widget-1.0.rc1.gem"),
		},
		"plain":             {gem: gemOf(metadata), want: target("1.0.0", "widget-1.0.0.gem")},
		"a platform":        {gem: gemOf(strings.Replace(metadata, ": ruby", ": x86_64-linux", 1)), want: target("1.0.0", "widget-1.0.0-x86_64-linux.gem")},
		"capitals":          {gem: gemOf(strings.Replace(metadata, ": widget", ": Widget", 1)), want: target("1.0.0", "Widget-1.0.0.gem")},
		"quoted":            {gem: gemOf(strings.Replace(metadata, ": 1.0.0", ": '1.0'", 1)), want: target("1.0", "widget-1.0.gem")},
		"without checksums": {gem: tarOf(entry{"metadata.gz", meta}, entry{"data.tar.gz", data}), want: target("1.0.0", "widget-1.0.0.gem")},
		"checksums with a SHA1": {
			gem:  tarOf(entry{"metadata.gz", meta}, entry{"data.tar.gz", data}, entry{"checksums.yaml.gz", zipped(strings.Replace(checksums(meta, data), "SHA512", "SHA1", 1))}),
			want: target("1.0.0", "widget-1.0.0.gem"),
		},
		"metadata after data":    {gem: tarOf(entry{"data.tar.gz", data}, entry{"metadata.gz", meta}), want: target("1.0.0", "widget-1.0.0.gem")},
		"signed":                 {gem: tarOf(entry{"metadata.gz", meta}, entry{"metadata.gz.sig", "s"}, entry{"data.tar.gz", data}, entry{"data.tar.gz.sig", ""}), want: target("1.0.0", "widget-1.0.0.gem")},
		"filled up as tar does":  {gem: append(gemOf(metadata), make([]byte, 8<<10)...), want: target("1.0.0", "widget-1.0.0.gem")},
		"another platform there": {gem: gemOf(strings.Replace(metadata, ": ruby", ": x86-mswin32", 1)), form: "widget-1.0.0-x86-mswin32-60.gem", want: target("1.0.0", "widget-1.0.0-x86-mswin32.gem")},
	} {
		t.Run(name, func(t *testing.T) {
			body, header := tc.gem, rawType
			if tc.form != "" {
				body, header = formOf(tc.form, tc.gem), formType
			}
			want := verdict{Target: tc.want, Artifact: model.Artifact{File: tc.want.File, Size: int64(len(tc.gem)), SHA256: sha256.Sum256(tc.gem)}}
			for _, size := range []int{1, 7, 512, len(body)} {
				got, err := judge(t, pushOp, header, body, size)
				if err != nil {
					t.Fatal(err)
				}
				if size == 1 && got.Release >= int64(len(tc.gem))-1024 {
					t.Errorf("%d of %d bytes leave before the end", got.Release, len(tc.gem))
				}
				got.Named, got.Release = 0, 0
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// TestPushIsNamedEarly holds a push to what its use is: a gem that will be refused is refused after its metadata.
func TestPushIsNamedEarly(t *testing.T) {
	gem := gemOf(metadata)
	v, err := judge(t, pushOp, rawType, gem, 64)
	if err != nil || v.Named > 1024 {
		t.Errorf("named after %d bytes, %v", v.Named, err)
	}
}

func TestYank(t *testing.T) {
	op := model.Operation{Name: "yank"}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for body, want := range map[string]struct {
		file string
		code model.Code
	}{
		"gem_name=widget&version=1.0.rc1&platform=java": {"widget-1.0.rc1-java.gem", ""},
		"gem_name=widget&version=1.0.rc1":               {"widget-1.0.rc1.gem", ""},
		"gem_name=wid%67et&version=1.0.rc1":             {"widget-1.0.rc1.gem", ""},
		"gem_name=widget":                               {"", model.CodeMalformedUpload},
		"version=1.0":                                   {"", model.CodeMalformedUpload},
		"gem_name=widget&version=1.0&version=2.0":       {"", model.CodeDuplicateField},
		"gem_name=widget&version=1.0&slug=other":        {"", model.CodeMalformedUpload},
		"gem_name=widget;version=1.0":                   {"", model.CodeMalformedUpload},
		"gem_name=wid+get&version=1.0":                  {"", model.CodeMalformedUpload},
		"gem_name=%zz&version=1.0":                      {"", model.CodeMalformedUpload},
		"gem_name=widget&version=1.0&platform=../x":     {"", model.CodeMalformedUpload},
		"":                              {"", model.CodeMalformedUpload},
		strings.Repeat("gem_name", 300): {"", model.CodeTooLarge},
	} {
		got, err := judge(t, op, header, []byte(body), 9)
		if ecosystemtest.Code(err) != want.code || got.Target.File != want.file || got.Release != 0 {
			t.Errorf("%.60q: got %+v, %v", body, got, err)
		}
	}
	if _, err := protocol(t).Open(op, rawType); ecosystemtest.Code(err) != model.CodeMalformedUpload {
		t.Errorf("another type: %v", err)
	}
}

func TestExchange(t *testing.T) {
	eco := protocol(t)
	exchanger, ok := eco.(ecosystem.Exchanger)
	if !ok {
		t.Fatal("no exchanger")
	}
	for body, want := range map[string]struct {
		token string
		code  model.Code
	}{
		`{"jwt":"a.b.c"}`:               {"a.b.c", ""},
		`{"jwt":"a.b.c","x":1}`:         {"a.b.c", ""},
		`{"jwt":"a.b.c","jwt":"d.e.f"}`: {"", model.CodeBadRequest},
		`{"jwt":""}`:                    {"", model.CodeBadRequest},
		`{"jwt":"a b"}`:                 {"", model.CodeBadRequest},
		`{"token":"a.b.c"}`:             {"", model.CodeBadRequest},
		`jwt=a.b.c`:                     {"", model.CodeBadRequest},
		`{"jwt":"` + strings.Repeat("a", 33<<10) + `"}`: {"", model.CodeBadRequest},
	} {
		ex, err := exchanger.ParseExchange(model.Operation{}, nil, []byte(body))
		if ex.Token != want.token || ecosystemtest.Code(err) != want.code {
			t.Errorf("%.60q: got %+v, %v", body, ex, err)
		}
	}
	path := eco.RootPaths()[0]
	if op, err := exchanger.ClassifyRoot("POST", path, nil, nil); err != nil || op.Kind != model.OperationExchange {
		t.Errorf("got %+v, %v", op, err)
	}
	if _, err := exchanger.ClassifyRoot("GET", path, nil, nil); ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
		t.Errorf("GET: %v", err)
	}
	if _, err := exchanger.Discover(model.Operation{}, nil, nil); ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
		t.Errorf("discovery: %v", err)
	}
	ecosystemtest.Golden(t, *update, "minted", exchanger.Minted(model.Operation{}, "tpub_x", time.Unix(1700000000, 0)))
	ecosystemtest.Golden(t, *update, "revoked", exchanger.Revoked(model.Operation{}))
}

func TestRender(t *testing.T) {
	denial := model.Deny(model.CodeNoMatchingPolicy).Differ("package", "widget", "gadget")
	denial.Event = "e1"
	ecosystemtest.Golden(t, *update, "denied_push", protocol(t).Render(model.Operation{Kind: model.OperationPublish, Name: "push"}, denial))
	ecosystemtest.Golden(t, *update, "denied_exchange", protocol(t).Render(model.Operation{Kind: model.OperationExchange}, denial))
	ecosystemtest.Golden(t, *update, "denied_credential", protocol(t).Render(model.Operation{}, model.Deny(model.CodeNoCredential)))
}
