package maven

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// The names of the operations, as audit, metrics and errors show them.
const (
	opFile     = "file"
	opPOM      = "pom"
	opChecksum = "checksum"
	opMetadata = "metadata"
	opRead     = "read"
)

// Classify names the operation. The only unsafe one is PUT of a file in the layout of a repository: no client makes another.
func (p *protocol) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
		if t, err := p.locate(path); err == nil {
			t.Action = model.ActionRead
			op.Name, op.Targets = kindOf(t.File), []model.Target{t}
		}
		return op, nil
	case http.MethodPut:
		if err := upload.NotAForm(header); err != nil {
			return model.Operation{}, err
		}
		return p.put(path, query)
	}
	return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read, or PUT of a file in the layout of a Maven repository")
}

func (p *protocol) put(path string, query url.Values) (model.Operation, error) {
	op := model.Operation{Kind: model.OperationPublish, Name: opFile, Action: model.ActionPublish, Body: model.BodyStream}
	if len(query) > 0 {
		return op, wrong("query", "present", "none")
	}
	if strings.ContainsAny(path, "%;") { // one spelling of each path; ';' begins properties at some repositories
		return op, wrong("path", path, "plain letters, digits, '.', '-', '_' and '+'")
	}
	t, denial := p.locate(path)
	if denial != nil {
		return op, denial
	}
	t.Action = model.ActionPublish
	op.Name, op.Targets = kindOf(t.File), []model.Target{t}
	if op.Name != opFile {
		op.Body = model.BodySpool // told only from the end, and small
	}
	// Some repositories, as Gitea, make the checksums of a file themselves as soon as it is there.
	op.Same = op.Name == opChecksum
	op.Opaque = op.Name == opFile
	// An index, and the checksum of one, is made to be replaced, and so are snapshots.
	op.Once = subject(t.File) != metadataFile && !strings.HasSuffix(t.Version, model.SnapshotSuffix)
	return op, nil
}

func kindOf(file string) string {
	switch {
	case checksumLength(file) > 0:
		return opChecksum
	case file == metadataFile:
		return opMetadata
	case strings.HasSuffix(strings.ToLower(file), ".pom"):
		return opPOM
	}
	return opFile
}
