package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/trustpub/trustpub/internal/model"
)

// signatures is the key set of an issuer as go-oidc asks for one.
type signatures struct{ issuer *Issuer }

var _ oidc.KeySet = signatures{}

// attempt carries a parsed token through go-oidc, and brings the denial back, since the library folds errors into text.
type attempt struct {
	token  *token
	keys   *snapshot
	denial *model.Denial
	// unread is set where the signature is good and go-oidc could not read the claims: the token is refused, after our own
	// reading has looked for the better reason.
	unread error
}

type attemptKey struct{}

var errDenied = errors.New("denied")

// VerifySignature checks the signature with the one key that the token names. The algorithm is one that was configured and that
// the key is for; go-oidc has read the token with the JOSE library, and has compared the algorithm with the configured ones, before it
// calls this. Nothing is parsed again here: what is signed, its digest and the signature are those of the strict reading.
func (s signatures) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok || a.token.raw != raw {
		return nil, errors.New("a signature is only verified of a token that was parsed strictly")
	}
	key, keys, denial := s.issuer.keys.find(ctx, a.token.kid)
	if denial != nil {
		a.denial = denial
		return nil, errDenied
	}
	if !key.fits(a.token.alg) {
		a.denial = model.Deny(model.CodeInvalidToken).Differ("alg", shown(a.token.alg), "the algorithm of the key that the token names")
		return nil, errDenied
	}
	if !key.verifies(a.token) {
		a.denial = model.Deny(model.CodeInvalidToken).Differ("signature", "not made by key "+shown(a.token.kid), "a signature of its issuer")
		return nil, errDenied
	}
	a.keys = keys
	return a.token.payload, nil
}

// authentic checks that the issuer signed the token. The attempt holds the keys by which it did.
func (i *Issuer) authentic(ctx context.Context, t *token) (*attempt, *model.Denial) {
	// Before anything is fetched or computed; go-oidc checks the same again.
	if !slices.Contains(i.config.Algorithms, t.alg) {
		return nil, model.Deny(model.CodeInvalidToken).Differ("alg", shown(t.alg), strings.Join(i.config.Algorithms, " or "))
	}
	a := &attempt{token: t}
	_, err := i.tokens.Verify(context.WithValue(ctx, attemptKey{}, a), t.raw)
	switch {
	case err == nil:
		return a, nil
	case a.denial != nil:
		return nil, a.denial
	case a.keys != nil:
		a.unread = errors.New("its claims cannot be read as those of an identity token")
		return a, nil
	default:
		return nil, model.Deny(model.CodeInvalidToken).Because(errors.New("it cannot be read as an identity token"))
	}
}

// verifies is true where the key made the token's signature, by an algorithm that the key fits.
func (k verifyKey) verifies(t *token) bool {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		hash, digest := t.hashed()
		return hash != 0 && rsa.VerifyPKCS1v15(key, hash, digest, t.signature) == nil
	case *ecdsa.PublicKey:
		// Two numbers of the size of the curve's order, one after the other (RFC 7518 section 3.4).
		size := (key.Curve.Params().N.BitLen() + 7) / 8
		if len(t.signature) != 2*size {
			return false
		}
		hash, digest := t.hashed()
		r, s := new(big.Int).SetBytes(t.signature[:size]), new(big.Int).SetBytes(t.signature[size:])
		return hash != 0 && ecdsa.Verify(key, digest, r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(key, []byte(t.signed), t.signature)
	}
	return false
}

// hashed is the hash of the token's algorithm, and that of what is signed; zero for an algorithm without one.
func (t *token) hashed() (hash crypto.Hash, digest []byte) {
	switch t.alg {
	case "RS256", "ES256":
		return crypto.SHA256, t.digest[:]
	case "RS384", "ES384":
		sum := sha512.Sum384([]byte(t.signed))
		return crypto.SHA384, sum[:]
	case "RS512":
		sum := sha512.Sum512([]byte(t.signed))
		return crypto.SHA512, sum[:]
	}
	return 0, nil
}
