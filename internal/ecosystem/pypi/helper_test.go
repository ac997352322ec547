package pypi

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// index is the protocol for a registry named internal.
func index(t testing.TB, verify bool) *protocol {
	t.Helper()
	eco, err := New(ecosystem.Settings{
		Registry: "internal", Public: &url.URL{Scheme: "https", Host: "pypi.example.com", Path: "/root/prod/"}, VerifyArchive: verify,
	})
	if err != nil {
		t.Fatal(err)
	}
	return eco.(*protocol) //nolint:forcetypeassert // New makes nothing else
}

// code is the denial's code, "" for none.
func code(t testing.TB, err error) model.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var d *model.Denial
	if !errors.As(err, &d) {
		t.Fatalf("error is %T: %v, want a denial", err, err)
	}
	return d.Code
}

// splits are ways to cut a body into pieces.
var splits = map[string]func(body []byte) [][]byte{
	"whole":       func(b []byte) [][]byte { return [][]byte{bytes.Clone(b)} },
	"one byte":    func(b []byte) [][]byte { return pieces(b, func() int { return 1 }) },
	"three bytes": func(b []byte) [][]byte { return pieces(b, func() int { return 3 }) },
	"random": func(b []byte) [][]byte {
		r := rand.New(rand.NewPCG(uint64(len(b)), 7))
		return pieces(b, func() int { return 1 + r.IntN(150) })
	},
}

func pieces(b []byte, size func() int) (out [][]byte) {
	for len(b) > 0 {
		n := min(size(), len(b))
		out, b = append(out, bytes.Clone(b[:n])), b[n:]
	}
	return out
}

// verdict is what a scanner made of a body.
type verdict struct {
	Target   model.Target
	Named    bool
	Artifact model.Artifact
	Code     model.Code
	Field    string
	// Released is how much might have left before the verdict.
	Released int64
}

// judge feeds a body in pieces, each overwritten after its turn, and fails where the release falls or runs ahead.
func judge(t testing.TB, contentType string, body [][]byte) verdict {
	t.Helper()
	p := index(t, false)
	var v verdict
	s, err := p.Open(model.Operation{Name: opUpload}, http.Header{"Content-Type": {contentType}})
	if err == nil {
		err = feed(t, s, body, &v)
	}
	v.Code = code(t, err)
	var d *model.Denial
	if errors.As(err, &d) {
		v.Field = d.Field
	}
	return v
}

func feed(t testing.TB, s upload.Scanner, body [][]byte, v *verdict) error {
	t.Helper()
	var taken int64
	for _, piece := range body {
		taken += int64(len(piece))
		release, err := s.Scan(piece)
		clear(piece)
		if release < v.Released || release > taken {
			t.Fatalf("release went from %d to %d after %d bytes", v.Released, release, taken)
		}
		v.Released = release
		v.Target, v.Named = s.Target()
		if release > 0 && !v.Named {
			t.Fatalf("%d bytes may leave before the target is named", release)
		}
		if err != nil {
			return err
		}
	}
	if err := s.Finish(); err != nil {
		return err
	}
	v.Artifact = s.Artifact()
	return nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(b)
	return b
}

// fileBytes stands for a wheel: data full of line breaks and hyphens.
func fileBytes(n int) []byte {
	b := randomBytes(n)
	for i := range b {
		if b[i] > 0xd0 {
			b[i] = "\r\n--"[b[i]%4]
		}
	}
	return b
}

// clientForm reads a form that a real client has sent, and puts a file and its digests into it.
func clientForm(t testing.TB, name string, file []byte) (contentType string, body []byte) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "clients", name+".form"))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(raw), "\n")
	sha, blake, md := sha256.Sum256(file), blake2b.Sum256(file), md5.Sum(file)
	return head, []byte(strings.NewReplacer(
		"{{file}}", string(file), "{{sha256}}", hex.EncodeToString(sha[:]), "{{blake2}}", hex.EncodeToString(blake[:]), "{{md5}}", hex.EncodeToString(md[:]),
	).Replace(rest))
}

// clients are the forms in testdata.
var clients = []string{
	"curl", "flit", "flit-sdist", "hatch", "hatch-sdist", "pdm", "poetry", "poetry-sdist", "twine", "twine-attested", "twine-signed", "uv", "uv-sdist",
}

// The parts of the plain upload that the tests of single defects change.
const (
	plainType = "multipart/form-data; boundary=BbB"
	wheelFile = "acme_widget-1.0-py3-none-any.whl"
)

func field(name, value string) string {
	return fmt.Sprintf("--BbB\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", name, value)
}

func filePart(name, file, data string) string {
	return fmt.Sprintf("--BbB\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n", name, file, data)
}

const (
	plainEnd  = "--BbB--\r\n"
	plainData = "PK\x03\x04 this stands for a wheel of more bytes than are held back at its end, which are sixty-four."
)

func plainHead() string {
	return field(":action", "file_upload") + field("name", "acme-widget") + field("version", "1.0")
}

func plain() string { return plainHead() + filePart("content", wheelFile, plainData) + plainEnd }
