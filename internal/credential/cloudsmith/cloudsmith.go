// Package cloudsmith is the credential source for Cloudsmith. It swaps the CI's own identity token for a token of one of the organisation's
// services, which Cloudsmith gives to those whose claims its OIDC provider settings ask for. One token serves all uploads of a run.
package cloudsmith

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// Kind registers the source.
var Kind = credential.Kind{Name: "cloudsmith", New: func() credential.Config { return new(Config) }}

// apiKey is the header in which Cloudsmith's own tools send a token. Ours is a password, which no log of Caddy's shows.
const apiKey = "X-Api-Key" //nolint:gosec // a header's name

// user is the name with which a token is the password of a Basic credential.
const user = "token"

// Config is the configuration.
type Config struct {
	// URL is the base of Cloudsmith's API: `url https://api.cloudsmith.example.com`. Required.
	URL string `json:"url"`
	// Organization is the slug of the organisation. Required.
	Organization string `json:"organization"`
	// Service is the slug of the service whose token is asked for. Required.
	Service string `json:"service"`
	// CA is a PEM file with the certificate authority of the API's certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source exchanges identity tokens.
type source struct {
	registry, organization, service string
	api                             *mintapi.API
	tokens                          *lease.Cache
	now                             func() time.Time
}

var (
	_ credential.Config    = (*Config)(nil)
	_ credential.Source    = (*source)(nil)
	_ credential.Federated = (*source)(nil)
	_ credential.Keeper    = (*source)(nil)
	_ credential.Carrier   = (*source)(nil)
)

// slug is how Cloudsmith names organisations and services in URLs.
var slug = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// Provision checks the configuration.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential cloudsmith of registry %q: %w", env.Registry, err)
	}
	return s, nil
}

func (c *Config) source(env credential.Env) (*source, error) {
	base, err := mintapi.CheckURL(c.URL, "https://api.cloudsmith.example.com")
	if err != nil {
		return nil, err
	}
	for _, field := range []struct{ name, value string }{{"organization", c.Organization}, {"service", c.Service}} {
		if !slug.MatchString(field.value) {
			return nil, fmt.Errorf("%[1]s is %[2]q, expected its slug, as in %[1]s acme", field.name, model.OneLine(field.value, 100))
		}
	}
	now := c.now
	if now == nil {
		now = time.Now
	}
	api, err := mintapi.New(base, mintapi.Options{CAFile: c.CA, Now: now})
	if err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, organization: c.Organization, service: c.Service, api: api, now: now,
		tokens: lease.New(lease.Options{Logger: env.Logger, Now: now, NoRenewal: true}),
	}, nil
}

// Kept are the tokens, and what is known of the API.
func (s *source) Kept() []credential.Kept {
	return []credential.Kept{s.api.Kept(), s.tokens.Kept(Kind.Name, s.api.Base(), s.organization, s.service)}
}

// Carries is the header in which Cloudsmith would read a client's own token beside ours.
func (s *source) Carries() []string { return []string{apiKey} }

// errAbsent is a request without what would be exchanged.
var errAbsent = errors.New("credential cloudsmith: the identity token is absent, which would be exchanged")

// Issue has nothing to exchange.
func (s *source) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errAbsent
}

// IssueFederated exchanges the identity token, once for all uploads with it.
func (s *source) IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	if token.Empty() {
		return model.Credential{}, errAbsent
	}
	if err := credential.CheckTargets(s.registry, targets...); err != nil {
		return model.Credential{}, fmt.Errorf("credential cloudsmith: %w", err)
	}
	c, err := s.tokens.Get(ctx, lease.Key(id.Issuer, id.DigestHex(), token.Reveal()), func(ctx context.Context) (model.Credential, error) {
		return s.exchange(ctx, token)
	})
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential cloudsmith: %w", err)
	}
	return c, nil
}

// exchangeRequest is the body of POST /openid/ORGANIZATION/.
type exchangeRequest struct {
	Token   string `json:"oidc_token"`
	Service string `json:"service_slug"`
}

func (s *source) exchange(ctx context.Context, token model.IdentityToken) (model.Credential, error) {
	var answer struct {
		Token string `json:"token"`
	}
	var ends time.Time
	_, err := s.api.Do(ctx, mintapi.Call{
		Method: http.MethodPost, Path: "/openid/" + s.organization + "/", Expect: []int{http.StatusCreated, http.StatusOK},
		JSON: exchangeRequest{token.Reveal(), s.service},
		Read: func(body []byte) error {
			if err := mintapi.JSON(&answer)(body); err != nil {
				return err
			}
			if err := mintapi.CheckSecret("token", answer.Token); err != nil {
				return err
			}
			var err error
			ends, err = expiry(answer.Token, s.now())
			return err
		},
		Hint: s.hint,
	})
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Basic(user, answer.Token)
	c.Expiry = ends
	return c, nil
}

func (s *source) hint(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity:
		return fmt.Sprintf("does the organisation %s have an OIDC provider with this issuer, the claims of the run and the service %s?", s.organization, s.service)
	case http.StatusNotFound:
		return fmt.Sprintf("is url the base of the API, and is there an organisation %s?", s.organization)
	}
	return ""
}
