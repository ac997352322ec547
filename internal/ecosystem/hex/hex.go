// Package hex understands the API of Hex, where Elixir, Erlang and Gleam publish: a release, whose tarball alone names package and
// version, its documentation, retiring and reverting, and the reads of API and repository. Sources: hexpm/hexpm (router and API
// controllers), hexpm/hex_core (hex_tarball, hex_api_release), hexpm/hex and gleam-lang/hexpm-rust.
package hex

import (
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "hex", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opPublish    = "publish"
	opDocs       = "docs"
	opRetire     = "retire"
	opUnretire   = "unretire"
	opRevert     = "revert"
	opRevertDocs = "revert-docs"
	opPackage    = "package"
	opRead       = "read"
)

// The media types of bodies.
const (
	mediaBytes      = "application/octet-stream"
	mediaTar        = "application/x-tar"
	mediaJSON       = "application/json"
	mediaHexJSON    = "application/vnd.hex+json"
	mediaHexErlang  = "application/vnd.hex+erlang"
	encodingOfGleam = "x-gzip"
)

// protocol is the protocol for one registry.
type protocol struct{ registry string }

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	err := s.Check("hex", ecosystem.Unused{
		Layout:        "a release names its package",
		VerifyArchive: "a release is always looked into, since nothing else names it",
	})
	if err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry}, nil
}

// RootPaths is empty: Hex has no exchange of trusted publishing.
func (*protocol) RootPaths() []string { return nil }

// Carriers is empty: a key travels in Authorization, without a scheme.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: a release's metadata comes before its contents, and the server drops a body that is cut off.
func (*protocol) DefaultBody() string { return "as_sent" }

// Open makes the scanner of a release, of documentation, or of the words with which a release is retired.
func (p *protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	media := strings.Join(header.Values("Content-Type"), ", ")
	switch op.Name {
	case opPublish, opDocs:
		if err := isFile(media); err != nil {
			return nil, err
		}
		if op.Name == opDocs {
			return newDocs(op.Targets[0]), nil
		}
		return newPublish(p.target("", "", op.Action), op.Scope, op.Targets), nil
	case opRetire:
		switch media {
		case mediaJSON, mediaHexJSON, mediaHexErlang:
			return &retire{target: op.Targets[0], erlang: media == mediaHexErlang}, nil
		}
		return nil, malformed("Content-Type", brief(media), mediaJSON+", "+mediaHexJSON+" or "+mediaHexErlang)
	}
	return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a body")
}

// isFile checks the type of a file. Gleam's client declares JSON on a line of its own before the right type. What a server takes for JSON
// or a form has parameters in it, which could name another repository; no tar and no gzip is one.
func isFile(media string) error {
	switch media {
	case mediaBytes, mediaTar, mediaJSON + ", " + mediaTar:
		return nil
	}
	return malformed("Content-Type", brief(media), mediaBytes+" or "+mediaTar)
}

// Inspect has nothing more to look at: the scanners see it all.
func (*protocol) Inspect(model.Operation, http.Header, model.Target, io.ReaderAt, int64) error {
	return nil
}

// target is one of this registry.
func (p *protocol) target(pkg, version string, action model.Action) model.Target {
	return model.Target{Ecosystem: Kind.Name, Registry: p.registry, Package: pkg, Version: version, Action: action}
}

func brief(s string) string { return model.OneLine(s, 120) }

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, got, want)
}

var _ ecosystem.Ecosystem = (*protocol)(nil)
