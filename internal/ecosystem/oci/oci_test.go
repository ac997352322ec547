package oci_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/oci"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

func public(path string) *url.URL {
	return &url.URL{Scheme: "https", Host: "oci.example.com", Path: path}
}

func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := oci.New(ecosystem.Settings{Registry: "main", Public: public("/"), MutableTags: []string{"latest", "edge-*"}})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

func TestSettings(t *testing.T) {
	for _, s := range []ecosystem.Settings{
		{Public: public("/")},
		{Registry: "main"},
		{Registry: "main", Public: public("/"), Layout: "/x"},
		{Registry: "main", Public: public("/"), VerifyArchive: true},
		{Registry: "main", Public: public("/team/")},
		{Registry: "main", Public: public("/v2/team/")},
		{Registry: "main", Public: public("/"), MutableTags: []string{"[a]"}},
	} {
		if _, err := oci.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	below, err := oci.New(ecosystem.Settings{Registry: "main", Public: public("/v2/")})
	if err != nil {
		t.Fatal(err)
	}
	op, err := below.Classify(http.MethodGet, "/acme/widget/tags/list", nil, nil)
	if err != nil || op.Name != "repository" {
		t.Errorf("%+v, %v", op, err)
	}
}

const (
	short = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	types = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
		"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, */*"
)

func target(repository, file string, action model.Action) model.Target {
	return model.Target{Ecosystem: "oci", Registry: "main", Package: repository, File: file, Action: action, Versionless: true}
}

func tagged(tag string, action model.Action) model.Target {
	t := target("acme/widget", "", action)
	t.Version, t.Versionless = tag, false
	if action == model.ActionPublish {
		t.File = "manifests/" + tag
	}
	return t
}

func TestClassify(t *testing.T) {
	read := func(at model.Target) model.Operation {
		return model.Operation{Kind: model.OperationRead, Name: "repository", Action: model.ActionRead, Targets: []model.Target{at}}
	}
	ping := model.Operation{Kind: model.OperationRead, Name: "ping", Action: model.ActionRead, Targets: []model.Target{target("", "", model.ActionRead)}, Challenge: true}
	plain := model.Operation{Kind: model.OperationRead, Name: "read", Action: model.ActionRead}
	publish := func(name string, body model.BodyPlan, query []string, targets ...model.Target) model.Operation {
		return model.Operation{Kind: model.OperationPublish, Name: name, Action: model.ActionPublish, Targets: targets, Body: body, Query: query, Part: true}
	}
	step := func(name string, query []string, at model.Target) model.Operation {
		op := publish(name, model.BodyStream, query, at)
		op.Headers = []string{"Content-Range"}
		return op
	}
	manifest := func(at model.Target, once bool) model.Operation {
		return model.Operation{
			Kind: model.OperationPublish, Name: "manifest", Action: model.ActionPublish, Targets: []model.Target{at},
			Body: model.BodyStream, Accept: types, Once: once,
		}
	}
	remove := func(name string, at model.Target) model.Operation {
		return model.Operation{Kind: model.OperationManage, Name: name, Action: model.ActionDelete, Targets: []model.Target{at}}
	}
	cancel := remove("upload-cancel", target("acme/widget", "", model.ActionDelete))
	cancel.Query = []string{"_state"}
	mount := publish("mount", model.BodyNone, []string{"mount", "from"}, target("acme/widget", short, model.ActionPublish), target("acme/base", "", model.ActionRead))
	mount.Part = false
	token := func(targets ...model.Target) model.Operation {
		return model.Operation{Kind: model.OperationExchange, Name: "token", Shared: true, Targets: targets}
	}
	const repository = "/v2/acme/widget"
	for _, tc := range []struct {
		request string
		want    model.Operation
		code    model.Code
	}{
		{"GET /v2/", ping, ""},
		{"HEAD /v2", ping, ""},
		{"GET /", plain, ""},
		{"GET /v2x", plain, ""},
		{"GET /v2/_catalog?n=10", model.Operation{}, model.CodeUnsupportedOperation},
		{"GET " + repository + "/manifests/1.0.0", read(tagged("1.0.0", model.ActionRead)), ""},
		{"HEAD " + repository + "/manifests/" + short, read(target("acme/widget", "", model.ActionRead)), ""},
		{"GET " + repository + "/blobs/" + short, read(target("acme/widget", "", model.ActionRead)), ""},
		{"GET " + repository + "/tags/list?n=10", read(target("acme/widget", "", model.ActionRead)), ""},
		{"GET " + repository + "/referrers/" + short + "?artifactType=x", read(target("acme/widget", "", model.ActionRead)), ""},
		{
			"GET " + repository + "/blobs/uploads/0-1?_state=x",
			model.Operation{Kind: model.OperationRead, Name: "repository", Action: model.ActionPublish, Targets: []model.Target{target("acme/widget", "", model.ActionPublish)}},
			"",
		},
		{"GET " + repository + "/blobs/md5:aa", plain, ""},
		{"GET /v2/Acme/widget/tags/list", plain, ""},
		{"POST " + repository + "/blobs/uploads/", publish("upload-start", model.BodyNone, nil, target("acme/widget", "", model.ActionPublish)), ""},
		{"POST " + repository + "/blobs/uploads/?digest=" + short, publish("upload-start", model.BodyStream, []string{"digest"}, target("acme/widget", short, model.ActionPublish)), ""},
		{"POST " + repository + "/blobs/uploads/?mount=" + short + "&from=acme/base", mount, ""},
		{"POST " + repository + "/blobs/uploads/?mount=" + short, model.Operation{}, model.CodeMalformedUpload},
		{"POST " + repository + "/blobs/uploads/?from=acme/base", model.Operation{}, model.CodeMalformedUpload},
		{"POST " + repository + "/blobs/uploads/?mount=" + short + "&from=../base", model.Operation{}, model.CodeMalformedUpload},
		{"POST " + repository + "/blobs/uploads/?mount=" + short + "&from=acme/base&from=acme/other", model.Operation{}, model.CodeMalformedUpload},
		{"POST " + repository + "/blobs/uploads/?digest=md5:aa", model.Operation{}, model.CodeMalformedUpload},
		{"PATCH " + repository + "/blobs/uploads/0-1?_state=x", step("upload-chunk", []string{"_state"}, target("acme/widget", "uploads/0-1", model.ActionPublish)), ""},
		{"PUT " + repository + "/blobs/uploads/0-1?_state=x&digest=" + short, step("upload-finish", []string{"_state", "digest"}, target("acme/widget", short, model.ActionPublish)), ""},
		{"PUT " + repository + "/blobs/uploads/0-1?_state=x", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT " + repository + "/blobs/uploads/?digest=" + short, model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE " + repository + "/blobs/uploads/0-1?_state=x", cancel, ""},
		{"PUT " + repository + "/manifests/1.0.0", manifest(tagged("1.0.0", model.ActionPublish), true), ""},
		{"PUT " + repository + "/manifests/latest", manifest(tagged("latest", model.ActionPublish), false), ""},
		{"PUT " + repository + "/manifests/edge-7", manifest(tagged("edge-7", model.ActionPublish), false), ""},
		{"PUT " + repository + "/manifests/" + short, manifest(target("acme/widget", "manifests/"+short, model.ActionPublish), false), ""},
		{"PUT " + repository + "/manifests/1.0.0?tag=x", model.Operation{}, model.CodeMalformedUpload},
		{"PUT " + repository + "/manifests/.x", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST " + repository + "/manifests/1.0.0", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE " + repository + "/manifests/1.0.0", remove("manifest-delete", tagged("1.0.0", model.ActionDelete)), ""},
		{"DELETE " + repository + "/manifests/" + short, remove("manifest-delete", target("acme/widget", "", model.ActionDelete)), ""},
		{"DELETE " + repository + "/blobs/" + short, remove("blob-delete", target("acme/widget", "", model.ActionDelete)), ""},
		{"PUT " + repository + "/blobs/" + short, model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /v2/acme/manifests/widget/manifests/1.0.0", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /v2/manifests/1.0.0", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /v2/", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /acme/widget/manifests/1.0.0", model.Operation{}, model.CodeUnsupportedOperation},
		{"GET /v2/token?service=x", token(), ""},
		{"GET /v2/token?scope=repository:acme/widget:pull", token(target("acme/widget", "", model.ActionRead)), ""},
		{
			"GET /v2/token?scope=repository:acme/widget:push,pull&scope=repository:acme/base:pull%20registry:catalog:*",
			token(target("acme/widget", "", model.ActionPublish), target("acme/base", "", model.ActionRead)),
			"",
		},
		{"GET /v2/token?scope=repository:acme/widget:*", token(target("acme/widget", "", model.ActionPublish)), ""},
		{"GET /v2/token?scope=repository:acme/widget", token(), model.CodeBadRequest},
		{"GET /v2/token?scope=repository:Acme:pull", token(), model.CodeBadRequest},
		{"POST /v2/token", model.Operation{Kind: model.OperationExchange, Name: "token"}, ""},
		{"PUT /v2/token", model.Operation{}, model.CodeUnsupportedOperation},
	} {
		ecosystemtest.Classifies(t, protocol(t), tc.request, nil, tc.want, tc.code)
	}
}

const imageType = "application/vnd.oci.image.manifest.v1+json"

const image = `{"schemaVersion":2,"mediaType":"` + imageType + `","config":{"digest":"` + short + `"},"layers":[{"mediaType":"x"}]}`

// scan feeds a body in pieces.
func scan(tb testing.TB, request, contentType, body string, size int) (release int64, target model.Target, artifact model.Artifact, err error) {
	tb.Helper()
	return scanWith(tb, request, http.Header{"Content-Type": {contentType}}, body, size)
}

// scanWith feeds a body that came with these headers.
func scanWith(tb testing.TB, request string, header http.Header, body string, size int) (release int64, target model.Target, artifact model.Artifact, err error) {
	tb.Helper()
	op, err := ecosystemtest.Classify(tb, protocol(tb), request, nil)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := protocol(tb).Open(op, header)
	if err != nil {
		return 0, target, artifact, err
	}
	for rest := []byte(body); len(rest) > 0; {
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

func TestManifest(t *testing.T) {
	const byTag = "PUT /v2/acme/widget/manifests/1.0.0"
	sum, long := sha256.Sum256([]byte(image)), sha512.Sum512([]byte(image))
	for _, request := range []string{byTag, fmt.Sprintf("PUT /v2/acme/widget/manifests/sha256:%x", sum), fmt.Sprintf("PUT /v2/acme/widget/manifests/sha512:%x", long)} {
		for _, size := range []int{1, 7, 1 << 20} {
			release, target, artifact, err := scan(t, request, imageType, image, size)
			if err != nil || target.Package != "acme/widget" || artifact.SHA256 != sum || release != int64(len(image)-1) {
				t.Errorf("%s: %v, %+v, %d of %d released", request, err, target, release, len(image))
			}
		}
		for cut := range len(image) {
			if release, _, _, err := scan(t, request, imageType, image[:cut], 16); ecosystemtest.Code(err) != model.CodeTruncated || release > int64(cut) {
				t.Fatalf("%s: cut after %d: %v", request, cut, err)
			}
		}
	}
	for _, tc := range []struct {
		name, request, contentType, old, with string
		code                                  model.Code
	}{
		{"another digest", "PUT /v2/acme/widget/manifests/" + short, imageType, "", "", model.CodeDigestMismatch},
		{"another long digest", "PUT /v2/acme/widget/manifests/sha512:" + strings.Repeat("ab", 64), imageType, "", "", model.CodeDigestMismatch},
		{"another type", byTag, "application/vnd.oci.image.index.v1+json", "", "", model.CodeMalformedUpload},
		{"no JSON", byTag, "text/plain", "", "", model.CodeMalformedUpload},
		{"no type", byTag, "", "", "", model.CodeMalformedUpload},
		{"in UTF-7", byTag, imageType + "; charset=utf-7", "", "", model.CodeMalformedUpload},
		{"in UTF-7, and in UTF-8", byTag, imageType + "; charset=utf-7; charset*=utf-8''utf-8", "", "", model.CodeMalformedUpload},
		{"with a parameter", byTag, imageType + "; q=1; charset=utf-8", "", "", model.CodeMalformedUpload},
		{"in UTF-8", byTag, imageType + "; charset=utf-8", "", "", ""},
		{"an image that is an index too", byTag, imageType, `"layers":[`, `"manifests":[],"layers":[`, model.CodeMalformedUpload},
		{"in another case", byTag, imageType, `"layers":[`, `"Manifests":[],"layers":[`, model.CodeMalformedUpload},
		{"a subject in another case", byTag, imageType, `"layers":[`, `"Subject":{},"layers":[`, model.CodeMalformedUpload},
		{"a type in letters that fold", byTag, imageType, `"layers":[`, `"artifactType":"x","artifactTyp\u00e9":"y","\u017fubject":{},"layers":[`, model.CodeMalformedUpload},
		{"a key twice", byTag, imageType, `"layers":[`, `"layers":[],"layers":[`, model.CodeDuplicateField},
		{"a type that is no text", byTag, imageType, `"mediaType":"` + imageType + `"`, `"mediaType":1`, model.CodeMalformedUpload},
		{"an array", byTag, imageType, image, `[]`, model.CodeMalformedUpload},
		{"more behind it", byTag, imageType, `]}`, `]}{}`, model.CodeMalformedUpload},
		{"too large", byTag, imageType, `"x"`, `"` + strings.Repeat("x", 4<<20) + `"`, model.CodeTooLarge},
		{"without a type of its own", byTag, imageType, `"mediaType":"` + imageType + `",`, ``, ""},
	} {
		edited := strings.Replace(image, tc.old, tc.with, 1)
		if _, _, _, err := scan(t, tc.request, tc.contentType, edited, 1<<20); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: %v, expected %q", tc.name, err, tc.code)
		}
	}
}

// TestAdvisoryManifestsOfTwoKinds (CVE-2021-41190): a manifest is an image or a list of images, whatever a reader believes first: the
// header, the type inside, or the keys.
func TestAdvisoryManifestsOfTwoKinds(t *testing.T) {
	const byTag, listType = "PUT /v2/acme/widget/manifests/1.0.0", "application/vnd.oci.image.index.v1+json"
	for name, tc := range map[string]struct{ contentType, body string }{
		"keys of both":                {imageType, `{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}`},
		"keys of both, the other way": {listType, `{"manifests":[],"schemaVersion":2,"layers":[]}`},
		"an old kind inside":          {listType, `{"manifests":[],"fsLayers":[]}`},
		"an image that says list":     {imageType, `{"mediaType":"` + listType + `","config":{},"layers":[]}`},
		"a list that says image":      {listType, `{"mediaType":"` + imageType + `","manifests":[]}`},
		"two types":                   {imageType, `{"mediaType":"` + imageType + `","mediaType":"` + listType + `","layers":[]}`},
		"two types, one escaped":      {imageType, `{"mediaType":"` + imageType + `","media\u0054ype":"` + listType + `","layers":[]}`},
		"two types, in two cases":     {imageType, `{"mediaType":"` + imageType + `","mediatype":"` + listType + `","layers":[]}`},
		"keys in another case":        {imageType, `{"layers":[],"MANIFESTS":[]}`},
	} {
		if _, _, _, err := scan(t, byTag, tc.contentType, tc.body, 7); ecosystemtest.Code(err) != model.CodeMalformedUpload && ecosystemtest.Code(err) != model.CodeDuplicateField {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlob(t *testing.T) {
	const content = "a layer of an image"
	sum, long := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))
	right, rightLong := fmt.Sprintf("sha256:%x", sum), fmt.Sprintf("sha512:%x", long)
	for _, tc := range []struct {
		request, body string
		code          model.Code
	}{
		{"PUT /v2/acme/widget/blobs/uploads/1?digest=" + right, content, ""},
		{"PUT /v2/acme/widget/blobs/uploads/1?digest=" + rightLong, content, ""},
		{"PUT /v2/acme/widget/blobs/uploads/1?digest=" + right, "", ""},
		{"PUT /v2/acme/widget/blobs/uploads/1?digest=" + short, content, model.CodeDigestMismatch},
		{"PUT /v2/acme/widget/blobs/uploads/1?digest=sha512:" + strings.Repeat("ab", 64), content, model.CodeDigestMismatch},
		{"POST /v2/acme/widget/blobs/uploads/?digest=" + right, content, ""},
		{"POST /v2/acme/widget/blobs/uploads/?digest=" + short, content, model.CodeDigestMismatch},
		{"PATCH /v2/acme/widget/blobs/uploads/1", content, ""},
	} {
		release, _, artifact, err := scan(t, tc.request, "application/octet-stream", tc.body, 5)
		if ecosystemtest.Code(err) != tc.code || release > max(0, int64(len(tc.body)-1)) {
			t.Errorf("%s: %v, %d of %d released", tc.request, err, release, len(tc.body))
		}
		want := sum
		if strings.HasPrefix(tc.request, http.MethodPatch) {
			want = [sha256.Size]byte{} // a part has none
		}
		if err == nil && tc.body != "" && (artifact.SHA256 != want || artifact.Size != int64(len(tc.body))) {
			t.Errorf("%s: the artifact is %+v", tc.request, artifact)
		}
	}
}

// TestContentRange: a part is as long as it says, and after a first part nobody but the registry knows the digest of the whole.
func TestContentRange(t *testing.T) {
	const (
		content = "0123456789"
		patch   = "PATCH /v2/acme/widget/blobs/uploads/1"
		other   = "PUT /v2/acme/widget/blobs/uploads/1?digest=" + short
	)
	right := fmt.Sprintf("PUT /v2/acme/widget/blobs/uploads/1?digest=sha256:%x", sha256.Sum256([]byte(content)))
	for _, tc := range []struct {
		name, request, length, body string
		ranges                      []string
		code                        model.Code
	}{
		{"the first part", patch, "10", content, []string{"0-9"}, ""},
		{"a later part", patch, "10", content, []string{"5-14"}, ""},
		{"one byte", patch, "1", "x", []string{"0-0"}, ""},
		{"chunked", patch, "", content, []string{"5-14"}, ""},
		{"the whole blob", right, "10", content, []string{"0-9"}, ""},
		{"the last part", other, "10", content, []string{"5-14"}, ""},
		{"no range", right, "10", content, nil, ""},
		{"another blob", other, "10", content, []string{"0-9"}, model.CodeDigestMismatch},
		{"another blob without a range", other, "10", content, nil, model.CodeDigestMismatch},
		{"a longer length", patch, "11", content + "x", []string{"0-9"}, model.CodeMalformedUpload},
		{"a shorter length", patch, "9", content[1:], []string{"0-9"}, model.CodeMalformedUpload},
		{"a length with a sign", patch, "+10", content, []string{"0-9"}, model.CodeMalformedUpload},
		{"more than announced", patch, "", content + "x", []string{"0-9"}, model.CodeMalformedUpload},
		{"less than announced", patch, "", content[1:], []string{"0-9"}, model.CodeMalformedUpload},
		{"nothing", patch, "0", "", []string{"0-0"}, model.CodeMalformedUpload},
		{"nothing, chunked", patch, "", "", []string{"0-9"}, model.CodeMalformedUpload},
		{"backwards", patch, "10", content, []string{"9-0"}, model.CodeMalformedUpload},
		{"as HTTP writes it", patch, "10", content, []string{"bytes 0-9/10"}, model.CodeMalformedUpload},
		{"with a unit", patch, "10", content, []string{"bytes=0-9"}, model.CodeMalformedUpload},
		{"with blanks", patch, "10", content, []string{"0 - 9"}, model.CodeMalformedUpload},
		{"with a zero", patch, "10", content, []string{"00-9"}, model.CodeMalformedUpload},
		{"with a sign", patch, "10", content, []string{"0-+9"}, model.CodeMalformedUpload},
		{"in hexadecimal", patch, "10", content, []string{"0x0-0x9"}, model.CodeMalformedUpload},
		{"without an end", patch, "10", content, []string{"0-"}, model.CodeMalformedUpload},
		{"without a start", patch, "10", content, []string{"-9"}, model.CodeMalformedUpload},
		{"too large", patch, "10", content, []string{"9223372036854775800-9223372036854775809"}, model.CodeMalformedUpload},
		{"twice", patch, "10", content, []string{"0-9", "0-9"}, model.CodeMalformedUpload},
		{"in one line", patch, "10", content, []string{"0-9, 0-9"}, model.CodeMalformedUpload},
		{"empty", patch, "10", content, []string{""}, model.CodeMalformedUpload},
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			header := http.Header{"Content-Range": tc.ranges}
			if tc.length != "" {
				header.Set("Content-Length", tc.length)
			}
			release, _, _, err := scanWith(t, tc.request, header, tc.body, size)
			if ecosystemtest.Code(err) != tc.code || release > max(0, int64(len(tc.body)-1)) {
				t.Errorf("%s: %v, expected %q; %d of %d released", tc.name, err, tc.code, release, len(tc.body))
			}
		}
	}
}

func TestExchange(t *testing.T) {
	exchanger := protocol(t).(ecosystem.Exchanger)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	widget := target("acme/widget", "", model.ActionPublish)
	for _, tc := range []struct {
		request, authorization, form string
		want                         model.Exchange
		code                         model.Code
	}{
		{"GET /v2/token", basic("oidc", "x.y.z"), "", model.Exchange{Token: "x.y.z", Reusable: true, Packages: []string{""}}, ""},
		{
			"GET /v2/token?scope=repository:acme/widget:pull,push&scope=repository:acme/base:pull", basic("oidc", "x.y.z"), "",
			model.Exchange{Token: "x.y.z", Reusable: true, Packages: []string{"acme/widget", "acme/base"}, Bound: []model.Target{widget}},
			"",
		},
		{"GET /v2/token", "Bearer x.y.z", "", model.Exchange{}, model.CodeNoCredential},
		{"GET /v2/token", basic("oidc", ""), "", model.Exchange{}, model.CodeNoCredential},
		{"GET /v2/token", "", "", model.Exchange{}, model.CodeNoCredential},
		{
			"POST /v2/token", "", "grant_type=password&username=oidc&password=x.y.z&scope=repository:acme/widget:push",
			model.Exchange{Token: "x.y.z", Reusable: true, Packages: []string{"acme/widget"}, Bound: []model.Target{widget}},
			"",
		},
		{"POST /v2/token", "", "grant_type=refresh_token&refresh_token=x", model.Exchange{}, model.CodeBadRequest},
		{"POST /v2/token", "", "grant_type=password&password=x&password=y", model.Exchange{}, model.CodeBadRequest},
		{"POST /v2/token", "", "grant_type=password&password=", model.Exchange{}, model.CodeNoCredential},
		{"POST /v2/token", "", "grant_type=password&password=x&scope=repository:A:push", model.Exchange{}, model.CodeBadRequest},
	} {
		method, path, _ := strings.Cut(tc.request, " ")
		path, query, _ := strings.Cut(path, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		op, err := protocol(t).Classify(method, path, values, nil)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		if tc.authorization != "" {
			header.Set("Authorization", tc.authorization)
		}
		got, err := exchanger.ParseExchange(op, header, []byte(tc.form))
		if diff := cmp.Diff(tc.want, got); ecosystemtest.Code(err) != tc.code || diff != "" {
			t.Errorf("%s %s: %v\n%s", tc.request, tc.form, err, diff)
		}
	}
	reply := exchanger.Minted(model.Operation{}, "tpub_x", time.Now().Add(time.Hour))
	var minted struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(reply.Body, &minted); err != nil || minted.Token != "tpub_x" || minted.AccessToken != "tpub_x" || minted.ExpiresIn < 3500 {
		t.Errorf("%s, %v", reply.Body, err)
	}
}

func TestRender(t *testing.T) {
	for _, tc := range []struct {
		name string
		op   model.Operation
		code model.Code
	}{
		{"ping", model.Operation{Kind: model.OperationRead, Targets: []model.Target{{}}}, model.CodeNoCredential},
		{"read", model.Operation{Kind: model.OperationRead, Targets: []model.Target{{Package: "acme/widget"}}}, model.CodeExpired},
		{"push without a token", model.Operation{Kind: model.OperationPublish, Targets: []model.Target{{Package: "acme/widget"}}}, model.CodeNoCredential},
		{"push", model.Operation{Kind: model.OperationPublish, Targets: []model.Target{{Package: "acme/widget"}}}, model.CodeNoMatchingPolicy},
		{"realm", model.Operation{Kind: model.OperationExchange}, model.CodeNoMatchingPolicy},
		{"digest", model.Operation{Kind: model.OperationPublish}, model.CodeDigestMismatch},
		{"blob", model.Operation{Kind: model.OperationPublish, Part: true}, model.CodeMalformedUpload},
		{"unavailable", model.Operation{Kind: model.OperationPublish}, model.CodeStoreUnavailable},
	} {
		denial := model.Deny(tc.code)
		denial.Event = "e1"
		ecosystemtest.Golden(t, *update, strings.ReplaceAll(tc.name, " ", "-"), protocol(t).Render(tc.op, denial))
	}
}

// FuzzManifest: what is let through, a parser that looks at no case and takes the last of two keys reads as one kind only.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(image))
	f.Add([]byte(`{"manifests":[{"digest":"x"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		release, _, _, err := scan(t, "PUT /v2/acme/widget/manifests/1.0.0", imageType, string(doc), 64)
		if release > int64(len(doc)) {
			t.Fatalf("%d of %d bytes were released", release, len(doc))
		}
		if err != nil {
			return
		}
		var read map[string]json.RawMessage
		if err := json.Unmarshal(doc, &read); err != nil {
			t.Fatalf("another parser can't read it: %v\n%s", err, doc)
		}
		var folded struct {
			MediaType *string `json:"mediaType"`
			Layers    json.RawMessage
			Manifests json.RawMessage
		}
		if err := json.Unmarshal(doc, &folded); err != nil {
			t.Fatalf("another parser reads another kind: %v\n%s", err, doc)
		}
		if folded.Layers != nil && folded.Manifests != nil || folded.MediaType != nil && *folded.MediaType != imageType {
			t.Fatalf("another parser reads %s", doc)
		}
	})
}

// FuzzClassify: a repository is found as the route of the reference implementation finds it.
func FuzzClassify(f *testing.F) {
	f.Add("PUT", "/v2/acme/widget/manifests/1.0.0", "")
	f.Add("PATCH", "/v2/a/blobs/uploads/1", "_state=x")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		values, err := url.ParseQuery(query)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		op, err := protocol(t).Classify(method, path, values, nil)
		if err != nil || len(op.Targets) == 0 || op.Kind == model.OperationExchange || op.Challenge {
			return
		}
		if !strings.HasPrefix(path, "/v2/"+op.Targets[0].Package+"/") {
			t.Fatalf("%s %s is about %s", method, path, op.Targets[0].Package)
		}
	})
}

// BenchmarkBlob scans a blob of 100 MB that comes whole, in pieces as a server reads them; its digest is computed.
func BenchmarkBlob(b *testing.B) {
	digest := url.Values{"digest": {fmt.Sprintf("sha256:%x", sha256.Sum256(make([]byte, 100<<20)))}}
	op, err := protocol(b).Classify("PUT", "/v2/acme/widget/blobs/uploads/1", digest, nil)
	if err != nil {
		b.Fatal(err)
	}
	piece := make([]byte, 32<<10)
	b.SetBytes(100 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s, err := protocol(b).Open(op, nil)
		if err != nil {
			b.Fatal(err)
		}
		for n := 0; n < 100<<20; n += len(piece) {
			if _, err := s.Scan(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
