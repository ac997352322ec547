package gateway

import (
	"maps"
	"slices"
	"strings"
)

// maxForeignUser bounds a user name in the audit, in bytes.
const maxForeignUser = 64

// nameForeign writes into the audit who publishes with a credential of the registry: the user name where there is a harmless
// one, and a fingerprint of the secret. The secret itself is looked at here and goes nowhere.
func (t *transaction) nameForeign() {
	if t.presented.kind != presentedForeign {
		return
	}
	user, secret := foreignParts(t.foreignValue())
	if harmless(user, secret) {
		t.event.ForeignUser = user
	}
	if t.g.Fingerprint != nil && secret != "" {
		t.event.ForeignFingerprint = t.g.Fingerprint(secret)
	}
}

// foreignValue is the credential as its carrier has it: a header's first line, or the first of the query's keys.
func (t *transaction) foreignValue() string {
	if t.presented.carrier != "" {
		if values := t.r.Header[t.presented.carrier]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(t.query)) {
		if isCredentialKey(key) && len(t.query[key]) > 0 {
			return t.query[key][0]
		}
	}
	return ""
}

// placeholderPasswords stand beside a token that is sent as the user name.
var placeholderPasswords = []string{"", "x", "X", "x-oauth-basic"}

// foreignParts takes a header's value apart. Only Basic has a user; its secret is the password, or the user name where some
// registries take a token there. Anything else is a secret as a whole, behind the scheme where there is one.
func foreignParts(value string) (user, secret string) {
	value = strings.TrimSpace(value)
	scheme, rest, ok := strings.Cut(value, " ")
	if !ok {
		return "", value
	}
	rest = strings.TrimSpace(rest)
	if !strings.EqualFold(scheme, "Basic") {
		return "", rest
	}
	user, password, ok := userPassword(rest)
	switch {
	case !ok:
		return "", rest
	case slices.Contains(placeholderPasswords, password):
		return "", user
	}
	return user, password
}

// harmless is true for a user name that names someone and cannot be a secret: no placeholder such as __token__, nothing that
// contains the password, and nothing that is made like a token.
func harmless(user, secret string) bool {
	if user == "" || len(user) > maxForeignUser || strings.HasPrefix(user, "__") || strings.Contains(user, secret) {
		return false
	}
	run, digits, letters := 0, false, false
	for _, b := range []byte(user) {
		digit, letter := b >= '0' && b <= '9', b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		switch {
		case digit || letter:
			run, digits, letters = run+1, digits || digit, letters || letter
		case b == '_' || b == '-':
			// Tokens hold them too, so they end no run.
		case strings.IndexByte(".@+\\ ", b) >= 0:
			run, digits, letters = 0, false, false
		default:
			return false
		}
		// Twenty letters and digits in one piece are no name that anyone types.
		if run >= 20 && digits && letters {
			return false
		}
	}
	return true
}
