// Package zot is the credential source for zot, in two ways: an API key of the gateway's account for each request, which expires and is
// deleted as soon as the request is over; or the exchange of the CI's own identity token, whose claims zot judges once more.
package zot

import (
	"errors"
	"fmt"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// ecosystem is the one that zot speaks.
const ecosystem = "oci"

// Kind registers the source.
var Kind = credential.Kind{Name: "zot", New: func() credential.Config { return new(Config) }}

// Config is the configuration: either User and Password, or Exchange.
type Config struct {
	// URL is where the gateway reaches zot: `url http://zot:8080`. Required.
	URL string `json:"url"`
	// User is the account whose keys are made.
	User string `json:"user,omitempty"`
	// Password is where that account's secret is: `password SECRET`.
	Password model.Secret `json:"password,omitempty"`
	// Exchange swaps the identity token at zot's token endpoint instead.
	Exchange bool `json:"exchange,omitempty"`
	// CA is a PEM file with the certificate authority of zot's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime of a key, from its start to its end. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

var _ credential.Config = (*Config)(nil)

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential zot of registry %q: %w", env.Registry, err)
	}
	if !c.Exchange {
		env.WarnUnread(Kind.Name, "the secret of whom makes keys", c.Password)
	}
	return s, nil
}

func (c *Config) source(env credential.Env) (credential.Source, error) {
	if env.Ecosystem != ecosystem {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected %s: zot has no other", env.Ecosystem, ecosystem)
	}
	base, err := mintapi.CheckURL(c.URL, "http://zot:8080")
	if err != nil {
		return nil, err
	}
	o := origin{registry: env.Registry, now: c.now}
	if o.now == nil {
		o.now = time.Now
	}
	if o.API, err = mintapi.New(base, mintapi.Options{CAFile: c.CA, Now: o.now}); err != nil {
		return nil, err
	}
	if c.Exchange {
		if c.User != "" || c.Password != "" || c.Lifetime != 0 {
			return nil, errors.New("user, password and lifetime are of keys, and do nothing with exchange: write one or the other")
		}
		return &federated{origin: o, tokens: lease.New(lease.Options{Logger: env.Logger, Now: o.now, NoRenewal: true})}, nil
	}
	if err := credential.CheckUser(c.User); err != nil {
		return nil, fmt.Errorf("user: %w; write the account whose keys are made, or exchange", err)
	}
	if err := credential.CheckSecret("password", c.Password); err != nil {
		return nil, err
	}
	lifetime, err := c.Lifetime.Within("lifetime", mintapi.DefaultLifetime, mintapi.MinLifetime, mintapi.MaxLifetime)
	if err != nil {
		return nil, err
	}
	return &minter{
		origin: o, user: c.User, password: c.Password, lifetime: lifetime,
		logger: env.Logger.With("registry", env.Registry, "credential", Kind.Name),
	}, nil
}
