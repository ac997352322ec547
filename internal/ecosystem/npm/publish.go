package npm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// The places of a document that publishes.
const (
	atID          = "_id"
	atName        = "name"
	atTag         = "dist-tags/*"
	atVersion     = "versions/*"
	atVersionName = "versions/*/name"
	atVersionID   = "versions/*/_id"
	atVersionText = "versions/*/version"
	atIntegrity   = "versions/*/dist/integrity"
	atShasum      = "versions/*/dist/shasum"
	atAttachments = "_attachments"
	atAttachment  = "_attachments/*"
	atData        = "_attachments/*/data"
	atLength      = "_attachments/*/length"
)

var publishRules = rules{
	{atID, jsonstream.String, jsonstream.Keep},
	{atName, jsonstream.String, jsonstream.Keep},
	{"dist-tags", jsonstream.Object, jsonstream.Skip},
	{atTag, jsonstream.String, jsonstream.Keep},
	{"versions", jsonstream.Object, jsonstream.Skip},
	{atVersion, jsonstream.Object, jsonstream.Skip},
	{atVersionName, jsonstream.String, jsonstream.Keep},
	{atVersionID, jsonstream.String, jsonstream.Keep},
	{atVersionText, jsonstream.String, jsonstream.Keep},
	{"versions/*/dist", jsonstream.Object, jsonstream.Skip},
	{atIntegrity, jsonstream.String, jsonstream.Keep},
	{atShasum, jsonstream.String, jsonstream.Keep},
	{atAttachments, jsonstream.Object, jsonstream.Skip},
	{atAttachment, jsonstream.Object, jsonstream.Skip},
	{atData, jsonstream.String, jsonstream.Stream},
	{atLength, jsonstream.Number, jsonstream.Keep},
}

// required are the places that a document must have; that of the archive's data is asked for by itself.
var required = []string{atName, atVersion, atVersionName, atVersionText, atAttachment}

// maxTags bounds the tags that one document sets.
const maxTags = 16

// publish is the scanner of a document that publishes one version with one archive. The target is named by the first place that
// has a version, which is the attachment for yarn; all other places must agree.
type publish struct {
	json   *jsonstream.Scanner
	target model.Target
	named  bool

	seen       map[string]bool // of the required places
	tags       []string        // versions that tags point to
	attachment string
	archive    *archive
	integrity  string
	shasum     string
	length     string
	artifact   model.Artifact
}

// newPublish makes the scanner; url is what the URL names.
func newPublish(url model.Target) *publish {
	p := &publish{target: url, seen: map[string]bool{}, archive: newArchive()}
	p.target.Versionless = false
	p.json = jsonstream.New(p, jsonstream.Limits{})
	return p
}

// Scan takes the next piece; all but the last brace may leave.
func (p *publish) Scan(b []byte) (int64, error) {
	err := p.json.Feed(b)
	return p.json.Release(), err
}

// Target is what the document publishes.
func (p *publish) Target() (model.Target, bool) { return p.target, p.named }

// Begin looks at the keys that are names.
func (p *publish) Begin(path []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	at, mode, err := publishRules.find(path, kind)
	if err != nil {
		return mode, err
	}
	if slices.Contains(required, at) {
		p.seen[at] = true
	}
	switch at {
	case atVersion:
		return mode, p.version("versions", path[1])
	case atAttachment:
		return mode, p.attach(path[1])
	case atData:
		if path[1] != p.attachment {
			return jsonstream.Skip, nil // a provenance bundle, which is text
		}
	}
	return mode, nil
}

// version holds every place to one version, and names the target.
func (p *publish) version(field, version string) error {
	if _, err := model.NormalizeVersion(Kind.Name, version); err != nil {
		return model.Deny(model.CodeMalformedUpload).Differ(field, brief(version), "one semantic version").Because(err)
	}
	if !p.named {
		_, name, scoped := strings.Cut(p.target.Package, "/")
		if !scoped {
			name = p.target.Package
		}
		p.named, p.target.Version, p.target.File = true, version, name+"-"+version+".tgz"
		return nil
	}
	if version != p.target.Version {
		return mismatch(field, version, p.target.Version+", and nothing else")
	}
	return nil
}

// attach takes one archive, and a provenance bundle of the same version.
func (p *publish) attach(key string) error {
	version, ok := versionOf(p.target.Package, key, ".tgz")
	if !ok {
		if version, ok = versionOf(p.target.Package, key, ".sigstore"); !ok {
			return mismatch(atAttachments, key, p.target.Package+"-VERSION.tgz")
		}
		if p.attachment == "" { // some registries take the first attachment for the archive
			return model.Deny(model.CodeFieldOrder).Differ("first of "+atAttachments, brief(key), "the archive")
		}
		return p.version(atAttachments, version)
	}
	if p.attachment != "" {
		return model.Deny(model.CodeDuplicateField).Differ("archive in "+atAttachments, brief(key), "one, "+p.attachment)
	}
	p.attachment = key
	return p.version(atAttachments, version)
}

// Value compares what was kept.
func (p *publish) Value(path []string, _ jsonstream.Kind, text string) error {
	switch at := place(path); at {
	case atID, atName, atVersionName:
		return same(at, text, p.target.Package)
	case atVersionText:
		return same(at, text, path[1])
	case atVersionID:
		return same(at, text, p.target.Package+"@"+path[1])
	case atTag:
		if p.tags = append(p.tags, text); len(p.tags) > maxTags {
			return model.Deny(model.CodeTooLarge).Differ("dist-tags", "more", "at most "+strconv.Itoa(maxTags))
		}
	case atIntegrity:
		p.integrity = text
	case atShasum:
		p.shasum = text
	case atLength:
		if path[1] == p.attachment {
			p.length = text
		}
	}
	return nil
}

func same(field, got, want string) error {
	if got != want {
		return mismatch(field, got, want)
	}
	return nil
}

// Piece is a piece of the archive.
func (p *publish) Piece(_ []string, piece []byte) error { return p.archive.write(piece) }

// End ends the archive.
func (p *publish) End(path []string, kind jsonstream.Kind) error {
	if kind == jsonstream.String && place(path) == atData {
		return p.archive.close()
	}
	return nil
}

// Finish checks that the document is whole, names all it must, and that the archive is the declared one.
func (p *publish) Finish() error {
	if err := p.json.Close(); err != nil {
		return err
	}
	for _, at := range required {
		if !p.seen[at] {
			return model.Deny(model.CodeMissingField).Differ(at, "", "as npm publish sends it")
		}
	}
	if p.attachment == "" || !p.archive.done {
		return model.Deny(model.CodeMissingField).Differ(atData, "", "the archive in base64")
	}
	for _, version := range p.tags {
		if err := same("dist-tags", version, p.target.Version); err != nil {
			return err
		}
	}
	if size := strconv.FormatInt(p.archive.size, 10); p.length != "" && p.length != size {
		return model.Deny(model.CodeDigestMismatch).Differ(atLength, brief(p.length), size+", the length of what was sent")
	}
	if err := p.archive.check(p.integrity, p.shasum); err != nil {
		return err
	}
	p.artifact = model.Artifact{File: p.target.File, Size: p.archive.size, SHA256: p.archive.sums.SHA256()}
	return nil
}

// Artifact is the archive.
func (p *publish) Artifact() model.Artifact { return p.artifact }

var (
	_ upload.Scanner     = (*publish)(nil)
	_ jsonstream.Visitor = (*publish)(nil)
)
