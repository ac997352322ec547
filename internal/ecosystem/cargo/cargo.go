// Package cargo understands the web API of cargo's registries: publishing a crate, yanking, the exchange of the public
// registry's publish action, and the reads of index and crates. Sources: the book of cargo (registry web API, registry index),
// rust-lang/cargo crates/crates-io and rust-lang/crates-io-auth-action.
package cargo

import (
	"net/http"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "cargo", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opPublish  = "publish"
	opYank     = "yank"
	opUnyank   = "unyank"
	opConfig   = "index-config"
	opCrate    = "crate"
	opRead     = "read"
	opExchange = "token-exchange"
	opRevoke   = "token-revoke"
)

// protocol is the protocol for one registry.
type protocol struct{ registry string }

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	err := s.Check("cargo", ecosystem.Unused{
		Layout:        "its requests name the crate",
		VerifyArchive: "every crate is looked into",
	})
	if err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry}, nil
}

// RootPaths is empty: the action asks below the registry's own path.
func (*protocol) RootPaths() []string { return nil }

// Carriers is empty: a credential travels in Authorization.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: the registries drop a crate that is cut off, and some refuse what has no Content-Length.
func (*protocol) DefaultBody() string { return "as_sent" }

// Open makes the scanner of a publish.
func (p *protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if op.Name != opPublish {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opPublish)
	}
	if err := upload.NotAForm(header); err != nil {
		return nil, err
	}
	return newPublish(p.target("", model.ActionPublish)), nil
}

// target is one of this registry.
func (p *protocol) target(pkg string, action model.Action) model.Target {
	return model.Target{Ecosystem: Kind.Name, Registry: p.registry, Package: pkg, Action: action}
}

func brief(s string) string { return model.OneLine(s, 120) }

func mismatch(field, got, want string) *model.Denial {
	return model.Deny(model.CodePackageMismatch).Differ(field, brief(got), brief(want))
}

func malformed(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, brief(got), want)
}

var (
	_ ecosystem.Ecosystem = (*protocol)(nil)
	_ ecosystem.Exchanger = (*protocol)(nil)
)
