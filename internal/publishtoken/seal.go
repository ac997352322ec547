package publishtoken

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/trustpub/trustpub/internal/model"
)

// minSealKey is the least length of a mounted key, in bytes: 128 random bits in hex.
const minSealKey = 32

// sealer encrypts signing keys with a key that is mounted beside the gateway, so that reading its storage is not enough to
// mint tokens. AES-256-GCM with a random nonce: a ring is rewritten about once a day.
type sealer struct{ aead cipher.AEAD }

// newSealer reads the mounted key now, so that a replaced file acts without a restart.
func newSealer(file model.Secret) (*sealer, error) {
	secret, err := file.Resolve()
	if err != nil {
		return nil, err
	}
	if len(secret) < minSealKey {
		return nil, fmt.Errorf("secret %s: got %d bytes, expected at least %d random ones (openssl rand -hex 32)", file, len(secret), minSealKey)
	}
	s, err := deriveSealer([]byte(secret), "trustpub publish token keys")
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", file, err)
	}
	return s, nil
}

// innerSealer seals identity tokens inside publish tokens, with a key that is derived from the signing key and so lives and ends
// with it. A signing key seals far fewer than the 2^32 tokens that random nonces are good for.
func innerSealer(private ed25519.PrivateKey) (*sealer, error) {
	return deriveSealer(private.Seed(), "trustpub identity token inside a publish token")
}

func deriveSealer(secret []byte, purpose string) (*sealer, error) {
	k, err := hkdf.Key(sha256.New, secret, nil, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead}, nil
}

// seal encrypts and binds to a context.
func (s *sealer) seal(plain []byte, binding string) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.aead.Seal(nonce, nonce, plain, []byte(binding)), nil
}

// open decrypts what seal made for the same context.
func (s *sealer) open(sealed []byte, binding string) ([]byte, error) {
	plain, ok := s.unseal(sealed, binding)
	if !ok {
		return nil, errors.New("the key file does not open it: mount the key file that the other nodes use, or delete the stored keys to start anew")
	}
	return plain, nil
}

// unseal is open without an opinion.
func (s *sealer) unseal(sealed []byte, binding string) (plain []byte, ok bool) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, false
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(binding))
	return plain, err == nil
}
