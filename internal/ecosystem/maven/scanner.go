package maven

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// maxDocument bounds a pom or an index, in bytes.
const maxDocument = 8 << 20

// declaredDigest is the header in which some clients say what they send.
const declaredDigest = "X-Checksum-Sha256"

// checksum is the scanner of a file that holds the digest of another; nothing of it leaves before it is judged.
type checksum struct {
	*upload.File
	name   string
	digits int
	text   []byte
}

// Scan keeps the text.
func (s *checksum) Scan(p []byte) (int64, error) {
	if len(s.text)+len(p) > s.digits+maxFile {
		return 0, s.none()
	}
	s.text = append(s.text, p...)
	_, err := s.File.Scan(p)
	return 0, err
}

var hexDigits = regexp.MustCompile(`^[0-9a-fA-F]+$`)

// Finish checks that the text is a digest and nothing else.
func (s *checksum) Finish() error {
	if text := strings.TrimRight(string(s.text), "\r\n"); len(text) != s.digits || !hexDigits.MatchString(text) {
		return s.none()
	}
	return s.File.Finish()
}

func (s *checksum) none() *model.Denial {
	return wrong(s.name, "another text", fmt.Sprintf("%d hexadecimal digits and nothing else", s.digits))
}

var _ upload.Scanner = (*checksum)(nil)
