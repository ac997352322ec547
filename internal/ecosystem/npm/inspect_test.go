package npm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

const manifest = `{"name":"@acme/widget","version":"1.0.0","scripts":{"name":"x"}}`

// file is an entry of an archive.
type file struct {
	name, text string
	edit       func(*tar.Header)
}

// packed is an archive with these entries.
func packed(files ...file) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.text)), Mode: 0o644, Typeflag: tar.TypeReg, ModTime: time.Unix(499162500, 0)}
		if f.edit != nil {
			f.edit(h)
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			panic(err)
		}
	}
	_, _ = w.Close(), z.Close()
	return b.Bytes()
}

// zipped is what an archive of that tar is.
func zipped(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}

// sizedFolder is an archive whose first entry, a folder, says that it has data: some readers skip it.
func sizedFolder(tb testing.TB, archive []byte) []byte {
	tb.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	copy(text[124:], fmt.Sprintf("%011o", 512))
	copy(text[148:], "        ")
	sum := 0
	for _, b := range text[:512] {
		sum += int(b)
	}
	copy(text[148:], fmt.Sprintf("%06o\x00 ", sum))
	return zipped(text)
}

// with is the document of another archive.
func with(archive []byte) string {
	sum := sha512.Sum512(archive)
	return fmt.Sprintf(`{"_id":"@acme/widget","name":"@acme/widget","versions":{"1.0.0":{"name":"@acme/widget","version":"1.0.0","dist":{"integrity":"sha512-%s"}}},`+
		`"_attachments":{"@acme/widget-1.0.0.tgz":{"data":"%s"}}}`, base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(archive))
}

// verify judges a document by a registry that looks into archives, as the gateway does.
func verify(tb testing.TB, doc string) error {
	tb.Helper()
	eco, err := npm.New(ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "npm.example.com", Path: "/"}, VerifyArchive: true})
	if err != nil {
		tb.Fatal(err)
	}
	op, err := eco.Classify(http.MethodPut, "/@acme%2fwidget", nil, nil)
	if err != nil || op.Body != model.BodySpool {
		tb.Fatalf("%+v, %v", op, err)
	}
	scanner, err := eco.Open(op, nil)
	if err != nil {
		tb.Fatal(err)
	}
	spooled, target, err := upload.Spool(strings.NewReader(doc), scanner, tb.TempDir(), 1<<30, func(model.Target) error { return nil })
	if err != nil {
		return err
	}
	defer func() { _ = spooled.Close() }()
	return eco.Inspect(op, nil, target, spooled, spooled.Size())
}

func TestInvariantJudgedBytesAreForwardedBytes(t *testing.T) {
	const at, bad, mismatch = "package/package.json", model.CodeMalformedUpload, model.CodePackageMismatch
	good := file{at, manifest, nil}
	other := file{at, strings.Replace(manifest, "widget", "gadget", 1), nil}
	typed := func(name string, kind byte) file {
		return file{name, "", func(h *tar.Header) { h.Typeflag, h.Linkname = kind, "package/other.json" }}
	}
	records := func(name, key, value string) file {
		return file{name, "", func(h *tar.Header) { h.PAXRecords, h.Format = map[string]string{key: value}, tar.FormatPAX }}
	}
	var plain bytes.Buffer
	z, err := gzip.NewReader(bytes.NewReader(packed(good)))
	if err == nil {
		_, err = plain.ReadFrom(z)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		archive []byte
		code    model.Code
	}{
		"good":               {packed(good), ""},
		"many files":         {packed(file{"package/index.js", strings.Repeat("x", 200_000), nil}, good, file{"package/node_modules/x/package.json", "{}", nil}), ""},
		"another top folder": {packed(file{"widget/package.json", manifest, nil}), ""},
		"a folder":           {packed(file{"package/", "", func(h *tar.Header) { h.Typeflag = tar.TypeDir }}, good), ""},
		"a long name":        {packed(good, file{"package/" + strings.Repeat("a", 200), "x", nil}), ""},
		"a comment of git": {packed(file{"", "", func(h *tar.Header) {
			*h = tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}
		}}, good), ""},
		"another package":          {packed(other), mismatch},
		"another version":          {packed(file{at, strings.Replace(manifest, "1.0.0", "1.0.1", 1), nil}), mismatch},
		"no version":               {packed(file{at, `{"name":"@acme/widget"}`, nil}), mismatch},
		"a name that is no text":   {packed(file{at, `{"name":1,"version":"1.0.0"}`, nil}), bad},
		"a name twice":             {packed(file{at, strings.Replace(manifest, "{", `{"name":"@acme/gadget",`, 1), nil}), model.CodeDuplicateField},
		"a name in capitals":       {packed(file{at, strings.Replace(manifest, "{", `{"Name":"@acme/gadget",`, 1), nil}), bad},
		"a manifest that is cut":   {packed(file{at, manifest[:20], nil}), model.CodeTruncated},
		"a manifest that is large": {packed(file{at, strings.Repeat(" ", 1<<20) + manifest, nil}), bad},
		"two manifests":            {packed(good, other), bad},
		"two in two folders":       {packed(good, file{"other/package.json", manifest, nil}), bad},
		"one in capitals":          {packed(good, file{"package/Package.JSON", manifest, nil}), bad},
		"one with a hidden letter": {packed(good, file{"package/pack\u200cage.json", manifest, nil}), bad},
		"one with a sign for K":    {packed(good, file{"package/pac\u212aage.json", manifest, nil}), bad},
		"one by a longer way":      {packed(good, file{"package/./package.json", manifest, nil}), bad},
		"one by two slashes":       {packed(good, file{"package//package.json", manifest, nil}), bad},
		"one from above":           {packed(good, file{"../package/package.json", manifest, nil}), bad},
		"one from the root":        {packed(good, file{"/package/package.json", manifest, nil}), bad},
		"one of Windows":           {packed(good, file{`package\package.json`, manifest, nil}), bad},
		"one named by a record":    {packed(file{at, manifest, func(h *tar.Header) { h.PAXRecords, h.Format = map[string]string{"path": at}, tar.FormatPAX }}), bad},
		"no manifest":              {packed(file{"package/index.js", "x", nil}), model.CodeMissingField},
		"one at the top":           {packed(file{"package.json", manifest, nil}), model.CodeMissingField},
		"one that is a folder":     {packed(file{at + "/", "", func(h *tar.Header) { h.Typeflag = tar.TypeDir }}), bad},
		"one that is a link":       {packed(typed(at, tar.TypeSymlink)), bad},
		"a link":                   {packed(good, typed("package/x", tar.TypeSymlink)), bad},
		"a hard link":              {packed(good, typed("package/x", tar.TypeLink)), bad},
		"a device":                 {packed(good, typed("package/x", tar.TypeChar)), bad},
		"a strange record":         {packed(good, records("package/x", "VENDOR.name", "package.json")), bad},
		"a record for all that come": {packed(file{"", "", func(h *tar.Header) {
			*h = tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "x"}}
		}}, good), bad},
		"no gzip":              {plain.Bytes(), bad},
		"no tar":               {zipped([]byte("text")), bad},
		"nothing":              {nil, bad},
		"cut":                  {packed(good)[:60], bad},
		"two members":          {append(packed(good), packed(other)...), bad},
		"bytes after it":       {append(packed(good), 'x'), bad},
		"a folder with a size": {sizedFolder(t, packed(file{"package/", "", func(h *tar.Header) { h.Typeflag = tar.TypeDir }}, good)), bad},
		"a tar after its end":  {zipped(append(bytes.Clone(plain.Bytes()), plain.Bytes()...)), bad},
	} {
		if err := verify(t, with(tc.archive)); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: got %v, expected %q", name, err, tc.code)
		}
	}
	if err := verify(t, strings.Replace(with(packed(good)), `"_id":"@acme/widget"`, `"_id":"@acme/gadget"`, 1)); ecosystemtest.Code(err) != mismatch {
		t.Errorf("another document: %v", err)
	}
}

// FuzzArchive: what is accepted has a manifest with the document's name and version.
func FuzzArchive(f *testing.F) {
	f.Add(packed(file{"package/package.json", manifest, nil}))
	f.Fuzz(func(t *testing.T, text []byte) {
		archive := zipped(text)
		if verify(t, with(archive)) == nil && !bytes.Contains(text, []byte("/package.json")) {
			t.Errorf("accepted %q", text)
		}
	})
}
