//go:build unix

package caddymodule

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha1" // npm declares it beside a stronger digest
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"
)

const uploadPolicies = `policies:
  - name: all
    registry: [images, crates, gems, packages, index, modules]
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

// samples make what the sizes of the plan name, of bytes that can't be compressed.
var samples = map[string]func(b *testing.B, noise []byte) sample{
	"oci": func(_ *testing.B, noise []byte) sample {
		return sample{http.MethodPatch, "/v2/widget/blobs/uploads/1", "application/octet-stream", noise}
	},
	"pypi":     pypiSample,
	"cargo":    cargoSample,
	"npm":      npmSample,
	"nuget":    nugetSample,
	"rubygems": gemSample,
}

// pypiSample is a wheel of 200 MB as twine sends it.
func pypiSample(_ *testing.B, noise []byte) sample {
	const boundary = "0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4"
	sum := sha256.Sum256(noise)
	var form bytes.Buffer
	for _, field := range [][2]string{
		{":action", "file_upload"},
		{"protocol_version", "1"},
		{"name", "widget"},
		{"version", "1.0.0"},
		{"filetype", "bdist_wheel"},
		{"pyversion", "py3"},
		{"sha256_digest", hex.EncodeToString(sum[:])},
	} {
		fmt.Fprintf(&form, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, field[0], field[1])
	}
	fmt.Fprintf(&form, "--%s\r\nContent-Disposition: form-data; name=\"content\"; filename=\"widget-1.0.0-py3-none-any.whl\"\r\n\r\n", boundary)
	form.Write(noise)
	fmt.Fprintf(&form, "\r\n--%s--\r\n", boundary)
	return sample{http.MethodPost, "/index/", "multipart/form-data; boundary=" + boundary, form.Bytes()}
}

// cargoSample is a crate of 200 MB.
func cargoSample(b *testing.B, noise []byte) sample {
	var crate bytes.Buffer
	packed, err := gzip.NewWriterLevel(&crate, gzip.NoCompression)
	if err != nil {
		b.Fatal(err)
	}
	tarOf(b, packed, packedFile{"widget-1.0.0/Cargo.toml", []byte("[package]\nname = \"widget\"\nversion = \"1.0.0\"\n")}, packedFile{"widget-1.0.0/data", noise})
	if err := packed.Close(); err != nil {
		b.Fatal(err)
	}
	document := `{"name":"widget","vers":"1.0.0"}`
	body := binary.LittleEndian.AppendUint32(nil, uint32(len(document)))
	body = binary.LittleEndian.AppendUint32(append(body, document...), uint32(crate.Len()))
	return sample{http.MethodPut, "/crates/api/v1/crates/new", "", append(body, crate.Bytes()...)}
}

// npmSample is a document of 100 MB with the digests that npm declares.
func npmSample(_ *testing.B, noise []byte) sample {
	archive := noise[:75_000_000]
	long, short := sha512.Sum512(archive), sha1.Sum(archive)
	body := fmt.Appendf(nil, `{"_id":"widget","name":"widget","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"widget","version":"1.0.0",`+
		`"dist":{"integrity":"sha512-%s","shasum":"%x"}}},"_attachments":{"widget-1.0.0.tgz":{"content_type":"application/octet-stream","data":"`,
		base64.StdEncoding.EncodeToString(long[:]), short)
	body = append(base64.StdEncoding.AppendEncode(body, archive), fmt.Sprintf(`","length":%d}}}`, len(archive))...)
	return sample{http.MethodPut, "/modules/widget", "application/json", body}
}

// nugetSample is a package of 64 MB as dotnet sends it.
func nugetSample(b *testing.B, noise []byte) sample {
	const boundary = "3576595b-8e57-4d70-91bb-701d5aab54ea"
	var form bytes.Buffer
	fmt.Fprintf(&form, "--%s\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package.nupkg\r\n\r\n", boundary)
	archive := zip.NewWriter(&form)
	for _, e := range []packedFile{
		{"Widget.nuspec", []byte(`<?xml version="1.0"?><package><metadata><id>Widget</id><version>1.0.0</version></metadata></package>`)},
		{"lib/data", noise[:64<<20]},
	} {
		w, err := archive.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			b.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(&form, "\r\n--%s--\r\n", boundary)
	return sample{http.MethodPut, "/packages/api/v2/package", "multipart/form-data; boundary=" + boundary, form.Bytes()}
}

// gemSample is a gem of 64 MB with the checksums that gem writes.
func gemSample(b *testing.B, noise []byte) sample {
	zipped := func(text string) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		fmt.Fprint(w, text)
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		return out.Bytes()
	}
	metadata := zipped("--- !ruby/object:Gem::Specification\nname: widget\nversion: !ruby/object:Gem::Version\n  version: 1.0.0\nplatform: ruby\n")
	data := noise[:64<<20]
	checksums := fmt.Sprintf("---\nSHA256:\n  metadata.gz: %x\n  data.tar.gz: %x\nSHA512:\n  metadata.gz: %x\n  data.tar.gz: %x\n",
		sha256.Sum256(metadata), sha256.Sum256(data), sha512.Sum512(metadata), sha512.Sum512(data))
	var gem bytes.Buffer
	tarOf(b, &gem, packedFile{"metadata.gz", metadata}, packedFile{"data.tar.gz", data}, packedFile{"checksums.yaml.gz", zipped(checksums)})
	return sample{http.MethodPost, "/gems/api/v1/gems", "application/octet-stream", gem.Bytes()}
}

// packedFile is a file in an archive.
type packedFile struct {
	name string
	data []byte
}

// tarOf writes files as cargo and gem do.
func tarOf(b *testing.B, to io.Writer, entries ...packedFile) {
	b.Helper()
	w := tar.NewWriter(to)
	for _, e := range entries {
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

// BenchmarkUpload sends large files over the loopback, through a plain reverse proxy and through the gateway in turn, and compares
// the medians of the rounds. The processor's time is that of all four: client, both proxies and upstream.
func BenchmarkUpload(b *testing.B) {
	iss, gatewayAddr, plainAddr := startSites(b, uploadPolicies, [][3]string{
		{"images", "oci", "/v2/"},
		{"crates", "cargo", "/crates/"},
		{"gems", "rubygems", "/gems/"},
		{"packages", "nuget", "/packages/"},
		{"index", "pypi", "/index/"},
		{"modules", "npm", "/modules/"},
	}, false)
	noise := make([]byte, 200<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	for _, name := range []string{"oci", "pypi", "cargo", "npm", "nuget", "rubygems"} {
		b.Run(name, func(b *testing.B) {
			u := samples[name](b, noise)
			var plain, gateway spent
			for b.Loop() {
				plain.round(b, u, plainAddr, "password")
				// The memory store takes no token of the second in which it was made.
				gateway.round(b, u, gatewayAddr, iss.Token(gatewayAddr, map[string]any{"iat": time.Now().Add(2 * time.Second).Unix()}))
			}
			b.ReportMetric(float64(len(u.body))/1e6/median(plain.time), "plain-MB/s")
			b.ReportMetric(float64(len(u.body))/1e6/median(gateway.time), "gateway-MB/s")
			b.ReportMetric(median(plain.time)/median(gateway.time), "speed-ratio")
			b.ReportMetric(median(gateway.cpu)/median(plain.cpu), "cpu-ratio")
		})
	}
}

// spent is what the rounds of one side cost, in seconds.
type spent struct{ time, cpu []float64 }

// round sends the sample once.
func (s *spent) round(b *testing.B, u sample, addr, token string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), u.method, "http://"+addr+u.path, bytes.NewReader(u.body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if u.contentType != "" {
		req.Header.Set("Content-Type", u.contentType)
	}
	started, cpu := time.Now(), processorTime(b)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d %s, %v", u.path, res.StatusCode, answer, err)
	}
	s.time, s.cpu = append(s.time, time.Since(started).Seconds()), append(s.cpu, processorTime(b)-cpu)
}

// processorTime is what this process has used, in seconds.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
