// Package artifactory is the credential source for JFrog Artifactory. It has three ways: a token for each upload that is narrowed to
// the path of the upload's package (`token`), the exchange of the CI's own identity token at the platform's OIDC integration
// (`provider`), and a token that is used as it stands (`fixed`).
package artifactory

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// Kind registers the source.
var Kind = credential.Kind{Name: "artifactory", New: func() credential.Config { return new(Config) }}

// Config is the configuration: exactly one of Token, Provider and Fixed.
type Config struct {
	// URL is the base of the platform, where /access and /artifactory are: `url https://artifactory.example.com`. Required, but for Fixed.
	URL string `json:"url,omitempty"`
	// Token is where a token is that may make others: `token SECRET`.
	Token model.Secret `json:"token,omitempty"`
	// Provider is the name of an OIDC provider in the platform's integrations: `provider NAME`. Mapping and Project narrow the exchange to
	// one identity mapping and one project.
	Provider string `json:"provider,omitempty"`
	Mapping  string `json:"mapping,omitempty"`
	Project  string `json:"project,omitempty"`
	// Fixed is where an access or reference token is that is used as it stands: `fixed SECRET`.
	Fixed model.Secret `json:"fixed,omitempty"`
	// User is the name for Basic credentials, which containers need, where the token doesn't hold it; and for whom Token makes tokens.
	User string `json:"user,omitempty"`
	// Repository is the key of the local repository that packages land in: `repository KEY`. Default: from the public URL; for
	// containers the first part of the name.
	Repository string `json:"repository,omitempty"`
	// Path is where in the repository a package's files are, for the narrowing of Token. Default: where Artifactory puts those of the
	// ecosystem.
	Path string `json:"path,omitempty"`
	// CA is a PEM file with the certificate authority of the platform's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime of a token made for one upload, from its start to its end. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`
	// Irrevocable tokens are left to expire: one call for an upload instead of two.
	Irrevocable bool `json:"irrevocable,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

var _ credential.Config = (*Config)(nil)

// words are names as the platform has them, which stand in JSON only.
var words = regexp.MustCompile(`^[!-~]([ -~]{0,253}[!-~])?$`)

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	source, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential artifactory of registry %q: %w", env.Registry, err)
	}
	if secret := c.Token + c.Fixed; secret != "" {
		env.WarnUnread(Kind.Name, "the platform's token", secret)
	}
	return source, nil
}

func (c *Config) source(env credential.Env) (credential.Source, error) {
	if err := c.checkWay(); err != nil {
		return nil, err
	}
	now := c.now
	if now == nil {
		now = time.Now
	}
	base := origin{registry: env.Registry, ecosystem: env.Ecosystem, user: c.User, now: now}
	if c.Fixed != "" {
		return &fixed{base, c.Fixed}, nil
	}
	url, err := mintapi.CheckURL(c.URL, "https://artifactory.example.com")
	if err != nil {
		return nil, err
	}
	if base.api, err = mintapi.New(url, mintapi.Options{CAFile: c.CA, Now: now}); err != nil {
		return nil, err
	}
	if c.Provider != "" {
		return &federated{
			origin: base, provider: c.Provider, mapping: c.Mapping, project: c.Project,
			tokens: lease.New(lease.Options{Logger: env.Logger, Now: now, NoRenewal: true}),
		}, nil
	}
	lifetime, err := c.Lifetime.Within("lifetime", mintapi.DefaultLifetime, mintapi.MinLifetime, mintapi.MaxLifetime)
	if err != nil {
		return nil, err
	}
	place, err := newPlace(env, c.Repository, c.Path)
	if err != nil {
		return nil, err
	}
	return &minter{origin: base, place: place, token: c.Token, project: c.Project, lifetime: lifetime, revocable: !c.Irrevocable}, nil
}

// checkWay finds exactly one way, and nothing that the others need.
func (c *Config) checkWay() error {
	ways := 0
	for _, have := range []bool{c.Token != "", c.Provider != "", c.Fixed != ""} {
		if have {
			ways++
		}
	}
	if ways != 1 {
		return fmt.Errorf("got %d of token, provider and fixed, expected exactly one: token SECRET, provider NAME or fixed SECRET", ways)
	}
	for field, secret := range map[string]model.Secret{"token": c.Token, "fixed": c.Fixed} {
		if secret == "" {
			continue
		}
		if err := secret.Validate(); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	for field, value := range map[string]string{"provider": c.Provider, "mapping": c.Mapping, "project": c.Project, "user": c.User} {
		if value != "" && (!words.MatchString(value) || field == "user" && strings.ContainsAny(value, ":{}")) {
			return fmt.Errorf("%s is %q, expected a name as the platform has it", field, model.OneLine(value, 100))
		}
	}
	for field, needs := range map[string]bool{
		"mapping":     c.Mapping != "" && c.Provider == "",
		"project":     c.Project != "" && c.Fixed != "",
		"repository":  c.Repository != "" && c.Token == "",
		"path":        c.Path != "" && c.Token == "",
		"lifetime":    c.Lifetime != 0 && c.Token == "",
		"irrevocable": c.Irrevocable && c.Token == "",
		"url":         c.URL != "" && c.Fixed != "",
		"ca":          c.CA != "" && c.Fixed != "",
	} {
		if needs {
			return fmt.Errorf("%s does nothing here: it goes with %s", field, goesWith[field])
		}
	}
	if c.Fixed != "" && c.User != "" && strings.TrimSpace(c.User) != c.User {
		return errors.New("user has a space at its end")
	}
	return nil
}

var goesWith = map[string]string{
	"mapping": "provider", "project": "token or provider", "repository": "token", "path": "token", "lifetime": "token", "irrevocable": "token",
	"url": "token or provider", "ca": "token or provider",
}
