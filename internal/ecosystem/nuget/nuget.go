// Package nuget understands the requests that NuGet's clients make: the push of packages and of symbols, delete and relist, the
// reads, and the token service of trusted publishing. Nothing but the nuspec inside a package names what is pushed.
package nuget

import (
	"io"
	"net/http"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "nuget", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opPush     = "push"
	opSymbols  = "push-symbols"
	opDelete   = "delete"
	opRelist   = "relist"
	opPackage  = "package"
	opRead     = "read"
	opExchange = "token"
)

// protocol is the protocol for one registry.
type protocol struct{ registry string }

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	err := s.Check("nuget", ecosystem.Unused{
		Layout:        "a package names itself",
		VerifyArchive: "a package is always looked into, since nothing else names it",
	})
	if err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry}, nil
}

// RootPaths is where the token service is asked at the host root.
func (*protocol) RootPaths() []string { return []string{tokenPath} }

// Carriers names NuGet's own header.
func (*protocol) Carriers() []string { return []string{"X-Nuget-Apikey"} }

// DefaultBody is spool: a package is named by its directory, which is its end.
func (*protocol) DefaultBody() string { return "spool" }

// Open makes the scanner of a push.
func (p *protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if op.Name != opPush && op.Name != opSymbols {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a body")
	}
	boundary, err := multipart.Boundary(header)
	if err != nil {
		return nil, err
	}
	suffix := ".nupkg"
	if op.Name == opSymbols {
		suffix = ".snupkg"
	}
	return newPush(p.registry, suffix, boundary), nil
}

// Inspect has nothing more to look at: the scanner has opened the package.
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
