package identity

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/trustpub/trustpub/internal/model"
)

// authentic checks that the issuer signed the token, with the one key that it names, and returns the keys by which it did. The
// algorithm must be one that was configured and that the key is for.
func (i *Issuer) authentic(ctx context.Context, t *token) (*snapshot, *model.Denial) {
	// Before anything is fetched or computed.
	if !slices.Contains(i.config.Algorithms, t.alg) {
		return nil, model.Deny(model.CodeInvalidToken).Differ("alg", shown(t.alg), strings.Join(i.config.Algorithms, " or "))
	}
	key, keys, denial := i.keys.find(ctx, t.kid)
	if denial != nil {
		return nil, denial
	}
	if !key.fits(t.alg) {
		return nil, model.Deny(model.CodeInvalidToken).Differ("alg", shown(t.alg), "the algorithm of the key that the token names")
	}
	jws, err := jose.ParseSignedCompact(t.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.alg)})
	if err != nil {
		return nil, model.Deny(model.CodeInvalidToken).Because(errors.New("it cannot be read as a signed token"))
	}
	payload, err := jws.Verify(key.key)
	if err != nil {
		return nil, model.Deny(model.CodeInvalidToken).Differ("signature", "not made by key "+shown(t.kid), "a signature of its issuer")
	}
	if !bytes.Equal(payload, t.payload) {
		// The library and our own reading see different claims; only one of them was signed.
		return nil, model.Deny(model.CodeInvalidToken).Because(errors.New("what was signed is not what was read"))
	}
	return keys, nil
}

// textClaims are claims of OpenID Connect that no policy reads and whose form is fixed, and claimMaps those of claims that are elsewhere.
// folded are all claims that libraries know by name.
var (
	textClaims = []string{"sub", "nonce", "at_hash"}
	claimMaps  = []string{"_claim_names", "_claim_sources"}
	folded     = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "_claim_names", "_claim_sources"}
)

// checkForms refuses a token of which an OpenID Connect library could not read the claims, or would read other ones: many take
// "ISS" for iss.
func checkForms(claims map[string]any) *model.Denial {
	for name := range claims {
		if !plainClaim(name) && slices.ContainsFunc(folded, func(known string) bool { return strings.EqualFold(known, name) }) {
			return model.Deny(model.CodeInvalidToken).Differ("claim", shown(name), "the name in small letters alone")
		}
	}
	for _, name := range textClaims {
		if v, there := claims[name]; there && v != nil {
			if _, ok := v.(string); !ok {
				return unreadable(name, "a string")
			}
		}
	}
	return checkElsewhere(claims)
}

// checkElsewhere looks at the claims that say that others are elsewhere, as Entra ID does for many groups. Nothing is fetched for them.
func checkElsewhere(claims map[string]any) *model.Denial {
	for _, name := range claimMaps {
		if v, there := claims[name]; there && v != nil {
			if _, ok := v.(map[string]any); !ok {
				return unreadable(name, "an object")
			}
		}
	}
	sources, _ := claims["_claim_sources"].(map[string]any)
	for _, source := range sources {
		members, ok := source.(map[string]any)
		if !ok && source != nil {
			return unreadable("_claim_sources", "an object of objects")
		}
		for _, value := range members {
			if _, ok := value.(string); !ok {
				return unreadable("_claim_sources", "an object of objects of strings")
			}
		}
	}
	names, _ := claims["_claim_names"].(map[string]any)
	for _, source := range names {
		known, ok := source.(string)
		if _, there := sources[known]; !ok || known == "" || !there {
			return unreadable("_claim_names", "an object of names of _claim_sources")
		}
	}
	return nil
}

// plainClaim is true for a name that can be taken for no other one.
func plainClaim(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}

func unreadable(name, want string) *model.Denial {
	return model.Deny(model.CodeInvalidToken).Differ(name, "of another kind", want)
}
