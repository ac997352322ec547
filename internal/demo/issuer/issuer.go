// Package issuer is an OpenID Connect issuer for development: discovery, a key set, tokens signed with RS256 or ES256, key
// rotation, and the token endpoint that jobs on GitHub Actions ask. The demo runs it, and so do the tests: it is a
// real issuer whose keys live as long as the process, and nothing of the gateway trusts it unless it is configured.
package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// The algorithms that the issuer signs with.
const (
	RS256 = "RS256"
	ES256 = "ES256"
)

// Options tune an issuer; the zero value is the issuer of the demo.
type Options struct {
	// Now is the clock of iat, nbf and exp; time.Now by default.
	Now func() time.Time
	// Lifetime is how long a token lives, five minutes by default.
	Lifetime time.Duration
	// Claims replace the default claims of every token one by one; nil removes a claim.
	Claims map[string]any
	// Jobs are the request tokens that the token endpoint accepts, each with the claims of its job.
	Jobs map[string]map[string]any
}

// Issuer is a development issuer and its http.Handler. It is safe for concurrent use.
type Issuer struct {
	url  string
	opts Options

	mu        sync.Mutex
	keys      []signingKey // the current pair first, then those that are still published
	rotations int
	jobs      map[string]map[string]any
	intercept Interceptor
	fetches   map[string]int
}

// signingKey is one generation: an RSA and an EC key under two kids.
type signingKey struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	gen int
}

// Interceptor may answer a request in the issuer's place; it returns false to let the issuer answer.
type Interceptor func(http.ResponseWriter, *http.Request) bool

// New makes an issuer that calls itself url. Tokens carry url as iss, and its discovery and key set are below url's path.
func New(url string, opts Options) (*Issuer, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Lifetime == 0 {
		opts.Lifetime = 5 * time.Minute
	}
	i := &Issuer{url: url, opts: opts, fetches: map[string]int{}, jobs: maps.Clone(opts.Jobs)}
	if i.jobs == nil {
		i.jobs = map[string]map[string]any{}
	}
	if err := i.Rotate(); err != nil {
		return nil, err
	}
	return i, nil
}

// URL is the issuer's name as its tokens carry it.
func (i *Issuer) URL() string { return i.url }

// Rotate makes new keys and forgets the old ones, as an issuer does whose keys were stolen.
func (i *Issuer) Rotate() error { return i.rotate(0) }

// RotateKeeping makes new keys and goes on publishing the old ones, as an issuer does in an ordinary rotation.
func (i *Issuer) RotateKeeping() error { return i.rotate(1 << 16) }

func (i *Issuer) rotate(keep int) error {
	// Keys are made outside the lock: an RSA key takes a while.
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("making an RSA key: %w", err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making an EC key: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rotations++
	old := i.keys[:min(keep, len(i.keys))]
	i.keys = append([]signingKey{{rsa: rsaKey, ec: ecKey, gen: i.rotations}}, old...)
	return nil
}

// kid names a key: its kind and its generation.
func (k signingKey) kid(alg string) string { return fmt.Sprintf("dev-%s-%d", alg, k.gen) }

// KeyID is the kid of the current key of that algorithm.
func (i *Issuer) KeyID(alg string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[0].kid(alg)
}

// PublicKey is the current public key of that algorithm.
func (i *Issuer) PublicKey(alg string) crypto.PublicKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	if alg == ES256 {
		return i.keys[0].ec.Public()
	}
	return i.keys[0].rsa.Public()
}

// JWKS is the key set as the issuer serves it, fit for a file of pinned keys.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys,
			jose.JSONWebKey{Key: k.rsa.Public(), KeyID: k.kid(RS256), Algorithm: RS256, Use: "sig"},
			jose.JSONWebKey{Key: k.ec.Public(), KeyID: k.kid(ES256), Algorithm: ES256, Use: "sig"})
	}
	return mustJSON(set)
}

// Token signs a token for an audience with RS256. overrides replace the default claims one by one; nil removes a claim, so
// {"aud": nil} makes a token without audience.
func (i *Issuer) Token(audience string, overrides map[string]any) string {
	return i.TokenAlg(RS256, audience, overrides)
}

// TokenAlg is Token with another algorithm.
func (i *Issuer) TokenAlg(alg, audience string, overrides map[string]any) string {
	header := map[string]any{"alg": alg, "typ": "JWT", "kid": i.KeyID(alg)}
	return i.Sign(alg, header, mustJSON(i.Claims(audience, overrides)))
}

// Claims are the claims of a token that is made now.
func (i *Issuer) Claims(audience string, overrides map[string]any) map[string]any {
	claims := DefaultClaims()
	now := i.opts.Now()
	claims["iss"], claims["aud"], claims["jti"] = i.url, audience, newID()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), now.Add(i.opts.Lifetime).Unix()
	for _, over := range []map[string]any{i.opts.Claims, overrides} {
		for name, value := range over {
			if value == nil {
				delete(claims, name)
				continue
			}
			claims[name] = value
		}
	}
	return claims
}

// Sign signs any header and payload with the current key of alg, whatever the header says; tests forge tokens with it.
func (i *Issuer) Sign(alg string, header map[string]any, payload []byte) string {
	i.mu.Lock()
	key := i.keys[0]
	i.mu.Unlock()
	input := encode(mustJSON(header)) + "." + encode(payload)
	return input + "." + encode(key.sign(alg, input))
}

// sign makes the signature of a JWS signing input.
func (k signingKey) sign(alg, input string) []byte {
	digest := sha256.Sum256([]byte(input))
	if alg == ES256 {
		r, s, err := ecdsa.Sign(rand.Reader, k.ec, digest[:])
		if err != nil {
			panic("issuer: signing with a P-256 key: " + err.Error())
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig
	}
	sig, err := rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, digest[:])
	if err != nil {
		panic("issuer: signing with an RSA key: " + err.Error())
	}
	return sig
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// mustJSON marshals what a developer wrote; a value that JSON cannot hold is a mistake in the program.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("issuer: claims or header that JSON cannot hold: " + err.Error())
	}
	return b
}
