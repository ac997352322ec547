package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
)

// The bounds of a key set.
const (
	maxKeySet  = 1 << 20
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 4096
)

// verifyKey is a public key that may verify tokens.
type verifyKey struct {
	key crypto.PublicKey
	// alg is the only algorithm the key is for; empty where its issuer does not say.
	alg string
}

// parseKeySet reads a JWKS. Keys that cannot be used are left out and named in skipped; a set without any usable key is an
// error, and so is one that is too large or could be read in two ways.
func parseKeySet(data []byte) (keys map[string]verifyKey, skipped []string, err error) {
	if len(data) > maxKeySet {
		return nil, nil, fmt.Errorf("the key set is larger than %d bytes", maxKeySet)
	}
	set, err := parseObject(data)
	if err != nil {
		return nil, nil, fmt.Errorf("the key set: %w", err)
	}
	list, ok := set["keys"].([]any)
	if !ok {
		return nil, nil, errors.New(`the key set has no list "keys"`)
	}
	if len(list) > maxKeys {
		return nil, nil, fmt.Errorf("the key set has %d keys, expected at most %d", len(list), maxKeys)
	}
	keys = make(map[string]verifyKey, len(list))
	var twice []string
	for n, one := range list {
		kid, key, err := parseKey(one)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("key %d (kid %q): %v", n, shown(kid), err))
			continue
		}
		if _, there := keys[kid]; there {
			twice = append(twice, kid)
		}
		keys[kid] = key
	}
	// Which of two keys of one id is meant is anyone's guess, so neither is.
	for _, kid := range twice {
		if _, there := keys[kid]; there {
			delete(keys, kid)
			skipped = append(skipped, fmt.Sprintf("kid %q: two keys have it", shown(kid)))
		}
	}
	if len(keys) == 0 {
		return nil, skipped, fmt.Errorf("the key set has no usable key (%s)", strings.Join(slices.Concat(skipped, []string{fmt.Sprintf("%d keys in all", len(list))}), "; "))
	}
	return keys, skipped, nil
}

// certificateMembers describe a certificate of the key, of which nothing is used.
var certificateMembers = []string{"x5c", "x5t", "x5t#S256", "x5u"}

func parseKey(v any) (kid string, key verifyKey, err error) {
	members, ok := v.(map[string]any)
	if !ok {
		return "", key, errors.New("not an object")
	}
	kid, _ = members["kid"].(string)
	if kid == "" {
		return "", key, errors.New("it has no kid")
	}
	if use, there := members["use"]; there && use != "sig" {
		return kid, key, errors.New(`its use is not "sig"`)
	}
	if ops, there := members["key_ops"]; there {
		if list, ok := ops.([]any); !ok || !slices.Contains(list, any("verify")) {
			return kid, key, errors.New(`its key_ops do not have "verify"`)
		}
	}
	for _, name := range certificateMembers {
		delete(members, name)
	}
	data, err := json.Marshal(members)
	if err != nil {
		return kid, key, errors.New("it cannot be read")
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		return kid, key, errors.New("it is malformed, too large or of an unknown kind")
	}
	if err := checkKey(jwk.Key); err != nil {
		return kid, key, err
	}
	return kid, verifyKey{key: jwk.Key, alg: jwk.Algorithm}, nil
}

// checkKey accepts public keys of the kinds and sizes that are safe and cheap to verify with.
func checkKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("its modulus has %d bits, expected %d to %d", bits, minRSABits, maxRSABits)
		}
		if key.E < 3 || key.E%2 == 0 {
			return errors.New("its public exponent is not an odd number from 3")
		}
		if factorable(key.N) {
			return errors.New("its modulus is of a kind that can be factored (CVE-2017-15361), so it must be replaced")
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return errors.New("its curve is not P-256 or P-384")
		}
		return nil
	case ed25519.PublicKey:
		return nil
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return errors.New("it is a private key, which must be replaced, since it was published")
	default:
		return errors.New("it is not an RSA, EC or Ed25519 key")
	}
}

// fits is true where the algorithm is one for this key.
func (k verifyKey) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" || alg == "RS384" || alg == "RS512"
	case *ecdsa.PublicKey:
		return alg == "ES256" && key.Curve == elliptic.P256() || alg == "ES384" && key.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return alg == "EdDSA"
	default:
		return false
	}
}

// fingerprint names the content of a key set, so that fetching the same keys again changes nothing.
func fingerprint(keys map[string]verifyKey) string {
	lines := make([]string, 0, len(keys))
	for kid, k := range keys {
		thumb, err := (&jose.JSONWebKey{Key: k.key}).Thumbprint(crypto.SHA256)
		if err != nil {
			thumb = nil // cannot be: checkKey has accepted the key
		}
		lines = append(lines, fmt.Sprintf("%q %q %x", kid, k.alg, thumb))
	}
	sort.Strings(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// shown cuts a value of a stranger to what fits a message.
func shown(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
