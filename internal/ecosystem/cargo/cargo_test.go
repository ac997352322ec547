package cargo_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/cargo"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

var public = &url.URL{Scheme: "https", Host: "cargo.example.com", Path: "/"}

func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := cargo.New(ecosystem.Settings{Registry: "main", Public: public})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

func TestSettings(t *testing.T) {
	for _, s := range []ecosystem.Settings{{Public: public}, {Registry: "main"}, {Registry: "main", Public: public, Layout: "/x"}, {Registry: "main", Public: public, VerifyArchive: true}} {
		if _, err := cargo.New(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestClassify(t *testing.T) {
	at := func(pkg string) []model.Target {
		return []model.Target{{Ecosystem: "cargo", Registry: "main", Package: pkg, Action: model.ActionRead, Versionless: true}}
	}
	crate := func(pkg string) model.Operation {
		return model.Operation{Kind: model.OperationRead, Name: "crate", Action: model.ActionRead, Targets: at(pkg)}
	}
	plain := model.Operation{Kind: model.OperationRead, Name: "read", Action: model.ActionRead}
	config := model.Operation{Kind: model.OperationRead, Name: "index-config", Action: model.ActionRead, Targets: at("")}
	yank := func(name string) model.Operation {
		return model.Operation{Kind: model.OperationManage, Name: name, Action: model.ActionYank, Targets: []model.Target{
			{Ecosystem: "cargo", Registry: "main", Package: "acme-widget", Version: "1.0.0", Action: model.ActionYank},
		}}
	}
	for _, tc := range []struct {
		request string
		want    model.Operation
		code    model.Code
	}{
		{"GET /config.json", config, ""},
		{"GET /index/config.json", config, ""},
		{"GET /other/config.json", plain, ""},
		{"GET /ac/me/acme-widget", crate("acme-widget"), ""},
		{"GET /index/ac/me/acme-widget", crate("acme-widget"), ""},
		{"GET /api/v1/crates/ac/me/acme-widget", crate("acme-widget"), ""},
		{"GET /1/a", crate("a"), ""},
		{"GET /2/ab", crate("ab"), ""},
		{"GET /3/a/abc", crate("abc"), ""},
		{"GET /ac/me/other", plain, ""},
		{"GET /ac/me/Acme-widget", plain, ""},
		{"GET /api/v1/crates/acme-widget", crate("acme-widget"), ""},
		{"GET /api/v1/crates/Acme-Widget/owners", crate("acme-widget"), ""},
		{"HEAD /api/v1/crates/acme-widget/1.0.0/download", crate("acme-widget"), ""},
		{"GET /dl/acme-widget/1.0.0/download", crate("acme-widget"), ""},
		{"GET /api/v1/crates?q=acme", plain, ""},
		{"GET /me", plain, ""},
		{"GET ", plain, ""},
		{"POST /git/git-upload-pack", plain, ""},
		{"PUT /api/v1/crates/new", model.Operation{Kind: model.OperationPublish, Name: "publish", Action: model.ActionPublish, Body: model.BodyStream}, ""},
		{"DELETE /api/v1/crates/acme-widget/1.0.0/yank", yank("yank"), ""},
		{"PUT /api/v1/crates/Acme-Widget/1.0.0/unyank", yank("unyank"), ""},
		{"POST /api/v1/trusted_publishing/tokens", model.Operation{Kind: model.OperationExchange, Name: "token-exchange"}, ""},
		{"DELETE /api/v1/trusted_publishing/tokens", model.Operation{Kind: model.OperationRevoke, Name: "token-revoke"}, ""},
		{"PUT /api/v1/crates/new?x=y", model.Operation{}, model.CodeMalformedUpload},
		{"POST /api/v1/crates/new", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /api/v1/crates/acme-widget/1.0.0/yank", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /api/v1/crates/acme-widget/1.0/yank", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /api/v1/crates/acme.widget/1.0.0/yank", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /api/v1/crates/acme-widget/1.0.0", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /api/v1/crates/acme-widget/owners", model.Operation{}, model.CodeUnsupportedOperation},
		{"DELETE /api/v1/crates/acme-widget/owners", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /ktra/api/v1/new_user/evil", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /git/git-receive-pack", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT /api/v1/trusted_publishing/tokens", model.Operation{}, model.CodeUnsupportedOperation},
		{"POST /api/v1/trusted_publishing/github_configs", model.Operation{}, model.CodeUnsupportedOperation},
		{"PUT ", model.Operation{}, model.CodeUnsupportedOperation},
	} {
		ecosystemtest.Classifies(t, protocol(t), tc.request, nil, tc.want, tc.code)
	}
}

const manifest = "[package]\nname = \"acme-widget\"\nversion = \"1.0.0\"\n"

// entry is one file of an archive.
type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatGNU}, body}
}

// pack makes a crate of files.
func pack(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	unpacked := tar.NewWriter(packed)
	for _, e := range entries {
		e.Size = int64(len(e.body))
		if err := unpacked.WriteHeader(&e.Header); err != nil {
			tb.Fatal(err)
		}
		if _, err := unpacked.Write([]byte(e.body)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(unpacked.Close(), packed.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// folderWithSize is a tar whose folder says that it has data: some readers skip it, and see the entries inside the file that follows.
func folderWithSize(tb testing.TB) []byte {
	tb.Helper()
	var inner, out bytes.Buffer
	hidden := tar.NewWriter(&inner)
	w := tar.NewWriter(&out)
	add := func(w *tar.Writer, e entry) {
		e.Size = int64(len(e.body))
		_, err := w.Write(nil)
		if err = errors.Join(err, w.WriteHeader(&e.Header)); err == nil {
			_, err = w.Write([]byte(e.body))
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	const top = "acme-widget-1.0.0/"
	add(hidden, file(top+"Cargo.toml", strings.Replace(manifest, "acme-widget", "evil", 1)))
	if err := hidden.Flush(); err != nil {
		tb.Fatal(err)
	}
	add(w, file(top+"Cargo.toml", manifest))
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	at := out.Len()
	add(w, entry{Header: tar.Header{Name: top + "src/", Typeflag: tar.TypeDir, Mode: 0o755, Format: tar.FormatGNU}})
	add(w, file(top+"data", inner.String()))
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	text := out.Bytes()
	head := text[at : at+512]
	copy(head[124:], fmt.Sprintf("%011o", 512))
	copy(head[148:], "        ")
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
	return text
}

func widget(tb testing.TB) []byte {
	tb.Helper()
	return pack(tb, file("acme-widget-1.0.0/Cargo.toml", manifest), file("acme-widget-1.0.0/src/lib.rs", "// nothing\n"))
}

const document = `{"name":"acme-widget","vers":"1.0.0","deps":[{"name":"other","Name":"x"}],"features":{},"authors":[],"keywords":[],"readme":"\u00e9"}`

// body is what cargo sends.
func body(document string, crate []byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(document)))
	out = append(out, document...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(crate)))
	return append(out, crate...)
}

var publish = model.Operation{Kind: model.OperationPublish, Name: "publish", Action: model.ActionPublish, Body: model.BodyStream}

// judge scans a body in pieces.
func judge(tb testing.TB, body []byte, size int) (target model.Target, artifact model.Artifact, err error) {
	tb.Helper()
	eco := protocol(tb)
	s, err := eco.Open(publish, nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = s.(io.Closer).Close() }()
	for rest := body; len(rest) > 0; {
		n := min(size, len(rest))
		release, err := s.Scan(rest[:n])
		if err != nil {
			return target, artifact, err
		}
		if rest = rest[n:]; release > int64(len(body)-len(rest)-1) {
			tb.Fatalf("%d bytes are released of %d", release, len(body)-len(rest))
		}
	}
	target, _ = s.Target()
	if err := s.Finish(); err != nil {
		return target, artifact, err
	}
	return target, s.Artifact(), nil
}

func TestPublish(t *testing.T) {
	crate := widget(t)
	whole := body(document, crate)
	want := model.Target{Ecosystem: "cargo", Registry: "main", Package: "acme-widget", Version: "1.0.0", File: "acme-widget-1.0.0.crate", Action: model.ActionPublish}
	for _, size := range []int{1, 3, 5, 1 << 20} {
		target, artifact, err := judge(t, whole, size)
		if diff := cmp.Diff(want, target); diff != "" || err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
		if diff := cmp.Diff(model.Artifact{File: want.File, Size: int64(len(crate)), SHA256: sha256.Sum256(crate)}, artifact); diff != "" {
			t.Error(diff)
		}
	}
	for cut := range len(whole) {
		if _, _, err := judge(t, whole[:cut], 1<<20); ecosystemtest.Code(err) != model.CodeTruncated && ecosystemtest.Code(err) != model.CodeMissingField {
			t.Fatalf("cut after %d bytes: %v", cut, err)
		}
	}
}

func TestDocumentRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, old, with string
		code            model.Code
	}{
		{"another name than the crate's", `"acme-widget"`, `"acme-gadget"`, model.CodePackageMismatch},
		{"the name in another spelling", `"acme-widget"`, `"acme_widget"`, model.CodePackageMismatch},
		{"the name in capitals", `"acme-widget"`, `"Acme-Widget"`, model.CodePackageMismatch},
		{"another version", `"1.0.0"`, `"1.0.1"`, model.CodePackageMismatch},
		{"no name", `"name":"acme-widget",`, ``, model.CodeMissingField},
		{"no version", `"vers":"1.0.0",`, ``, model.CodeMissingField},
		{"a name twice", `"features":{}`, `"name":"acme-widget"`, model.CodeDuplicateField},
		{"a name in another case", `"features":{}`, `"Name":"acme-gadget"`, model.CodeMalformedUpload},
		{"a folded letter", `"features":{}`, `"ver\u017f":"1.0.0"`, model.CodeMalformedUpload},
		{"a name that is no string", `"name":"acme-widget"`, `"name":["acme-widget"]`, model.CodeMalformedUpload},
		{"a name that is none", `"acme-widget"`, `"../evil"`, model.CodeMalformedUpload},
		{"a version that is none", `"1.0.0"`, `"1.0"`, model.CodeMalformedUpload},
		{"no object", document, `["acme-widget"]`, model.CodeMalformedUpload},
		{"two documents", document, document + document, model.CodeMalformedUpload},
		{"no JSON", `{"name"`, `{name`, model.CodeMalformedUpload},
	} {
		edited := strings.Replace(document, tc.old, tc.with, 1)
		if edited == document {
			t.Fatalf("%s: nothing was edited", tc.name)
		}
		if _, _, err := judge(t, body(edited, widget(t)), 7); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: %v, expected %s", tc.name, err, tc.code)
		}
	}
}

func TestFramingRefusals(t *testing.T) {
	crate := widget(t)
	whole := body(document, crate)
	length := func(at, by int) []byte {
		out := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(out[at:], uint32(int(binary.LittleEndian.Uint32(out[at:]))+by))
		return out
	}
	second := 4 + len(document)
	for name, tc := range map[string]struct {
		body []byte
		code model.Code
	}{
		"a byte behind the crate":      {append(bytes.Clone(whole), 0), model.CodeMalformedUpload},
		"a second upload behind it":    {append(bytes.Clone(whole), whole...), model.CodeMalformedUpload},
		"the document longer":          {length(0, 1), model.CodeMalformedUpload},
		"the document shorter":         {length(0, -1), model.CodeTruncated},
		"the crate longer":             {length(second, 1), model.CodeTruncated},
		"the crate shorter":            {length(second, -1), model.CodeMalformedUpload},
		"no document":                  {body("", crate), model.CodeMalformedUpload},
		"no crate":                     {body(document, nil), model.CodeMalformedUpload},
		"a document of four gigabytes": {append([]byte{255, 255, 255, 255}, whole[4:]...), model.CodeMalformedUpload},
		"nothing":                      {nil, model.CodeTruncated},
	} {
		if _, _, err := judge(t, tc.body, 11); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: %v, expected %s", name, err, tc.code)
		}
	}
}

func TestCrateRefusals(t *testing.T) {
	const top = "acme-widget-1.0.0/"
	good := file(top+"Cargo.toml", manifest)
	with := func(e entry, change func(*tar.Header)) entry { change(&e.Header); return e }
	double := append(widget(t), widget(t)...)
	for name, tc := range map[string]struct {
		crate []byte
		code  model.Code
	}{
		"no archive":                     {[]byte("crate"), model.CodeMalformedUpload},
		"no tar":                         {gzipped(t, []byte("crate")), model.CodeMalformedUpload},
		"empty":                          {pack(t), model.CodeMissingField},
		"a second member":                {double, model.CodeMalformedUpload},
		"bytes behind it":                {append(widget(t), 'x'), model.CodeMalformedUpload},
		"cut off":                        {widget(t)[:60], model.CodeMalformedUpload},
		"a second tar":                   {gzipped(t, append(unzipped(t, widget(t)), unzipped(t, widget(t))...)), model.CodeMalformedUpload},
		"another folder":                 {pack(t, file("acme-gadget-1.0.0/Cargo.toml", manifest)), model.CodePackageMismatch},
		"a file outside":                 {pack(t, good, file("evil", "x")), model.CodePackageMismatch},
		"a path that climbs":             {pack(t, good, file(top+"../../evil", "x")), model.CodeMalformedUpload},
		"an absolute path":               {pack(t, good, file("/etc/evil", "x")), model.CodePackageMismatch},
		"a path with a dot":              {pack(t, file("./"+top+"Cargo.toml", manifest)), model.CodeMalformedUpload},
		"no manifest":                    {pack(t, file(top+"src/lib.rs", "")), model.CodeMissingField},
		"two manifests":                  {pack(t, good, good), model.CodeMalformedUpload},
		"a manifest in another case":     {pack(t, good, file(top+"cargo.toml", manifest)), model.CodeMalformedUpload},
		"a manifest that is a folder":    {pack(t, with(file(top+"Cargo.toml", ""), func(h *tar.Header) { h.Typeflag = tar.TypeDir })), model.CodeMalformedUpload},
		"a link":                         {pack(t, good, with(file(top+"x", ""), func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeSymlink, "/etc" })), model.CodeMalformedUpload},
		"a folder with a size":           {gzipped(t, folderWithSize(t)), model.CodeMalformedUpload},
		"extended records":               {pack(t, good, with(file(top+"x", ""), func(h *tar.Header) { h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"a.b": "c"} })), model.CodeMalformedUpload},
		"a manifest of another crate":    {pack(t, file(top+"Cargo.toml", strings.Replace(manifest, "widget", "gadget", 1))), model.CodePackageMismatch},
		"a manifest of another version":  {pack(t, file(top+"Cargo.toml", strings.Replace(manifest, "1.0.0", "1.0.1", 1))), model.CodePackageMismatch},
		"a name in another case":         {pack(t, file(top+"Cargo.toml", strings.Replace(manifest, "name", "Name", 1))), model.CodePackageMismatch},
		"a manifest with a name twice":   {pack(t, file(top+"Cargo.toml", manifest+"name = \"acme-gadget\"\n")), model.CodeMalformedUpload},
		"a manifest with an old table":   {pack(t, file(top+"Cargo.toml", manifest+"[project]\nname = \"acme-gadget\"\n")), model.CodeMalformedUpload},
		"a manifest that is no TOML":     {pack(t, file(top+"Cargo.toml", "{}")), model.CodeMalformedUpload},
		"a manifest that is too large":   {pack(t, file(top+"Cargo.toml", manifest+strings.Repeat("#", 512<<10))), model.CodeMalformedUpload},
		"a manifest that is nested deep": {pack(t, file(top+"Cargo.toml", manifest+"x = "+strings.Repeat("[", 500<<10))), model.CodeMalformedUpload},
	} {
		if _, _, err := judge(t, body(document, tc.crate), 1<<20); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: %v, expected %s", name, err, tc.code)
		}
	}
}

func gzipped(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func unzipped(tb testing.TB, b []byte) []byte {
	tb.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestExchange(t *testing.T) {
	exchanger := protocol(t).(ecosystem.Exchanger)
	mint, revoke := model.Operation{Kind: model.OperationExchange}, model.Operation{Kind: model.OperationRevoke}
	for _, tc := range []struct {
		op                  model.Operation
		authorization, body string
		want                string
		code                model.Code
	}{
		{mint, "", `{"jwt":"x.y.z"}`, "x.y.z", ""},
		{mint, "", `{"jwt":"x.y.z","jwt":"a.b.c"}`, "", model.CodeBadRequest},
		{mint, "", `{"JWT":"x.y.z"}`, "", model.CodeBadRequest},
		{mint, "", `{"token":"x.y.z"}`, "", model.CodeBadRequest},
		{mint, "", `jwt=x.y.z`, "", model.CodeBadRequest},
		{mint, "", ``, "", model.CodeBadRequest},
		{revoke, "Bearer tpub_x", "", "tpub_x", ""},
		{revoke, "tpub_x", "", "tpub_x", ""},
		{revoke, "", "", "", model.CodeNoCredential},
		{revoke, "Bearer tpub_x", "{}", "", model.CodeNoCredential},
	} {
		header := http.Header{}
		if tc.authorization != "" {
			header.Set("Authorization", tc.authorization)
		}
		got, err := exchanger.ParseExchange(tc.op, header, []byte(tc.body))
		if diff := cmp.Diff(model.Exchange{Token: tc.want}, got); ecosystemtest.Code(err) != tc.code || diff != "" {
			t.Errorf("%s %q %s: %v\n%s", tc.op.Kind, tc.authorization, tc.body, err, diff)
		}
	}
}

func TestRender(t *testing.T) {
	denial := model.Deny(model.CodeExpired).Differ("exp", "12:00", "later")
	denial.Event = "e1"
	ecosystemtest.Golden(t, *update, "publish", protocol(t).Render(publish, denial))
}

// FuzzPublish: what is let through, another parser of the document reads in the same way.
func FuzzPublish(f *testing.F) {
	f.Add(body(document, widget(f)))
	f.Add(body(`{"vers":"1.0.0","name":"a"}`, pack(f, file("a-1.0.0/Cargo.toml", "[package]\nversion='1.0.0'\nname='a'"))))
	f.Fuzz(func(t *testing.T, whole []byte) {
		target, _, err := judge(t, whole, 64)
		if err != nil {
			return
		}
		end := 4 + int(binary.LittleEndian.Uint32(whole))
		var read struct{ Name, Vers string }
		if err := json.Unmarshal(whole[4:end], &read); err != nil {
			t.Fatalf("another parser can't read it: %v", err)
		}
		if read.Name+"-"+read.Vers+".crate" != target.File || !strings.EqualFold(read.Name, target.Package) || read.Vers != target.Version {
			t.Fatalf("another parser reads %+v, judged was %+v", read, target)
		}
	})
}

// BenchmarkPublish judges a crate of 20 MB that can't be compressed: JSON, digest and archive.
func BenchmarkPublish(b *testing.B) {
	noise := make([]byte, 20<<20)
	for i, x := 0, uint64(1); i < len(noise); i++ {
		x = x*6364136223846793005 + 1442695040888963407
		noise[i] = byte(x >> 56)
	}
	whole := body(document, pack(b, file("acme-widget-1.0.0/Cargo.toml", manifest), file("acme-widget-1.0.0/data", string(noise))))
	b.SetBytes(int64(len(whole)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := judge(b, whole, 32<<10); err != nil {
			b.Fatal(err)
		}
	}
}
