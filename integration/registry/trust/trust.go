// Package trust is what the services of the tests that judge an identity token themselves have in common: the issuer that each
// trusts, and the check of a token.
package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer is one that a service trusts.
type Issuer struct {
	// URL is the iss of its tokens.
	URL string
	// Audiences are those that the service takes, one of which a token must have, and no other.
	Audiences []string
	// Keys are the issuer's, as JWKS.
	Keys func() []byte
	// Claims are what a token must have beside.
	Claims map[string]string
}

// What is wrong with a token.
var (
	ErrToken    = errors.New("no token of this issuer's keys")
	ErrIssuer   = errors.New("another issuer")
	ErrAudience = errors.New("another audience")
	ErrExpired  = errors.New("expired, or not yet valid")
	ErrClaim    = errors.New("another claim")
)

// Check verifies an identity token: signature, issuer, audience, times and claims.
func (i Issuer) Check(raw string, now time.Time) error {
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return ErrToken
	}
	var keys jose.JSONWebKeySet
	var standard jwt.Claims
	var all map[string]any
	if json.Unmarshal(i.Keys(), &keys) != nil || parsed.Claims(keys, &standard, &all) != nil {
		return ErrToken
	}
	switch {
	case standard.Issuer != i.URL:
		return ErrIssuer
	case len(standard.Audience) != 1 || !slices.Contains(i.Audiences, standard.Audience[0]):
		return ErrAudience
	case standard.ValidateWithLeeway(jwt.Expected{Time: now}, 0) != nil:
		return ErrExpired
	}
	for name, want := range i.Claims {
		if all[name] != want {
			return fmt.Errorf("%w: %s", ErrClaim, name)
		}
	}
	return nil
}
