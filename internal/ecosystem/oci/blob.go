package oci

import (
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// part is the scanner of a part of a blob. Nobody knows a digest of it, so none is computed: the registry compares the blob's.
type part struct {
	target model.Target
	size   int64
}

// Scan lets all but the last byte leave.
func (p *part) Scan(b []byte) (int64, error) {
	p.size += int64(len(b))
	return max(0, p.size-1), nil
}

// Target is what the URL names.
func (p *part) Target() (model.Target, bool) { return p.target, true }

// Finish has nothing to compare.
func (*part) Finish() error { return nil }

// Artifact is the part, without a digest.
func (p *part) Artifact() model.Artifact { return model.Artifact{File: p.target.File, Size: p.size} }

// blob is the scanner of a blob that comes whole. A step without a body ends what other steps have sent, which the registry
// compares with the digest.
type blob struct {
	*upload.File
	size int64
	want string
	long hash.Hash // for a declared SHA-512
}

// newBlob makes the scanner; digest is the declared one, empty for a manifest that is put by its tag.
func newBlob(target model.Target, digest string) *blob {
	algorithm, digits, _ := strings.Cut(digest, ":")
	if algorithm != "sha512" {
		return &blob{File: upload.NewFile(target, "digest", digits, 0), want: digest}
	}
	long := sha512.New()
	return &blob{File: upload.NewFile(target, "digest", "", 0, long), want: digest, long: long}
}

// Scan takes the next piece; all but the last byte may leave.
func (b *blob) Scan(p []byte) (int64, error) {
	b.size += int64(len(p))
	return b.File.Scan(p)
}

// Finish compares the digest.
func (b *blob) Finish() error {
	if b.long != nil && b.size > 0 {
		if got := "sha512:" + hex.EncodeToString(b.Sum(b.long)); got != b.want {
			return model.Deny(model.CodeDigestMismatch).Differ("digest", brief(b.want), brief(got)+", the digest of what was sent")
		}
	}
	if err := b.File.Finish(); err != nil && b.size > 0 {
		return err
	}
	return nil
}

var (
	_ upload.Scanner = (*blob)(nil)
	_ upload.Scanner = (*part)(nil)
)
