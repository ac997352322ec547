package hex_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/ecosystem/hex"
	"github.com/trustpub/trustpub/internal/model"
)

var settings = ecosystem.Settings{Registry: "main", Public: &url.URL{Scheme: "https", Host: "hex.example.com", Path: "/"}}

// protocol is that of one registry.
func protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := hex.New(settings)
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

// terms are the metadata as Gleam writes it.
const terms = `{<<"name">>, <<"acme_widget"/utf8>>}.
{<<"app">>, <<"acme_widget"/utf8>>}.
{<<"version">>, <<"1.0.0"/utf8>>}.
{<<"description">>, <<"a widget 🌈"/utf8>>}.
{<<"licenses">>, [<<"Apache-2.0"/utf8>>]}.
{<<"build_tools">>, [<<"gleam"/utf8>>]}.
{<<"links">>, [
  {<<"Repository"/utf8>>, <<"https://git.example.com/"/utf8>>}
]}.
{<<"requirements">>, [
  {<<"gleam_stdlib"/utf8>>, [
    {<<"app">>, <<"gleam_stdlib"/utf8>>},
    {<<"optional">>, false},
    {<<"requirement">>, <<"~> 1.0"/utf8>>}
  ]}
]}.
{<<"files">>, [
  <<"gleam.toml"/utf8>>
]}.
`

// entry is one of a tar.
type entry struct{ name, data string }

// tarOf writes a tar, in headers of POSIX or of GNU.
func tarOf(format tar.Format, entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		_ = w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o600, Size: int64(len(e.data)), Typeflag: tar.TypeReg, Format: format})
		_, _ = w.Write([]byte(e.data))
	}
	_ = w.Close()
	return b.Bytes()
}

// zipped packs a text.
func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

var contents = zipped(strings.Repeat("contents", 300))

func checksum(metadata, contents string) string {
	return fmt.Sprintf("%X", sha256.Sum256([]byte("3"+metadata+contents)))
}

// releaseOf builds a release around that metadata, in the order of hex_core.
func releaseOf(metadata string) []byte {
	return tarOf(tar.FormatUSTAR, entry{"VERSION", "3"}, entry{"CHECKSUM", checksum(metadata, contents)}, entry{"metadata.config", metadata}, entry{"contents.tar.gz", contents})
}

// gleamOf builds one in the order of Gleam.
func gleamOf(metadata string) []byte {
	return tarOf(tar.FormatGNU, entry{"VERSION", "3"}, entry{"metadata.config", metadata}, entry{"contents.tar.gz", contents}, entry{"CHECKSUM", checksum(metadata, contents)})
}

var bytesType = http.Header{"Content-Type": {"application/octet-stream"}}

func target(file string, action model.Action) model.Target {
	return model.Target{Ecosystem: "hex", Registry: "main", Package: "acme_widget", Version: "1.0.0", File: file, Action: action}
}

// verdict is what a scanner says of a body.
type verdict struct {
	Target   model.Target
	Artifact model.Artifact
	Release  int64 // the last offset before the end
}

// judge scans a body in pieces of a size.
func judge(tb testing.TB, op model.Operation, header http.Header, body []byte, size int) (v verdict, err error) {
	tb.Helper()
	s, err := protocol(tb).Open(op, header)
	if err != nil {
		return verdict{}, err
	}
	for at := 0; at < len(body); at += size {
		end := min(at+size, len(body))
		release, err := s.Scan(body[at:end])
		if err != nil {
			return verdict{}, err
		}
		if release < v.Release || release > int64(end) {
			tb.Fatalf("released %d after %d, of %d", release, v.Release, end)
		}
		if _, named := s.Target(); !named && release > 0 {
			tb.Fatalf("%d bytes leave before the target is named", release)
		}
		v.Release = release
	}
	if err := s.Finish(); err != nil {
		return verdict{}, err
	}
	v.Target, _ = s.Target()
	v.Artifact = s.Artifact()
	return v, nil
}

// publishOp is the operation of a publish.
func publishOp(tb testing.TB, request string) model.Operation {
	tb.Helper()
	op, err := ecosystemtest.Classify(tb, protocol(tb), request, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return op
}
