package cargo

import (
	"encoding/binary"
	"io"
	"strings"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// extension ends the name of a crate's file.
const extension = ".crate"

// prefix is the size of a length, in bytes.
const prefix = 4

// part is what the scanner reads next.
type part int

const (
	documentLength part = iota
	document
	crateLength
	crate
	over
)

// publish is the scanner of a publish: a length, a JSON document of that many bytes that names the crate, a length, and the
// crate. Nothing may follow.
type publish struct {
	target model.Target
	json   *jsonstream.Scanner
	name   string
	vers   string

	part    part
	length  []byte
	left    int64 // of the part under way
	total   int64
	sum     *upload.Digest
	size    int64
	archive *upload.Pull // looks into the crate while it flows; nil before that has begun

	artifact model.Artifact
}

func newPublish(target model.Target) *publish {
	p := &publish{target: target, sum: upload.NewDigest(), length: make([]byte, 0, prefix)}
	p.json = jsonstream.New(p, jsonstream.Limits{})
	return p
}

// Scan takes the next piece; all but the last byte may leave.
func (p *publish) Scan(b []byte) (int64, error) {
	for len(b) > 0 {
		n, err := p.step(b)
		if err != nil {
			return 0, err
		}
		p.total += int64(n)
		b = b[n:]
	}
	return max(0, p.total-1), nil
}

// step takes at least one byte.
func (p *publish) step(b []byte) (n int, err error) {
	switch p.part {
	case documentLength, crateLength:
		n = min(prefix-len(p.length), len(b))
		p.length = append(p.length, b[:n]...)
		if len(p.length) == prefix {
			p.left, p.length = int64(binary.LittleEndian.Uint32(p.length)), p.length[:0]
			if p.left == 0 {
				return 0, malformed("length", "0", "that of a JSON document, and that of a crate")
			}
			if p.part++; p.part == crate {
				p.inspect()
			}
		}
		return n, nil
	case document:
		n = int(min(p.left, int64(len(b))))
		if err := p.json.Feed(b[:n]); err != nil {
			return 0, err
		}
		if p.left -= int64(n); p.left == 0 {
			p.part++
			return n, p.named()
		}
		return n, nil
	case crate:
		n = int(min(p.left, int64(len(b))))
		if _, err := p.sum.Write(b[:n]); err != nil {
			return 0, p.archive.Finish() // which knows why it ended
		}
		p.size += int64(n)
		if p.left -= int64(n); p.left == 0 {
			p.part++
		}
		return n, nil
	}
	return 0, malformed("body", "more bytes behind the crate", "nothing")
}

// inspect begins to look into the crate, in the folder that the document names.
func (p *publish) inspect() {
	target := p.target
	p.archive = upload.NewPull(func(crate upload.Source) error { return inspect(crate, target) })
	p.sum.Beside(p.archive)
}

// named is called at the end of the document.
func (p *publish) named() error {
	if err := p.json.Close(); err != nil {
		return err
	}
	for field, value := range map[string]string{"name": p.name, "vers": p.vers} {
		if value == "" {
			return model.Deny(model.CodeMissingField).Differ(field, "", "as cargo publish sends it")
		}
	}
	return nil
}

// Begin wants the two names, and refuses what some parsers take for them since they don't look at case.
func (p *publish) Begin(path []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	if len(path) == 0 && kind != jsonstream.Object {
		return jsonstream.Skip, malformed("body", kind.String(), "an object")
	}
	if len(path) != 1 {
		return jsonstream.Skip, nil
	}
	for _, known := range []string{"name", "vers"} {
		switch {
		case path[0] == known && kind == jsonstream.String:
			return jsonstream.Keep, nil
		case path[0] == known:
			return jsonstream.Skip, malformed(known, kind.String(), "a string")
		case strings.EqualFold(path[0], known):
			return jsonstream.Skip, malformed("key", path[0], known)
		}
	}
	return jsonstream.Skip, nil
}

// Value takes the names, and names the target once it has both.
func (p *publish) Value(path []string, _ jsonstream.Kind, text string) (err error) {
	switch path[0] {
	case "name":
		p.name = text
		p.target.Package, err = model.NormalizeName(Kind.Name, text)
	case "vers":
		p.vers = text
		p.target.Version, err = model.NormalizeVersion(Kind.Name, text)
	}
	if err != nil {
		return malformed(path[0], text, "a name or a version that cargo takes").Because(err)
	}
	p.target.File = p.name + "-" + p.vers + extension
	return nil
}

// Piece is never called: nothing is streamed.
func (*publish) Piece([]string, []byte) error { return nil }

// End has nothing to do.
func (*publish) End([]string, jsonstream.Kind) error { return nil }

// Target is what the document names.
func (p *publish) Target() (model.Target, bool) {
	return p.target, p.target.Package != "" && p.target.Version != ""
}

// Finish checks that the body is whole, and the crate what the document says.
func (p *publish) Finish() error {
	if p.part != over {
		return model.Deny(model.CodeTruncated).Differ("body", "cut off", "a document and a crate of the announced lengths")
	}
	p.artifact = model.Artifact{File: p.target.File, Size: p.size, SHA256: p.sum.SHA256()}
	return p.archive.Finish()
}

// Close ends the look into a crate that was given up.
func (p *publish) Close() error {
	if p.archive == nil {
		return nil
	}
	return p.archive.Close()
}

// Artifact is the crate.
func (p *publish) Artifact() model.Artifact { return p.artifact }

var (
	_ upload.Scanner     = (*publish)(nil)
	_ io.Closer          = (*publish)(nil)
	_ jsonstream.Visitor = (*publish)(nil)
)
