// Package gitea is the credential source for Gitea's package registry. For each request it mints an access token that may do
// nothing but write packages (for a read: read them), and deletes it as soon as the request is over.
//
// Gitea's tokens know no expiry and no package: the token's name carries the time after which it is an orphan, and what it may do
// beyond the package is decided by the rights of its user, so each owner of packages has a bot of its own.
package gitea

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// Kind registers the source.
var Kind = credential.Kind{Name: "gitea", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches Gitea: `url http://gitea:3000`. Required.
	URL string `json:"url"`
	// User is the bot's name. Required.
	User string `json:"user"`
	// Password is where the bot's password is: `password SECRET`. Required.
	Password model.Secret `json:"password"`
	// CA is a PEM file with the certificate authority of Gitea's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime is the longest time a token is left alone: one that is still there afterwards is deleted. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source mints tokens of one user's.
type source struct {
	registry, ecosystem string
	api                 api
	lifetime            time.Duration
	now                 func() time.Time
	logger              *slog.Logger
	sweeper             mintapi.Sweeper[int64]
}

var (
	_ credential.Config = (*Config)(nil)
	_ credential.Source = (*source)(nil)
	_ credential.Keeper = (*source)(nil)
)

// Provision checks the configuration. A password that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential gitea of registry %q: %w", env.Registry, err)
	}
	env.WarnUnread(Kind.Name, "the bot's password", s.api.password)
	return s, nil
}

// userName allows what Gitea allows in a user's name, and nothing that a URL or a Basic credential could read in another way.
var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *Config) source(env credential.Env) (*source, error) {
	if !userName.MatchString(c.User) {
		return nil, fmt.Errorf("user is %q, expected the name of the bot that writes the packages", model.OneLine(c.User, 100))
	}
	if err := credential.CheckSecret("password", c.Password); err != nil {
		return nil, err
	}
	maker, err := mintapi.NewMaker(c.URL, "http://gitea:3000", c.CA, c.Lifetime, mintapi.Lives{}, c.now)
	if err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, ecosystem: env.Ecosystem, lifetime: maker.Lifetime, now: maker.Now, logger: env.Logger,
		api: api{API: maker.API, user: c.User, password: c.Password},
	}, nil
}

// Kept is what is known of the API.
func (s *source) Kept() []credential.Kept { return []credential.Kept{s.api.Kept()} }

// Issue mints a token for one request.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := s.mint(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential gitea: %w", err)
	}
	s.sweep(ctx)
	return c, nil
}

func (s *source) mint(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	scope := "write:package"
	if target.Action == model.ActionRead {
		scope = "read:package"
	}
	expires := s.now().Add(s.lifetime).Truncate(time.Second)
	made, err := s.api.create(ctx, mintapi.TemporaryName(expires), scope)
	if err != nil {
		return model.Credential{}, err
	}
	c := s.form(made.Secret)
	c.Expiry = expires
	c.Revoke = func(ctx context.Context) error {
		if err := s.api.remove(ctx, made.ID); err != nil {
			return fmt.Errorf("credential gitea: %w", err)
		}
		return nil
	}
	return c, nil
}

// form is how Gitea takes the token. Below /v2/ it takes it as a password only, and ignores the user's name; everywhere else as a
// bearer token, NuGet's endpoints among them.
func (s *source) form(token string) model.Credential {
	if s.ecosystem == "oci" {
		return model.Basic(s.api.user, token)
	}
	return model.Bearer(token)
}
