package pypi

import (
	"crypto/md5" //nolint:gosec // a client may declare nothing better; SHA-256 is computed beside it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"

	"golang.org/x/crypto/blake2b"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// The fields that declare a digest, the strongest first.
const (
	fieldSHA256 = "sha256_digest"
	fieldBLAKE2 = "blake2_256_digest"
	fieldMD5    = "md5_digest"
)

var digestFields = []string{fieldSHA256, fieldBLAKE2, fieldMD5}

// digests computes what an upload's file is checked by: SHA-256 always, and the strongest declared digest where that is
// another one.
type digests struct {
	computed *upload.Digest
	other    hash.Hash // nil where SHA-256 is the strongest, or nothing was declared
	field    string    // the strongest declared one, "" where there is none
	want     []byte
}

// newDigests reads the declared digests; each must be well-formed, whether it is the one that is checked or not.
func newDigests(form *form) (*digests, error) {
	d := &digests{}
	for _, field := range digestFields {
		text := form.valueOf(field)
		if text == "" {
			continue
		}
		sum, ok := decodeDigest(field, text)
		if !ok {
			return nil, malformed(field, brief(text), "lower-case hexadecimal digits of the digest's length")
		}
		if d.field == "" {
			d.field, d.want = field, sum
		}
	}
	switch d.field {
	case fieldBLAKE2:
		h, err := blake2b.New256(nil)
		if err != nil {
			return nil, model.Deny(model.CodeInternal).Because(err)
		}
		d.other = h
	case fieldMD5:
		d.other = md5.New() //nolint:gosec // see above
	default:
		d.computed = upload.NewDigest()
		return d, nil
	}
	d.computed = upload.NewDigest(d.other)
	return d, nil
}

// decodeDigest reads a digest in the one spelling that it has: lower-case hex, for MD5 also base64url as the upload API's
// documentation has it.
func decodeDigest(field, text string) ([]byte, bool) {
	size := sha256.Size
	if field == fieldMD5 {
		size = md5.Size
		if len(text) == base64.RawURLEncoding.EncodedLen(size) {
			sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
			return sum, err == nil
		}
	}
	if strings.ToLower(text) != text {
		return nil, false
	}
	sum, err := hex.DecodeString(text)
	return sum, err == nil && len(sum) == size
}

// check compares the strongest declared digest with that of the bytes, and gives their SHA-256.
func (d *digests) check() (sum [sha256.Size]byte, err error) {
	sum = d.computed.SHA256()
	got := sum[:]
	if d.other != nil {
		got = d.computed.Sum(d.other)
	}
	if d.field != "" && string(got) != string(d.want) {
		return sum, model.Deny(model.CodeDigestMismatch).Differ(d.field, hex.EncodeToString(d.want), "that of the bytes, "+hex.EncodeToString(got))
	}
	return sum, nil
}
