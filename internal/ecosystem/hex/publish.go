package hex

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/tarfile"
	"github.com/trustpub/trustpub/internal/upload"
)

// The entries of a release.
const (
	entryVersion  = "VERSION"
	entryChecksum = "CHECKSUM"
	entryMetadata = "metadata.config"
	entryContents = "contents.tar.gz"
)

// formatVersion is the only version of the format that servers take.
const formatVersion = "3"

const (
	// maxMetadata bounds the metadata, and maxSmall the two other small entries, in bytes, as hex_core does.
	maxMetadata = 1 << 20
	maxSmall    = 128
	// heldContents is how much of the end of the contents stays behind with all that follows it: the trailer of a gzip lies in it.
	heldContents = 64
)

var entries = []string{entryVersion, entryChecksum, entryMetadata, entryContents}

// publish is the scanner of a release: a tar of four entries. The target is named by its metadata.
type publish struct {
	base  model.Target
	scope string
	named []model.Target // by the URL

	tar      *tarfile.Flat
	whole    *upload.Digest
	contents *upload.Span

	seen  []string
	now   string
	small map[string][]byte // every entry but the contents

	from, end int64 // of the contents
	target    model.Target
}

func newPublish(base model.Target, scope string, named []model.Target) *publish {
	p := &publish{base: base, scope: scope, named: named, whole: upload.NewDigest(), contents: upload.NewSpan(), small: map[string][]byte{}}
	p.whole.Beside(p.contents)
	p.tar = tarfile.NewFlat(p)
	p.tar.GNU = true // Gleam's client
	return p
}

// Scan takes the next piece. It is read before it is hashed, so that the span of the contents is known by then. Nothing leaves before the
// target is named, and nothing of what follows the contents.
func (p *publish) Scan(b []byte) (int64, error) {
	if err := p.tar.Feed(b); err != nil {
		return 0, flawed(err)
	}
	if _, err := p.whole.Write(b); err != nil {
		return 0, err
	}
	if p.target.Package == "" || p.from == 0 {
		return 0, nil
	}
	return max(0, min(p.tar.Offset(), p.end-heldContents)), nil
}

// Begin takes the name of an entry.
func (p *publish) Begin(name string, size, at int64) error {
	if !slices.Contains(entries, name) {
		return notRelease("an entry "+brief(name), strings.Join(entries, ", "))
	}
	if slices.Contains(p.seen, name) {
		return model.Deny(model.CodeDuplicateField).Differ("entry of the release", name, "once")
	}
	p.seen, p.now = append(p.seen, name), name
	limit := int64(maxSmall)
	switch name {
	case entryMetadata:
		limit = maxMetadata
	case entryContents:
		// The checksum is of the version, the metadata and the contents, in this order.
		if !slices.Contains(p.seen, entryVersion) || !slices.Contains(p.seen, entryMetadata) {
			return notRelease(entryContents+" first", entryVersion+" and "+entryMetadata+" before it")
		}
		p.from, p.end = at, at+size
		p.contents.Over(p.from, p.end, p.small[entryVersion], p.small[entryMetadata])
		return nil
	}
	if size > limit {
		return model.Deny(model.CodeTooLarge).Differ(name, fmt.Sprintf("%d bytes", size), fmt.Sprintf("at most %d bytes", limit))
	}
	return nil
}

// Data takes a piece of an entry.
func (p *publish) Data(b []byte) error {
	if p.now != entryContents {
		p.small[p.now] = append(p.small[p.now], b...)
	}
	return nil
}

// End names the target where the metadata ends.
func (p *publish) End() error {
	switch p.now {
	case entryVersion:
		if got := string(p.small[p.now]); got != formatVersion {
			return notRelease(entryVersion+" "+brief(got), formatVersion)
		}
	case entryMetadata:
		return p.name(p.small[p.now])
	}
	return nil
}

// name reads the metadata.
func (p *publish) name(text []byte) error {
	fields, err := metadata(text)
	if err != nil {
		return err
	}
	for _, field := range []string{keyName, keyVersion} {
		switch value, there := fields[field]; {
		case !there:
			return model.Deny(model.CodeMissingField).Differ(field+" in "+entryMetadata, "", "as every release has it")
		case value == nil:
			return malformed(field+" in "+entryMetadata, "something else", `a binary of plain text, as in <<"widget">>`)
		}
	}
	pkg, err := packageOf(p.scope, *fields[keyName])
	if err != nil {
		return err
	}
	version, err := model.NormalizeVersion(Kind.Name, *fields[keyVersion])
	if err != nil {
		return malformed("version of the release", brief(*fields[keyVersion]), "a semantic version as in 1.2.3").Because(err)
	}
	for _, t := range p.named {
		if t.Package != pkg {
			return model.Deny(model.CodePackageMismatch).Differ("name in "+entryMetadata, pkg, t.Package+", as the URL has it")
		}
	}
	target := p.base
	target.Package, target.Version, target.File = pkg, version, model.HexFile(pkg, version)
	p.target = target
	return nil
}

// Target is what the metadata names.
func (p *publish) Target() (model.Target, bool) { return p.target, p.target.Package != "" }

// Finish checks that the release is whole, and that its checksum is that of its entries.
func (p *publish) Finish() error {
	if err := p.tar.Close(); err != nil {
		return flawed(err)
	}
	for _, name := range entries {
		if !slices.Contains(p.seen, name) {
			return model.Deny(model.CodeMissingField).Differ(name, "", "the entry of a release")
		}
	}
	p.whole.SHA256() // waits for that of the contents
	declared := string(p.small[entryChecksum])
	if got := hex.EncodeToString(p.contents.SHA256()); len(declared) != hex.EncodedLen(sha256.Size) || !strings.EqualFold(got, declared) {
		return model.Deny(model.CodeDigestMismatch).Differ(entryChecksum, brief(declared), got+", the digest of what was sent")
	}
	return nil
}

// Artifact is the release; its digest is what Hex calls the outer checksum.
func (p *publish) Artifact() model.Artifact {
	return model.Artifact{File: p.target.File, Size: p.tar.Offset(), SHA256: p.whole.SHA256()}
}

// flawed is a denial for what is wrong with the tar itself.
func flawed(err error) error {
	var defect *tarfile.Defect
	if errors.As(err, &defect) {
		return notRelease(defect.Got, defect.Want)
	}
	return err
}

func notRelease(got, want string) *model.Denial { return malformed("release", got, want) }

var (
	_ upload.Scanner  = (*publish)(nil)
	_ tarfile.Entries = (*publish)(nil)
)
