package nuget

import (
	"io"
	"regexp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
	"github.com/trustpub/trustpub/internal/upload"
	"github.com/trustpub/trustpub/internal/zipfile"
)

// partLines are the header lines of the one part: as .NET writes them, without quotes and with the file's name once more in another
// form, and as all others do.
var partLines = regexp.MustCompile(`^(?:` +
	`Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package\.nupkg(?:; filename\*=utf-8''package\.nupkg)?|` +
	`Content-Disposition: form-data; name="package"; filename="[0-9A-Za-z._+-]{1,255}"\r\nContent-Type: application/octet-stream)$`)

// push is the scanner of a form with one package.
type push struct {
	registry, suffix string
	split            *multipart.Splitter
	parts            int
	from, size       int64 // of the package in the body
	start            []byte
	sum              *upload.Digest
	target           model.Target
	named            bool
}

func newPush(registry, suffix, boundary string) *push {
	p := &push{registry: registry, suffix: suffix, sum: upload.NewDigest()}
	p.split = multipart.NewMendable(boundary, p)
	return p
}

// Scan takes the next piece; nothing leaves before the whole package was opened.
func (p *push) Scan(b []byte) (int64, error) { return 0, p.split.Feed(b) }

// Target is what the nuspec names, once the package was opened.
func (p *push) Target() (model.Target, bool) { return p.target, p.named }

// Begin takes the header of the part.
func (p *push) Begin(header []byte, at int64) error {
	if !partLines.Match(header) {
		return malformed("header of a part", brief(string(header)), `the file "package", as NuGet's clients write it`)
	}
	if p.parts++; p.parts > 1 {
		return model.Deny(model.CodeDuplicateField).Differ("package", "several", "one")
	}
	p.from = at
	return nil
}

// Data takes a piece of the package. What is no zip is refused at once.
func (p *push) Data(b []byte) error {
	const signature = 4
	if missing := signature - len(p.start); missing > 0 {
		p.start = append(p.start, b[:min(missing, len(b))]...)
		if !zipfile.Starts(p.start) {
			return malformed("package", "something else", "a zip from its first byte")
		}
	}
	p.size += int64(len(b))
	_, _ = p.sum.Write(b)
	return nil
}

// End has nothing to do.
func (*push) End() error { return nil }

// Finish checks that the form is whole.
func (p *push) Finish() error {
	switch {
	case !p.split.Closed():
		return model.Deny(model.CodeTruncated).Differ("body", "cut off", "one that ends with its closing boundary")
	case p.parts == 0:
		return model.Deny(model.CodeMissingField).Differ("package", "", "the file")
	}
	return nil
}

// Open reads the nuspec.
func (p *push) Open(body io.ReaderAt, _ int64) error {
	id, version, err := identity(io.NewSectionReader(body, p.from, p.size))
	if err != nil {
		return err
	}
	p.target, err = releaseTarget(p.registry, id, version, p.suffix, model.ActionPublish)
	p.named = err == nil
	return err
}

// Mend ends the form anew where the client has forgotten the CR before the closing boundary, as NuGet 2.8.7 does. Nothing of the
// package is touched, whose last byte is that of a zip without a comment, and so no CR that a lenient parser could count to the
// line break: every parser reads of the new end what was judged.
func (p *push) Mend() (kept int64, end []byte, ok bool) {
	return p.from + p.size, p.split.End(), p.split.Bare()
}

// Artifact is the package.
func (p *push) Artifact() model.Artifact {
	return model.Artifact{File: p.target.File, Size: p.size, SHA256: p.sum.SHA256()}
}

var (
	_ upload.Mender     = (*push)(nil)
	_ multipart.Handler = (*push)(nil)
)
