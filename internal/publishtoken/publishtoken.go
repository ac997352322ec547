// Package publishtoken mints and verifies publish tokens: what a client gets for an identity token. They are stateless, so
// any node that shares the gateway's storage, or its mounted signing key, accepts them: a compact EdDSA JWS that carries the verified claims of the
// identity token, because the policies of now judge them again at each use. Where a registry in scope has a source of credentials
// that needs the identity token itself, it travels inside, sealed.
//
// The signing keys lie in storage as one document, made under the storage's lock at the first use. A key signs for a day;
// its successor takes over while tokens of the old one run out. A node that meets a key id it does not know reads the storage
// again, at most every ten seconds.
package publishtoken

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// The lifetimes of publish tokens.
const (
	// DefaultLifetime is how long a token lives unless the operator says otherwise.
	DefaultLifetime = 15 * time.Minute
	// MaxLifetime is the longest that an operator may ask for.
	MaxLifetime = time.Hour
)

const (
	// rotateAfter is how long a key signs, overlap how much longer while its successor can't be stored.
	rotateAfter = 24 * time.Hour
	overlap     = time.Hour
	// keepKey is how long a key verifies: until the last token that it may have signed has expired.
	keepKey = rotateAfter + overlap + MaxLifetime + leeway
	// leeway is how far the clocks of two nodes may differ.
	leeway = 30 * time.Second
	// reread is how often an unknown key id may cause a read, refresh how old the keys in use may be: deleting them from the
	// storage ends all tokens within that time.
	reread  = 10 * time.Second
	refresh = time.Minute
	// storageTimeout bounds one visit to the storage, its lock included.
	storageTimeout = 15 * time.Second
)

// Options configure a Minter.
type Options struct {
	// Storage keeps the signing keys; required. Nodes that share it accept each other's tokens.
	Storage Storage
	// Logger takes warnings and rotations; required.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Lifetime of a token; zero: DefaultLifetime.
	Lifetime time.Duration
	// KeyFile names a mounted secret of at least 32 bytes with which the stored keys are sealed; empty: they are stored as
	// plainly as Caddy stores the keys of certificates.
	KeyFile model.Secret
	// Mounted are secrets of at least 32 bytes from which the keys are derived, in the place of stored ones: the first signs, all
	// verify. The Storage is not used then.
	Mounted []model.Secret
}

// Minter mints and verifies. It is safe for concurrent use.
type Minter struct {
	storage  Storage
	logger   *slog.Logger
	now      func() time.Time
	lifetime time.Duration
	keyFile  model.Secret
	mounted  *mounted // nil: the keys are stored

	ring atomic.Pointer[ring]
	// visit lets one goroutine at a time talk to the storage; the others wait for what it brings.
	visit chan struct{}
	// last is how the newest read of the storage ended; written by the visitor only.
	last atomic.Pointer[attempt]
	// missed is when a read was last caused by an unknown key id, in nanoseconds.
	missed atomic.Int64
}

// New makes a Minter. It checks the options and touches nothing else: keys are read or made at the first use.
func New(o Options) (*Minter, error) {
	if o.Storage == nil || o.Logger == nil {
		return nil, errors.New("publish tokens need a storage and a logger")
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.Lifetime < time.Second || o.Lifetime > MaxLifetime {
		return nil, fmt.Errorf("token_lifetime is %s, expected 1s to %s: a publish token is meant for one run of one job", o.Lifetime, MaxLifetime)
	}
	if o.KeyFile != "" {
		if err := o.KeyFile.Validate(); err != nil {
			return nil, fmt.Errorf("key file of the publish tokens: %w", err)
		}
	}
	if o.KeyFile != "" && len(o.Mounted) > 0 {
		return nil, errors.New("both a key file that seals stored keys and mounted signing keys are configured, expected one: mounted keys are not stored")
	}
	for _, secret := range o.Mounted {
		if err := secret.Validate(); err != nil {
			return nil, fmt.Errorf("mounted signing key: %w", err)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Minter{
		storage: o.Storage, logger: o.Logger, now: o.Now, lifetime: o.Lifetime, keyFile: o.KeyFile,
		visit: make(chan struct{}, 1),
	}
	if len(o.Mounted) > 0 {
		m.mounted = &mounted{secrets: o.Mounted, warn: func(err error) {
			m.logger.Warn("the mounted signing keys can't be read again; those in use serve on", "error", err)
		}}
	}
	return m, nil
}

// Ours is true for the prefix of publish tokens, whatever follows it.
func (m *Minter) Ours(raw string) bool { return strings.HasPrefix(raw, Prefix) }

// Mint makes a token of the grant's identity, registries, packages, SingleUse and Token for the given audience URLs, and fills in
// the grant's ID, IssuedAt and Expiry.
func (m *Minter) Mint(ctx context.Context, grant *model.Grant, audiences []string) (string, error) {
	if grant.Identity == nil || len(grant.Registries) == 0 || len(audiences) == 0 || slices.Contains(audiences, "") {
		return "", model.Deny(model.CodeInternal).Because(errors.New("mint: the grant lacks an identity, a registry or an audience"))
	}
	r, k, err := m.signer(ctx)
	if err != nil {
		return "", unavailable(err)
	}
	now := m.now().Truncate(time.Second).UTC()
	g := *grant
	g.ID, g.IssuedAt, g.Expiry = randomID(), now, now.Add(m.lifetime)
	sealed, err := sealInner(&g, r.id, k, now)
	if err != nil {
		return "", err
	}
	p := payloadOf(&g, r.id, audiences)
	p.Sealed = sealed
	body, err := encodePayload(p)
	if err != nil {
		return "", model.Deny(model.CodeInternal).Because(err)
	}
	if len(body) > maxClaims {
		return "", model.Deny(model.CodeTooLarge).
			Differ("size of the claims", fmt.Sprintf("%d bytes", len(body)), fmt.Sprintf("at most %d bytes", maxClaims)).
			Hinted("the identity token's claims do not fit a publish token; send the identity token itself, or shorten what the CI platform puts into it")
	}
	token, err := sign(k, body)
	if err != nil {
		return "", model.Deny(model.CodeInternal).Because(err)
	}
	if len(token) > maxToken {
		return "", model.Deny(model.CodeInternal).Because(fmt.Errorf("mint: the token has %d bytes, expected at most %d", len(token), maxToken))
	}
	grant.ID, grant.IssuedAt, grant.Expiry = g.ID, g.IssuedAt, g.Expiry
	return token, nil
}

// Verify checks form, signature, issuer, times and audience, in this order. An empty audience checks all but the audience: a
// revocation is not addressed to one registry.
func (m *Minter) Verify(ctx context.Context, raw, audience string) (*model.Grant, error) {
	tok, err := parse(raw)
	if err != nil {
		return nil, invalid(err)
	}
	r, k, err := m.verifier(ctx, tok.kid)
	if err != nil {
		return nil, err
	}
	body, err := tok.jws.Verify(k.public)
	if err != nil {
		return nil, invalid(errors.New("the signature does not match"))
	}
	p, err := decodePayload(body)
	if err != nil {
		return nil, invalid(err)
	}
	if p.Issuer != r.id {
		return nil, invalid(errors.New("another gateway has issued it"))
	}
	g, err := p.grant()
	if err != nil {
		return nil, invalid(err)
	}
	if err := m.checkTimes(g); err != nil {
		return nil, err
	}
	if g.Token, err = openInner(p, k); err != nil {
		return nil, invalid(err)
	}
	if audience != "" && !slices.Contains(p.Audiences, audience) {
		return nil, model.Deny(model.CodeOutOfScope).Differ("audience", strings.Join(p.Audiences, ", "), audience)
	}
	return g, nil
}

func (m *Minter) checkTimes(g *model.Grant) error {
	now := m.now()
	switch {
	case g.Expiry.Sub(g.IssuedAt) > MaxLifetime || g.ID == "":
		return invalid(errors.New("it lives longer than publish tokens do, or has no id"))
	case now.Add(leeway).Before(g.IssuedAt):
		return model.Deny(model.CodeNotYetValid).
			Differ("iat", g.IssuedAt.Format(time.RFC3339), "at most "+now.UTC().Format(time.RFC3339)).
			Hinted("compare the clocks of the gateway's nodes")
	case !now.Before(g.Expiry):
		return model.Deny(model.CodeExpired).
			Differ("exp", g.Expiry.Format(time.RFC3339), "later than "+now.UTC().Format(time.RFC3339)).
			Hinted("publish within %s of the exchange, or exchange a new identity token", m.lifetime)
	}
	return nil
}

// invalid is the answer to everything that a client can't repair; the reason is for the log.
func invalid(reason error) error {
	return model.Deny(model.CodeInvalidToken).Because(fmt.Errorf("publish token: %w", reason)).
		Hinted("exchange a new identity token; a publish token works only with the gateway that minted it")
}

// unavailable is the answer while the signing keys can't be read or written.
func unavailable(reason error) error {
	return model.Deny(model.CodeSigningKeyUnavailable).Because(reason).After(reread)
}
