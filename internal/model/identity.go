package model

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Identity is a verified identity token: what a CI platform says of one run.
type Identity struct {
	// Issuer is the configured name of the issuer, never its URL.
	Issuer string
	// Provider is the kind of CI behind the issuer ("github", "gitlab", "oidc").
	Provider string
	// JTI is the token's own id; empty where the provider sends none.
	JTI string
	// KeyID is the kid of the issuer's key that signed the token.
	KeyID string
	// Audience is the one accepted audience that the token carried.
	Audience string
	// Digest is the SHA-256 of the token's "header.payload", the replay key where there is no jti.
	Digest [sha256.Size]byte
	// IssuedAt is the iat claim.
	IssuedAt time.Time
	// Expiry is the effective end: min(exp, iat + the issuer's maximum lifetime).
	Expiry time.Time
	// TokenExpiry is the exp claim as signed; replay claims are kept until it has passed.
	TokenExpiry time.Time
	// Claims are the verified claims by exact key: string, bool, json.Number, []any, map[string]any or nil.
	Claims map[string]any
}

// Sighting is a token that a verifier has looked at, to find out whether it is one of its own.
type Sighting struct {
	// Raw is the token, which may be of any kind.
	Raw string
	// Known is what the verifier keeps of its look for when it verifies the token; nil: nothing.
	Known any
}

// DigestHex is the digest as the audit shows it.
func (id *Identity) DigestHex() string { return hex.EncodeToString(id.Digest[:]) }

// ReplayKey names this token among all tokens: issuer and jti, or issuer and digest where the provider sends no jti.
// It is hashed, so that neither part can imitate the other and a store never sees a claim.
func (id *Identity) ReplayKey() string {
	var room [256]byte // of nearly every one
	named := append(room[:0], id.Issuer...)
	if id.JTI != "" {
		named = append(append(named, "\x00jti\x00"...), id.JTI...)
	} else {
		named = append(append(named, "\x00digest\x00"...), id.Digest[:]...)
	}
	sum := sha256.Sum256(named)
	const kind = "identity/"
	var key [len(kind) + 2*sha256.Size]byte
	hex.Encode(key[copy(key[:], kind):], sum[:])
	return string(key[:])
}

// Grant is what a verified publish token allows: its identity is judged again by the policies of now at each use.
type Grant struct {
	// ID names the publish token; revocations and single-use claims are kept under it.
	ID string
	// Identity is the identity token that was exchanged.
	Identity *Identity
	// Registries are the names of the registries in scope.
	Registries []string
	// Packages bound the token where the exchange named them (npm); empty: judged at the upload.
	Packages []string
	// SingleUse tokens publish one file once.
	SingleUse bool
	// Bound tokens came from an exchange that did not use the identity token up: each change that they make binds it to one release, as
	// if it were sent directly.
	Bound bool
	// Token is the identity token itself, where a registry in scope has a source of credentials that federates. It travels sealed,
	// and the publish token expires no later than it.
	Token IdentityToken
	// IssuedAt and Expiry bound the publish token itself.
	IssuedAt, Expiry time.Time
}
