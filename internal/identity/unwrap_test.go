package identity

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// TestAdvisoryKeysWrappedInNothing: a token that says its key is wrapped, and has no wrapped key, is refused like any that is encrypted: nothing of
// it is unwrapped, and nothing panics.
func TestAdvisoryKeysWrappedInNothing(t *testing.T) {
	r := sharedRig(t, nil)
	part := base64.RawURLEncoding.EncodeToString
	known, err := base64.RawURLEncoding.DecodeString(strings.Split(r.token(), ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	claims := part([]byte(`{"iss":"` + r.dev.URL() + `"}`))
	for _, alg := range []string{
		"A128KW", "A192KW", "A256KW", "A128GCMKW", "A256GCMKW", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "PBES2-HS256+A128KW", "PBES2-HS512+A256KW", "dir", "ECDH-ES",
	} {
		for _, header := range []string{
			`{"alg":"` + alg + `","enc":"A128GCM"}`,
			`{"alg":"` + alg + `","enc":"A256CBC-HS512","kid":"x","epk":{"kty":"EC","crv":"P-256","x":"","y":""},"p2s":"","p2c":1,"iv":"","tag":""}`,
			strings.Replace(string(known), `"RS256"`, `"`+alg+`","enc":"A128GCM"`, 1), // of a key that is there
		} {
			head := part([]byte(header))
			for _, raw := range []string{
				head + "....",                       // five parts, of which four are nothing
				head + ".." + claims + ".AAAA.AAAA", // no wrapped key, and something that it would open
				head + ".AA." + claims + ".AAAA.AA", // one that is too short
				head + "." + claims + ".",           // as a signature
				head + "." + claims + ".AAAA",       //
				head + ".AAAAAAAAAAA..AAAA.AAAA",    // a key of eight bytes, the shortest that can be unwrapped into nothing
				`{"protected":"` + head + `","encrypted_key":"","iv":"","ciphertext":"","tag":""}`,
			} {
				if d := r.deny(t, raw); d.Code != model.CodeInvalidToken && d.Code != model.CodeUnknownIssuer {
					t.Errorf("%s: %v", raw, d)
				}
			}
		}
	}
}
