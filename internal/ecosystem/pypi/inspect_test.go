package pypi

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/demo/wheel"
	"github.com/trustpub/trustpub/internal/model"
)

// entry is a file of an archive, in order.
type entry struct{ path, data string }

func zipOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		f, err := w.Create(e.path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		h := &tar.Header{Name: e.path, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.data))}
		if target, ok := strings.CutPrefix(e.data, "-> "); ok {
			h = &tar.Header{Name: e.path, Typeflag: tar.TypeSymlink, Linkname: target}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(e.data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// recordsForAll is a tar whose second entry has the name of the first to readers that know records for all entries.
func recordsForAll(t *testing.T, entries ...entry) []byte {
	t.Helper()
	return gzipped(t, func(w *tar.Writer) {
		for i, e := range entries {
			if i == 1 {
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": entries[0].path}}); err != nil {
					t.Fatal(err)
				}
			}
			writeFile(t, w, tar.Header{Name: e.path}, e.data)
		}
	})
}

// sizeInRecord is a tar with a file whose size stands in a record that some readers overlook (CVE-2025-62518): they go on inside it.
func sizeInRecord(t *testing.T, root string) []byte {
	t.Helper()
	text := gunzip(t, gzipped(t, func(w *tar.Writer) {
		writeFile(t, w, tar.Header{Name: "acme_widget-1.0/x", PAXRecords: map[string]string{"a.size": "00512"}}, strings.Repeat("x", 512))
		writeFile(t, w, tar.Header{Name: root}, goodMetadata)
	}))
	text = bytes.Replace(text, []byte("16 a.size=00512\n"), []byte("16 size=0000512\n"), 1)
	return gzipped(t, nil, text...)
}

func writeFile(t *testing.T, w *tar.Writer, h tar.Header, data string) {
	t.Helper()
	h.Typeflag, h.Mode, h.Size = tar.TypeReg, 0o644, int64(len(data))
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
}

// gzipped packs what write makes, or that text.
func gzipped(t *testing.T, write func(*tar.Writer), text ...byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	if write == nil {
		_, _ = gz.Write(text)
	} else {
		w := tar.NewWriter(gz)
		write(w)
		_ = w.Close()
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// inspect judges a form and then its archive.
func inspect(t *testing.T, contentType string, body []byte) error {
	t.Helper()
	p := index(t, true)
	header := http.Header{"Content-Type": {contentType}}
	op, err := p.Classify(http.MethodPost, "/", nil, header)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Open(op, header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(body); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	target, _ := s.Target()
	return p.Inspect(op, header, target, bytes.NewReader(body), int64(len(body)))
}

func TestInspectAcceptsRealArchives(t *testing.T) {
	r := wheel.Release{Name: "Acme.Widget", Version: "1.0rc1", Filler: 100_000}
	w, err := r.Wheel()
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Sdist()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []wheel.File{w, s} {
		t.Run(f.Name, func(t *testing.T) {
			contentType, body := f.Form()
			if err := inspect(t, contentType, body); err != nil {
				t.Error(err)
			}
		})
	}
}

// edited changes a byte of a zip, so many bytes behind the only place where a text stands.
func edited(file []byte, text string, at int, b byte) []byte {
	file[bytes.Index(file, []byte(text))+at] = b
	return file
}

const goodMetadata = "Metadata-Version: 2.1\nName: acme-widget\nVersion: 1.0\n\nText\nName: evil\n"

func TestInspect(t *testing.T) {
	const (
		info   = "acme_widget-1.0.dist-info/METADATA"
		root   = "acme_widget-1.0/PKG-INFO"
		sdist  = "acme_widget-1.0.tar.gz"
		zipped = "acme_widget-1.0.zip"
	)
	meta := func(old, replacement string) string { return strings.Replace(goodMetadata, old, replacement, 1) }
	tests := []struct {
		name, file string
		data       []byte
		want       model.Code
	}{
		{"a wheel", wheelFile, zipOf(t, entry{info, goodMetadata}), ""},
		{"CRLF in METADATA", wheelFile, zipOf(t, entry{info, strings.ReplaceAll(goodMetadata, "\n", "\r\n")}), ""},
		{"another spelling of the folder", wheelFile, zipOf(t, entry{"Acme.Widget-1.0.dist-info/METADATA", goodMetadata}), ""},
		{"equal name and version", wheelFile, zipOf(t, entry{info, meta("acme-widget\nVersion: 1.0", "ACME_Widget\nVersion: 1.0.0")}), ""},
		{"METADATA of a vendored package", wheelFile, zipOf(t, entry{"acme/_vendor/x-1.dist-info/METADATA", "Name: x"}, entry{info, goodMetadata}), ""},
		{"an sdist", sdist, tarOf(t, entry{root, goodMetadata}), ""},
		{"an sdist with egg-info", sdist, tarOf(t, entry{"acme_widget-1.0/acme.egg-info/PKG-INFO", "Name: x"}, entry{root, goodMetadata}), ""},
		{"an old sdist folder", sdist, tarOf(t, entry{"acme-widget-1.0/PKG-INFO", goodMetadata}), ""},
		{"a zipped sdist", zipped, zipOf(t, entry{root, goodMetadata}), ""},
		{"names that differ in case", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"acme/xt_MARK.h", "x"}, entry{"acme/xt_mark.h", "y"}), ""},
		{"percent signs", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"acme/100%.txt", "x"}), ""},

		{"another name", wheelFile, zipOf(t, entry{info, meta("acme-widget", "evil")}), model.CodePackageMismatch},
		{"another version", wheelFile, zipOf(t, entry{info, meta("1.0", "1.1")}), model.CodePackageMismatch},
		{"another name in an sdist", sdist, tarOf(t, entry{root, meta("acme-widget", "evil")}), model.CodePackageMismatch},
		{"another version in a zipped sdist", zipped, zipOf(t, entry{root, meta("1.0", "1.1")}), model.CodePackageMismatch},
		{"two names", wheelFile, zipOf(t, entry{info, meta("Version", "name: evil\nVersion")}), model.CodePackageMismatch},
		{"a folded name", wheelFile, zipOf(t, entry{info, meta("acme-widget", "acme-widget\n x")}), model.CodePackageMismatch},
		{"a carriage return", wheelFile, zipOf(t, entry{info, meta("2.1", "2.1\rName: evil")}), model.CodePackageMismatch},
		{"a line separator", wheelFile, zipOf(t, entry{info, meta("2.1", "2.1\u2028Name: evil")}), model.CodePackageMismatch},
		{"no colon", wheelFile, zipOf(t, entry{info, meta("2.1", "2.1\nfoo")}), model.CodePackageMismatch},
		{"no name", wheelFile, zipOf(t, entry{info, meta("Name: acme-widget\n", "")}), model.CodePackageMismatch},
		{"a name in the text", wheelFile, zipOf(t, entry{info, "Version: 1.0\n\nName: acme-widget\n"}), model.CodePackageMismatch},
		{"no METADATA", wheelFile, zipOf(t, entry{"x", "y"}), model.CodePackageMismatch},
		{"two METADATA", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{info, goodMetadata}), model.CodePackageMismatch},
		{"METADATA in two spellings", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"Acme_Widget-1.0.dist-info/METADATA", goodMetadata}), model.CodePackageMismatch},
		{"METADATA of another package", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"evil-1.0.dist-info/METADATA", goodMetadata}), model.CodePackageMismatch},
		{"METADATA with a backslash", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{`evil-1.0.dist-info\METADATA`, goodMetadata}), model.CodePackageMismatch},
		{"METADATA in small letters", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"evil-1.0.dist-info/metadata", goodMetadata}), model.CodePackageMismatch},
		{"METADATA that is too large", wheelFile, zipOf(t, entry{info, goodMetadata + strings.Repeat(" ", maxMetadata)}), model.CodePackageMismatch},
		{"a zip behind a program", wheelFile, append([]byte("#!/bin/sh\n"), zipOf(t, entry{info, goodMetadata})...), model.CodePackageMismatch},
		{"no zip", wheelFile, []byte("PK\x03\x04 and so on, and on, and on"), model.CodePackageMismatch},
		{"a short file", wheelFile, []byte("P"), model.CodePackageMismatch},
		{"a zip behind another", wheelFile, append(zipOf(t, entry{info, meta("acme-widget", "evil")}), zipOf(t, entry{info, goodMetadata})...), model.CodePackageMismatch},
		{"a file twice beside METADATA", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"a.py", "1"}, entry{"a.py", "2"}), model.CodePackageMismatch},
		{"names that differ in case", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"a.py", "1"}, entry{"A.py", "2"}), ""},
		{"a zip with text behind it", wheelFile, append(zipOf(t, entry{info, goodMetadata}), 'x'), model.CodePackageMismatch},
		{"another local name", wheelFile, bytes.Replace(zipOf(t, entry{info, goodMetadata}), []byte("METADATA"), []byte("METADATX"), 1), model.CodePackageMismatch},
		{"a damaged zip", wheelFile, bytes.Replace(zipOf(t, entry{info, goodMetadata}), []byte(info), []byte(strings.ToUpper(info)), 1), model.CodePackageMismatch},
		{"a file twice", wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"acme/x.py", "x"}, entry{"acme/x.py", "y"}), model.CodePackageMismatch},
		{"a zip behind a zip", wheelFile, append(zipOf(t, entry{info, goodMetadata}), zipOf(t, entry{info, meta("acme-widget", "evil")})...), model.CodePackageMismatch},
		{"text behind a zip", wheelFile, append(zipOf(t, entry{info, goodMetadata}), "text"...), model.CodePackageMismatch},
		{"two sizes", wheelFile, edited(zipOf(t, entry{info, goodMetadata}), "PK\x07\x08", 8, 9), model.CodePackageMismatch},
		{"encrypted", wheelFile, edited(zipOf(t, entry{info, goodMetadata}), "PK\x01\x02", 8, 9), model.CodePackageMismatch},
		{"a comment", wheelFile, append(edited(zipOf(t, entry{info, goodMetadata}), "PK\x05\x06", 20, 1), 'x'), model.CodePackageMismatch},
		{"a wheel as sdist", sdist, zipOf(t, entry{root, goodMetadata}), model.CodeMalformedUpload},
		{"an sdist with two PKG-INFO", sdist, tarOf(t, entry{root, goodMetadata}, entry{root, goodMetadata}), model.CodePackageMismatch},
		{"an sdist of two folders", sdist, tarOf(t, entry{root, goodMetadata}, entry{"evil-1.0/PKG-INFO", goodMetadata}), model.CodePackageMismatch},
		{"an sdist with a link", sdist, tarOf(t, entry{root, "-> x"}), model.CodePackageMismatch},
		{"an sdist without PKG-INFO", sdist, tarOf(t, entry{"acme_widget-1.0/setup.py", ""}), model.CodePackageMismatch},
		{"an sdist in two members", sdist, append(tarOf(t, entry{root, goodMetadata}), tarOf(t, entry{root, goodMetadata})...), model.CodePackageMismatch},
		{"an sdist with records for all", sdist, recordsForAll(t, entry{root, goodMetadata}, entry{"acme_widget-1.0/x", meta("acme-widget", "evil")}), model.CodeMalformedUpload},
		{"an sdist with a size in a record", sdist, sizeInRecord(t, root), model.CodeMalformedUpload},
		{"a bomb", sdist, tarOf(t, entry{"acme_widget-1.0/zero", strings.Repeat("\x00", smallUnpacked+1)}, entry{root, goodMetadata}), model.CodePackageMismatch},
		{"half an sdist", sdist, tarOf(t, entry{root, goodMetadata})[:60], model.CodeMalformedUpload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := plainHead() + filePart("content", tt.file, string(tt.data)) + plainEnd
			err := inspect(t, plainType, []byte(body))
			if got := code(t, err); got != tt.want {
				t.Errorf("code is %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// TestAdvisoryArchivesReadInTwoWays (CVE-2025-62518, and what indexes refuse of zips since 2025): no archive has entries that one installer
// sees and another does not.
func TestAdvisoryArchivesReadInTwoWays(t *testing.T) {
	const info, root = "acme_widget-1.0.dist-info/METADATA", "acme_widget-1.0/PKG-INFO"
	evil := strings.Replace(goodMetadata, "acme-widget", "evil", 1)
	good, other := zipOf(t, entry{info, goodMetadata}), zipOf(t, entry{info, evil})
	for name, tc := range map[string]struct {
		file string
		data []byte
	}{
		"a size in a record":          {"acme_widget-1.0.tar.gz", sizeInRecord(t, root)},
		"records for all entries":     {"acme_widget-1.0.tar.gz", recordsForAll(t, entry{root, goodMetadata}, entry{"acme_widget-1.0/x", evil})},
		"two members":                 {"acme_widget-1.0.tar.gz", append(tarOf(t, entry{root, goodMetadata}), tarOf(t, entry{root, evil})...)},
		"a zip behind another":        {wheelFile, append(bytes.Clone(other), good...)},
		"a zip before another":        {wheelFile, append(bytes.Clone(good), other...)},
		"a name that differs locally": {wheelFile, bytes.Replace(good, []byte("METADATA"), []byte("METADATX"), 1)},
		"a name twice":                {wheelFile, zipOf(t, entry{info, goodMetadata}, entry{"a", "1"}, entry{"a", "2"})},
	} {
		body := plainHead() + filePart("content", tc.file, string(tc.data)) + plainEnd
		if err := inspect(t, plainType, []byte(body)); code(t, err) == "" {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestInspectRefusesAnotherBody: a spool that is not what was judged is a defect, never an upload.
func TestInspectRefusesAnotherBody(t *testing.T) {
	p := index(t, true)
	header := http.Header{"Content-Type": {plainType}}
	body := []byte(plain())
	err := p.Inspect(model.Operation{Name: opUpload}, header, model.Target{Package: "other"}, bytes.NewReader(body), int64(len(body)))
	if got := code(t, err); got != model.CodeInternal {
		t.Errorf("code is %q, want %q", got, model.CodeInternal)
	}
	err = p.Inspect(model.Operation{Name: opUpload}, header, model.Target{}, bytes.NewReader(body[:10]), int64(len(body)))
	if got := code(t, err); got != model.CodeSpoolUnavailable {
		t.Errorf("code is %q, want %q", got, model.CodeSpoolUnavailable)
	}
}
