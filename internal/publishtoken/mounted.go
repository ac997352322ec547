package publishtoken

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// mountedRing is the issuer of all tokens whose keys come from mounted secrets: whoever has the secret is the deployment.
const mountedRing = "trustpub:mounted"

// day is how long a derived key signs.
const day = 24 * time.Hour

// mounted derives the signing keys from secrets that are mounted on every node, so that nodes without a common storage accept
// each other's tokens. Each secret gives a key for each day; the first secret's signs, all of them verify.
type mounted struct {
	secrets []model.Secret
	warn    func(error)

	mu   sync.Mutex
	read time.Time // when the secrets were last read, or tried
	text []string  // what they were
	ring *ring     // what was derived of them, for the days around at
	at   int64
	// fresh is what reading them last gave.
	fresh error
}

// keys gives the keys of now. Secrets are read again when they are ten seconds old, or a second where a key is sought that they lack;
// while they can't be read, what they were serves on.
func (m *mounted) keys(now time.Time, sought string) (*ring, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	age := now.Sub(m.read)
	lacks := sought != "" && m.ring != nil && !m.has(sought) && age >= time.Second
	if m.ring == nil || age >= reread || age < 0 || lacks {
		m.load(now)
	}
	if m.text == nil {
		return nil, m.fresh
	}
	if today := now.Unix() / int64(day/time.Second); m.ring == nil || m.at != today {
		r, err := derive(m.text, today)
		if err != nil {
			return nil, err
		}
		m.ring, m.at = r, today
	}
	return m.ring, nil
}

func (m *mounted) has(kid string) bool {
	_, ok := m.ring.find(kid)
	return ok
}

// load reads the secrets; the lock is held.
func (m *mounted) load(now time.Time) {
	m.read = now
	var text []string
	for _, secret := range m.secrets {
		value, err := secret.Resolve()
		if err == nil && len(value) < minSealKey {
			err = fmt.Errorf("secret %s: got %d bytes, expected at least %d random ones (openssl rand -hex 32)", secret, len(value), minSealKey)
		}
		if err != nil {
			m.fresh = fmt.Errorf("signing_key: %w", err)
			if m.text != nil {
				m.warn(m.fresh)
			}
			return
		}
		text = append(text, value)
	}
	m.fresh = nil
	if !slices.Equal(text, m.text) {
		m.text, m.ring = text, nil
	}
}

// signer is the first secret's key of today.
func (m *mounted) signer(now time.Time) (*ring, key, error) {
	r, err := m.keys(now, "")
	if err != nil {
		return nil, key{}, err
	}
	k, ok := r.newest()
	if !ok {
		return nil, key{}, errors.New("signing_key: no secret is configured")
	}
	return r, k, nil
}

// derive makes the keys of yesterday, today and tomorrow: tokens of yesterday's run out, and another node's clock may be ahead. The one
// that signs comes last.
func derive(secrets []string, today int64) (*ring, error) {
	r := &ring{id: mountedRing}
	for _, secret := range slices.Backward(secrets) {
		for _, d := range []int64{today - 1, today + 1, today} {
			k, err := deriveKey(secret, d)
			if err != nil {
				return nil, err
			}
			r.keys = append(r.keys, k)
		}
	}
	return r, nil
}

func deriveKey(secret string, d int64) (key, error) {
	purpose := "trustpub signing key of day " + strconv.FormatInt(d, 10)
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, ed25519.SeedSize)
	if err != nil {
		return key{}, err
	}
	id, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose+": id", 16)
	if err != nil {
		return key{}, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	inner, err := innerSealer(private)
	if err != nil {
		return key{}, err
	}
	return key{
		id: hex.EncodeToString(id), created: time.Unix(d*int64(day/time.Second), 0), private: private,
		public: private.Public().(ed25519.PublicKey), inner: inner,
	}, nil
}
