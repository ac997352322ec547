package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
)

// What the JOSE library has signed verifies by each algorithm, and nothing else does: no other text, key, algorithm or form.
func TestVerifies(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	otherRSA, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, otherEd, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	for _, tc := range []struct {
		alg, wrong string
		key, other crypto.Signer
	}{
		{"RS256", "RS384", rsaKey, otherRSA},
		{"RS384", "RS512", rsaKey, otherRSA},
		{"RS512", "RS256", rsaKey, otherRSA},
		{"ES256", "ES384", p256, ecKey(t, elliptic.P256())},
		{"ES384", "ES256", p384, ecKey(t, elliptic.P384())},
		{"EdDSA", "", edKey, otherEd},
	} {
		t.Run(tc.alg, func(t *testing.T) {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(tc.alg), Key: tc.key},
				(&jose.SignerOptions{}).WithHeader("kid", "a"))
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign([]byte(`{"iss":"https://issuer.example.com"}`))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			_, digest, ok := tokenKey(raw)
			good, err := parseToken(raw, digest)
			if err != nil || !ok {
				t.Fatal(err)
			}
			key := verifyKey{key: tc.key.Public()}
			if !key.verifies(good) {
				t.Error("a good signature does not verify")
			}
			changed := func(change func(*token)) *token {
				c := *good
				c.signature = slices.Clone(good.signature)
				change(&c)
				return &c
			}
			for name, bad := range map[string]*token{
				"another text": changed(func(c *token) { c.signed += "A"; c.digest[0] ^= 1 }),
				"a bit":        changed(func(c *token) { c.signature[len(c.signature)/2] ^= 1 }),
				"short":        changed(func(c *token) { c.signature = c.signature[:len(c.signature)-1] }),
				"long":         changed(func(c *token) { c.signature = append(c.signature, 0) }),
				"long before":  changed(func(c *token) { c.signature = append([]byte{0}, c.signature...) }),
				"empty":        changed(func(c *token) { c.signature = nil }),
				"zeros":        changed(func(c *token) { clear(c.signature) }),
			} {
				if key.verifies(bad) {
					t.Errorf("%s: verifies", name)
				}
			}
			if (verifyKey{key: tc.other.Public()}).verifies(good) {
				t.Error("another key verifies it")
			}
			for _, alg := range []string{tc.wrong, "none", "HS256", "PS256"} {
				if alg != "" && tc.alg != "EdDSA" && key.verifies(changed(func(c *token) { c.alg = alg })) {
					t.Errorf("verifies as %s", alg)
				}
			}
			if _, ec := tc.key.(*ecdsa.PrivateKey); ec {
				half := len(good.signature) / 2
				der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(good.signature[:half]), new(big.Int).SetBytes(good.signature[half:])})
				if err != nil {
					t.Fatal(err)
				}
				if key.verifies(changed(func(c *token) { c.signature = der })) {
					t.Error("the form of ASN.1 verifies")
				}
			}
		})
	}
}
