package artifactory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// origin is what the three ways share.
type origin struct {
	registry, ecosystem, user string
	api                       *mintapi.API
	now                       func() time.Time
}

// form is how Artifactory takes a token: below /v2/ as a Basic credential's password, for docker's clients do so; everywhere else as a
// bearer token.
func (o origin) form(token, user string) (model.Credential, error) {
	if o.ecosystem != "oci" {
		return model.Bearer(token), nil
	}
	for _, name := range []string{o.user, user, subject(token)} {
		if name != "" && !strings.Contains(name, ":") {
			return model.Basic(name, token), nil
		}
	}
	return model.Credential{}, errors.New("the token does not say whose it is, which containers need: write user NAME")
}

// jwtClaims are those of an access token that concern us; zero for a reference token.
type jwtClaims struct {
	Subject string `json:"sub"`
	Expiry  int64  `json:"exp"`
}

func claimsOf(token string) (c jwtClaims) {
	if mintapi.UnverifiedClaims(token, &c) != nil {
		return jwtClaims{}
	}
	return c
}

// subject is the user at the end of an access token's sub, as in jfrt@SERVICE/users/NAME.
func subject(token string) string {
	_, user, _ := strings.Cut(claimsOf(token).Subject, "/users/")
	return user
}

// minter makes a token for each upload.
type minter struct {
	origin
	place     place
	token     model.Secret
	project   string
	lifetime  time.Duration
	revocable bool
}

var (
	_ credential.Source = (*minter)(nil)
	_ credential.Joint  = (*minter)(nil)
	_ credential.Keeper = (*minter)(nil)
)

// Kept is what is known of the API.
func (m *minter) Kept() []credential.Kept { return []credential.Kept{m.api.Kept()} }

// Issue makes a token for one target.
func (m *minter) Issue(ctx context.Context, target model.Target, id *model.Identity) (model.Credential, error) {
	return m.IssueAll(ctx, []model.Target{target}, id)
}

// IssueAll makes a token for what a request touches; none for a read that names no package.
func (m *minter) IssueAll(ctx context.Context, targets []model.Target, _ *model.Identity) (model.Credential, error) {
	if targets[0].Action == model.ActionRead && targets[0].Package == "" {
		return model.Credential{}, nil
	}
	c, err := m.issue(ctx, targets)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential artifactory: %w", err)
	}
	return c, nil
}

func (m *minter) issue(ctx context.Context, targets []model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(m.registry, targets...); err != nil {
		return model.Credential{}, err
	}
	scope, err := m.place.scope(targets)
	if err != nil {
		return model.Credential{}, err
	}
	secret, err := m.token.Resolve()
	if err != nil {
		return model.Credential{}, err
	}
	started := m.now()
	made, err := m.create(ctx, secret, scope, "trustpub "+m.registry+" "+targets[0].Package+" "+targets[0].Version)
	if err != nil {
		return model.Credential{}, err
	}
	c, err := m.form(made.AccessToken, "")
	if err != nil {
		return model.Credential{}, err
	}
	c.Expiry = started.Add(time.Duration(made.ExpiresIn) * time.Second)
	if m.revocable {
		c.Revoke = func(ctx context.Context) error {
			if err := m.revoke(ctx, made.TokenID); err != nil {
				return fmt.Errorf("credential artifactory: %w", err)
			}
			return nil
		}
	}
	return c, nil
}

// federated exchanges the identity token; what its holder may do is decided by the platform's identity mapping, so one token
// serves all uploads of a run.
type federated struct {
	origin
	provider, mapping, project string
	tokens                     *lease.Cache
}

var (
	_ credential.Source    = (*federated)(nil)
	_ credential.Federated = (*federated)(nil)
	_ credential.Keeper    = (*federated)(nil)
)

// Kept are the tokens, and what is known of the API.
func (f *federated) Kept() []credential.Kept {
	return []credential.Kept{f.api.Kept(), f.tokens.Kept(Kind.Name, f.api.Base(), f.provider, f.mapping, f.project, f.ecosystem, f.user)}
}

// Issue has nothing to exchange.
func (f *federated) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errors.New("credential artifactory: the identity token is absent, which provider exchanges")
}

// IssueFederated exchanges the identity token, once for all uploads with it.
func (f *federated) IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	c, err := f.issue(ctx, targets, id, token)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential artifactory: %w", err)
	}
	return c, nil
}

func (f *federated) issue(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	if err := credential.CheckTargets(f.registry, targets...); err != nil {
		return model.Credential{}, err
	}
	if token.Empty() {
		return model.Credential{}, errors.New("the identity token is absent, which provider exchanges")
	}
	return f.tokens.Get(ctx, lease.Key(id.Issuer, id.DigestHex(), token.Reveal()), func(ctx context.Context) (model.Credential, error) {
		started := f.now()
		made, err := f.exchange(ctx, token)
		if err != nil {
			return model.Credential{}, err
		}
		c, err := f.form(made.AccessToken, made.Username)
		if err != nil {
			return model.Credential{}, err
		}
		c.Expiry = started.Add(time.Duration(made.ExpiresIn) * time.Second)
		return c, nil
	})
}

// fixed uses one token as it stands.
type fixed struct {
	origin
	token model.Secret
}

var _ credential.Source = (*fixed)(nil)

// Issue gives the token, read anew, so that a replaced one acts at the next upload. One that says that it has expired is not sent.
func (f *fixed) Issue(_ context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := f.issue(target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential artifactory: %w", err)
	}
	return c, nil
}

func (f *fixed) issue(target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(f.registry, target); err != nil {
		return model.Credential{}, err
	}
	token, err := f.token.Resolve()
	if err != nil {
		return model.Credential{}, err
	}
	if mintapi.CheckSecret("", token) != nil {
		return model.Credential{}, fmt.Errorf("fixed %s is no token: it is short, or has characters that no token has", f.token)
	}
	c, err := f.form(token, "")
	if err != nil {
		return model.Credential{}, err
	}
	if end := claimsOf(token).Expiry; end != 0 {
		if c.Expiry = time.Unix(end, 0); !f.now().Before(c.Expiry) {
			return model.Credential{}, fmt.Errorf("fixed %s has expired at %s: make a new one", f.token, c.Expiry.UTC().Format(time.RFC3339))
		}
	}
	return c, nil
}
