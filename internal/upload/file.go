package upload

import (
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// File is the scanner of a body that is the file itself, named by its URL: all of it is hashed, and its last byte held back.
type File struct {
	target   model.Target
	field    string
	declared string
	limit    int64
	size     int64
	sum      *Digest
	artifact model.Artifact
}

// NewFile makes the scanner. declared is the SHA-256 in hexadecimal that the client sent in the header field, empty where it sent
// none; limit bounds the file in bytes, 0: no bound; others are computed too.
func NewFile(target model.Target, field, declared string, limit int64, others ...hash.Hash) *File {
	return &File{target: target, field: field, declared: declared, limit: limit, sum: NewDigest(others...)}
}

// Scan lets all but the last byte leave.
func (f *File) Scan(p []byte) (int64, error) {
	f.size += int64(len(p))
	_, _ = f.sum.Write(p)
	if f.limit > 0 && f.size > f.limit {
		return 0, model.Deny(model.CodeTooLarge).Differ(f.target.File, "more", byteCount(f.limit))
	}
	return max(0, f.size-1), nil
}

// Target is what the URL names.
func (f *File) Target() (model.Target, bool) { return f.target, true }

// Finish checks the declared digest.
func (f *File) Finish() error {
	f.artifact = model.Artifact{File: f.target.File, Size: f.size, SHA256: f.sum.SHA256()}
	if got := hex.EncodeToString(f.artifact.SHA256[:]); f.declared != "" && !strings.EqualFold(f.declared, got) {
		return model.Deny(model.CodeDigestMismatch).Differ(f.field, model.OneLine(f.declared, 80), fmt.Sprintf("%s, the digest of what was sent", got))
	}
	return nil
}

// Sum is what h, one of the others, makes of the file.
func (f *File) Sum(h hash.Hash) []byte { return f.sum.Sum(h) }

// Artifact is the file.
func (f *File) Artifact() model.Artifact { return f.artifact }

var _ Scanner = (*File)(nil)
