package audit

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Storage is where the key of fingerprints is kept; Caddy's storage (certmagic.Storage) is one without an adapter.
type Storage interface {
	// Load returns the value of a key; a missing one is fs.ErrNotExist.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store replaces the value of a key.
	Store(ctx context.Context, key string, value []byte) error
	// Lock waits until it holds the named lock among all that share the storage.
	Lock(ctx context.Context, name string) error
	// Unlock releases it.
	Unlock(ctx context.Context, name string) error
}

// The names in storage. Deleting FingerprintKeyAt makes every fingerprint another one from the next start on.
const (
	// FingerprintKeyAt is the storage key of the key, 32 random bytes in hex.
	FingerprintKeyAt = "trusted_publishing/audit_fingerprint_key"
	// FingerprintLock is the lock under which it is made.
	FingerprintLock = "trusted_publishing_audit_fingerprint_key"
)

const (
	// fingerprintKey is the key's length, fingerprintSize that of a fingerprint, in bytes: enough to tell the credentials of one
	// organisation apart, too few to be of use for anything else.
	fingerprintKey  = 32
	fingerprintSize = 8
)

// Fingerprinter gives a credential of the registry a name that tells it from others and says nothing of it: an HMAC-SHA-256
// under a key of this deployment, cut to 64 bits. Without the key a guessed password cannot be checked against it.
type Fingerprinter struct{ key []byte }

// OpenFingerprinter reads the deployment's key from the storage, or makes it there, so that fingerprints stay the same over
// restarts and on all nodes that share the storage.
func OpenFingerprinter(ctx context.Context, storage Storage) (_ *Fingerprinter, err error) {
	if f, err := loadFingerprinter(ctx, storage); !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := storage.Lock(ctx, FingerprintLock); err != nil {
		return nil, fmt.Errorf("lock the audit's fingerprint key: %w", err)
	}
	defer func() { err = errors.Join(err, storage.Unlock(context.WithoutCancel(ctx), FingerprintLock)) }()
	// Another node may have made it meanwhile.
	if f, err := loadFingerprinter(ctx, storage); !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	key := make([]byte, fingerprintKey)
	_, _ = rand.Read(key) // never fails since Go 1.24
	if err := storage.Store(ctx, FingerprintKeyAt, []byte(hex.EncodeToString(key))); err != nil {
		return nil, fmt.Errorf("write %s to the storage: %w", FingerprintKeyAt, err)
	}
	return &Fingerprinter{key: key}, nil
}

// loadFingerprinter reads a stored key; its errors never quote it.
func loadFingerprinter(ctx context.Context, storage Storage) (*Fingerprinter, error) {
	text, err := storage.Load(ctx, FingerprintKeyAt)
	if err != nil {
		return nil, fmt.Errorf("read %s from the storage: %w", FingerprintKeyAt, err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != fingerprintKey {
		return nil, fmt.Errorf("%s in the storage holds no key of %d bytes in hex: delete it, and the next start makes a new one", FingerprintKeyAt, fingerprintKey)
	}
	return &Fingerprinter{key: key}, nil
}

// Fingerprint is 16 hex digits; the same secret gives the same ones, whatever header carries it. Safe for concurrent use. On a
// nil Fingerprinter, and for an empty secret, it is empty.
func (f *Fingerprinter) Fingerprint(secret string) string {
	if f == nil || secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, f.key)
	mac.Write([]byte("trustpub foreign credential\x00"))
	mac.Write([]byte(secret))
	return hex.EncodeToString(mac.Sum(nil)[:fingerprintSize])
}
