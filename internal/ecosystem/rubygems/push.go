package rubygems

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
	"github.com/trustpub/trustpub/internal/upload"
)

// push is the scanner of a body that is a gem.
type push struct{ gem *gem }

func newPush(registry string) *push { return &push{newGem(registry)} }

// Scan takes the next piece.
func (s *push) Scan(p []byte) (int64, error) {
	err := s.gem.feed(p)
	return s.gem.settled(), err
}

// Target is what the metadata names.
func (s *push) Target() (model.Target, bool) { return s.gem.target, s.gem.named }

// Finish checks the gem.
func (s *push) Finish() error { return s.gem.close() }

// Artifact is the gem.
func (s *push) Artifact() model.Artifact {
	return model.Artifact{File: s.gem.target.File, Size: s.gem.tar.Offset(), SHA256: s.gem.whole.SHA256()}
}

// The parts of a form that pushes.
const (
	partGem          = "gem"
	partAttestations = "attestations"
)

// maxAttestations bounds the attestations, in bytes.
const maxAttestations = 4 << 20

// partLines are the header lines of the two parts, as gem writes them.
var partLines = regexp.MustCompile(`^Content-Disposition: form-data; name="(gem|attestations)"` +
	`(?:; filename="([0-9A-Za-z._+/-]{1,1000})"\r\nContent-Type: application/octet-stream)?$`)

// formPush is the scanner of a form with a gem and its attestations.
type formPush struct {
	push
	split *multipart.Splitter
	now   string
	seen  map[string]bool
	file  string
	from  int64 // the offset of the gem in the body
	size  int64 // of the attestations
}

func newFormPush(registry, boundary string) *formPush {
	s := &formPush{push: *newPush(registry), seen: map[string]bool{}}
	s.split = multipart.New(boundary, s)
	return s
}

// Scan takes the next piece.
func (s *formPush) Scan(p []byte) (int64, error) {
	err := s.split.Feed(p)
	settled := s.gem.settled()
	if settled > 0 {
		settled += s.from
	}
	return settled, err
}

// Begin takes the header of a part.
func (s *formPush) Begin(header []byte, at int64) error {
	m := partLines.FindSubmatch(header)
	if m == nil || (string(m[1]) == partGem) != (len(m[2]) > 0) {
		return malformed("header of a part", brief(string(header)), `a file "gem" and a field "attestations", as gem push writes them`)
	}
	s.now = string(m[1])
	if s.seen[s.now] {
		return model.Deny(model.CodeDuplicateField).Differ("field", s.now, "once")
	}
	s.seen[s.now] = true
	if s.now == partGem {
		s.file, s.from = path.Base(string(m[2])), at
	}
	return nil
}

// Data takes a piece of a part.
func (s *formPush) Data(p []byte) error {
	if s.now == partGem {
		return s.gem.feed(p)
	}
	if s.size += int64(len(p)); s.size > maxAttestations {
		return model.Deny(model.CodeTooLarge).Differ(partAttestations, "more", fmt.Sprintf("at most %d bytes", maxAttestations))
	}
	return nil
}

// End ends a part. The gem's own name begins the file's: its platform may be spelled in another way there.
func (s *formPush) End() error {
	if s.now != partGem {
		return nil
	}
	if err := s.gem.close(); err != nil {
		return err
	}
	stem := strings.TrimSuffix(s.file, ".gem")
	want := strings.TrimSuffix(s.gem.target.File, ".gem")
	if at := strings.Index(want, "-"+s.gem.target.Version); at > 0 {
		want = want[:at+1+len(s.gem.target.Version)]
	}
	if stem == s.file || stem != want && !strings.HasPrefix(stem, want+"-") {
		return model.Deny(model.CodePackageMismatch).Differ("file name of the gem", brief(s.file), s.gem.target.File)
	}
	return nil
}

// Finish checks that the form is whole.
func (s *formPush) Finish() error {
	switch {
	case !s.split.Closed():
		return model.Deny(model.CodeTruncated).Differ("body", "cut off", "one that ends with its closing boundary")
	case !s.seen[partGem]:
		return model.Deny(model.CodeMissingField).Differ(partGem, "", "the gem")
	}
	return nil
}

var (
	_ upload.Scanner    = (*push)(nil)
	_ upload.Scanner    = (*formPush)(nil)
	_ multipart.Handler = (*formPush)(nil)
)
