package hex_test

import (
	"crypto/sha256"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/hex"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSettings(t *testing.T) {
	public := settings.Public
	for _, s := range []ecosystem.Settings{{Public: public}, {Registry: "main"}, {Registry: "main", Public: public, Layout: "/x"}, {Registry: "main", Public: public, VerifyArchive: true}} {
		if _, err := hex.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestClassify(t *testing.T) {
	of := func(pkg string, action model.Action) model.Target {
		return model.Target{Ecosystem: "hex", Registry: "main", Package: pkg, Action: action, Versionless: true}
	}
	read := func(pkg string) model.Operation {
		return model.Operation{Kind: model.OperationRead, Name: "package", Action: model.ActionRead, Targets: []model.Target{of(pkg, model.ActionRead)}}
	}
	plain := model.Operation{Kind: model.OperationRead, Name: "read", Action: model.ActionRead}
	publish := func(action model.Action, scope string, targets ...model.Target) model.Operation {
		return model.Operation{
			Kind: model.OperationPublish, Name: "publish", Action: action, Body: model.BodyStream, Query: []string{"replace"}, Scope: scope, Targets: targets,
		}
	}
	manage := func(name string, action model.Action, pkg, file string) model.Operation {
		return model.Operation{Kind: model.OperationManage, Name: name, Action: action, Targets: []model.Target{
			{Ecosystem: "hex", Registry: "main", Package: pkg, Version: "1.0.0", File: file, Action: action},
		}}
	}
	retire := manage("retire", model.ActionYank, "widget", "widget-1.0.0.tar")
	retire.Body = model.BodySpool
	docs := model.Operation{
		Kind: model.OperationPublish, Name: "docs", Action: model.ActionPublish, Body: model.BodyStream, Once: true, Moved: true, Opaque: true, Encoding: "x-gzip",
		Targets: []model.Target{{Ecosystem: "hex", Registry: "main", Package: "acme/widget", Version: "1.0.0", File: "widget-1.0.0-docs.tar.gz", Action: model.ActionPublish}},
	}
	const unknown, bad = model.CodeUnsupportedOperation, model.CodeMalformedUpload
	for _, tc := range []struct {
		request string
		want    model.Operation
		code    model.Code
	}{
		{"GET /packages/widget", read("widget"), ""},
		{"GET /api/packages/widget", read("widget"), ""},
		{"GET /api/packages/widget/releases/1.0.0", read("widget"), ""},
		{"HEAD /repo/packages/widget", read("widget"), ""},
		{"GET /repos/acme/packages/widget", read("acme/widget"), ""},
		{"GET /repos/hexpm/packages/widget", read("widget"), ""},
		{"GET /tarballs/widget-1.0.0.tar", read("widget"), ""},
		{"GET /repos/acme/tarballs/widget-1.0.0-rc.1.tar", read("acme/widget"), ""},
		{"GET /docs/widget-1.0.0.tar.gz", read("widget"), ""},
		{"GET /tarballs/widget-x.tar", plain, ""},
		{"GET /packages/Widget", plain, ""},
		{"GET /names", plain, ""},
		{"GET /versions", plain, ""},
		{"GET /installs/hex-1.x.csv", plain, ""},
		{"GET /api/users/me", plain, ""},
		{"GET /api/packages?search=x", plain, ""},

		{"POST /api/publish?replace=false", publish(model.ActionPublish, ""), ""},
		{"POST /publish?replace=false", publish(model.ActionPublish, ""), ""},
		{"POST /api/repos/acme/publish?replace=false", publish(model.ActionPublish, "acme"), ""},
		{"POST /api/publish", publish(model.ActionOverwrite, ""), ""},
		{"POST /api/publish?replace=true", publish(model.ActionOverwrite, ""), ""},
		{"POST /api/packages/widget/releases?replace=false", publish(model.ActionPublish, "", of("widget", model.ActionPublish)), ""},
		{"POST /api/repos/acme/packages/widget/releases", publish(model.ActionOverwrite, "acme", of("acme/widget", model.ActionOverwrite)), ""},
		{"POST /api/publish?replace=FALSE", model.Operation{}, bad},
		{"POST /api/publish?replace=", model.Operation{}, bad},
		{"POST /api/publish?replace=false&replace=true", model.Operation{}, bad},
		{"POST /api/publish?repository=acme", model.Operation{}, bad},
		{"POST /api/publish?replace=false&repository=acme", model.Operation{}, bad},
		{"POST /api/publish?replace=false&name=other", model.Operation{}, bad},
		{"POST /api/packages/Widget/releases?replace=false", model.Operation{}, bad},
		{"POST /api/repos/Acme/packages/widget/releases?replace=false", model.Operation{}, bad},

		{"POST /api/repos/acme/packages/widget/releases/1.0.0/docs", docs, ""},
		{"DELETE /api/packages/widget/releases/1.0.0/docs", manage("revert-docs", model.ActionDelete, "widget", "widget-1.0.0-docs.tar.gz"), ""},
		{"DELETE /api/packages/widget/releases/1.0.0", manage("revert", model.ActionDelete, "widget", "widget-1.0.0.tar"), ""},
		{"POST /packages/widget/releases/1.0.0/retire", retire, ""},
		{"DELETE /api/repos/acme/packages/widget/releases/1.0.0/retire", manage("unretire", model.ActionYank, "acme/widget", "widget-1.0.0.tar"), ""},
		{"DELETE /api/packages/widget/releases/1.0.0?repository=acme", model.Operation{}, bad},
		{"POST /api/packages/widget/releases/1.0.0/retire?_method=DELETE", model.Operation{}, bad},
		{"DELETE /api/packages/widget/releases/1.0", model.Operation{}, bad},

		{"POST /api/packages/widget/retire", model.Operation{}, unknown},
		{"DELETE /api/packages/widget", model.Operation{}, unknown},
		{"DELETE /api/packages/widget/releases", model.Operation{}, unknown},
		{"POST /api/packages/widget/releases/1.0.0", model.Operation{}, unknown},
		{"PUT /api/packages/widget/owners/mallory", model.Operation{}, unknown},
		{"DELETE /api/packages/widget/owners/alice", model.Operation{}, unknown},
		{"POST /api/keys", model.Operation{}, unknown},
		{"DELETE /api/keys", model.Operation{}, unknown},
		{"POST /api/users", model.Operation{}, unknown},
		{"POST /api/oauth/token", model.Operation{}, unknown},
		{"POST /api/orgs/acme/members", model.Operation{}, unknown},
		{"POST /api/short_url", model.Operation{}, unknown},
		{"POST /api/publish/", model.Operation{}, unknown},
		{"POST /api/api/publish", model.Operation{}, unknown},
		{"POST /api/repos/a/b/publish", model.Operation{}, unknown},
		{"POST /api/repos/acme/repos/other/publish", model.Operation{}, unknown},
		{"PUT /api/publish", model.Operation{}, unknown},
		{"PATCH ", model.Operation{}, unknown},
	} {
		ecosystemtest.Classifies(t, protocol(t), tc.request, nil, tc.want, tc.code)
	}
}

func TestPublish(t *testing.T) {
	built, err := os.ReadFile(filepath.Join("testdata", "acme_widget-1.0.0.tar"))
	if err != nil {
		t.Fatal(err)
	}
	const plain = "POST /api/publish?replace=false"
	for name, tc := range map[string]struct {
		release      []byte
		request, pkg string
		header       http.Header
	}{
		"built by hex_core":    {built, plain, "acme_widget", bytesType},
		"in the order of Hex":  {releaseOf(terms), plain, "acme_widget", bytesType},
		"as Gleam writes it":   {gleamOf(terms), plain, "acme_widget", http.Header{"Content-Type": {"application/json", "application/x-tar"}}},
		"of a tar":             {releaseOf(terms), plain, "acme_widget", http.Header{"Content-Type": {"application/x-tar"}}},
		"of an organisation":   {built, "POST /api/repos/acme/publish?replace=false", "acme/acme_widget", bytesType},
		"named by the URL":     {built, "POST /api/packages/acme_widget/releases?replace=false", "acme_widget", bytesType},
		"both":                 {built, "POST /api/repos/acme/packages/acme_widget/releases?replace=false", "acme/acme_widget", bytesType},
		"bytes and old values": {releaseOf(terms + "{<<\"extra\">>,\n [{<<\"x\">>, <<195,169>>}, {<<\"y\">>, -12}, nil, <<>>, {}, <<\"\">>, <<\"\\\"\\x{e9}\\n\">>]}."), plain, "acme_widget", bytesType},
	} {
		t.Run(name, func(t *testing.T) {
			want := verdict{Target: target("acme_widget-1.0.0.tar", model.ActionPublish), Artifact: model.Artifact{File: "acme_widget-1.0.0.tar", Size: int64(len(tc.release)), SHA256: sha256.Sum256(tc.release)}}
			want.Target.Package = tc.pkg
			for _, size := range []int{1, 7, 512, len(tc.release)} {
				got, err := judge(t, publishOp(t, tc.request), tc.header, tc.release, size)
				if err != nil {
					t.Fatal(err)
				}
				if got.Release >= int64(len(tc.release))-1024-heldContents {
					t.Errorf("%d of %d bytes leave before the end", got.Release, len(tc.release))
				}
				got.Release = 0
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// heldContents is what stays behind of a release's contents.
const heldContents = 64

func TestDocs(t *testing.T) {
	op := publishOp(t, "POST /api/packages/acme_widget/releases/1.0.0/docs")
	body := []byte(zipped("docs"))
	got, err := judge(t, op, bytesType, body, 3)
	want := verdict{
		Target:   target("acme_widget-1.0.0-docs.tar.gz", model.ActionPublish),
		Artifact: model.Artifact{File: "acme_widget-1.0.0-docs.tar.gz", Size: int64(len(body)), SHA256: sha256.Sum256(body)}, Release: int64(len(body)) - 1,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for body, code := range map[string]model.Code{
		"": model.CodeTruncated, "\x1f": model.CodeTruncated, "repository=other": model.CodeMalformedUpload, `{"repository":"other"}`: model.CodeMalformedUpload,
	} {
		if _, err := judge(t, op, bytesType, []byte(body), 1); ecosystemtest.Code(err) != code {
			t.Errorf("%q: got %v, expected %s", body, err, code)
		}
	}
}

func TestRetire(t *testing.T) {
	op := publishOp(t, "POST /api/packages/acme_widget/releases/1.0.0/retire")
	pair := func(key, value string) string {
		return "m\x00\x00\x00" + string(rune(len(key))) + key + "m\x00\x00\x00" + string(rune(len(value))) + value
	}
	const two, one, none = "\x83t\x00\x00\x00\x02", "\x83t\x00\x00\x00\x01", "\x83t\x00\x00\x00\x00"
	for _, tc := range []struct {
		media, body string
		code        model.Code
	}{
		{"application/json", `{"reason":"security","message":"use 1.0.1"}`, ""},
		{"application/json", `{"reason":"security","message":null}`, ""},
		{"application/vnd.hex+json", `{"reason":"other"}`, ""},
		{"application/vnd.hex+erlang", two + pair("message", "x") + pair("reason", "security"), ""},
		{"application/vnd.hex+erlang", two + pair("message", "x") + "m\x00\x00\x00\x06reasonw\x03nil", ""},
		{"application/vnd.hex+erlang", none, ""},
		{"application/json", `{"reason":"other","repository":"acme"}`, model.CodeMalformedUpload},
		{"application/json", `{"reason":"other","_method":"DELETE"}`, model.CodeMalformedUpload},
		{"application/json", `{"reason":"other","reason":"x"}`, model.CodeMalformedUpload},
		{"application/json", `{"Reason":"other"}`, model.CodeMalformedUpload},
		{"application/json", `{"reason":{"x":1}}`, model.CodeMalformedUpload},
		{"application/json", ``, model.CodeMalformedUpload},
		{"application/json", `{"message":"` + strings.Repeat("x", 9000) + `"}`, model.CodeTooLarge},
		{"application/x-www-form-urlencoded", "reason=x&repository=acme", model.CodeMalformedUpload},
		{"application/json; charset=utf-8", `{}`, model.CodeMalformedUpload},
		{"", `{}`, model.CodeMalformedUpload},
		{"application/vnd.hex+elixir", `%{}`, model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", one + pair("repository", "acme"), model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", two + pair("reason", "x") + pair("reason", "y"), model.CodeDuplicateField},
		{"application/vnd.hex+erlang", one + pair("reason", "x") + pair("repository", "y"), model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", two + pair("reason", "x"), model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", one + "m\x00\x00\x00\x06reasona\x01", model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", one + "m\xff\xff\xff\xffreason", model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", one + "w\x06reason" + "m\x00\x00\x00\x01x", model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", "\x83P\x00\x00\x00\x05x", model.CodeMalformedUpload},
		{"application/vnd.hex+erlang", "\x83", model.CodeMalformedUpload},
	} {
		got, err := judge(t, op, http.Header{"Content-Type": {tc.media}}, []byte(tc.body), 5)
		if ecosystemtest.Code(err) != tc.code || got.Release != 0 || err == nil && got.Target != target("acme_widget-1.0.0.tar", model.ActionYank) {
			t.Errorf("%s %.60q: got %+v, %v, expected %q", tc.media, tc.body, got, err, tc.code)
		}
	}
}

func TestRender(t *testing.T) {
	denial := model.Deny(model.CodeNoMatchingPolicy).Differ("package", "widget", "gadget")
	denial.Event = "e1"
	publish := model.Operation{Kind: model.OperationPublish, Name: "publish"}
	erlang := publish
	erlang.Dialect = "erlang"
	ecosystemtest.Golden(t, *update, "denied_publish", protocol(t).Render(publish, denial))
	ecosystemtest.Golden(t, *update, "denied_publish_erlang", protocol(t).Render(erlang, denial))
	ecosystemtest.Golden(t, *update, "denied_credential", protocol(t).Render(erlang, model.Deny(model.CodeNoCredential)))
	ecosystemtest.Golden(t, *update, "denied_read", protocol(t).Render(model.Operation{Kind: model.OperationRead}, denial))
	ecosystemtest.Golden(t, *update, "unavailable", protocol(t).Render(publish, model.Deny(model.CodeStoreUnavailable)))
}

// TestStatusesThatClientsKnow: rebar3 takes every other status for a success, so a denial has none.
func TestStatusesThatClientsKnow(t *testing.T) {
	for _, code := range model.Codes() {
		for _, op := range []model.Operation{{}, {Kind: model.OperationPublish}, {Kind: model.OperationManage}} {
			switch status := protocol(t).Render(op, model.Deny(code)).Status; status {
			case http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusInternalServerError:
			default:
				t.Errorf("%s: %d", code, status)
			}
		}
	}
}

// TestDialect: the answer comes in the form that the client asked for, also where the request is refused at once.
func TestDialect(t *testing.T) {
	for accept, want := range map[string]string{"application/vnd.hex+erlang": "erlang", "application/json": "", "": ""} {
		for _, request := range []string{"POST /api/publish?replace=false", "POST /api/keys"} {
			op, _ := ecosystemtest.Classify(t, protocol(t), request, http.Header{"Accept": {accept}})
			if op.Dialect != want {
				t.Errorf("%s with %q: got %q", request, accept, op.Dialect)
			}
		}
	}
}
