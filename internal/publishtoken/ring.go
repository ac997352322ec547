package publishtoken

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ringVersion is the version of the stored form of a ring.
const ringVersion = 1

// maxKeys bounds a stored ring: rotation keeps two or three keys, so more means that something else wrote it.
const maxKeys = 16

// ring is the set of signing keys of one deployment, as all nodes that share a storage see it. It is never changed after it
// was made.
type ring struct {
	// id names the deployment; it is the issuer of its tokens.
	id string
	// keys are ordered by age, the newest last.
	keys []key
	// loaded is when this node read it.
	loaded time.Time
}

// key is one signing key.
type key struct {
	id      string
	created time.Time
	private ed25519.PrivateKey
	public  ed25519.PublicKey
	// inner seals what travels inside a token; it is derived from private.
	inner *sealer
}

// storedRing and storedKey are what lies in storage. A seed is the plain or, where the ring is sealed, the sealed seed.
type storedRing struct {
	Version int         `json:"version"`
	ID      string      `json:"id"`
	Sealed  bool        `json:"sealed"`
	Keys    []storedKey `json:"keys"`
}

type storedKey struct {
	ID      string    `json:"kid"`
	Created time.Time `json:"created"`
	Seed    []byte    `json:"seed"`
}

// newRing makes a ring with a new id and no keys.
func newRing() *ring { return &ring{id: "trustpub:" + randomID()} }

// randomID is 128 random bits in hex.
func randomID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: it crashes the process instead
	return hex.EncodeToString(b)
}

// find returns the key of that id.
func (r *ring) find(id string) (key, bool) {
	for _, k := range r.keys {
		if k.id == id {
			return k, true
		}
	}
	return key{}, false
}

// newest returns the youngest key.
func (r *ring) newest() (key, bool) {
	if len(r.keys) == 0 {
		return key{}, false
	}
	return r.keys[len(r.keys)-1], true
}

// rotated returns a ring with a fresh key, without the keys whose last token has expired.
func (r *ring) rotated(now time.Time) (*ring, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	next := &ring{id: r.id, loaded: now}
	for _, k := range r.keys {
		if now.Sub(k.created) < keepKey {
			next.keys = append(next.keys, k)
		}
	}
	if len(next.keys) >= maxKeys {
		return nil, fmt.Errorf("there are %d live signing keys, expected fewer than %d: compare the clocks of the nodes that share this storage", len(next.keys), maxKeys)
	}
	inner, err := innerSealer(private)
	if err != nil {
		return nil, err
	}
	next.keys = append(next.keys, key{id: randomID(), created: now, private: private, public: public, inner: inner})
	return next, nil
}

// encode writes the ring as it is stored, sealed where there is a sealer.
func (r *ring) encode(s *sealer) ([]byte, error) {
	stored := storedRing{Version: ringVersion, ID: r.id, Sealed: s != nil}
	for _, k := range r.keys {
		seed := k.private.Seed()
		if s != nil {
			var err error
			if seed, err = s.seal(seed, r.binding(k.id, k.created)); err != nil {
				return nil, err
			}
		}
		stored.Keys = append(stored.Keys, storedKey{ID: k.id, Created: k.created.UTC(), Seed: seed})
	}
	return json.Marshal(stored)
}

// binding is what a sealed seed is bound to, so that neither can be moved to another ring, name or age.
func (r *ring) binding(kid string, created time.Time) string {
	return r.id + "\x00" + kid + "\x00" + created.UTC().Format(time.RFC3339Nano)
}

// errPlain means that a sealer is configured and the stored ring is not sealed.
var errPlain = errors.New("the stored signing keys are not sealed")

// decodeRing reads a stored ring. With a sealer it accepts sealed rings only: whoever can write to the storage could plant a
// plain one.
func decodeRing(b []byte, s *sealer, now time.Time) (*ring, error) {
	var stored storedRing
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&stored); err != nil {
		return nil, errors.New("the stored signing keys are not readable JSON")
	}
	if dec.More() {
		return nil, errors.New("the stored signing keys are followed by other data")
	}
	switch {
	case stored.Version != ringVersion:
		return nil, fmt.Errorf("the stored signing keys have version %d, expected %d: another release wrote them", stored.Version, ringVersion)
	case stored.ID == "":
		return nil, errors.New("the stored signing keys have no id")
	case len(stored.Keys) > maxKeys:
		return nil, fmt.Errorf("%d signing keys are stored, expected at most %d", len(stored.Keys), maxKeys)
	case stored.Sealed && s == nil:
		return nil, errors.New("the stored signing keys are sealed and no key file is configured: configure the one that the other nodes use")
	case !stored.Sealed && s != nil:
		return nil, errPlain
	}
	r := &ring{id: stored.ID, loaded: now}
	for i, sk := range stored.Keys {
		k, err := r.decodeKey(sk, s)
		if err != nil {
			return nil, err
		}
		if i > 0 && sk.Created.Before(stored.Keys[i-1].Created) {
			return nil, errors.New("the stored signing keys are out of order")
		}
		if _, twice := r.find(k.id); twice {
			return nil, fmt.Errorf("signing key %q is stored twice", k.id)
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func (r *ring) decodeKey(sk storedKey, s *sealer) (key, error) {
	seed := sk.Seed
	if s != nil {
		var err error
		if seed, err = s.open(seed, r.binding(sk.ID, sk.Created)); err != nil {
			return key{}, fmt.Errorf("signing key %q: %w", sk.ID, err)
		}
	}
	if sk.ID == "" || len(seed) != ed25519.SeedSize {
		return key{}, fmt.Errorf("signing key %q: got a seed of %d bytes, expected %d", sk.ID, len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	inner, err := innerSealer(private)
	if err != nil {
		return key{}, err
	}
	return key{id: sk.ID, created: sk.Created, private: private, public: private.Public().(ed25519.PublicKey), inner: inner}, nil
}
