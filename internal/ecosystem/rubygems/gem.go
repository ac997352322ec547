package rubygems

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// The entries of a gem, each of which may have a signature beside it.
const (
	entryMetadata  = "metadata.gz"
	entryData      = "data.tar.gz"
	entryChecksums = "checksums.yaml.gz"
	signatureEnd   = ".sig"
)

const (
	// maxSmall bounds every entry but the data, in bytes; maxUnpacked what one of them unpacks to.
	maxSmall    = 2 << 20
	maxUnpacked = 2 << 20
	// heldData is how much of the end of the data stays behind with all that follows it: the trailer of a gzip lies in it.
	heldData = 64
)

// gem judges a gem while it flows. The target is named by its metadata.
type gem struct {
	registry string
	tar      *tarball
	whole    *upload.Digest

	seen      []string
	now       string
	small     []byte // the entry under way, unless it is the data
	sums      map[string]digest
	checksums []byte
	dataFrom  int64
	dataEnd   int64

	target model.Target
	named  bool
}

// The digests that checksums.yaml declares. Every gem that builds such a file writes the strongest, which is compared; the others
// beside it, of the same bytes, add nothing and are not computed.
const strongest = "SHA512"

var weaker = []string{"SHA1", "SHA256"}

// digest is the strongest one of an entry.
type digest struct {
	*upload.Digest
	hash hash.Hash
}

func newDigest() digest {
	h := sha512.New()
	return digest{upload.NewDigestOf(h), h}
}

func (d digest) sum() string { return hex.EncodeToString(d.Sum(d.hash)) }

func newGem(registry string) *gem {
	g := &gem{registry: registry, whole: upload.NewDigest(), sums: map[string]digest{entryMetadata: newDigest(), entryData: newDigest()}}
	g.tar = &tarball{entries: g}
	return g
}

// feed takes the next piece.
func (g *gem) feed(p []byte) error {
	_, _ = g.whole.Write(p)
	return g.tar.feed(p)
}

// settled is the offset in the gem up to which bytes may leave: nothing before the target is named, and nothing of what follows the
// data.
func (g *gem) settled() int64 {
	if !g.named || g.dataFrom == 0 {
		return 0
	}
	return max(0, min(g.tar.offset, g.dataEnd-heldData))
}

// begin takes the name of an entry.
func (g *gem) begin(name string, size, at int64) error {
	plain := strings.TrimSuffix(name, signatureEnd)
	if plain != entryMetadata && plain != entryData && plain != entryChecksums {
		return notGem("an entry "+brief(name), entryMetadata+", "+entryData+", "+entryChecksums+" and their signatures")
	}
	if slices.Contains(g.seen, name) {
		return model.Deny(model.CodeDuplicateField).Differ("entry of the gem", name, "once")
	}
	g.seen, g.now, g.small = append(g.seen, name), name, nil
	if name == entryData {
		g.dataFrom, g.dataEnd = at, at+size
	} else if size > maxSmall {
		return model.Deny(model.CodeTooLarge).Differ(name, fmt.Sprintf("%d bytes", size), fmt.Sprintf("at most %d bytes", maxSmall))
	}
	return nil
}

// data takes a piece of an entry.
func (g *gem) data(p []byte) error {
	if sums, ok := g.sums[g.now]; ok {
		_, _ = sums.Write(p)
	}
	if g.now == entryMetadata || g.now == entryChecksums {
		g.small = append(g.small, p...)
	}
	return nil
}

// end names the target where the metadata ends.
func (g *gem) end() error {
	switch g.now {
	case entryMetadata:
		text, err := unpack(g.now, g.small)
		if err != nil {
			return err
		}
		name, version, platform, err := specification(text)
		if err != nil {
			return err
		}
		target, denial := releaseTarget(g.registry, name, version, platform, model.ActionPublish)
		if denial != nil {
			return denial
		}
		g.target, g.named = target, true
	case entryChecksums:
		text, err := unpack(g.now, g.small)
		if err != nil {
			return err
		}
		g.checksums = text
	}
	g.small = nil
	return nil
}

// unpack reads a gzip of one member and nothing after it: readers differ in what they make of a second one.
func unpack(name string, packed []byte) ([]byte, error) {
	source := bytes.NewReader(packed)
	r, err := gzip.NewReader(source)
	if err != nil {
		return nil, notGem(name+" that is no gzip", "one gzip").Because(err)
	}
	r.Multistream(false)
	text, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	switch {
	case err != nil:
		return nil, notGem(name+" that is no whole gzip", "one gzip").Because(err)
	case len(text) > maxUnpacked:
		return nil, model.Deny(model.CodeTooLarge).Differ(name, "more", fmt.Sprintf("at most %d bytes when unpacked", maxUnpacked))
	case source.Len() > 0:
		return nil, notGem("more after the end of "+name, "one gzip")
	}
	return text, nil
}

// close checks that the gem is whole, and that its checksums are those of its entries.
func (g *gem) close() error {
	if err := g.tar.close(); err != nil {
		return err
	}
	for _, name := range []string{entryMetadata, entryData} {
		if !slices.Contains(g.seen, name) {
			return model.Deny(model.CodeMissingField).Differ(name, "", "the entry of a gem")
		}
	}
	if !slices.Contains(g.seen, entryChecksums) {
		return nil // Gem takes such gems too
	}
	return checkSums(g.checksums, g.sums)
}

// checkSums holds checksums.yaml against the digests of what was sent.
func checkSums(text []byte, sums map[string]digest) error {
	root, err := parse(text, "---")
	if err != nil {
		return err
	}
	algorithms, err := pairs(root, entryChecksums)
	if err != nil {
		return err
	}
	compared := 0
	for _, algorithm := range algorithms {
		files, err := pairs(algorithm.value, entryChecksums)
		if err != nil {
			return err
		}
		for _, file := range files {
			of, ok := sums[file.key]
			switch {
			case ok && slices.Contains(weaker, algorithm.key):
				continue
			case !ok || algorithm.key != strongest:
				return notGem("a "+brief(algorithm.key)+" of "+brief(file.key), "SHA1, SHA256 and SHA512 of "+entryMetadata+" and "+entryData)
			}
			if got := of.sum(); !strings.EqualFold(got, file.value.Value) {
				return model.Deny(model.CodeDigestMismatch).Differ(strongest+" of "+file.key, brief(file.value.Value), got+", the digest of what was sent")
			}
			compared++
		}
	}
	if compared < len(sums) {
		return model.Deny(model.CodeMissingField).Differ(entryChecksums, "no "+strongest, "that of "+entryMetadata+" and that of "+entryData)
	}
	return nil
}

func notGem(got, want string) *model.Denial { return malformed("gem", got, want) }

var _ entryHandler = (*gem)(nil)
