package distribution

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// errNoKey is for a file that holds something else; what a parser says of it could quote it.
var errNoKey = errors.New("expected one line with an EC private key of the curve P-256 as a JSON Web Key, as `trustpub oci-keys` writes it")

// NewKey makes a key: the private half is one line for the gateway, the public half belongs into the registry's set.
func NewKey() (private []byte, public jose.JSONWebKey, err error) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, public, fmt.Errorf("a new key: %w", err)
	}
	public = jose.JSONWebKey{Key: pair.Public(), Algorithm: string(jose.ES256), Use: "sig"}
	thumb, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, public, fmt.Errorf("a new key: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	private, err = json.Marshal(jose.JSONWebKey{Key: pair, KeyID: public.KeyID, Algorithm: public.Algorithm, Use: public.Use})
	if err != nil {
		return nil, public, fmt.Errorf("a new key: %w", err)
	}
	return append(private, '\n'), public, nil
}

// AddKey adds a public key to the text of a JSON Web Key Set; an empty text is an empty set.
func AddKey(set []byte, public jose.JSONWebKey) ([]byte, error) {
	keys := struct {
		Keys []jose.JSONWebKey `json:"keys"`
	}{}
	if len(set) > 0 {
		// A file without the list is another one, which must not be lost.
		if err := json.Unmarshal(set, &keys); err != nil || keys.Keys == nil {
			return nil, errors.New(`expected a JSON Web Key Set, as in {"keys": [...]}`)
		}
	}
	for _, key := range keys.Keys {
		if !key.IsPublic() {
			return nil, fmt.Errorf("the set holds a private key, %q: it must hold public ones only", key.KeyID)
		}
	}
	keys.Keys = append(keys.Keys, public)
	out, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// parseKey reads the private half.
func parseKey(text string) (*jose.JSONWebKey, error) {
	key := new(jose.JSONWebKey)
	if err := json.Unmarshal([]byte(text), key); err != nil {
		return nil, errNoKey
	}
	pair, ok := key.Key.(*ecdsa.PrivateKey)
	if !ok || pair.Curve != elliptic.P256() || key.KeyID == "" {
		return nil, errNoKey
	}
	return key, nil
}
