package maven

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// maxDocument bounds a pom or an index, in bytes.
const maxDocument = 8 << 20

// declaredDigest is the header in which some clients say what they send.
const declaredDigest = "X-Checksum-Sha256"

// scanner judges one file. Its target is known from the path.
type scanner struct {
	target   model.Target
	size     int64
	sum      hash.Hash
	declared string
	limit    int64  // 0: none
	checksum int    // hexadecimal digits, 0 for what is no checksum
	text     []byte // of a checksum
	artifact model.Artifact
}

func newScanner(target model.Target, header http.Header) *scanner {
	return &scanner{target: target, sum: sha256.New(), declared: header.Get(declaredDigest)}
}

// Scan lets all but the last byte leave; nothing of a checksum, which is judged whole.
func (s *scanner) Scan(p []byte) (int64, error) {
	s.size += int64(len(p))
	s.sum.Write(p)
	if s.limit > 0 && s.size > s.limit {
		return 0, model.Deny(model.CodeTooLarge).Differ(s.target.File, "more", fmt.Sprintf("at most %d bytes", s.limit))
	}
	if s.checksum == 0 {
		return max(0, s.size-1), nil
	}
	if len(s.text)+len(p) > 2*s.checksum+maxFile {
		return 0, s.noChecksum()
	}
	s.text = append(s.text, p...)
	return 0, nil
}

// Target is what the path names.
func (s *scanner) Target() (model.Target, bool) { return s.target, true }

var hexDigits = regexp.MustCompile(`^[0-9a-fA-F]+$`)

// Finish checks the declared digest, and that a checksum is one.
func (s *scanner) Finish() error {
	s.artifact = model.Artifact{File: s.target.File, Size: s.size, SHA256: [sha256.Size]byte(s.sum.Sum(nil))}
	if got := hex.EncodeToString(s.artifact.SHA256[:]); s.declared != "" && !strings.EqualFold(s.declared, got) {
		return model.Deny(model.CodeDigestMismatch).Differ(declaredDigest, brief(s.declared), got)
	}
	if s.checksum > 0 {
		if text := strings.TrimRight(string(s.text), "\r\n"); len(text) != s.checksum || !hexDigits.MatchString(text) {
			return s.noChecksum()
		}
	}
	return nil
}

func (s *scanner) noChecksum() *model.Denial {
	return wrong(s.target.File, "another text", fmt.Sprintf("%d hexadecimal digits and nothing else", s.checksum))
}

// Artifact is the published file.
func (s *scanner) Artifact() model.Artifact { return s.artifact }

var _ upload.Scanner = (*scanner)(nil)
