package identity

import (
	"crypto"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

// TestWhatALibraryAccepts: whatever claims are accepted, the reference library for OpenID Connect accepts too, of the same token with the
// same key. It is not asked for each token, since it would read for the third time what was read already.
func TestWhatALibraryAccepts(t *testing.T) {
	r := sharedRig(t, nil)
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{r.dev.PublicKey(issuer.RS256)}}
	library := oidc.NewVerifier(r.dev.URL(), keys, &oidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true})
	values := []any{nil, true, 0, 1.5, -1, "", "x", []any{}, []any{"x"}, []any{1}, map[string]any{}, map[string]any{"x": "y"}, map[string]any{"x": map[string]any{"endpoint": 1}}}
	names := []string{
		"iss", "Iss", "sub", "SUB", "aud", "Aud", "exp", "EXP", "iat", "nbf", "Nbf", "jti", "nonce", "Nonce", "at_hash", "AT_HASH",
		"_claim_names", "_Claim_Names", "_claim_sources", "repository", "ref", "\u017fub", "a\u212a",
	}
	elsewhere := func(names, sources any) map[string]any {
		return map[string]any{"_claim_names": names, "_claim_sources": sources}
	}
	overs := []map[string]any{
		elsewhere(map[string]any{"groups": "a"}, map[string]any{"a": map[string]any{"endpoint": "https://issuer.example.com"}}),
		elsewhere(map[string]any{"groups": "b"}, map[string]any{"a": map[string]any{"endpoint": "https://issuer.example.com"}}),
		elsewhere(map[string]any{"groups": nil}, map[string]any{"": nil}),
		elsewhere(map[string]any{"groups": ""}, map[string]any{"": nil}),
		elsewhere(map[string]any{"groups": "a"}, map[string]any{"a": nil}),
		elsewhere(nil, map[string]any{"a": map[string]any{"endpoint": 1}}),
		elsewhere(nil, map[string]any{"a": map[string]any{"access_token": "x", "expires": 1}}),
	}
	for _, name := range names {
		for _, value := range values {
			overs = append(overs, map[string]any{name: value})
		}
	}
	accepted := 0
	for _, over := range overs {
		raw := r.dev.Token(audience, over)
		if _, err := r.Verify(t.Context(), raw, audiences); err != nil {
			continue
		}
		accepted++
		if _, err := library.Verify(t.Context(), raw); err != nil {
			t.Errorf("%v: accepted, and the library says %v", over, err)
		}
	}
	if accepted == 0 {
		t.Error("nothing was accepted")
	}
}
