package identity

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"

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
// the key is for; go-oidc has compared it with the configured ones before it calls this.
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
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(a.token.alg)})
	if err != nil {
		return nil, errors.New("not a signed token")
	}
	payload, err := jws.Verify(key.key)
	if err != nil {
		a.denial = model.Deny(model.CodeInvalidToken).Differ("signature", "not made by key "+shown(a.token.kid), "a signature of its issuer")
		return nil, errDenied
	}
	a.keys = keys
	return payload, nil
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
