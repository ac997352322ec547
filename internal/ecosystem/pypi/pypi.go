// Package pypi understands the requests that Python's upload clients and installers make: the legacy upload form, simple and
// project pages, files, and the exchanges of trusted publishing.
package pypi

import (
	"net/http"
	"net/url"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "pypi", New: New}

// protocol is the protocol for one registry.
type protocol struct {
	registry string
	public   *url.URL
	verify   bool
}

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	if err := s.Check("pypi", ecosystem.Unused{Layout: "its uploads name their package"}); err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry, public: s.Public, verify: s.VerifyArchive}, nil
}

// RootPaths are those of the exchanges and of PEP 807, which all clients call at the host's root.
func (*protocol) RootPaths() []string { return []string{rootExchange, rootDiscovery} }

// Carriers names devpi's own header; it is read before Authorization.
func (*protocol) Carriers() []string { return []string{"X-Devpi-Auth"} }

// DefaultBody is chunked: some registries store what came of a body that was cut after a Content-Length.
func (*protocol) DefaultBody() string { return "chunked" }

// Open makes the scanner of an upload.
func (p *protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if op.Name != opUpload {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opUpload)
	}
	boundary, err := multipart.Boundary(header)
	if err != nil {
		return nil, err
	}
	return newScanner(boundary, p.registry), nil
}

var (
	_ ecosystem.Ecosystem = (*protocol)(nil)
	_ ecosystem.Exchanger = (*protocol)(nil)
)
