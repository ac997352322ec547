// Package rubygems understands the requests that gem and Bundler make of a gem server: the push of a gem, by itself or in a form with
// attestations, yank, the reads, and the exchange of trusted publishing. Nothing but the gem itself names what is pushed.
package rubygems

import (
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "rubygems", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opPush     = "push"
	opYank     = "yank"
	opGem      = "gem"
	opRead     = "read"
	opExchange = "exchange-token"
)

// The media types of bodies.
const (
	mediaGem  = "application/octet-stream"
	mediaForm = "application/x-www-form-urlencoded"
	multiForm = "multipart/form-data"
)

// protocol is the protocol for one registry.
type protocol struct{ registry string }

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	err := s.Check("rubygems", ecosystem.Unused{
		Layout:        "a gem names its package",
		VerifyArchive: "a gem is always looked into, since nothing else names it",
	})
	if err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry}, nil
}

// RootPaths is where the exchange is asked for when the client was given the host alone.
func (*protocol) RootPaths() []string { return []string{exchangePath} }

// Carriers is empty: a key travels in Authorization, without a scheme.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: a gem's metadata comes first, and the registries drop a gem that is cut off.
func (*protocol) DefaultBody() string { return "as_sent" }

// Open makes the scanner of a gem, of a form that holds one, or of the form of a yank.
func (p *protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	lines := header.Values("Content-Type")
	media := strings.Join(lines, ", ")
	switch {
	case op.Name == opPush && media == mediaGem:
		return newPush(p.registry), nil
	case op.Name == opPush && strings.HasPrefix(media, multiForm):
		boundary, err := multipart.Boundary(header)
		if err != nil {
			return nil, err
		}
		return newFormPush(p.registry, boundary), nil
	case op.Name == opPush:
		return nil, malformed("Content-Type", brief(media), mediaGem+", or "+multiForm+" with attestations")
	case op.Name == opYank && media == mediaForm:
		return &yank{registry: p.registry}, nil
	case op.Name == opYank:
		return nil, malformed("Content-Type", brief(media), mediaForm)
	}
	return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a body")
}

// Inspect has nothing more to look at: the scanners see it all.
func (*protocol) Inspect(model.Operation, http.Header, model.Target, io.ReaderAt, int64) error {
	return nil
}

func brief(s string) string { return model.OneLine(s, 120) }

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, got, want)
}

var (
	_ ecosystem.Ecosystem = (*protocol)(nil)
	_ ecosystem.Exchanger = (*protocol)(nil)
)
