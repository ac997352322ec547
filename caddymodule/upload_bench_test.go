package caddymodule

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

const uploadPolicies = `policies:
  - name: all
    registry: [images, crates, gems, packages]
    packages: [widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
`

// sample is one large publish.
type sample struct {
	method, path, contentType string
	body                      []byte
}

// samples are what the sizes of the plan name: a layer of an image, a crate, a gem and a NuGet package that can't be compressed.
func samples(b *testing.B) map[string]sample {
	b.Helper()
	noise := make([]byte, 200<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	var crate, gem, nuget bytes.Buffer
	packed, err := gzip.NewWriterLevel(&crate, gzip.NoCompression)
	if err != nil {
		b.Fatal(err)
	}
	tarOf(b, packed, "widget-1.0.0/Cargo.toml", []byte("[package]\nname = \"widget\"\nversion = \"1.0.0\"\n"), "widget-1.0.0/data", noise)
	if err := packed.Close(); err != nil {
		b.Fatal(err)
	}
	document := `{"name":"widget","vers":"1.0.0"}`
	cargo := binary.LittleEndian.AppendUint32(nil, uint32(len(document)))
	cargo = binary.LittleEndian.AppendUint32(append(cargo, document...), uint32(crate.Len()))
	var metadata bytes.Buffer
	zipped := gzip.NewWriter(&metadata)
	fmt.Fprint(zipped, "--- !ruby/object:Gem::Specification\nname: widget\nversion: !ruby/object:Gem::Version\n  version: 1.0.0\nplatform: ruby\n")
	if err := zipped.Close(); err != nil {
		b.Fatal(err)
	}
	tarOf(b, &gem, "metadata.gz", metadata.Bytes(), "data.tar.gz", noise[:64<<20])
	archive := zip.NewWriter(&nuget)
	for name, data := range map[string][]byte{
		"Widget.nuspec": []byte(`<?xml version="1.0"?><package><metadata><id>Widget</id><version>1.0.0</version></metadata></package>`), "lib/data": noise[:64<<20],
	} {
		w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		b.Fatal(err)
	}
	form := append([]byte("--3576595b-8e57-4d70-91bb-701d5aab54ea\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package.nupkg\r\n\r\n"), nuget.Bytes()...)
	return map[string]sample{
		"oci":      {http.MethodPatch, "/v2/widget/blobs/uploads/1", "application/octet-stream", noise},
		"cargo":    {http.MethodPut, "/crates/api/v1/crates/new", "", append(cargo, crate.Bytes()...)},
		"rubygems": {http.MethodPost, "/gems/api/v1/gems", "application/octet-stream", gem.Bytes()},
		"nuget":    {http.MethodPut, "/packages/api/v2/package", "multipart/form-data; boundary=3576595b-8e57-4d70-91bb-701d5aab54ea", append(form, "\r\n--3576595b-8e57-4d70-91bb-701d5aab54ea--\r\n"...)},
	}
}

// tarOf writes two files as cargo and gem do.
func tarOf(b *testing.B, to io.Writer, first string, small []byte, second string, large []byte) {
	b.Helper()
	w := tar.NewWriter(to)
	for _, e := range []struct {
		name string
		data []byte
	}{{first, small}, {second, large}} {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o444, Size: int64(len(e.data)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, Uname: "wheel", Gname: "wheel"}); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkUpload sends large files over the loopback, through the gateway and through a plain reverse proxy.
func BenchmarkUpload(b *testing.B) {
	iss, gatewayAddr, plainAddr := startSites(b, uploadPolicies, [][3]string{
		{"images", "oci", "/v2/"}, {"crates", "cargo", "/crates/"}, {"gems", "rubygems", "/gems/"}, {"packages", "nuget", "/packages/"},
	})
	for name, u := range samples(b) {
		// The memory store takes no token of the second in which it was made.
		token := iss.Token(gatewayAddr, map[string]any{"iat": time.Now().Add(2 * time.Second).Unix()})
		for _, side := range []struct{ name, addr string }{{"plain", plainAddr}, {"gateway", gatewayAddr}} {
			b.Run(name+"/"+side.name, func(b *testing.B) {
				b.SetBytes(int64(len(u.body)))
				b.ReportAllocs()
				for b.Loop() {
					req, err := http.NewRequestWithContext(b.Context(), u.method, "http://"+side.addr+u.path, bytes.NewReader(u.body))
					if err != nil {
						b.Fatal(err)
					}
					req.Header.Set("Authorization", "Bearer "+token)
					if u.contentType != "" {
						req.Header.Set("Content-Type", u.contentType)
					}
					res, err := http.DefaultClient.Do(req)
					if err != nil {
						b.Fatal(err)
					}
					answer, err := io.ReadAll(res.Body)
					if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
						b.Fatalf("%s: %d %s, %v", name, res.StatusCode, answer, err)
					}
				}
			})
		}
	}
}
