package wheel

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

func TestWheelIsWhole(t *testing.T) {
	f, err := Release{Name: "Acme.Widget", Version: "1.0", Filler: 10_000}.Wheel()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := model.ParsePyPIFile(f.Name)
	if err != nil {
		t.Fatal(err)
	}
	want := model.PyPIFile{Type: model.PyPIWheel, Package: "acme-widget", Version: "1", Python: "py3"}
	if diff := cmp.Diff(want, parsed); diff != "" {
		t.Error(diff)
	}
	zr, err := zip.NewReader(bytes.NewReader(f.Data), int64(len(f.Data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range zr.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[e.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	checkRecord(t, files, "acme_widget-1.0.dist-info/RECORD")
	if got := string(files["acme_widget-1.0.dist-info/METADATA"]); !strings.Contains(got, "\nName: Acme.Widget\nVersion: 1.0\n") {
		t.Errorf("METADATA is %q", got)
	}
}

// checkRecord holds RECORD against every file of the wheel.
func checkRecord(t *testing.T, files map[string][]byte, record string) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(files[record])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(files) {
		t.Errorf("RECORD has %d lines for %d files", len(lines), len(files))
	}
	for _, line := range lines {
		data, ok := files[line[0]]
		sum := sha256.Sum256(data)
		want := []string{line[0], "sha256=" + base64.RawURLEncoding.EncodeToString(sum[:]), fmt.Sprint(len(data))}
		if line[0] == record {
			want = []string{record, "", ""}
		}
		if diff := cmp.Diff(want, line); !ok || diff != "" {
			t.Errorf("RECORD line for %q: %s", line[0], diff)
		}
	}
}

func TestSdistIsWhole(t *testing.T) {
	f, err := Release{Name: "acme-widget", Version: "2.1rc1", MetadataName: "evil"}.Sdist()
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "acme_widget-2.1rc1.tar.gz" {
		t.Errorf("file name is %q", f.Name)
	}
	gz, err := gzip.NewReader(bytes.NewReader(f.Data))
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(gz)
	head, err := tr.Next()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(tr)
	if err != nil || head.Name != "acme_widget-2.1rc1/PKG-INFO" || !bytes.Contains(data, []byte("\nName: evil\nVersion: 2.1rc1\n")) {
		t.Errorf("first entry is %q with %q, %v", head.Name, data, err)
	}
}

func TestSameReleaseSameBytes(t *testing.T) {
	r := Release{Name: "acme", Version: "1", Filler: 1000}
	for name, build := range map[string]func() (File, error){"wheel": r.Wheel, "sdist": r.Sdist} {
		a, errA := build()
		b, errB := build()
		if errA != nil || errB != nil || a.SHA256() != b.SHA256() {
			t.Errorf("%s: two builds differ (%v, %v)", name, errA, errB)
		}
	}
}

func TestFormReadsAsAForm(t *testing.T) {
	f, err := Release{Name: "acme", Version: "1.0"}.Wheel()
	if err != nil {
		t.Fatal(err)
	}
	contentType, body := f.Form()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"metadata_version": {"2.1"}, "name": {"acme"}, "version": {"1.0"}, "pyversion": {"py3"}, "filetype": {"bdist_wheel"},
		"sha256_digest": {f.SHA256()}, ":action": {"file_upload"}, "protocol_version": {"1"},
	}
	if diff := cmp.Diff(want, form.Value); diff != "" {
		t.Error(diff)
	}
	if got := form.File["content"]; len(got) != 1 || got[0].Filename != f.Name || got[0].Size != int64(len(f.Data)) {
		t.Errorf("content is %+v", got)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	for _, r := range []Release{{Name: "../x", Version: "1"}, {Name: "x", Version: "latest"}} {
		if f, err := r.Wheel(); err == nil {
			t.Errorf("%+v built %s", r, f.Name)
		}
	}
}
