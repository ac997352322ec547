package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// Verifier verifies the identity tokens of a set of issuers. It is made anew with each configuration, and so is its memory of
// verified tokens; the issuers with their keys may outlive it.
type Verifier struct {
	byURL  map[string]*Issuer
	byName map[string]*Issuer
	now    func() time.Time
	cache  *lru.Cache[[sha256.Size]byte, *verdict]
}

// verdict is a token that was verified, and under which keys. Only good tokens are remembered, so a flood of bad ones
// pushes nothing out.
type verdict struct {
	issuer     *Issuer
	generation uint64
	times      times
	identity   model.Identity
}

// NewVerifier makes a verifier. Two issuers cannot have one name or one URL.
func NewVerifier(issuers []*Issuer, options Options) (*Verifier, error) {
	options = options.withDefaults()
	if len(issuers) == 0 {
		return nil, errNoIssuers
	}
	cache, err := lru.New[[sha256.Size]byte, *verdict](options.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("verified tokens: %w", err)
	}
	v := &Verifier{byURL: map[string]*Issuer{}, byName: map[string]*Issuer{}, now: options.Now, cache: cache}
	for _, i := range issuers {
		if _, twice := v.byName[i.config.Name]; twice {
			return nil, fmt.Errorf("two issuers have the name %q: give one of them another with `name`", i.config.Name)
		}
		if other, twice := v.byURL[i.config.URL]; twice {
			return nil, fmt.Errorf("issuers %s and %s have the same URL %s", other.config.Name, i.config.Name, i.config.URL)
		}
		v.byName[i.config.Name], v.byURL[i.config.URL] = i, i
	}
	return v, nil
}

// Ours is true for a JWT whose unverified iss is a configured issuer, disabled ones included, in whatever spelling: such a token
// is judged and never passed on. It costs no cryptography but a digest.
func (v *Verifier) Ours(raw string) bool {
	// Only what has the form of a token is remembered; most of what is asked for has not.
	if key, _, ok := tokenKey(raw); ok && v.cache.Contains(key) {
		return true
	}
	return looseIssuer(raw, v.configured)
}

func (v *Verifier) configured(iss string) bool {
	_, ok := v.byURL[iss]
	return ok
}

// Look is Ours of a token that will be verified where it is ours: what it has cost to look is not spent again.
func (v *Verifier) Look(raw string) (model.Sighting, bool) {
	seen := model.Sighting{Raw: raw}
	key, digest, ok := tokenKey(raw)
	if ok && v.cache.Contains(key) {
		seen.Known = sighting{key: key, digest: digest}
		return seen, true
	}
	if ok {
		// What the strict reading accepts has one iss, which every other reading finds too.
		if t, err := parseToken(raw, digest); err == nil {
			seen.Known = sighting{key, digest, t}
			iss, _ := t.claims["iss"].(string)
			return seen, v.configured(iss)
		}
	}
	return seen, looseIssuer(raw, v.configured)
}

// sighting is what Look knows of a token: its names, and where it was not remembered how it reads.
type sighting struct {
	key, digest [sha256.Size]byte
	token       *token
}

// Active is true while an issuer of that name is configured and enabled.
func (v *Verifier) Active(issuer string) bool {
	i, ok := v.byName[issuer]
	return ok && !i.config.Disabled
}

// Shared is true where many jobs read one token of the issuer of that name, as from a file in a pod.
func (v *Verifier) Shared(issuer string) bool {
	i, ok := v.byName[issuer]
	return ok && i.provider.Shared
}

// BreakGlass is true for an issuer whose tokens are made by hand in an emergency.
func (v *Verifier) BreakGlass(issuer string) bool {
	i, ok := v.byName[issuer]
	return ok && i.config.BreakGlass
}

// Run picks the run's own claims for the audit, as the identity's provider lists them.
func (v *Verifier) Run(id *model.Identity) map[string]string {
	if id == nil {
		return nil
	}
	p, ok := provider.Get(id.Provider)
	if !ok {
		return nil
	}
	return p.RunClaims(id.Claims)
}

// Whose names the repository that a token speaks for, or its owner where the platform has no id of repositories, or else its subject; within
// all issuers, and by what is never given to another.
func (v *Verifier) Whose(id *model.Identity) string {
	if p, ok := provider.Get(id.Provider); ok {
		for _, name := range []string{p.StableClaim(provider.Repository), p.StableClaim(provider.Owner)} {
			if value, there := p.Value(id.Claims, name); name != "" && there {
				return fmt.Sprintf("%s %s=%v", id.Issuer, name, value)
			}
		}
	}
	return fmt.Sprintf("%s sub=%v", id.Issuer, id.Claims["sub"])
}

// Verify checks everything about a token but replay. Exactly one of audiences must be its audience. The error is a *model.Denial.
// The identity is shared with later calls and must not be changed.
func (v *Verifier) Verify(ctx context.Context, raw string, audiences []string) (*model.Identity, error) {
	return v.VerifySeen(ctx, model.Sighting{Raw: raw}, audiences)
}

// VerifySeen is Verify of a token that Look has seen.
func (v *Verifier) VerifySeen(ctx context.Context, seen model.Sighting, audiences []string) (*model.Identity, error) {
	s, ok := seen.Known.(sighting)
	if !ok {
		s.key, s.digest, _ = tokenKey(seen.Raw)
	}
	found, denial := v.recall(ctx, s.key)
	if denial != nil {
		return nil, denial
	}
	known := found != nil
	if !known {
		if found, denial = v.judge(ctx, seen.Raw, s); denial != nil {
			return nil, denial
		}
	}
	// What depends on the moment or on the registry is checked each time, for remembered tokens too.
	if denial := found.times.check(v.now()); denial != nil {
		return nil, denial
	}
	if denial := checkAudience(found.identity.Audience, audiences); denial != nil {
		return nil, denial
	}
	if !known {
		v.cache.Add(s.key, found)
	}
	return &found.identity, nil
}

// recall finds a remembered token; nil where there is none, or none that is still good.
func (v *Verifier) recall(ctx context.Context, key [sha256.Size]byte) (*verdict, *model.Denial) {
	known, ok := v.cache.Get(key)
	if !ok {
		return nil, nil
	}
	// The keys of now are asked for, so that a withdrawn key or a long silence of the issuer ends the verdict.
	keys, denial := known.issuer.keys.get(ctx)
	if denial != nil {
		return nil, denial
	}
	if keys.generation != known.generation || !v.now().Before(known.times.effective.Add(leeway)) {
		v.cache.Remove(key)
		return nil, nil
	}
	return known, nil
}

// judge verifies a token from the beginning: spelling, issuer, signature, then what it says.
func (v *Verifier) judge(ctx context.Context, raw string, s sighting) (*verdict, *model.Denial) {
	t := s.token
	if t == nil || t.raw != raw {
		var err error
		if t, err = parseToken(raw, s.digest); err != nil {
			return nil, model.Deny(model.CodeInvalidToken).Hinted("%s; send the identity token exactly as the CI platform gave it", err).Because(err)
		}
	}
	i, denial := v.issuerOf(t)
	if denial != nil {
		return nil, denial
	}
	a, denial := i.authentic(ctx, t)
	if denial != nil {
		return nil, denial
	}
	found, denial := i.read(t)
	if denial != nil {
		return nil, denial
	}
	if a.unread != nil {
		return nil, model.Deny(model.CodeInvalidToken).Because(a.unread)
	}
	found.generation = a.keys.generation
	return found, nil
}

// read judges the claims of a token whose signature is good.
func (i *Issuer) read(t *token) (*verdict, *model.Denial) {
	times, denial := readTimes(t.claims, i.config.MaxLifetime)
	if denial != nil {
		return nil, denial
	}
	if denial := checkRequired(i.provider, t.claims); denial != nil {
		return nil, denial
	}
	audience, denial := readAudience(i.provider, t.claims)
	if denial != nil {
		return nil, denial
	}
	return &verdict{issuer: i, times: times, identity: model.Identity{
		Issuer:      i.config.Name,
		Provider:    i.config.Provider,
		JTI:         tokenID(i.provider, t.claims),
		KeyID:       t.kid,
		Audience:    audience,
		Digest:      t.digest,
		IssuedAt:    times.issued,
		Expiry:      times.effective,
		TokenExpiry: times.expires,
		Claims:      t.claims,
	}}, nil
}

// issuerOf chooses a configured issuer by the token's iss; it is all that an unverified token chooses.
func (v *Verifier) issuerOf(t *token) (*Issuer, *model.Denial) {
	iss, ok := t.claims["iss"].(string)
	if !ok {
		return nil, model.Deny(model.CodeUnknownIssuer).Differ("iss", "", "a configured issuer")
	}
	i, known := v.byURL[iss]
	if !known {
		return nil, model.Deny(model.CodeUnknownIssuer).Differ("iss", shown(iss), "a configured issuer")
	}
	if i.config.Disabled {
		return nil, model.Deny(model.CodeUnknownIssuer).Differ("iss", shown(iss), "an enabled issuer").
			Because(errors.New("issuer " + i.config.Name + " is disabled"))
	}
	return i, nil
}
