// Package hexpm is the credential source for hexpm, the program behind Hex's registries. It makes a key that may write one package, which
// ends by itself and serves the uploads of that package meanwhile: hexpm tells each member of an organisation of each new key by mail.
package hexpm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// The lifetimes of keys.
const (
	DefaultLifetime = time.Hour
	MinLifetime     = 5 * time.Minute
	MaxLifetime     = 24 * time.Hour
)

// ecosystem is the one that hexpm speaks.
const ecosystem = "hex"

// public is the repository of packages that no organisation has for itself, which everyone may read.
const public = "hexpm"

// Kind registers the source.
var Kind = credential.Kind{Name: "hexpm", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches hexpm, without /api: `url http://hexpm:4000`. Required.
	URL string `json:"url"`
	// Organization is whose key the secret is: `organization acme`. Default: the account of a person.
	Organization string `json:"organization,omitempty"`
	// Key is where a key with the permission api:write is: `key SECRET`. Required.
	Key model.Secret `json:"key"`
	// NewPackages lets the first release of a package be published, with a key that may write all that the account may.
	NewPackages bool `json:"new_packages,omitempty"`
	// CA is a PEM file with the certificate authority of hexpm's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime of a key, from its start to its end. Default: 1h.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source makes keys of one account.
type source struct {
	registry, repository string
	api                  api
	keys                 *lease.Cache
	newPackages          bool
	lifetime             time.Duration
	now                  func() time.Time
}

var (
	_ credential.Config = (*Config)(nil)
	_ credential.Source = (*source)(nil)
	_ credential.Keeper = (*source)(nil)
)

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential hexpm of registry %q: %w", env.Registry, err)
	}
	env.WarnUnread(Kind.Name, "the key that makes keys", c.Key)
	return s, nil
}

var (
	// organizationName is what hexpm has in its paths.
	organizationName = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.-]{0,127}$`)
	// ofOrganization is the end of a public URL that is of one organisation, whose packages are named without it.
	ofOrganization = regexp.MustCompile(`/repos/([^/]+)/?$`)
)

func (c *Config) source(env credential.Env) (*source, error) {
	if env.Ecosystem != ecosystem {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected %s: hexpm has no other", env.Ecosystem, ecosystem)
	}
	maker, err := mintapi.NewMaker(c.URL, "http://hexpm:4000", c.CA, c.Lifetime, mintapi.Lives{Default: DefaultLifetime, Min: MinLifetime, Max: MaxLifetime}, c.now)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(maker.API.Base(), "/api") {
		return nil, errors.New("url ends in /api, expected what is before it")
	}
	if c.Organization != "" && !organizationName.MatchString(c.Organization) {
		return nil, fmt.Errorf("organization is %q, expected its name in lower case, as in organization acme", model.OneLine(c.Organization, 100))
	}
	if err := credential.CheckSecret("key", c.Key); err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, repository: repositoryOf(env.Public), lifetime: maker.Lifetime, newPackages: c.NewPackages, now: maker.Now,
		api: api{API: maker.API, organization: c.Organization, key: c.Key}, keys: lease.New(lease.Options{Logger: env.Logger, Now: maker.Now}),
	}, nil
}

// repositoryOf is that of packages which are named without one.
func repositoryOf(u *url.URL) string {
	if u != nil {
		if m := ofOrganization.FindStringSubmatch(u.Path); m != nil {
			return m[1]
		}
	}
	return public
}

// Kept is what is known of the API, and the keys.
func (s *source) Kept() []credential.Kept {
	return []credential.Kept{s.api.Kept(), s.keys.Kept("hexpm", s.api.Base(), s.api.organization, s.registry)}
}

// Issue gives a key for the package of a target; none for a read that names no package, or one that everyone may read.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := s.issue(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential hexpm: %w", err)
	}
	return c, nil
}

func (s *source) issue(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	repository, name := s.repository, target.Package
	if organization, own, owned := strings.Cut(target.Package, "/"); owned {
		repository, name = organization, own
	}
	reads := target.Action == model.ActionRead
	if reads && (name == "" || repository == public) {
		return model.Credential{}, nil
	}
	if _, err := model.NormalizeName(ecosystem, repository+"/"+name); err != nil {
		return model.Credential{}, fmt.Errorf("the key can't be narrowed: %w", err)
	}
	secret, err := s.api.key.Resolve()
	if err != nil {
		return model.Credential{}, err
	}
	wanted := []permission{{"package", repository + "/" + name}}
	if reads {
		// The API asks for the first, the repository for the second.
		wanted = []permission{{"api", "read"}, {"repository", repository}}
	}
	id := lease.Key("hexpm", s.api.Base(), s.api.organization, secret, repository, name, fmt.Sprint(wanted))
	c, err := s.keys.Get(ctx, id, func(ctx context.Context) (model.Credential, error) { return s.mint(ctx, wanted) })
	refused := (*mintapi.Error)(nil)
	if reads || !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity {
		return c, err
	}
	return s.first(ctx, repository, name, err)
}

// mint makes a key.
func (s *source) mint(ctx context.Context, wanted []permission) (model.Credential, error) {
	name, ends := mintapi.TemporaryName(s.now().Add(s.lifetime)), s.now().Add(s.lifetime).UTC().Truncate(time.Second)
	secret, err := s.api.create(ctx, name, wanted, ends)
	if err != nil {
		return model.Credential{}, err
	}
	return model.Credential{Header: http.Header{"Authorization": {secret}}, Expiry: ends}, nil
}

// first is for a package that hexpm makes no key for: where it has none of that name yet, no narrower key publishes it than one that
// may write all that the account may. Such a key is for one upload, and is deleted after it.
func (s *source) first(ctx context.Context, repository, name string, refused error) (model.Credential, error) {
	there, err := s.api.exists(ctx, repository, name)
	switch {
	case err != nil:
		return model.Credential{}, err
	case there:
		return model.Credential{}, refused
	case !s.newPackages:
		return model.Credential{}, fmt.Errorf("hexpm has no package %s/%s yet, and makes no key for one: publish its first release by hand, or write new_packages, "+
			"which lets a key write all that the account may for that upload: %w", repository, name, refused)
	}
	id, ends := mintapi.TemporaryName(s.now().Add(s.lifetime)), s.now().Add(s.lifetime).UTC().Truncate(time.Second)
	secret, err := s.api.create(ctx, id, []permission{{"api", "write"}}, ends)
	if err != nil {
		return model.Credential{}, err
	}
	return model.Credential{Header: http.Header{"Authorization": {secret}}, Expiry: ends, Revoke: func(ctx context.Context) error {
		if err := s.api.remove(ctx, id); err != nil {
			return fmt.Errorf("credential hexpm: %w", err)
		}
		return nil
	}}, nil
}
