// Package oci understands the requests of container clients: docker, skopeo, crane, oras, helm and all that speak the OCI
// distribution specification 1.1, and the token realm that they ask with the identity token as password. Sources: the
// specification, and docs/content/spec/auth of distribution/distribution.
package oci

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "oci", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opPing           = "ping"
	opToken          = "token"
	opRead           = "read"
	opRepository     = "repository"
	opStart          = "upload-start"
	opMount          = "mount"
	opChunk          = "upload-chunk"
	opFinish         = "upload-finish"
	opCancel         = "upload-cancel"
	opManifest       = "manifest"
	opDeleteManifest = "manifest-delete"
	opDeleteBlob     = "blob-delete"
)

// apiPath is where the specification wants every registry to be.
const apiPath = "/v2"

// protocol is the protocol for one registry.
type protocol struct {
	registry string
	public   *url.URL
	// base comes before what the specification names, in paths below the public URL.
	base string
	// mutable are patterns of tags that may move.
	mutable []string
}

var tagPattern = regexp.MustCompile(`^[a-zA-Z0-9_.*-]{1,128}$`)

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	p := &protocol{registry: s.Registry, public: s.Public, mutable: s.MutableTags}
	err := s.Check("oci", ecosystem.Unused{
		Layout:        "its paths name the repository",
		VerifyArchive: "a manifest names its blobs by their digests",
	})
	switch {
	case err != nil:
		return nil, err
	case s.Public.EscapedPath() == "/":
		p.base = apiPath
	case s.Public.EscapedPath() != apiPath+"/":
		return nil, fmt.Errorf("the public URL has the path %q, expected / or /v2/: container clients ask at /v2/ of the host, whatever the repository", s.Public.EscapedPath())
	}
	for _, pattern := range p.mutable {
		if !tagPattern.MatchString(pattern) {
			return nil, fmt.Errorf("mutable_tags has %q, expected tags, in which * stands for any text", pattern)
		}
	}
	return p, nil
}

// RootPaths is empty: all is below /v2/.
func (*protocol) RootPaths() []string { return nil }

// Carriers is empty: a credential travels in Authorization.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: what is cut off has not the digest that it is stored under.
func (*protocol) DefaultBody() string { return "as_sent" }

// Open makes the scanner of a blob or a manifest.
func (p *protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if len(op.Targets) == 0 {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a body")
	}
	target := op.Targets[0]
	switch op.Name {
	case opManifest:
		return newManifest(target, header)
	case opChunk, opStart, opFinish:
		if err := upload.NotAForm(header); err != nil {
			return nil, err
		}
	}
	switch op.Name {
	case opChunk:
		return partOf(&part{target: target}, target, header)
	case opFinish:
		return partOf(newBlob(target, target.File), target, header)
	case opStart:
		return newBlob(target, target.File), nil
	}
	return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a body")
}

// Inspect has nothing to look at: no operation is spooled for it.
func (*protocol) Inspect(op model.Operation, _ http.Header, _ model.Target, _ io.ReaderAt, _ int64) error {
	return model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one that streams")
}

// moves is true for a tag that may move.
func (p *protocol) moves(tag string) bool {
	return slices.ContainsFunc(p.mutable, func(pattern string) bool {
		ok, err := path.Match(pattern, tag)
		return ok && err == nil
	})
}

func brief(s string) string { return model.OneLine(s, 120) }

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, brief(got), want)
}

var (
	_ ecosystem.Ecosystem = (*protocol)(nil)
	_ ecosystem.Exchanger = (*protocol)(nil)
)
