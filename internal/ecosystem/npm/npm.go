// Package npm understands npm's registry protocol: the document that publishes a version, tags, deprecation, removal, and the
// exchange that npm, pnpm and yarn ask at the host root or below the registry's own path. Sources: npm/cli libnpmpublish and
// lib/utils/oidc.js.
package npm

import (
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "npm", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opPublish    = "publish"
	opStage      = "stage"
	opDeprecate  = "deprecate"
	opUnpublish  = "unpublish"
	opTag        = "dist-tag"
	opUntag      = "dist-tag-remove"
	opAudit      = "audit"
	opPackage    = "package"
	opRead       = "read"
	opExchange   = "token-exchange"
	opVisibility = "visibility"
)

// protocol is the protocol for one registry.
type protocol struct {
	registry string
	verify   bool
}

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	if err := s.Check("npm", ecosystem.Unused{Layout: "its paths name the package"}); err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry, verify: s.VerifyArchive}, nil
}

// RootPaths is where npm and pnpm ask for the exchange, whatever path the registry has.
func (*protocol) RootPaths() []string { return []string{exchangePath} }

// Carriers is empty: a credential travels in Authorization.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: a document without its last brace is nothing to any registry, in either framing.
func (*protocol) DefaultBody() string { return "as_sent" }

// Open makes the scanner of a document.
func (*protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if err := plainJSON(header); err != nil {
		return nil, err
	}
	if len(op.Targets) == 0 {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a document")
	}
	switch op.Name {
	case opPublish, opStage:
		return newPublish(op.Targets[0]), nil
	case opDeprecate, opUnpublish:
		return newChange(op.Targets[0]), nil
	case opTag:
		return newTag(op.Targets[0]), nil
	}
	return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one with a document")
}

// plainJSON refuses a type by which a registry would read other characters in the same bytes.
func plainJSON(header http.Header) error {
	lines := header.Values("Content-Type")
	if media, ok := upload.MediaType(header); len(lines) > 0 && (!ok || media != "application/json") {
		return model.Deny(model.CodeMalformedUpload).Differ("Content-Type", brief(strings.Join(lines, ", ")), "application/json, in UTF-8")
	}
	return nil
}

func brief(s string) string { return model.OneLine(s, 120) }

func mismatch(field, got, want string) *model.Denial {
	return model.Deny(model.CodePackageMismatch).Differ(field, brief(got), want)
}

var (
	_ ecosystem.Ecosystem = (*protocol)(nil)
	_ ecosystem.Exchanger = (*protocol)(nil)
)
