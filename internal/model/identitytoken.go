package model

import (
	"fmt"
	"log/slog"
)

// IdentityToken is an identity token as the CI platform signed it, on its way to a source of credentials that federates. It is a
// secret while it lives, so it never prints: every verb of fmt, slog and JSON show a word in its place. Only Reveal gives it.
type IdentityToken struct{ raw string }

// NewIdentityToken wraps a token that was verified.
func NewIdentityToken(raw string) IdentityToken { return IdentityToken{raw: raw} }

// hiddenToken is what an IdentityToken prints as.
const hiddenToken = "[identity token]"

// Reveal is the token itself, for the service that it is handed to, and for nothing else.
func (t IdentityToken) Reveal() string { return t.raw }

// Empty is true where there is none.
func (t IdentityToken) Empty() bool { return t.raw == "" }

// Equal compares two of them.
func (t IdentityToken) Equal(other IdentityToken) bool { return t.raw == other.raw }

// String hides it.
func (t IdentityToken) String() string { return hiddenToken }

// Format hides it from every verb, %#v and %x among them.
func (t IdentityToken) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hiddenToken)) }

// LogValue hides it from logs.
func (t IdentityToken) LogValue() slog.Value { return slog.StringValue(hiddenToken) }

// MarshalText hides it from JSON, and from all that encodes texts.
func (t IdentityToken) MarshalText() ([]byte, error) { return []byte(hiddenToken), nil }
