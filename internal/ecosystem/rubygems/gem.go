package rubygems

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/tarfile"
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
	tar      *tarfile.Flat
	whole    *upload.Digest

	seen      []string
	now       string
	small     []byte // the entry under way, unless it is the data
	metaSum   [sha256.Size]byte
	dataSum   *upload.Span
	checksums []byte
	dataFrom  int64
	dataEnd   int64

	target model.Target
	named  bool
}

// The digests that checksums.yaml declares. SHA256 is compared, the one that gem has written since 2.2 and the fastest by far; the others
// are of the same bytes, and gem looks at all of them, before it pushes and before it installs.
const compared = "SHA256"

var beside = []string{"SHA1", "SHA512"}

func newGem(registry string) *gem {
	g := &gem{registry: registry, whole: upload.NewDigest(), dataSum: upload.NewSpan()}
	g.whole.Beside(g.dataSum)
	g.tar = tarfile.NewFlat(g)
	return g
}

// feed takes the next piece. It is read before it is hashed, so that the span of the data is known by then.
func (g *gem) feed(p []byte) error {
	if err := g.tar.Feed(p); err != nil {
		return flawed(err)
	}
	_, err := g.whole.Write(p)
	return err
}

// settled is the offset in the gem up to which bytes may leave: nothing before the target is named, and nothing of what follows the
// data.
func (g *gem) settled() int64 {
	if !g.named || g.dataFrom == 0 {
		return 0
	}
	return max(0, min(g.tar.Offset(), g.dataEnd-heldData))
}

// Begin takes the name of an entry.
func (g *gem) Begin(name string, size, at int64) error {
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
		g.dataSum.Over(g.dataFrom, g.dataEnd)
	} else if size > maxSmall {
		return model.Deny(model.CodeTooLarge).Differ(name, fmt.Sprintf("%d bytes", size), fmt.Sprintf("at most %d bytes", maxSmall))
	}
	return nil
}

// Data takes a piece of an entry.
func (g *gem) Data(p []byte) error {
	if g.now == entryMetadata || g.now == entryChecksums {
		g.small = append(g.small, p...)
	}
	return nil
}

// End names the target where the metadata ends.
func (g *gem) End() error {
	switch g.now {
	case entryMetadata:
		g.metaSum = sha256.Sum256(g.small)
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
	if err := g.tar.Close(); err != nil {
		return flawed(err)
	}
	for _, name := range []string{entryMetadata, entryData} {
		if !slices.Contains(g.seen, name) {
			return model.Deny(model.CodeMissingField).Differ(name, "", "the entry of a gem")
		}
	}
	if !slices.Contains(g.seen, entryChecksums) {
		return nil // Gem takes such gems too
	}
	g.whole.SHA256() // waits for that of the data
	return checkSums(g.checksums, map[string][]byte{entryMetadata: g.metaSum[:], entryData: g.dataSum.SHA256()})
}

// checkSums holds checksums.yaml against the digests of what was sent.
func checkSums(text []byte, sums map[string][]byte) error {
	root, err := parse(text, "---")
	if err != nil {
		return err
	}
	algorithms, err := pairs(root, entryChecksums)
	if err != nil {
		return err
	}
	agreed := 0
	for _, algorithm := range algorithms {
		files, err := pairs(algorithm.value, entryChecksums)
		if err != nil {
			return err
		}
		for _, file := range files {
			of, ok := sums[file.key]
			switch {
			case ok && slices.Contains(beside, algorithm.key):
				continue
			case !ok || algorithm.key != compared:
				return notGem("a "+brief(algorithm.key)+" of "+brief(file.key), "SHA1, SHA256 and SHA512 of "+entryMetadata+" and "+entryData)
			}
			if got := hex.EncodeToString(of); !strings.EqualFold(got, file.value.Value) {
				return model.Deny(model.CodeDigestMismatch).Differ(compared+" of "+file.key, brief(file.value.Value), got+", the digest of what was sent")
			}
			agreed++
		}
	}
	if agreed < len(sums) {
		return model.Deny(model.CodeMissingField).Differ(entryChecksums, "no "+compared, "that of "+entryMetadata+" and that of "+entryData)
	}
	return nil
}

func notGem(got, want string) *model.Denial { return malformed("gem", got, want) }

// flawed is a denial for what is wrong with the tar itself.
func flawed(err error) error {
	var defect *tarfile.Defect
	if errors.As(err, &defect) {
		return notGem(defect.Got, defect.Want)
	}
	return err
}

var _ tarfile.Entries = (*gem)(nil)
