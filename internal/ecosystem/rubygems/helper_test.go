package rubygems_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/rubygems"
	"github.com/trustpub/trustpub/internal/model"
)

func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := rubygems.New(ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "gems.example.com", Path: "/"}})
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

const metadata = `--- !ruby/object:Gem::Specification
name: widget
version: !ruby/object:Gem::Version
  version: 1.0.0
platform: ruby
authors:
- me
dependencies:
- !ruby/object:Gem::Dependency
  name: rake
  requirement: !ruby/object:Gem::Requirement
    requirements:
    - - "~>"
      - !ruby/object:Gem::Version
        version: '13.0'
  type: :runtime
description:
summary: x
`

// entry is one of a tar.
type entry struct {
	name string
	data string
}

// zipped packs a text.
func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// tarOf writes a tar as gem does.
func tarOf(entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		_ = w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o444, Size: int64(len(e.data)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, Uname: "wheel", Gname: "wheel"})
		_, _ = w.Write([]byte(e.data))
	}
	_ = w.Close()
	return b.Bytes()
}

// checksums are those of the two entries.
func checksums(meta, data string) string {
	return fmt.Sprintf("---\nSHA256:\n  metadata.gz: %x\n  data.tar.gz: %x\nSHA512:\n  metadata.gz: %x\n  data.tar.gz: '%x'\n",
		sha256.Sum256([]byte(meta)), sha256.Sum256([]byte(data)), sha512.Sum512([]byte(meta)), sha512.Sum512([]byte(data)))
}

// gemOf builds a gem around that metadata.
func gemOf(text string) []byte {
	meta, data := zipped(text), zipped(strings.Repeat("data", 300))
	return tarOf(entry{"metadata.gz", meta}, entry{"data.tar.gz", data}, entry{"checksums.yaml.gz", zipped(checksums(meta, data))})
}

const boundary = "PdRcgo0VZe3fePa9iQr3JsbdYh5yJHJP9XwHL5JhMJLtdKj0JcDbFA"

// formOf is the form that gem writes with attestations.
func formOf(file string, gem []byte) []byte {
	return fmt.Appendf(nil, "--%[1]s\r\nContent-Disposition: form-data; name=\"gem\"; filename=\"%[2]s\"\r\nContent-Type: application/octet-stream\r\n\r\n%[3]s\r\n"+
		"--%[1]s\r\nContent-Disposition: form-data; name=\"attestations\"\r\n\r\n[{}]\r\n--%[1]s--\r\n", boundary, file, gem)
}

var (
	rawType  = http.Header{"Content-Type": {"application/octet-stream"}}
	formType = http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}}
	pushOp   = model.Operation{Name: "push"}
)

// verdict is what a scanner says of a body.
type verdict struct {
	Target   model.Target
	Artifact model.Artifact
	Code     model.Code
	// Named and Release are where the target was named, and the last offset before the end.
	Named, Release int64
}

// judge scans a body in pieces of a size.
func judge(tb testing.TB, op model.Operation, header http.Header, body []byte, size int) (v verdict, err error) {
	tb.Helper()
	s, err := protocol(tb).Open(op, header)
	if err != nil {
		return verdict{Code: ecosystemtest.Code(err)}, err
	}
	for at := 0; at < len(body); at += size {
		end := min(at+size, len(body))
		release, err := s.Scan(body[at:end])
		if err != nil {
			return verdict{Code: ecosystemtest.Code(err)}, err
		}
		if release < v.Release || release > int64(end) {
			tb.Fatalf("released %d after %d, of %d", release, v.Release, end)
		}
		v.Release = release
		target, named := s.Target()
		switch {
		case named && v.Named == 0:
			v.Named = int64(end)
		case !named && release > 0:
			tb.Fatalf("%d bytes leave before the target is named", release)
		}
		v.Target = target
	}
	if err := s.Finish(); err != nil {
		return verdict{Code: ecosystemtest.Code(err)}, err
	}
	v.Target, _ = s.Target()
	v.Artifact = s.Artifact()
	return v, nil
}
