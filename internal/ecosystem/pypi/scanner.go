package pypi

import (
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
	"github.com/trustpub/trustpub/internal/upload"
)

// scanner judges one upload while it flows.
type scanner struct {
	split    *multipart.Splitter
	form     *form
	release  int64
	artifact model.Artifact
}

func newScanner(boundary, registry string) *scanner {
	f := newForm(registry)
	return &scanner{form: f, split: multipart.New(boundary, f)}
}

// Scan takes the next piece. Nothing leaves before the target is named. Of the file leaves what is surely its data, except
// its last heldFile bytes; those, the closing boundary and all that follows the file stay behind until Finish.
func (s *scanner) Scan(p []byte) (int64, error) {
	if err := s.split.Feed(p); err != nil {
		return s.release, err
	}
	if s.form.named {
		settled := s.form.fileSize
		if s.form.inFile {
			settled = s.form.size
		}
		s.release = max(s.release, s.form.fileStart, s.form.fileStart+settled-heldFile)
	}
	return s.release, nil
}

// Target is what the upload publishes, once the header of its file was read.
func (s *scanner) Target() (model.Target, bool) { return s.form.target, s.form.named }

// Finish checks that the body is whole and that the file is the declared one.
func (s *scanner) Finish() error {
	if !s.split.Closed() {
		return model.Deny(model.CodeTruncated).Differ("body", "cut off", "one that ends with its closing boundary")
	}
	if !s.form.fileDone {
		return model.Deny(model.CodeMissingField).Differ(fieldContent, "", "the file")
	}
	sum, err := s.form.digests.check()
	if err != nil {
		return err
	}
	s.artifact = model.Artifact{File: s.form.target.File, Size: s.form.fileSize, SHA256: sum}
	return nil
}

// Artifact is the published file.
func (s *scanner) Artifact() model.Artifact { return s.artifact }

var _ upload.Scanner = (*scanner)(nil)
