package publishtoken

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Storage is where the signing keys lie. Caddy's storage (certmagic.Storage) is one without an adapter.
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

// The names in storage. Deleting KeysAt ends every publish token.
const (
	// KeysAt is the storage key of the signing keys.
	KeysAt = "trusted_publishing/publish_token_keys.json"
	// LockName is the lock under which they are replaced.
	LockName = "trusted_publishing_publish_token_keys"
)

// signer returns the key that signs now, making or rotating it where that is due.
func (m *Minter) signer(ctx context.Context) (*ring, key, error) {
	now := m.now()
	if m.mounted != nil {
		return m.mounted.signer(now)
	}
	r, _ := m.current(ctx, now) // where it can't be read, the visit below says why
	if r != nil {
		if k, ok := r.newest(); ok && now.Sub(k.created) < rotateAfter {
			return r, k, nil
		}
	}
	rotated, err := m.rotate(ctx)
	if err == nil {
		k, _ := rotated.newest()
		return rotated, k, nil
	}
	// The storage is away just now. Tokens of the old key still verify everywhere, so it goes on for a while.
	if r != nil {
		if k, ok := r.newest(); ok && now.Sub(k.created) < rotateAfter+overlap {
			m.logger.Warn("the signing key of the publish tokens is due to be rotated, and can't be", "error", err, "key", k.id)
			return r, k, nil
		}
	}
	return nil, key{}, err
}

// attempt is one ended read of the storage.
type attempt struct {
	at  time.Time
	err error
}

// verifier returns the key of that id. Errors are denials.
func (m *Minter) verifier(ctx context.Context, kid string) (*ring, key, error) {
	now := m.now()
	if m.mounted != nil {
		return m.derived(kid, now)
	}
	before := m.last.Load()
	r, err := m.current(ctx, now)
	if err != nil {
		return nil, key{}, unavailable(err)
	}
	if k, ok := m.live(r, kid, now); ok {
		return r, k, nil
	}
	if wait := reread - now.Sub(time.Unix(0, m.missed.Load())); 0 < wait && wait <= reread {
		// Another node may have rotated since: nothing is known to be wrong with the token.
		return nil, key{}, model.Deny(model.CodeUnknownKey).After(wait).
			Because(errors.New("publish token: its key id is unknown, and the storage was read moments ago")).
			Hinted("try again in %d seconds, or exchange a new identity token", int(wait/time.Second)+1)
	}
	if m.last.Load() == before { // else the storage was read just now
		r, err = m.reload(ctx, before)
	}
	m.missed.Store(now.UnixNano())
	if err != nil {
		return nil, key{}, unavailable(err)
	}
	if k, ok := m.live(r, kid, now); ok {
		return r, k, nil
	}
	return nil, key{}, invalid(errors.New("its key id is unknown"))
}

// derived is verifier for mounted keys.
func (m *Minter) derived(kid string, now time.Time) (*ring, key, error) {
	r, err := m.mounted.keys(now, kid)
	if err != nil {
		return nil, key{}, unavailable(err)
	}
	if k, ok := m.live(r, kid, now); ok {
		return r, k, nil
	}
	return nil, key{}, invalid(errors.New("its key id is unknown"))
}

// live finds a key that may still verify.
func (m *Minter) live(r *ring, kid string, now time.Time) (key, bool) {
	if r == nil {
		return key{}, false
	}
	k, ok := r.find(kid)
	return k, ok && now.Sub(k.created) < keepKey
}

// current returns the keys in use, read again when they are a minute old; nil where none are stored. While the storage is away or
// slow the keys that were read serve on: they can't have become wrong, only fewer.
func (m *Minter) current(ctx context.Context, now time.Time) (*ring, error) {
	r, last := m.ring.Load(), m.last.Load()
	if r != nil && now.Sub(r.loaded) < refresh {
		return r, nil
	}
	if last != nil && now.Sub(last.at) < reread {
		if r == nil {
			return nil, last.err
		}
		return r, nil
	}
	if r == nil {
		return m.reload(ctx, last)
	}
	select {
	case m.visit <- struct{}{}:
	default:
		return r, nil // another is at it
	}
	defer func() { <-m.visit }()
	sctx, cancel := m.storageContext(ctx)
	defer cancel()
	fresh, err := m.load(sctx)
	if err != nil {
		m.logger.Warn("the signing keys of the publish tokens can't be read again; those in use serve on", "error", err)
		return r, nil
	}
	return fresh, nil
}

// reload reads the storage, once for all who ask at the same time: whoever finds that it was read since takes that.
func (m *Minter) reload(ctx context.Context, seen *attempt) (*ring, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if last := m.last.Load(); last != seen {
		return m.ring.Load(), last.err
	}
	sctx, cancel := m.storageContext(ctx)
	defer cancel()
	return m.load(sctx)
}

// load reads the storage and takes what it holds into use. The caller holds visit.
func (m *Minter) load(ctx context.Context) (*ring, error) {
	now := m.now()
	r, err := m.read(ctx, now)
	if err == nil {
		// Also where there are none: deleting them ends every token.
		m.ring.Store(r)
	}
	m.last.Store(&attempt{at: m.now(), err: err})
	return r, err
}

// read returns the stored keys, or nil where none are stored that may be used.
func (m *Minter) read(ctx context.Context, now time.Time) (*ring, error) {
	seal, err := m.sealer()
	if err != nil {
		return nil, err
	}
	b, err := m.storage.Load(ctx, KeysAt)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s from the storage: %w", KeysAt, err)
	}
	r, err := decodeRing(b, seal, now)
	if errors.Is(err, errPlain) {
		m.logger.Warn("the stored signing keys of the publish tokens are not sealed, so they are not used; the next token makes sealed ones")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s in the storage: %w", KeysAt, err)
	}
	return r, nil
}

// rotate makes a new signing key under the storage's lock, unless another node has just done so.
func (m *Minter) rotate(ctx context.Context) (*ring, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	sctx, cancel := m.storageContext(ctx)
	defer cancel()
	if err := m.storage.Lock(sctx, LockName); err != nil {
		return nil, fmt.Errorf("lock the signing keys of the publish tokens: %w", err)
	}
	defer m.unlock(ctx)
	r, err := m.load(sctx)
	if err != nil {
		return nil, err
	}
	now := m.now()
	if r == nil {
		r = newRing()
	}
	if k, ok := r.newest(); ok && now.Sub(k.created) < rotateAfter {
		return r, nil
	}
	next, err := r.rotated(now)
	if err != nil {
		return nil, err
	}
	seal, err := m.sealer()
	if err != nil {
		return nil, err
	}
	b, err := next.encode(seal)
	if err != nil {
		return nil, err
	}
	if err := m.storage.Store(sctx, KeysAt, b); err != nil {
		return nil, fmt.Errorf("write %s to the storage: %w", KeysAt, err)
	}
	m.ring.Store(next)
	k, _ := next.newest()
	m.logger.Info("a new key signs publish tokens", "key", k.id, "keys", len(next.keys), "sealed", seal != nil)
	return next, nil
}

// unlock has its own time: the lock must be released even when the visit ran out of it.
func (m *Minter) unlock(ctx context.Context) {
	uctx, cancel := m.storageContext(ctx)
	defer cancel()
	if err := m.storage.Unlock(uctx, LockName); err != nil {
		m.logger.Warn("the lock of the publish tokens' signing keys can't be released", "error", err)
	}
}

// sealer is nil where no key file is configured.
func (m *Minter) sealer() (*sealer, error) {
	if m.keyFile == "" {
		return nil, nil
	}
	return newSealer(m.keyFile)
}

// enter waits for the turn to talk to the storage.
func (m *Minter) enter(ctx context.Context) (leave func(), err error) {
	select {
	case m.visit <- struct{}{}:
		return func() { <-m.visit }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// storageContext outlives the request: a client that goes away must not cut a rotation that others wait for.
func (m *Minter) storageContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storageTimeout)
}
