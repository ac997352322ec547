package npm

import (
	"crypto/sha1" //nolint:gosec // shasum is SHA-1 by definition; integrity is checked beside it
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"strings"

	fastbase64 "github.com/segmentio/asm/base64"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// quantum is the number of digits of base64 that stand for whole bytes.
const quantum = 4

// standard decodes ten times as fast as the standard library, to which it leaves the last quanta and all that is no digit.
var standard = fastbase64.StdEncoding.Strict()

// archive decodes and hashes an archive while it flows.
type archive struct {
	rest   []byte // digits of a quantum that is not whole
	buf    []byte
	size   int64
	padded bool
	done   bool
	sums   *upload.Digest
	short  hash.Hash // SHA-1
	long   hash.Hash // SHA-512
	sink   io.Writer // takes the archive instead of the digests; nil: nobody does
}

func newArchive() *archive {
	a := &archive{rest: make([]byte, 0, quantum), buf: make([]byte, 24<<10), short: sha1.New(), long: sha512.New()} //nolint:gosec // as above
	a.sums = upload.NewDigest(a.short, a.long)
	return a
}

func (a *archive) write(p []byte) error {
	if len(a.rest) > 0 {
		n := min(quantum-len(a.rest), len(p))
		a.rest, p = append(a.rest, p[:n]...), p[n:]
		if len(a.rest) < quantum {
			return nil
		}
		if err := a.decode(a.rest); err != nil {
			return err
		}
		a.rest = a.rest[:0]
	}
	whole := len(p) / quantum * quantum
	for rest := p[:whole]; len(rest) > 0; {
		n := min(len(rest), base64.StdEncoding.EncodedLen(len(a.buf)))
		if err := a.decode(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	a.rest = append(a.rest, p[whole:]...)
	return nil
}

// decode takes whole quanta. Padding ends the text, and spare bits must be zero: other decoders read on, or see other bytes.
func (a *archive) decode(digits []byte) error {
	n, err := standard.Decode(a.buf, digits)
	if err != nil || a.padded {
		return notBase64()
	}
	a.padded = digits[len(digits)-1] == '='
	a.size += int64(n)
	if a.sink != nil {
		_, err = a.sink.Write(a.buf[:n])
		return err
	}
	_, _ = a.sums.Write(a.buf[:n])
	return nil
}

func (a *archive) close() error {
	if len(a.rest) > 0 {
		return notBase64()
	}
	a.done = true
	return nil
}

func notBase64() error {
	return model.Deny(model.CodeMalformedUpload).Differ(atData, "something else", "base64 with padding")
}

// sum is the digest of that name in Subresource Integrity; nil for an unknown one.
func (a *archive) sum(name string) []byte {
	switch name {
	case "sha1":
		return a.sums.Sum(a.short)
	case "sha256":
		sum := a.sums.SHA256()
		return sum[:]
	case "sha512":
		return a.sums.Sum(a.long)
	}
	return nil
}

// check compares every declared digest that is known. One must be declared: it is what installs compare.
func (a *archive) check(integrity, shasum string) error {
	checked := false
	for one := range strings.FieldsSeq(integrity) {
		name, declared, _ := strings.Cut(one, "-")
		declared, _, _ = strings.Cut(declared, "?")
		sum := a.sum(name)
		if sum == nil {
			continue
		}
		if got := base64.StdEncoding.EncodeToString(sum); got != declared {
			return model.Deny(model.CodeDigestMismatch).Differ(atIntegrity, brief(one), name+"-"+got+", the digest of what was sent")
		}
		checked = true
	}
	if shasum != "" {
		if got := hex.EncodeToString(a.sum("sha1")); !strings.EqualFold(got, shasum) {
			return model.Deny(model.CodeDigestMismatch).Differ(atShasum, brief(shasum), got+", the digest of what was sent")
		}
		checked = true
	}
	if !checked {
		return model.Deny(model.CodeMissingField).Differ(atIntegrity, brief(integrity), "a digest of the archive (sha512, sha256), or a shasum")
	}
	return nil
}
