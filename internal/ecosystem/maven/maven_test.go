package maven_test

import (
	"bytes"
	"errors"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/maven"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := maven.New(ecosystem.Settings{Registry: "releases", Public: &url.URL{Scheme: "https", Host: "maven.example.com", Path: "/releases/"}})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

// refusal is what tells one refusal from another.
type refusal struct {
	Code       model.Code
	Field, Got string
}

func refused(err error) refusal {
	var d *model.Denial
	if !errors.As(err, &d) {
		return refusal{}
	}
	return refusal{d.Code, d.Field, d.Got}
}

func target(action model.Action, pkg, version, file string) model.Target {
	return model.Target{
		Ecosystem: "maven", Registry: "releases", Package: pkg, Version: version, File: file, Action: action, Versionless: version == "",
	}
}

func TestClassifyPuts(t *testing.T) {
	const widget = "com.example:widget"
	for path, want := range map[string]model.Operation{
		"/com/example/widget/1.0/widget-1.0.jar":                   {Name: "file", Opaque: true, Body: model.BodyStream, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.jar")}},
		"/com/example/widget/1.0/widget-1.0-sources.jar":           {Name: "file", Opaque: true, Body: model.BodyStream, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0-sources.jar")}},
		"/com/example/widget/1.0/widget-1.0.module":                {Name: "file", Opaque: true, Body: model.BodyStream, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.module")}},
		"/com/example/widget/1.0/widget-1.0.module.asc":            {Name: "file", Opaque: true, Body: model.BodyStream, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.module.asc")}},
		"/com/example/widget/1.0/widget-1.0.module.sha256":         {Name: "checksum", Body: model.BodySpool, Same: true, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.module.sha256")}},
		"/com/example/widget/1.0/widget-1.0.pom.asc":               {Name: "file", Opaque: true, Body: model.BodyStream, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.pom.asc")}},
		"/com/example/widget/1.0/widget-1.0.jar.asc":               {Name: "file", Opaque: true, Body: model.BodyStream, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.jar.asc")}},
		"/com/example/widget/1.0/widget-1.0.jar.asc.sha512":        {Name: "checksum", Body: model.BodySpool, Same: true, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.jar.asc.sha512")}},
		"/com/example/widget/1.0/widget-1.0.pom":                   {Name: "pom", Body: model.BodySpool, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.pom")}},
		"/com/example/widget/1.0/widget-1.0.POM":                   {Name: "pom", Body: model.BodySpool, Once: true, Targets: []model.Target{target("publish", widget, "1.0", "widget-1.0.POM")}},
		"/com/example/widget/maven-metadata.xml":                   {Name: "metadata", Body: model.BodySpool, Targets: []model.Target{target("publish", widget, "", "maven-metadata.xml")}},
		"/com/example/widget/maven-metadata.xml.sha1":              {Name: "checksum", Body: model.BodySpool, Same: true, Targets: []model.Target{target("publish", widget, "", "maven-metadata.xml.sha1")}},
		"/com/example/widget/1.1-SNAPSHOT/maven-metadata.xml":      {Name: "metadata", Body: model.BodySpool, Targets: []model.Target{target("publish", widget, "1.1-SNAPSHOT", "maven-metadata.xml")}},
		"/com/example/widget/1.1-SNAPSHOT/widget-1.1-SNAPSHOT.jar": {Name: "file", Opaque: true, Body: model.BodyStream, Targets: []model.Target{target("publish", widget, "1.1-SNAPSHOT", "widget-1.1-SNAPSHOT.jar")}},
		"/com/example/widget/1.1-SNAPSHOT/widget-1.1-20261123.211238-1-tests.jar": {
			Name: "file", Opaque: true, Body: model.BodyStream, Targets: []model.Target{target("publish", widget, "1.1-SNAPSHOT", "widget-1.1-20261123.211238-1-tests.jar")},
		},
	} {
		want.Kind, want.Action = model.OperationPublish, model.ActionPublish
		got, err := protocol(t).Classify(http.MethodPut, path, nil, nil)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", path, err, diff)
		}
	}
}

func TestClassifyRefuses(t *testing.T) {
	const unsupported, malformed, mismatch = model.CodeUnsupportedOperation, model.CodeMalformedUpload, model.CodePackageMismatch
	for _, tc := range []struct {
		method, path string
		query        url.Values
		want         refusal
	}{
		{"POST", "/com/example/widget/1.0/widget-1.0.jar", nil, refusal{unsupported, "operation", "POST /com/example/widget/1.0/widget-1.0.jar"}},
		{"DELETE", "/com/example/widget/1.0", nil, refusal{unsupported, "operation", "DELETE /com/example/widget/1.0"}},
		{"MKCOL", "/com/example", nil, refusal{unsupported, "operation", "MKCOL /com/example"}},
		{"COPY", "/com/example/widget/1.0/widget-1.0.jar", nil, refusal{unsupported, "operation", "COPY /com/example/widget/1.0/widget-1.0.jar"}},
		{"PUT", "/com/example/widget/1.0/widget-1.0.jar", url.Values{"x": {"1"}}, refusal{malformed, "query", "present"}},
		{"PUT", "/com/example/widget/1.0/widget-1.0.jar;a=b", nil, refusal{malformed, "path", "/com/example/widget/1.0/widget-1.0.jar;a=b"}},
		{"PUT", "/com/example/widget/1.0/widget%2D1.0.jar", nil, refusal{malformed, "path", "/com/example/widget/1.0/widget%2D1.0.jar"}},
		{"PUT", "/com/example/widget/1.0/", nil, refusal{malformed, "file name", ""}},
		{"PUT", "", nil, refusal{malformed, "file name", ""}},
		{"PUT", "/com/example/widget/1.0/other-1.0.jar", nil, refusal{mismatch, "file name", "other-1.0.jar"}},
		{"PUT", "/com/example/widget/1.0/widget-2.0.jar", nil, refusal{mismatch, "file name", "widget-2.0.jar"}},
		{"PUT", "/com/example/widget/1.0/widget-1.01.jar", nil, refusal{mismatch, "file name", "widget-1.01.jar"}},
		{"PUT", "/com/example/widget/1.0/widget-1.0", nil, refusal{mismatch, "file name", "widget-1.0"}},
		{"PUT", "/com/example/widget/1.0/widget-1.0.", nil, refusal{mismatch, "file name", "widget-1.0."}},
		{"PUT", "/com/example/widget/1.0/widget-1.0-20261123.211238-1.jar.exe", nil, refusal{}},
		{"PUT", "/com/example/widget/1.1-SNAPSHOT/widget-1.1-2026.jar", nil, refusal{mismatch, "file name", "widget-1.1-2026.jar"}},
		{"PUT", "/com/example/widget/1.1-SNAPSHOT/widget-1.2-20261123.211238-1.jar", nil, refusal{mismatch, "file name", "widget-1.2-20261123.211238-1.jar"}},
		{"PUT", "/com.example/widget/1.0/widget-1.0.jar", nil, refusal{malformed, "group in the path", "com.example"}},
		{"PUT", "/widget/1.0/widget-1.0.jar", nil, refusal{malformed, "path", "/widget/1.0/widget-1.0.jar"}},
		{"PUT", "/widget/maven-metadata.xml", nil, refusal{malformed, "path", "/widget/maven-metadata.xml"}},
		{"PUT", "/maven-metadata.xml", nil, refusal{malformed, "path", "/maven-metadata.xml"}},
		{"PUT", "/1.0-SNAPSHOT/maven-metadata.xml", nil, refusal{malformed, "path", "/1.0-SNAPSHOT/maven-metadata.xml"}},
		{"PUT", "/com/x-SNAPSHOT/1.0/x-SNAPSHOT-1.0.jar", nil, refusal{malformed, "group and artifact", "com/x-SNAPSHOT"}},
		{"PUT", "/com/w\u00efdget/1.0/w-1.0.jar", nil, refusal{malformed, "group and artifact", "com/w?dget"}},
		{"PUT", "/com/example/widget/.index/widget-.index.jar", nil, refusal{malformed, "version", ".index"}},
		{"PUT", "/com/example/widget/1.0/" + strings.Repeat("a", 256), nil, refusal{malformed, "file name", strings.Repeat("a", 120) + "..."}},
	} {
		_, err := protocol(t).Classify(tc.method, tc.path, tc.query, nil)
		if diff := cmp.Diff(tc.want, refused(err)); diff != "" {
			t.Errorf("%s %s: %v\n%s", tc.method, tc.path, err, diff)
		}
	}
}

// TestClassifyRefusesForms: some registries keep what is inside a form.
func TestClassifyRefusesForms(t *testing.T) {
	for _, media := range []string{"multipart/form-data; boundary=x", " Multipart/Mixed", "application/x-www-form-urlencoded;charset=utf-8"} {
		header := http.Header{"Content-Type": {"application/java-archive", media}}
		_, err := protocol(t).Classify(http.MethodPut, "/com/example/widget/1.0/widget-1.0.jar", nil, header)
		if got := refused(err); got.Code != model.CodeMalformedUpload || got.Field != "Content-Type" {
			t.Errorf("%s: got %v, expected a refusal of the Content-Type", media, err)
		}
	}
}

func TestClassifyReads(t *testing.T) {
	for path, want := range map[string]model.Operation{
		"/com/example/widget/maven-metadata.xml":      {Name: "metadata", Targets: []model.Target{target("read", "com.example:widget", "", "maven-metadata.xml")}},
		"/com/example/widget/1.0/widget-1.0.pom.sha1": {Name: "checksum", Targets: []model.Target{target("read", "com.example:widget", "1.0", "widget-1.0.pom.sha1")}},
		"/com/example/":         {Name: "read"},
		"":                      {Name: "read"},
		"/api/v1/users/current": {Name: "read"},
	} {
		want.Kind, want.Action = model.OperationRead, model.ActionRead
		got, err := protocol(t).Classify(http.MethodGet, path, nil, nil)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", path, err, diff)
		}
	}
}

const (
	releasePOM = `<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId>
  <artifactId>widget</artifactId>
  <version>1.0</version>
  <dependencies><dependency><groupId>org.other</groupId><artifactId>x</artifactId><version>9</version></dependency></dependencies>
</project>
`
	childPOM = `<project><parent><groupId>com.example</groupId><artifactId>root</artifactId><version>1.0</version></parent>
<artifactId>widget</artifactId></project>`
	index = `<metadata><groupId>com.example</groupId><artifactId>widget</artifactId>
<versioning><release>1.0</release><versions><version>1.0</version></versions><lastUpdated>20261123211238</lastUpdated></versioning></metadata>`
	snapshotIndex = `<metadata modelVersion="1.1.0"><groupId>com.example</groupId><artifactId>widget</artifactId><version>1.1-SNAPSHOT</version>
<versioning><snapshot><timestamp>20261123.211238</timestamp><buildNumber>1</buildNumber></snapshot></versioning></metadata>`
	pomPath      = "/com/example/widget/1.0/widget-1.0.pom"
	indexPath    = "/com/example/widget/maven-metadata.xml"
	snapshotPath = "/com/example/widget/1.1-SNAPSHOT/maven-metadata.xml"
	jarPath      = "/com/example/widget/1.0/widget-1.0.jar"
)

// latin is a pom whose first line names an encoding, with a name in it.
func latin(encoding, name string) string {
	return strings.NewReplacer("UTF-8", encoding, "a comment", name, "<modelVersion>", "<name>"+name+"</name><modelVersion>").Replace(releasePOM)
}

// put judges a whole file as the gateway does, in pieces of a size.
func put(tb testing.TB, path, body string, piece int, header http.Header) error {
	tb.Helper()
	eco := protocol(tb)
	op, err := eco.Classify(http.MethodPut, path, nil, header)
	if err != nil {
		return err
	}
	s, err := eco.Open(op, header)
	if err != nil {
		return err
	}
	named, ok := s.Target()
	if !ok || named != op.Targets[0] {
		tb.Fatalf("the scanner names %v", named)
	}
	for at := 0; at < len(body); at += piece {
		end := min(at+piece, len(body))
		release, err := s.Scan([]byte(body[at:end]))
		if err != nil {
			return err
		}
		if release >= int64(end) {
			tb.Fatalf("%d of %d bytes may leave before the end is judged", release, end)
		}
	}
	if err := s.Finish(); err != nil {
		return err
	}
	if a := s.Artifact(); a.Size != int64(len(body)) || a.File != named.File {
		tb.Fatalf("artifact is %+v", a)
	}
	if op.Body != model.BodySpool {
		return nil
	}
	return eco.Inspect(op, header, named, bytes.NewReader([]byte(body)), int64(len(body)))
}

func TestBodies(t *testing.T) {
	const sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	const helloSHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	const malformed, mismatch, duplicate = model.CodeMalformedUpload, model.CodePackageMismatch, model.CodeDuplicateField
	swap := strings.Replace
	for _, tc := range []struct {
		name, path, body string
		header           http.Header
		want             refusal
	}{
		{name: "a jar", path: jarPath, body: "hello"},
		{name: "an empty file", path: jarPath},
		{name: "a declared digest", path: jarPath, body: "hello", header: http.Header{"X-Checksum-Sha256": {helloSHA256}}},
		{name: "another declared digest", path: jarPath, body: "hellO", header: http.Header{"X-Checksum-Sha256": {helloSHA256}}, want: refusal{model.CodeDigestMismatch, "X-Checksum-Sha256", helloSHA256}},
		{name: "a checksum", path: jarPath + ".sha1", body: sha1},
		{name: "a checksum with a line break", path: jarPath + ".sha1", body: sha1 + "\n"},
		{name: "a checksum that is short", path: jarPath + ".sha1", body: sha1[1:], want: refusal{malformed, "widget-1.0.jar.sha1", "another text"}},
		{name: "a checksum that is a file", path: jarPath + ".sha1", body: strings.Repeat("a", 1000), want: refusal{malformed, "widget-1.0.jar.sha1", "another text"}},
		{name: "a checksum that is a page", path: jarPath + ".md5", body: "<script>alert(1)</script>1234567", want: refusal{malformed, "widget-1.0.jar.md5", "another text"}},
		{name: "a pom", path: pomPath, body: releasePOM},
		{name: "a pom with its parent's group and version", path: pomPath, body: childPOM},
		{name: "a pom of another group", path: pomPath, body: swap(releasePOM, "com.example", "org.victim", 1), want: refusal{mismatch, "groupId in widget-1.0.pom", "org.victim"}},
		{name: "a pom of another artifact", path: pomPath, body: swap(releasePOM, "widget", "gadget", 1), want: refusal{mismatch, "artifactId in widget-1.0.pom", "gadget"}},
		{name: "a pom of another version", path: pomPath, body: swap(releasePOM, ">1.0<", ">2.0<", 1), want: refusal{mismatch, "version in widget-1.0.pom", "2.0"}},
		{name: "a pom with its parent's version, another", path: pomPath, body: swap(childPOM, "1.0", "3.0", 1), want: refusal{mismatch, "version in widget-1.0.pom", "3.0"}},
		{name: "a pom without an artifact of its own", path: pomPath, body: swap(childPOM, "<artifactId>widget</artifactId>", "", 1), want: refusal{mismatch, "artifactId in widget-1.0.pom", ""}},
		{name: "a pom with a property for its version", path: pomPath, body: swap(releasePOM, ">1.0<", ">${revision}<", 1), want: refusal{mismatch, "version in widget-1.0.pom", "${revision}"}},
		{name: "a pom with two groups", path: pomPath, body: swap(releasePOM, "<artifactId>", "<groupId>org.victim</groupId><artifactId>", 1), want: refusal{duplicate, "groupId", "twice"}},
		{name: "a pom with a group of another prefix", path: pomPath, body: swap(releasePOM, "<artifactId>", `<x:groupId xmlns:x="y">org.victim</x:groupId><artifactId>`, 1), want: refusal{malformed, "groupId", "in another namespace"}},
		{name: "a pom with its group in another prefix alone", path: pomPath, body: swap(swap(childPOM, "com.example", "org.victim", 1), "<artifactId>w", `<x:groupId xmlns:x="y">com.example</x:groupId><artifactId>w`, 1), want: refusal{malformed, "groupId", "in another namespace"}},
		{name: "a pom with its group in a prefix of its own namespace", path: pomPath, body: swap(releasePOM, "<groupId>com.example</groupId>", `<x:groupId xmlns:x="http://maven.apache.org/POM/4.0.0">com.example</x:groupId>`, 1), want: refusal{malformed, "widget-1.0.pom", "the prefix x for the namespace of its root"}},
		{name: "a pom with an element in its group", path: pomPath, body: swap(releasePOM, "<groupId>com.example", "<groupId>org.victim<x/>com.example", 1), want: refusal{malformed, "groupId", "more than text"}},
		{name: "a pom with a comment in its group", path: pomPath, body: swap(releasePOM, "<groupId>com.example", "<groupId>com.<!-- x -->example", 1), want: refusal{malformed, "groupId", "more than text"}},
		{name: "a pom in UTF-7", path: pomPath, body: swap(releasePOM, `encoding="UTF-8"`, `encoding ="UTF-7"`, 1), want: refusal{malformed, "widget-1.0.pom", "another XML declaration"}},
		{name: "a pom with instructions", path: pomPath, body: swap(releasePOM, "<dependencies>", "<?m2e ignore?><dependencies>", 1)},
		{name: "a pom with two parents", path: pomPath, body: swap(childPOM, "<parent>", "<parent/><parent>", 1), want: refusal{duplicate, "parent", "twice"}},
		{name: "a pom with a DTD", path: pomPath, body: swap(releasePOM, "<project", `<!DOCTYPE project [<!ENTITY v "1.0">]><project`, 1), want: refusal{malformed, "widget-1.0.pom", "a DTD"}},
		{name: "a pom with an entity", path: pomPath, body: swap(releasePOM, ">1.0<", ">&v;<", 1), want: refusal{malformed, "widget-1.0.pom", "not readable"}},
		{name: "a pom that is cut", path: pomPath, body: releasePOM[:300], want: refusal{malformed, "widget-1.0.pom", "not readable"}},
		{name: "a pom that is empty", path: pomPath, want: refusal{malformed, "widget-1.0.pom", "nothing"}},
		{name: "a pom with two roots", path: pomPath, body: releasePOM + childPOM, want: refusal{malformed, "widget-1.0.pom", "a second root"}},
		{name: "a pom with text after it", path: pomPath, body: releasePOM + "x", want: refusal{malformed, "widget-1.0.pom", "text outside its root"}},
		{name: "a pom of another kind", path: pomPath, body: index, want: refusal{malformed, "root element", "metadata"}},
		{name: "a pom that nests", path: pomPath, body: "<project>" + strings.Repeat("<a>", 100), want: refusal{malformed, "widget-1.0.pom", "elements nested deeper"}},
		{name: "a pom that is large", path: pomPath, body: strings.Repeat(" ", 8<<20+1), want: refusal{model.CodeTooLarge, "widget-1.0.pom", "more"}},
		{name: "a pom in ISO-8859-1", path: pomPath, body: latin("ISO-8859-1", "M\xfcller")},
		{name: "a pom in ISO-8859-1, written small", path: pomPath, body: latin("iso-8859-1", "\x80\xff"+strings.Repeat("\xe4", 2000))},
		{name: "a pom in US-ASCII", path: pomPath, body: latin("US-ASCII", "Mueller")},
		{name: "a pom in UTF-8", path: pomPath, body: latin("UTF-8", "M\u00fcller")},
		{name: "a pom that is not in ASCII", path: pomPath, body: latin("US-ASCII", "M\xfcller"), want: refusal{malformed, "widget-1.0.pom", "the byte 0xfc"}},
		{name: "a pom that is not in UTF-8", path: pomPath, body: latin("UTF-8", "M\xfcller"), want: refusal{malformed, "widget-1.0.pom", "not readable"}},
		{name: "a pom in UTF-16", path: pomPath, body: latin("UTF-16", ""), want: refusal{malformed, "widget-1.0.pom", "another XML declaration"}},
		{name: "a pom in windows-1252", path: pomPath, body: latin("windows-1252", ""), want: refusal{malformed, "widget-1.0.pom", "another XML declaration"}},
		{name: "a pom of another group in ISO-8859-1", path: pomPath, body: swap(latin("ISO-8859-1", ""), "com.example", "c\xf6m.example", 1), want: refusal{mismatch, "groupId in widget-1.0.pom", "c?m.example"}},
		{name: "an index", path: indexPath, body: index},
		{name: "an index of another artifact", path: indexPath, body: swap(index, "widget", "gadget", 1), want: refusal{mismatch, "artifactId in maven-metadata.xml", "gadget"}},
		{name: "an index of an artifact and of plugins", path: indexPath, body: swap(index, "<versioning>", "<plugins/><versioning>", 1), want: refusal{malformed, "index", "of a group's plugins too"}},
		{name: "an index of plugins", path: indexPath, body: "<metadata><plugins/></metadata>", want: refusal{malformed, "index", "of a group's plugins too"}},
		{name: "an index of a snapshot", path: snapshotPath, body: snapshotIndex},
		{name: "an index of another snapshot", path: snapshotPath, body: swap(snapshotIndex, "1.1", "1.2", 2), want: refusal{mismatch, "version in maven-metadata.xml", "1.2-SNAPSHOT"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, piece := range []int{1 << 20, 7, 1} {
				if piece == 1 && len(tc.body) > 10_000 {
					continue
				}
				err := put(t, tc.path, tc.body, piece, tc.header)
				if diff := cmp.Diff(tc.want, refused(err)); diff != "" {
					t.Errorf("in pieces of %d: %v\n%s", piece, err, diff)
				}
			}
		})
	}
}

func TestNew(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "maven.example.com", Path: "/"}
	for _, s := range []ecosystem.Settings{{Public: public}, {Registry: "releases"}, {Registry: "releases", Public: public, VerifyArchive: true}} {
		if _, err := maven.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestRender(t *testing.T) {
	for name, d := range map[string]*model.Denial{
		"policy":     model.Deny(model.CodeNoMatchingPolicy).Differ("environment", "staging", "release"),
		"credential": model.Deny(model.CodeExpired),
		"exists":     model.Deny(model.CodeAlreadyExists).Differ("file", "widget-1.0.jar", "one that the registry does not have"),
	} {
		d.Event = "0123456789abcdef0123"
		reply := protocol(t).Render(model.Operation{}, d)
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

// FuzzPath: what is accepted names a package whose own path it is.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{jarPath, pomPath, indexPath, snapshotPath, "/com/example/widget/1.1-SNAPSHOT/widget-1.1-20261123.211238-1.jar.md5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		op, err := protocol(t).Classify(http.MethodPut, path, nil, nil)
		if err != nil {
			return
		}
		named := op.Targets[0]
		group, artifact, _ := strings.Cut(named.Package, ":")
		parts := []string{strings.ReplaceAll(group, ".", "/"), artifact, named.Version, named.File}
		if named.Versionless {
			parts = []string{parts[0], parts[1], parts[3]}
		}
		if want := strings.Join(parts, "/"); strings.TrimPrefix(path, "/") != want {
			t.Errorf("%q is taken for %q", path, want)
		}
	})
}

// FuzzDocument: nothing that is not a document with the coordinates of its path is accepted.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{releasePOM, childPOM, index, latin("ISO-8859-1", "M\xfcller"), latin("US-ASCII", "")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if put(t, pomPath, body, 1<<20, nil) == nil && !strings.Contains(body, "artifactId") {
			t.Errorf("accepted %q", body)
		}
	})
}
