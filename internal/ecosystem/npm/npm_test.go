package npm_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := npm.New(ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "npm.example.com", Path: "/"}})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

func TestSettings(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "npm.example.com", Path: "/"}
	for _, s := range []ecosystem.Settings{{Public: public}, {Registry: "main"}, {Registry: "main", Public: public, Layout: "/x"}} {
		if _, err := npm.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestClassify(t *testing.T) {
	const widget = "@acme/widget"
	at := func(action model.Action, pkg string) model.Target {
		return model.Target{Ecosystem: "npm", Registry: "main", Package: pkg, Action: action, Versionless: true}
	}
	read := func(pkg string) model.Operation {
		return model.Operation{Kind: model.OperationRead, Name: "package", Action: model.ActionRead, Targets: []model.Target{at(model.ActionRead, pkg)}}
	}
	plain := model.Operation{Kind: model.OperationRead, Name: "read", Action: model.ActionRead}
	exchange := model.Operation{Kind: model.OperationExchange, Name: "token-exchange", Targets: []model.Target{{Ecosystem: "npm", Package: widget}}}
	document := func(kind model.OperationKind, name string, actions ...model.Action) model.Operation {
		op := model.Operation{Kind: kind, Name: name, Action: actions[0], Body: model.BodyStream, Headers: []string{"Npm-Command"}}
		for _, a := range actions {
			op.Targets = append(op.Targets, at(a, widget))
		}
		return op
	}
	remove := model.Operation{Kind: model.OperationManage, Name: "unpublish", Action: model.ActionDelete, Targets: []model.Target{at(model.ActionDelete, widget)}}
	file := remove
	file.Targets = []model.Target{{Ecosystem: "npm", Registry: "main", Package: widget, Version: "1.0.0", File: "widget-1.0.0.tgz", Action: model.ActionDelete}}
	tagged := at(model.ActionTag, widget)
	tagged.File = "dist-tags/next"
	for _, tc := range []struct {
		method, path, command string
		want                  model.Operation
		code                  model.Code
	}{
		{"GET", "/@acme%2fwidget", "", read(widget), ""},
		{"GET", "/@acme%2Fwidget", "", read(widget), ""},
		{"HEAD", "/@acme/widget", "", read(widget), ""},
		{"GET", "/widget/-/widget-1.0.0.tgz", "", read("widget"), ""},
		{"GET", "/@acme/widget/-/widget-1.0.0.tgz", "", read(widget), ""},
		{"GET", "/%40acme%2Fwidget/-/1.0.0/widget-1.0.0.tgz", "", read(widget), ""}, // as Gitea names its files
		{"GET", "/x/%40acme%2Fwidget", "", read("x"), ""},
		{"GET", "/-/package/@acme%2fwidget/dist-tags", "", read(widget), ""},
		{"GET", "/-/whoami", "", plain, ""},
		{"GET", "/-/ping", "", plain, ""},
		{"GET", "/JSONStream", "", plain, ""},
		{"GET", "/-/package/@acme%2fwidget/visibility", "", model.Operation{Kind: model.OperationDiscover, Name: "visibility"}, ""},
		{"POST", "/-/npm/v1/security/advisories/bulk", "", model.Operation{Kind: model.OperationRead, Name: "audit", Action: model.ActionRead}, ""},
		{"POST", "/-/npm/v1/oidc/token/exchange/package/@acme%2fwidget", "", exchange, ""},
		{"POST", "/-/npm/v1/oidc/token/exchange/package/@acme%2Fwidget", "", exchange, ""},
		{"POST", "/-/npm/v1/oidc/token/exchange/package/@acme/widget", "", exchange, ""},
		{"POST", "/-/stage/package/@acme%2fwidget", "", document(model.OperationPublish, "stage", model.ActionPublish), ""},
		{"PUT", "/%40acme%2fwidget", "publish", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "/@acme%2fwidget", "publish", document(model.OperationPublish, "publish", model.ActionPublish), ""},
		{"PUT", "/@acme/widget", "", document(model.OperationPublish, "publish", model.ActionPublish), ""},
		{"PUT", "/@acme%2fwidget", "deprecate", document(model.OperationManage, "deprecate", model.ActionYank, model.ActionDelete, model.ActionTag), ""},
		{"PUT", "/@acme%2fwidget/-rev/5-ab", "", document(model.OperationManage, "unpublish", model.ActionDelete), ""},
		{"DELETE", "/@acme%2fwidget/-rev/5-ab", "", remove, ""},
		{"DELETE", "/@acme%2fwidget/-/widget-1.0.0.tgz/-rev/5-ab", "", file, ""},
		{"DELETE", "/@acme%2fwidget/-/gadget-1.0.0.tgz/-rev/5-ab", "", model.Operation{}, model.CodePackageMismatch},
		{
			"PUT", "/-/package/@acme%2fwidget/dist-tags/next", "",
			model.Operation{Kind: model.OperationManage, Name: "dist-tag", Action: model.ActionTag, Body: model.BodyStream, Targets: []model.Target{tagged}},
			"",
		},
		{
			"DELETE", "/-/package/@acme%2fwidget/dist-tags/next", "",
			model.Operation{Kind: model.OperationManage, Name: "dist-tag-remove", Action: model.ActionTag, Targets: []model.Target{tagged}},
			"",
		},
		{"PUT", "/@acme%2fwidget?write=true", "", model.Operation{}, model.CodeMalformedUpload},
		{"PUT", "/-/package/@acme%2fwidget/dist-tags/1.0.0", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "/-/user/org.couchdb.user:me", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "/Widget", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "/@acme", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "/@acme%2fwidget/1.0.0", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "/@acme%2fwidget/-rev/", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST", "/-/npm/v1/tokens", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST", "/-/package/@acme%2fwidget/dist-tags", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST", "/@acme%2fwidget", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE", "/@acme%2fwidget", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PATCH", "/@acme%2fwidget", "", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT", "", "", model.Operation{}, model.CodeUnsupportedOperation},
	} {
		ecosystemtest.Classifies(t, protocol(t), tc.method+" "+tc.path, http.Header{"Npm-Command": {tc.command}}, tc.want, tc.code)
	}
}

// archive is what the documents below publish; its base64 ends in padding.
var archive = bytes.Repeat([]byte("archive\n"), 20)

// document is what npm sends.
func document() string {
	long, short := sha512.Sum512(archive), sha1.Sum(archive)
	return fmt.Sprintf(`{"_id":"@acme/widget","name":"@acme/widget","description":"x","dist-tags":{"latest":"1.0.0"},`+
		`"versions":{"1.0.0":{"name":"@acme/widget","version":"1.0.0","_id":"@acme/widget@1.0.0","bin":{"name":"x"},`+
		`"dist":{"integrity":"sha512-%s","shasum":"%s","tarball":"http://x/y.tgz"}}},"access":null,`+
		`"_attachments":{"@acme/widget-1.0.0.tgz":{"content_type":"application/octet-stream","data":"%s","length":%d},`+
		`"@acme/widget-1.0.0.sigstore":{"content_type":"x","data":"{\"a\":1}","length":7}}}`,
		base64.StdEncoding.EncodeToString(long[:]), hex.EncodeToString(short[:]), base64.StdEncoding.EncodeToString(archive), len(archive))
}

// yarns is the same with the archive first, and no tags.
func yarns() string {
	doc := document()
	at := strings.Index(doc, `"_attachments"`)
	return strings.Replace(`{`+strings.TrimSuffix(doc[at:], "}")+`,`+strings.TrimSuffix(doc[1:at], ",")+`}`, `"dist-tags":{"latest":"1.0.0"},`, "", 1)
}

// operation is that of a document.
func operation(tb testing.TB, method, path, command string) model.Operation {
	tb.Helper()
	op, err := protocol(tb).Classify(method, path, nil, http.Header{"Npm-Command": {command}})
	if err != nil {
		tb.Fatal(err)
	}
	return op
}

// scan feeds a document in pieces, and gives what was released, named and refused.
func scan(tb testing.TB, op model.Operation, doc string, size int) (release int64, target model.Target, artifact model.Artifact, err error) {
	tb.Helper()
	s, err := protocol(tb).Open(op, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for rest := []byte(doc); len(rest) > 0; {
		n := min(size, len(rest))
		if release, err = s.Scan(rest[:n]); err != nil {
			return release, target, artifact, err
		}
		rest = rest[n:]
	}
	target, _ = s.Target()
	if err = s.Finish(); err == nil {
		artifact = s.Artifact()
	}
	return release, target, artifact, err
}

func TestPublish(t *testing.T) {
	want := model.Target{Ecosystem: "npm", Registry: "main", Package: "@acme/widget", Version: "1.0.0", File: "widget-1.0.0.tgz", Action: model.ActionPublish}
	for _, doc := range []string{document(), yarns()} {
		for _, size := range []int{1, 3, 7, 1 << 20} {
			release, target, artifact, err := scan(t, operation(t, "PUT", "/@acme%2fwidget", "publish"), doc, size)
			if diff := cmp.Diff(want, target); diff != "" || err != nil {
				t.Fatalf("%v\n%s", err, diff)
			}
			if artifact.Size != int64(len(archive)) || artifact.File != want.File || release != int64(len(doc)-1) {
				t.Errorf("%d bytes of %s; %d of %d were released", artifact.Size, artifact.File, release, len(doc))
			}
		}
		for cut := range len(doc) {
			if release, _, _, err := scan(t, operation(t, "PUT", "/@acme%2fwidget", "publish"), doc[:cut], 64); err == nil || release > int64(cut) {
				t.Fatalf("cut after %d bytes: %v, %d released", cut, err, release)
			}
		}
	}
}

func TestPublishRefusals(t *testing.T) {
	data := base64.StdEncoding.EncodeToString(archive)
	for _, tc := range []struct {
		name, old, with string
		code            model.Code
	}{
		{"another _id", `{"_id":"@acme/widget"`, `{"_id":"@acme/gadget"`, model.CodePackageMismatch},
		{"another name", `,"name":"@acme/widget","desc`, `,"name":"@acme/gadget","desc`, model.CodePackageMismatch},
		{"no name", `,"name":"@acme/widget","desc`, `,"desc`, model.CodeMissingField},
		{"a name that is an array", `"name":"@acme/widget","desc`, `"name":["@acme/widget"],"desc`, model.CodeMalformedUpload},
		{"a name twice", `"description":"x"`, `"name":"@acme/widget"`, model.CodeDuplicateField},
		{"a name twice, once escaped", `"description":"x"`, `"n\u0061me":"@acme/widget"`, model.CodeDuplicateField},
		{"a name in another case", `"description":"x"`, `"Name":"@acme/gadget"`, model.CodeMalformedUpload},
		{"a prototype", `"description":"x"`, `"__proto__":{"name":"@acme/gadget"}`, model.CodeMalformedUpload},
		{"a prototype of a version", `"bin":{"name":"x"}`, `"bin":{"x":{"y":{"__proto__":{}}}}`, model.CodeMalformedUpload},
		{"a folded letter", `"description":"x"`, `"ver\u017fions":{}`, model.CodeMalformedUpload},
		{"a version's name", `{"name":"@acme/widget","version"`, `{"name":"@acme/gadget","version"`, model.CodePackageMismatch},
		{"a version's name in another case", `{"name":"@acme/widget","version"`, `{"NAME":"@acme/gadget","name":"@acme/widget","version"`, model.CodeMalformedUpload},
		{"a version's text", `"version":"1.0.0"`, `"version":"1.0.1"`, model.CodePackageMismatch},
		{"a version's _id", `"@acme/widget@1.0.0"`, `"@acme/widget@1.0.1"`, model.CodePackageMismatch},
		{"a second version", `"versions":{`, `"versions":{"0.9.0":{},`, model.CodePackageMismatch},
		{"no version", `"versions":{`, `"other":{`, model.CodeMissingField},
		{"no semantic version", `"versions":{"1.0.0"`, `"versions":{"1.0"`, model.CodeMalformedUpload},
		{"a tag to another version", `"latest":"1.0.0"`, `"latest":"0.9.0"`, model.CodePackageMismatch},
		{"a tag that is an object", `"latest":"1.0.0"`, `"latest":{}`, model.CodeMalformedUpload},
		{"an archive of another package", `"@acme/widget-1.0.0.tgz"`, `"@acme/gadget-1.0.0.tgz"`, model.CodePackageMismatch},
		{"an archive of another version", `"@acme/widget-1.0.0.tgz"`, `"@acme/widget-1.0.1.tgz"`, model.CodePackageMismatch},
		{"a second archive", `"@acme/widget-1.0.0.sigstore"`, `"widget-1.0.0.tgz"`, model.CodeDuplicateField},
		{"another kind of attachment", `"@acme/widget-1.0.0.sigstore"`, `"@acme/widget-1.0.0.zip"`, model.CodePackageMismatch},
		{"no archive", `"_attachments":{"@acme/widget-1.0.0.tgz"`, `"_attachments":{},"x":{"y"`, model.CodeMissingField},
		{"a bundle before the archive", `"_attachments":{`, `"_attachments":{"widget-1.0.0.sigstore":{"data":"eA=="},`, model.CodeFieldOrder},
		{"no data", `"data":"` + data, `"other":"` + data, model.CodeMissingField},
		{"edited data", data[:8], "QXJjaGl2", model.CodeDigestMismatch},
		{"data behind the padding", data, data + data, model.CodeMalformedUpload},
		{"data without padding", data, strings.TrimRight(data, "="), model.CodeMalformedUpload},
		{"data in the other alphabet", data[:4], "__--", model.CodeMalformedUpload},
		{"an escape in data", data[:4], `\u0059XJj`, model.CodeMalformedUpload},
		{"another length", `"length":160`, `"length":161`, model.CodeDigestMismatch},
		{"another shasum", `"shasum":"`, `"shasum":"0`, model.CodeDigestMismatch},
		{"an unknown digest alone", `"integrity":"sha512-`, `"integrity":"md5-`, ""},
		{"a second document", `"length":7}}}`, `"length":7}}}{}`, model.CodeMalformedUpload},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, doc := range []string{document(), yarns()} {
				edited := strings.Replace(doc, tc.old, tc.with, 1)
				if edited == doc {
					continue // yarn's has no tags, and another order
				}
				if release, _, _, err := scan(t, operation(t, "PUT", "/@acme%2fwidget", "publish"), edited, 64); ecosystemtest.Code(err) != tc.code || release > int64(len(edited)-1) {
					t.Errorf("got %v with %d of %d bytes released, expected %s\n%s", err, release, len(edited), tc.code, edited)
				}
			}
		})
	}
	for _, digests := range []string{"shasum", "integrity"} {
		doc := strings.Replace(document(), `"`+digests+`":`, `"x":`, 1)
		if _, _, _, err := scan(t, operation(t, "PUT", "/@acme%2fwidget", "publish"), doc, 64); err != nil {
			t.Errorf("without %s: %v", digests, err)
		}
	}
	neither := strings.NewReplacer(`"shasum":`, `"x":`, `"integrity":`, `"y":`).Replace(document())
	if _, _, _, err := scan(t, operation(t, "PUT", "/@acme%2fwidget", "publish"), neither, 64); ecosystemtest.Code(err) != model.CodeMissingField {
		t.Errorf("without a digest: %v", err)
	}
}

// TestAdvisoryManifestConfusion: every place of a document that names the package or its version says the same as the URL, the archive is
// the one whose digest stands there, and no key is there twice, whatever its case or its spelling.
func TestAdvisoryManifestConfusion(t *testing.T) {
	for _, edit := range [][2]string{
		{`{"_id":"@acme/widget"`, `{"_id":"@acme/evil"`},
		{`,"name":"@acme/widget","desc`, `,"name":"@acme/evil","desc`},
		{`{"name":"@acme/widget","version"`, `{"name":"@acme/evil","version"`},
		{`"version":"1.0.0"`, `"version":"9.9.9"`},
		{`"@acme/widget@1.0.0"`, `"@acme/evil@1.0.0"`},
		{`"@acme/widget-1.0.0.tgz"`, `"@acme/evil-1.0.0.tgz"`},
		{`"versions":{"1.0.0"`, `"versions":{"9.9.9"`},
		{`"description":"x"`, `"Name":"@acme/evil"`},
		{`"description":"x"`, `"NAME":"@acme/evil"`},
		{`"description":"x"`, `"na\u006de":"@acme/evil"`},
		{`"description":"x"`, `"Versions":{}`},
		{`"integrity":"sha512-`, `"integrity":"sha512-AAAA`},
	} {
		doc := strings.Replace(document(), edit[0], edit[1], 1)
		if doc == document() {
			t.Fatalf("no %s", edit[0])
		}
		if _, _, _, err := scan(t, operation(t, "PUT", "/@acme%2fwidget", "publish"), doc, 64); ecosystemtest.Code(err) == "" {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
}

func TestContentType(t *testing.T) {
	for value, good := range map[string]bool{
		"": true, "application/json": true, "Application/JSON; Charset=UTF-8": true,
		"application/json; charset=utf-7": false, "application/json; charset=utf-16le": false, "application/json; charset=latin1": false,
		"application/json; charset=utf-8; charset=utf-7": false, "application/json; x=y": false,
		// One parser lets charset* go before charset, another doesn't know it.
		"application/json; charset=utf-7; charset*=utf-8''utf-8": false, "application/json; charset=utf-7; charset*0=utf-8": false,
		"application/json;charset=\"utf-8\"": true, "application/json; charset=utf-8;": false, "application/json ;charset=utf-8": false, "text/plain": false,
		"application/x-www-form-urlencoded": false, "application/vnd.npm.install-v1+json": false, "application/json, text/plain": false,
	} {
		header := http.Header{}
		if value != "" {
			header.Set("Content-Type", value)
		}
		if _, err := protocol(t).Open(operation(t, "PUT", "/@acme%2fwidget", "publish"), header); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
	two := http.Header{"Content-Type": {"application/json", "application/json"}}
	if _, err := protocol(t).Open(operation(t, "PUT", "/@acme%2fwidget", "publish"), two); ecosystemtest.Code(err) != model.CodeMalformedUpload {
		t.Errorf("two lines: %v", err)
	}
}

func TestChange(t *testing.T) {
	const doc = `{"_id":"@acme/widget","_rev":"5-ab","name":"@acme/widget","versions":{"1.0.0":{"name":"@acme/widget","deprecated":"x"}},"_attachments":{}}`
	for _, tc := range []struct {
		name, old, with string
		code            model.Code
	}{
		{"whole", "", "", ""},
		{"another name", `"name":"@acme/widget","versions"`, `"name":"@acme/gadget","versions"`, model.CodePackageMismatch},
		{"a version of another package", `{"name":"@acme/widget","dep`, `{"name":"@acme/gadget","dep`, model.CodePackageMismatch},
		{"an archive", `"_attachments":{}`, `"_attachments":{"@acme/widget-1.0.1.tgz":{}}`, model.CodeMalformedUpload},
		{"an archive in another case", `"_attachments":{}`, `"_Attachments":{"@acme/widget-1.0.1.tgz":{}}`, model.CodeMalformedUpload},
		{"cut off", `{}}`, `{}`, model.CodeTruncated},
	} {
		for _, op := range []model.Operation{operation(t, "PUT", "/@acme%2fwidget", "deprecate"), operation(t, "PUT", "/@acme%2fwidget/-rev/5-ab", "")} {
			edited := strings.Replace(doc, tc.old, tc.with, 1)
			release, target, _, err := scan(t, op, edited, 16)
			if ecosystemtest.Code(err) != tc.code || release > int64(len(edited)) || err == nil && target != op.Targets[0] {
				t.Errorf("%s, %s: %v, %+v", op.Name, tc.name, err, target)
			}
		}
	}
}

func TestTag(t *testing.T) {
	for body, want := range map[string]model.Code{
		`"1.0.0"`: "", ` "1.0.0" `: "", `"1.0"`: model.CodeMalformedUpload, `{}`: model.CodeMalformedUpload, `1`: model.CodeMalformedUpload,
		`"1.0.0`: model.CodeTruncated, ``: model.CodeTruncated, `"1.0.0""2.0.0"`: model.CodeMalformedUpload,
	} {
		_, target, _, err := scan(t, operation(t, "PUT", "/-/package/@acme%2fwidget/dist-tags/next", ""), body, 3)
		if ecosystemtest.Code(err) != want {
			t.Errorf("%s: %v, expected %q", body, err, want)
		}
		if err == nil && (target.Version != "1.0.0" || target.Versionless || target.File != "dist-tags/next") {
			t.Errorf("%s names %+v", body, target)
		}
	}
}

func TestExchange(t *testing.T) {
	exchanger := protocol(t).(ecosystem.Exchanger)
	const path = "/-/npm/v1/oidc/token/exchange/package/"
	for _, tc := range []struct {
		method, path, authorization string
		want                        model.Exchange
		code                        model.Code
	}{
		{"POST", path + "@acme%2fwidget", "Bearer x.y.z", model.Exchange{Token: "x.y.z", Packages: []string{"@acme/widget"}}, ""},
		{"POST", path + "widget", "bearer x.y.z", model.Exchange{Token: "x.y.z", Packages: []string{"widget"}}, ""},
		{"POST", path + "widget", "", model.Exchange{}, model.CodeNoCredential},
		{"POST", path + "widget", "Basic eDp5", model.Exchange{}, model.CodeBadRequest},
		{"POST", path + "widget", "x.y.z", model.Exchange{}, model.CodeBadRequest},
		{"GET", path + "widget", "Bearer x.y.z", model.Exchange{}, model.CodeUnsupportedOperation},
		{"POST", path + "Widget", "Bearer x.y.z", model.Exchange{}, model.CodeBadRequest},
		{"POST", path + "@acme%2fwidget/x", "Bearer x.y.z", model.Exchange{}, model.CodeBadRequest},
		{"POST", path, "Bearer x.y.z", model.Exchange{}, model.CodeBadRequest},
	} {
		header := http.Header{}
		if tc.authorization != "" {
			header.Set("Authorization", tc.authorization)
		}
		op, err := exchanger.ClassifyRoot(tc.method, tc.path, nil, header)
		var got model.Exchange
		if err == nil {
			got, err = exchanger.ParseExchange(op, header, nil)
		}
		if diff := cmp.Diff(tc.want, got); ecosystemtest.Code(err) != tc.code || diff != "" {
			t.Errorf("%s %s %q: %v\n%s", tc.method, tc.path, tc.authorization, err, diff)
		}
	}
}

func TestRender(t *testing.T) {
	denial := model.Deny(model.CodeExpired).Differ("exp", "12:00", "later")
	denial.Event = "e1"
	for name, kind := range map[string]model.OperationKind{"publish": model.OperationPublish, "exchange": model.OperationExchange} {
		ecosystemtest.Golden(t, *update, name, protocol(t).Render(model.Operation{Kind: kind}, denial))
	}
}

// FuzzPublish: what is let through, a parser that looks at no case and takes the last of two keys reads in the same way.
func FuzzPublish(f *testing.F) {
	f.Add([]byte(document()))
	f.Add([]byte(yarns()))
	op := operation(f, "PUT", "/@acme%2fwidget", "publish")
	f.Fuzz(func(t *testing.T, doc []byte) {
		release, target, _, err := scan(t, op, string(doc), 64)
		if release > int64(len(doc)) {
			t.Fatalf("%d of %d bytes were released", release, len(doc))
		}
		if err != nil {
			return
		}
		var read struct {
			ID       string `json:"_id"`
			Name     string `json:"name"`
			Versions map[string]struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"versions"`
			Attachments map[string]struct {
				Data string `json:"data"`
			} `json:"_attachments"`
		}
		if err := json.Unmarshal(doc, &read); err != nil {
			t.Fatalf("another parser can't read it: %v\n%s", err, doc)
		}
		version := read.Versions[target.Version]
		if read.Name != target.Package || len(read.Versions) != 1 || version.Name != target.Package || version.Version != target.Version {
			t.Fatalf("another parser reads %+v, judged was %+v", read, target)
		}
	})
}
