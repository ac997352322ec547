package nuget_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"hash/crc32"
	"io"
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
	"github.com/trustpub/trustpub/internal/ecosystem/nuget"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

var update = flag.Bool("update", false, "write the golden files")

func crc(s string) uint32 { return crc32.ChecksumIEEE([]byte(s)) }

func TestSettings(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "nuget.example.com", Path: "/"}
	for _, s := range []ecosystem.Settings{{Public: public}, {Registry: "main"}, {Registry: "main", Public: public, Layout: "/x"}, {Registry: "main", Public: public, VerifyArchive: true}} {
		if _, err := nuget.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestClassify(t *testing.T) {
	headers := []string{"X-Nuget-Client-Version", "X-Nuget-Protocol-Version", "X-Nuget-Session-Id"}
	push := model.Operation{Kind: model.OperationPublish, Name: "push", Action: model.ActionPublish, Body: model.BodySpool, Headers: headers}
	symbols := push
	symbols.Name = "push-symbols"
	manage := func(name string) model.Operation {
		return model.Operation{Kind: model.OperationManage, Name: name, Action: model.ActionDelete, Headers: headers, Targets: []model.Target{{
			Ecosystem: "nuget", Registry: "main", Package: "acme.widget", Version: "1.0.0-beta", File: "acme.widget.1.0.0-beta.nupkg", Action: model.ActionDelete,
		}}}
	}
	plain := model.Operation{Kind: model.OperationRead, Name: "read", Action: model.ActionRead}
	named := model.Operation{Kind: model.OperationRead, Name: "package", Action: model.ActionRead, Targets: []model.Target{
		{Ecosystem: "nuget", Registry: "main", Package: "acme.widget", Action: model.ActionRead, Versionless: true},
	}}
	for _, tc := range []struct {
		request string
		want    model.Operation
		code    model.Code
	}{
		{"PUT ", push, ""},
		{"PUT /", push, ""},
		{"PUT /api/v2/package", push, ""},
		{"PUT /api/v2/package/", push, ""},
		{"PUT /symbolpackage", symbols, ""},
		{"PUT /api/v2/symbolpackage/", symbols, ""},
		{"DELETE /Acme.Widget/1.0.0-Beta", manage("delete"), ""},
		{"DELETE /api/v2/package/Acme.Widget/1.0-beta", manage("delete"), ""},
		{"POST /api/v2/package/Acme.Widget/1.0.0-beta", manage("relist"), ""},
		{"POST /api/v2/token", model.Operation{Kind: model.OperationExchange, Name: "token"}, ""},
		{"GET /index.json", plain, ""},
		{"HEAD /v3/flatcontainer/Acme.Widget/index.json", named, ""},
		{"GET /package/acme.widget/index.json", named, ""},
		{"GET /registration/acme.widget/index.json", named, ""},
		{"GET /registration5-gz-semver2/acme.widget/1.0.0.json", named, ""},
		{"GET /Packages()?$filter=x", plain, ""},
		{"GET /query?q=x", plain, ""},
		{"PUT /api/v2/package?overwrite=true", model.Operation{}, model.CodeMalformedUpload},
		{"PUT /index.json", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /index.json/", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /Acme.Widget", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /Acme.Widget/1.0/x", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /Acme.Widget/latest", model.Operation{}, model.CodeMalformedUpload},
		{"DELETE /Acme..Widget/1.0", model.Operation{}, model.CodeMalformedUpload},
		{"DELETE /Acme.Widget/1.0?hard=true", model.Operation{}, model.CodeMalformedUpload},
		{"POST /api/v2/package", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /api/v2/package/create-verification-key/x/1.0", model.Operation{}, model.CodeUnsupportedOperation},
		{"PATCH /x/1.0", model.Operation{}, model.CodeUnsupportedOperation},
	} {
		ecosystemtest.Classifies(t, protocol(t), tc.request, nil, tc.want, tc.code)
	}
}

func TestPush(t *testing.T) {
	built, err := os.ReadFile(filepath.Join("testdata", "Acme.Widget.1.0.0-Beta.nupkg"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		op, part string
		pkg      []byte
		file     string
	}{
		"packed by nuget, sent by dotnet": {"push", dotnetPart, built, "acme.widget.1.0.0-beta.nupkg"},
		"sent by a newer dotnet":          {"push", newerPart, packageOf(nuspec), "acme.widget.1.0.0-beta.nupkg"},
		"sent by curl":                    {"push", curlPart, packageOf(nuspec), "acme.widget.1.0.0-beta.nupkg"},
		"sent by nuget":                   {"push", monoPart, built, "acme.widget.1.0.0-beta.nupkg"},
		"symbols":                         {"push-symbols", dotnetPart, packageOf(nuspec), "acme.widget.1.0.0-beta.snupkg"},
		"a byte order mark":               {"push", dotnetPart, packageOf("\ufeff" + nuspec), "acme.widget.1.0.0-beta.nupkg"},
		"sizes after the data":            {"push", dotnetPart, zipOf(true, entry{"Acme.Widget.nuspec", nuspec}), "acme.widget.1.0.0-beta.nupkg"},
		"a nuspec inside":                 {"push", dotnetPart, zipOf(false, entry{"Acme.Widget.nuspec", nuspec}, entry{"content/x.nuspec", "x"}, entry{"a/", ""}), "acme.widget.1.0.0-beta.nupkg"},
	} {
		want := model.Target{Ecosystem: "nuget", Registry: "main", Package: "acme.widget", Version: "1.0.0-beta", File: tc.file, Action: model.ActionPublish}
		target, artifact, err := judge(t, tc.op, formOf(tc.part, tc.pkg))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, target); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(model.Artifact{File: tc.file, Size: int64(len(tc.pkg)), SHA256: sha256.Sum256(tc.pkg)}, artifact); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestBareEnd: the form of NuGet 2.8.7 is forwarded with the end that all parsers know, and every other form as it came.
func TestBareEnd(t *testing.T) {
	for _, payload := range []string{"data", strings.Repeat("data", 100_000)} { // in memory, and on disk
		bareEnd(t, zipOf(false, entry{"Acme.Widget.nuspec", nuspec}, entry{"lib/a.dll", payload}))
	}
}

func bareEnd(t *testing.T, pkg []byte) {
	t.Helper()
	good := formOf(monoPart, pkg)
	end := []byte("\r\n--" + boundary + "--\r\n")
	for name, body := range map[string][]byte{
		"NuGet 2.8.7":  bytes.Replace(good, end, []byte("\n--"+boundary+"--"), 1),
		"all others":   good,
		"no last line": bytes.TrimSuffix(bytes.Clone(good), []byte("\r\n")),
	} {
		s, err := protocol(t).Open(model.Operation{Name: "push"}, formType)
		if err != nil {
			t.Fatal(err)
		}
		spooled, target, err := upload.Spool(bytes.NewReader(body), s, t.TempDir(), 1<<20, func(model.Target) error { return nil })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := body
		if name == "NuGet 2.8.7" {
			want = good
		}
		got, err := io.ReadAll(spooled.Body())
		if err != nil || !bytes.Equal(got, want) || spooled.Size() != int64(len(want)) {
			t.Errorf("%s: %d bytes are forwarded as %d: %v\n%q", name, len(body), len(got), err, got[max(0, len(got)-60):])
		}
		if a := s.Artifact(); a.Size != int64(len(pkg)) || a.SHA256 != sha256.Sum256(pkg) || target.Package != "acme.widget" {
			t.Errorf("%s: %+v of %+v", name, a, target)
		}
		if err := spooled.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestExchange(t *testing.T) {
	eco := protocol(t)
	exchanger, ok := eco.(ecosystem.Exchanger)
	if !ok {
		t.Fatal("no exchanger")
	}
	const body = `{"username":"acme","tokenType":"ApiKey"}`
	for _, tc := range []struct {
		auth  []string
		body  string
		token string
		code  model.Code
	}{
		{[]string{"Bearer a.b.c"}, body, "a.b.c", ""},
		{[]string{"bearer a.b.c"}, body, "a.b.c", ""},
		{nil, body, "", model.CodeNoCredential},
		{[]string{"Bearer a.b.c", "Bearer d.e.f"}, body, "", model.CodeBadRequest},
		{[]string{"Basic a"}, body, "", model.CodeBadRequest},
		{[]string{"a.b.c"}, body, "", model.CodeBadRequest},
		{[]string{"Bearer a.b.c"}, `{"username":"acme"}`, "", model.CodeBadRequest},
		{[]string{"Bearer a.b.c"}, `{"tokenType":"ApiKey","tokenType":"ApiKey"}`, "", model.CodeBadRequest},
		{[]string{"Bearer a.b.c"}, "", "", model.CodeBadRequest},
	} {
		ex, err := exchanger.ParseExchange(model.Operation{}, http.Header{"Authorization": tc.auth}, []byte(tc.body))
		if ex.Token != tc.token || ecosystemtest.Code(err) != tc.code {
			t.Errorf("%v %s: got %+v, %v", tc.auth, tc.body, ex, err)
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
	ecosystemtest.Golden(t, *update, "denied_exchange", protocol(t).Render(model.Operation{Kind: model.OperationExchange}, model.Deny(model.CodeNoCredential)))
	ecosystemtest.Golden(t, *update, "denied_key", protocol(t).Render(model.Operation{Kind: model.OperationPublish, Name: "push"}, model.Deny(model.CodeExpired)))
	ecosystemtest.Golden(t, *update, "denied_credential", protocol(t).Render(model.Operation{}, model.Deny(model.CodeNoCredential)))
}
