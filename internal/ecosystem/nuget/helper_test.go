package nuget_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/nuget"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := nuget.New(ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "nuget.example.com", Path: "/"}})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

const (
	nuspec = `<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.example.com/nuspec.xsd">
  <metadata>
    <id>Acme.Widget</id>
    <version>1.0.0-Beta</version>
    <dependencies><dependency id="Other" version="2.0.0" /></dependencies>
  </metadata>
</package>`
	rels = `<?xml version="1.0"?><Relationships xmlns="http://schemas.example.com/relationships">` +
		`<Relationship Id="a" Type="http://schemas.example.com/2010/07/manifest" Target="/Acme.Widget.nuspec" /></Relationships>`
)

// entry is one of a zip.
type entry struct{ name, data string }

// zipOf writes a zip, with sizes before the data or after it.
func zipOf(described bool, entries ...entry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if described {
			f, _ := w.CreateHeader(h)
			_, _ = f.Write([]byte(e.data))
			continue
		}
		h.Method = zip.Store
		h.CRC32, h.CompressedSize64, h.UncompressedSize64 = crc(e.data), uint64(len(e.data)), uint64(len(e.data))
		f, _ := w.CreateRaw(h)
		_, _ = f.Write([]byte(e.data))
	}
	_ = w.Close()
	return b.Bytes()
}

// packageOf is a package around that nuspec.
func packageOf(text string) []byte {
	return zipOf(false, entry{"_rels/.rels", rels}, entry{"Acme.Widget.nuspec", text}, entry{"lib/a.dll", "data"})
}

const boundary = "3576595b-8e57-4d70-91bb-701d5aab54ea"

// The header of the part as clients write it.
const (
	dotnetPart = "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package.nupkg; filename*=utf-8''package.nupkg"
	newerPart  = "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package.nupkg"
	monoPart   = "Content-Disposition: form-data; name=\"package\"; filename=\"package\"\r\nContent-Type: application/octet-stream"
	curlPart   = "Content-Disposition: form-data; name=\"package\"; filename=\"Acme.Widget.1.0.0.nupkg\"\r\nContent-Type: application/octet-stream"
)

func formOf(part string, pkg []byte) []byte {
	return fmt.Appendf(nil, "--%[1]s\r\n%[2]s\r\n\r\n%[3]s\r\n--%[1]s--\r\n", boundary, part, pkg)
}

var formType = http.Header{"Content-Type": {`multipart/form-data; boundary="` + boundary + `"`}}

// judge spools a body, as the gateway does.
func judge(tb testing.TB, name string, body []byte) (target model.Target, artifact model.Artifact, err error) {
	tb.Helper()
	s, err := protocol(tb).Open(model.Operation{Name: name}, formType)
	if err != nil {
		return target, artifact, err
	}
	asked := 0
	spooled, target, err := upload.Spool(bytes.NewReader(body), s, tb.TempDir(), 1<<30, func(model.Target) error { asked++; return nil })
	if err != nil {
		return model.Target{}, artifact, err
	}
	defer func() { _ = spooled.Close() }()
	if asked != 1 {
		tb.Fatalf("asked %d times about the target", asked)
	}
	return target, s.Artifact(), nil
}
