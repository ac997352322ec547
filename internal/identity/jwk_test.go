package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// jwk is a key as an issuer writes it, with some members replaced; nil removes one.
func jwk(t *testing.T, key any, over map[string]any) map[string]any {
	t.Helper()
	data, err := jose.JSONWebKey{Key: key, KeyID: "key", Use: "sig"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	maps.Copy(members, over)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	return members
}

func jwks(t *testing.T, keys ...map[string]any) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// modulus is a public RSA key of some size; it need not be one that anybody has the private half of.
func modulus(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeysThatAreUsed(t *testing.T) {
	ed, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256 := ecKey(t, elliptic.P256())
	tests := []struct {
		name string
		key  map[string]any
		says string // empty: used
	}{
		{"RSA 2048", jwk(t, modulus(2048), nil), ""},
		{"RSA 4096", jwk(t, modulus(4096), nil), ""},
		{"P-256", jwk(t, p256.Public(), nil), ""},
		{"P-384", jwk(t, ecKey(t, elliptic.P384()).Public(), nil), ""},
		{"Ed25519", jwk(t, ed, nil), ""},
		{"no use", jwk(t, modulus(2048), map[string]any{"use": nil}), ""},
		{"key_ops to verify", jwk(t, modulus(2048), map[string]any{"key_ops": []string{"verify"}}), ""},
		{"a broken certificate, of which nothing is used", jwk(t, modulus(2048), map[string]any{"x5c": []string{"x"}, "x5t": "x", "x5u": "x"}), ""},
		{"an unknown member", jwk(t, modulus(2048), map[string]any{"issuer": "https://issuer.example.com"}), ""},
		{"RSA 2047", jwk(t, modulus(2047), nil), "2047 bits"},
		{"RSA 1024", jwk(t, modulus(1024), nil), "1024 bits"},
		{"RSA 4097", jwk(t, modulus(4097), nil), "too large"},
		{"RSA exponent 1", jwk(t, &rsa.PublicKey{N: modulus(2048).N, E: 1}, nil), "malformed"},
		{"RSA exponent even", jwk(t, &rsa.PublicKey{N: modulus(2048).N, E: 65536}, nil), "exponent"},
		{"P-521", jwk(t, ecKey(t, elliptic.P521()).Public(), nil), "not P-256 or P-384"},
		{"a point that is not on the curve", jwk(t, p256.Public(), map[string]any{"x": b64(strings.Repeat("x", 32))}), "malformed"},
		{"a secret", map[string]any{"kty": "oct", "kid": "key", "k": "c2VjcmV0"}, "not an RSA, EC or Ed25519 key"},
		{"a private key", jwk(t, p256, nil), "private key"},
		{"a private Ed25519 key", jwk(t, edPrivate, nil), "private key"},
		{"no kid", jwk(t, modulus(2048), map[string]any{"kid": nil}), "no kid"},
		{"kid is empty", jwk(t, modulus(2048), map[string]any{"kid": ""}), "no kid"},
		{"kid is a number", jwk(t, modulus(2048), map[string]any{"kid": 1}), "no kid"},
		{"use is enc", jwk(t, modulus(2048), map[string]any{"use": "enc"}), `not "sig"`},
		{"use is a list", jwk(t, modulus(2048), map[string]any{"use": []string{"sig"}}), `not "sig"`},
		{"key_ops to sign", jwk(t, modulus(2048), map[string]any{"key_ops": []string{"sign"}}), `do not have "verify"`},
		{"key_ops is a text", jwk(t, modulus(2048), map[string]any{"key_ops": "verify"}), `do not have "verify"`},
		{"an unknown kind", map[string]any{"kty": "XYZ", "kid": "key"}, "unknown kind"},
		{"no modulus", jwk(t, modulus(2048), map[string]any{"n": nil}), "malformed"},
	}
	spare := jwk(t, modulus(3072), map[string]any{"kid": "spare"})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			keys, skipped, err := parseKeySet(jwks(t, test.key, spare))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := keys["spare"]; !ok {
				t.Error("the other key is not used")
			}
			_, used := keys["key"]
			if used != (test.says == "") || !strings.Contains(strings.Join(skipped, "; "), test.says) {
				t.Errorf("used %t, skipped %q; want %q", used, skipped, test.says)
			}
			if _, _, err := parseKeySet(jwks(t, test.key)); (err == nil) != (test.says == "") {
				t.Errorf("alone: %v", err)
			}
		})
	}
}

// Two keys of one id disable each other, the same key twice included.
func TestDuplicateKeyIDs(t *testing.T) {
	r := newRig(t, nil)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(r.dev.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	kid := r.dev.KeyID(issuer.RS256)
	for name, second := range map[string]map[string]any{
		"the same key":     set.Keys[0],
		"another key":      jwk(t, modulus(2048), map[string]any{"kid": kid}),
		"of another kind":  jwk(t, ecKey(t, elliptic.P256()).Public(), map[string]any{"kid": kid}),
		"three in all":     nil,
		"the other ahead ": nil,
	} {
		t.Run(name, func(t *testing.T) {
			all := slices.Clone(set.Keys)
			switch name {
			case "three in all":
				all = append(all, set.Keys[0], set.Keys[0])
			case "the other ahead ":
				all = slices.Insert(all, 0, jwk(t, modulus(2048), map[string]any{"kid": kid}))
			default:
				all = append(all, second)
			}
			r := rigOn(t, newClock(), r.dev, nil)
			r.on(issuer.JWKSPath, replyWith(string(jwks(t, all...))))
			want(t, r.deny(t, r.token()), model.CodeInvalidToken, "kid")
			r.accept(t, r.dev.TokenAlg(issuer.ES256, audience, nil))
			if s := r.issuer.Status(); s.Keys != 1 || len(s.Skipped) != 1 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// A key serves only the algorithm that its issuer says it is for, and only one of its kind.
func TestKeyFits(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	algorithms := append(slices.Clone(knownAlgorithms), "PS256", "HS256", "none", "")
	tests := []struct {
		name string
		key  verifyKey
		want []string
	}{
		{"RSA", verifyKey{key: modulus(2048)}, []string{"RS256", "RS384", "RS512"}},
		{"RSA for RS256", verifyKey{key: modulus(2048), alg: "RS256"}, []string{"RS256"}},
		{"RSA for PS256", verifyKey{key: modulus(2048), alg: "PS256"}, nil},
		{"P-256", verifyKey{key: ecKey(t, elliptic.P256()).Public()}, []string{"ES256"}},
		{"P-384", verifyKey{key: ecKey(t, elliptic.P384()).Public()}, []string{"ES384"}},
		{"Ed25519", verifyKey{key: crypto.PublicKey(ed)}, []string{"EdDSA"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, alg := range algorithms {
				if test.key.fits(alg) {
					got = append(got, alg)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The algorithm that a key is for is kept: RS512 is configured here, and the key is for RS256.
func TestAlgorithmOfTheKey(t *testing.T) {
	r := sharedRig(t, func(c *Config) { c.Algorithms = []string{"RS256", "RS512"} })
	want(t, r.deny(t, r.withHeader(t, map[string]any{"alg": "RS512"})), model.CodeInvalidToken, "alg")
	onlyEC := sharedRig(t, func(c *Config) { c.Algorithms = []string{"ES256"} })
	want(t, onlyEC.deny(t, onlyEC.token()), model.CodeInvalidToken, "alg")
	onlyEC.accept(t, onlyEC.dev.TokenAlg(issuer.ES256, audience, nil))
}
