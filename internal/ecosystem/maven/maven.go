// Package maven understands the requests of Maven, Gradle and the other tools that keep the layout of a Maven repository: files
// are put at paths made of group, artifact and version, each followed by its checksums, and last the index of versions.
package maven

import (
	"net/http"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "maven", New: New}

// protocol is the protocol for one registry.
type protocol struct{ registry string }

// New makes the protocol for one registry. What an archive holds is not looked at: its path alone says what it is, and a pom is
// always read.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	err := s.Check("maven", ecosystem.Unused{
		Layout:        "it has one of its own",
		VerifyArchive: "the path names an artifact, and every pom is read anyway",
	})
	if err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry}, nil
}

// RootPaths is empty: no client of Maven exchanges tokens.
func (*protocol) RootPaths() []string { return nil }

// Carriers is empty: a credential travels in Authorization.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: clients always announce a length, and the registries that were tried store nothing of a cut body.
func (*protocol) DefaultBody() string { return "as_sent" }

// Open makes the scanner of a file.
func (*protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if len(op.Targets) != 1 || op.Body == model.BodyNone {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opFile)
	}
	target, limit := op.Targets[0], int64(0)
	if op.Name == opPOM || op.Name == opMetadata {
		limit = maxDocument
	}
	file := upload.NewFile(target, declaredDigest, header.Get(declaredDigest), limit)
	if op.Name == opChecksum {
		return &checksum{File: file, name: target.File, digits: checksumLength(target.File)}, nil
	}
	return file, nil
}

var _ ecosystem.Ecosystem = (*protocol)(nil)
