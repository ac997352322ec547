// Package generic understands stores that take files at paths: raw repositories, WebDAV, and what keeps packages of a kind that
// has no ecosystem of its own here. The operator says where packages are; nothing else can be changed.
package generic

import (
	"io"
	"net/http"
	"net/url"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Kind registers the protocol.
var Kind = ecosystem.Kind{Name: "generic", New: New}

// The names of the operations, as audit, metrics and errors show them.
const (
	opUpload = "upload"
	opDelete = "delete"
	opFile   = "file"
	opRead   = "read"
)

// protocol is the protocol for one registry.
type protocol struct {
	registry string
	layout   *layout
}

// New makes the protocol for one registry.
func New(s ecosystem.Settings) (ecosystem.Ecosystem, error) {
	if err := s.Check("generic", ecosystem.Unused{VerifyArchive: "what a file holds is not known"}); err != nil {
		return nil, err
	}
	l, err := parseLayout(s.Layout)
	if err != nil {
		return nil, err
	}
	return &protocol{registry: s.Registry, layout: l}, nil
}

// RootPaths is empty: there is no client that exchanges tokens.
func (*protocol) RootPaths() []string { return nil }

// Carriers is empty: a credential travels in Authorization.
func (*protocol) Carriers() []string { return nil }

// DefaultBody is as_sent: the stores that were tried keep nothing of a body that is cut, in either framing.
func (*protocol) DefaultBody() string { return "as_sent" }

// Classify names the operation: PUT and POST of a file at a path of the layout, and DELETE of one.
func (p *protocol) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	target, found := p.layout.match(path)
	target.Ecosystem, target.Registry = Kind.Name, p.registry
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
		if found {
			target.Action = model.ActionRead
			op.Name, op.Targets = opFile, []model.Target{target}
		}
		return op, nil
	case http.MethodPut, http.MethodPost:
		target.Action = model.ActionPublish
		op := model.Operation{
			Kind: model.OperationPublish, Name: opUpload, Action: model.ActionPublish, Targets: []model.Target{target}, Body: model.BodyStream, Once: true,
			Opaque: true,
		}
		return op, p.plain(method, path, query, header, found)
	case http.MethodDelete:
		target.Action = model.ActionDelete
		op := model.Operation{Kind: model.OperationManage, Name: opDelete, Action: model.ActionDelete, Targets: []model.Target{target}}
		return op, p.plain(method, path, query, header, found)
	}
	return model.Operation{}, p.unsupported(method, path)
}

// plain refuses what a store could take for something else than the file at the path.
func (p *protocol) plain(method, path string, query url.Values, header http.Header, found bool) error {
	if !found {
		return p.unsupported(method, path)
	}
	if len(query) > 0 {
		return model.Deny(model.CodeMalformedUpload).Differ("query", "present", "none")
	}
	return upload.NotAForm(header)
}

func (p *protocol) unsupported(method, path string) *model.Denial {
	return model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read, or PUT, POST or DELETE of "+p.layout.text)
}

// declaredDigest is the header in which clients say what they send.
const declaredDigest = "X-Checksum-Sha256"

// Open makes the scanner of a file.
func (*protocol) Open(op model.Operation, header http.Header) (upload.Scanner, error) {
	if op.Name != opUpload || len(op.Targets) != 1 {
		return nil, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opUpload)
	}
	return upload.NewFile(op.Targets[0], declaredDigest, header.Get(declaredDigest), 0), nil
}

// Inspect has nothing to look at: no operation is spooled for it.
func (*protocol) Inspect(op model.Operation, _ http.Header, _ model.Target, _ io.ReaderAt, _ int64) error {
	return model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opUpload)
}

// Render writes a denial as one line of text, and as the reason phrase.
func (*protocol) Render(_ model.Operation, d *model.Denial) model.Reply { return ecosystem.Line(d) }

func brief(s string) string { return model.OneLine(s, 120) }

var _ ecosystem.Ecosystem = (*protocol)(nil)
