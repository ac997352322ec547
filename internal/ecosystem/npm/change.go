package npm

import (
	"crypto/sha256"
	"hash"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

var changeRules = rules{
	{atID, jsonstream.String, jsonstream.Keep},
	{atName, jsonstream.String, jsonstream.Keep},
	{"versions", jsonstream.Object, jsonstream.Skip},
	{atVersion, jsonstream.Object, jsonstream.Skip},
	{atVersionName, jsonstream.String, jsonstream.Keep},
	{atAttachments, jsonstream.Object, jsonstream.Skip},
	{atAttachment, jsonstream.Object, jsonstream.Skip},
}

// whole is what the scanners of small documents share: the URL names the target, and the document is hashed.
type whole struct {
	json   *jsonstream.Scanner
	target model.Target
	sum    hash.Hash
	size   int64
}

// Scan takes the next piece; all but the last byte of the document may leave.
func (w *whole) Scan(b []byte) (int64, error) {
	w.size += int64(len(b))
	w.sum.Write(b)
	err := w.json.Feed(b)
	return w.json.Release(), err
}

// Finish checks that the document is whole.
func (w *whole) Finish() error { return w.json.Close() }

// Artifact is the document.
func (w *whole) Artifact() model.Artifact {
	return model.Artifact{File: w.target.File, Size: w.size, SHA256: [sha256.Size]byte(w.sum.Sum(nil))}
}

// Piece is never called: nothing is streamed.
func (*whole) Piece([]string, []byte) error { return nil }

// End has nothing to do.
func (*whole) End([]string, jsonstream.Kind) error { return nil }

// change is the scanner of a package's whole document, sent back with other words about its versions, or with fewer of them.
type change struct{ whole }

func newChange(target model.Target) *change {
	c := &change{whole{target: target, sum: sha256.New()}}
	c.json = jsonstream.New(c, jsonstream.Limits{})
	return c
}

// Target is the URL's.
func (c *change) Target() (model.Target, bool) { return c.target, true }

// Begin refuses what would publish.
func (*change) Begin(path []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	at, mode, err := changeRules.find(path, kind)
	if err == nil && at == atAttachment {
		err = model.Deny(model.CodeMalformedUpload).Differ(atAttachments, brief(path[1]), "none, since nothing is published")
	}
	return mode, err
}

// Value holds every name to the URL's.
func (c *change) Value(path []string, _ jsonstream.Kind, text string) error {
	return same(place(path), text, c.target.Package)
}

// tag is the scanner of a tag's new version, a JSON string.
type tag struct {
	whole
	named bool
}

func newTag(target model.Target) *tag {
	t := &tag{whole: whole{target: target, sum: sha256.New()}}
	t.target.Versionless = false
	t.json = jsonstream.New(t, jsonstream.Limits{})
	return t
}

// Target has the version that the tag will point to.
func (t *tag) Target() (model.Target, bool) { return t.target, t.named }

// Begin takes a string alone.
func (*tag) Begin(_ []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	if kind != jsonstream.String {
		return jsonstream.Skip, model.Deny(model.CodeMalformedUpload).Differ("body", kind.String(), `a version in quotes, as in "1.2.3"`)
	}
	return jsonstream.Keep, nil
}

// Value is the version.
func (t *tag) Value(_ []string, _ jsonstream.Kind, text string) error {
	version, err := model.NormalizeVersion(Kind.Name, text)
	if err != nil {
		return model.Deny(model.CodeMalformedUpload).Differ("version", brief(text), "a semantic version").Because(err)
	}
	t.target.Version, t.named = version, true
	return nil
}

var (
	_ upload.Scanner     = (*change)(nil)
	_ upload.Scanner     = (*tag)(nil)
	_ jsonstream.Visitor = (*change)(nil)
	_ jsonstream.Visitor = (*tag)(nil)
)
