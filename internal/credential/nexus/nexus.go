// Package nexus is the credential source for Sonatype Nexus Repository 3. For each request it makes a user of its own with one role, and
// deletes it as soon as the request is over; with a licence the user can have a user token, for a Nexus that takes nothing else. Or it
// uses one user token, or one password, as it stands.
//
// Nexus knows no user that expires: its name carries the time after which it is an orphan.
package nexus

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// adminRole is the one that Nexus comes with, which may do everything.
const adminRole = "nx-admin"

// Kind registers the source.
var Kind = credential.Kind{Name: "nexus", New: func() credential.Config { return new(Config) }}

// Config is the configuration: either Role, with all that belongs to it, or Fixed.
type Config struct {
	// URL is where the gateway reaches Nexus: `url http://nexus:8081`. Required with Role.
	URL string `json:"url,omitempty"`
	// User is the name of whom makes users. Required with Role.
	User string `json:"user,omitempty"`
	// Password is where that account's secret is: `password SECRET`. Required with Role.
	Password model.Secret `json:"password,omitempty"`
	// Role is the role of the users that are made, a template: `role pypi-publisher` or `role pypi-{action}`.
	Role string `json:"role,omitempty"`
	// UserToken gives each user a user token, for a Nexus that takes nothing else. Needs a licence.
	UserToken bool `json:"user_token,omitempty"`
	// Reads says that reads get a credential too. Those of containers, of Maven and of Cargo always do.
	Reads bool `json:"reads,omitempty"`
	// Fixed is where a credential is that is used as it stands, as NAME:CODE: `fixed SECRET`.
	Fixed model.Secret `json:"fixed,omitempty"`
	// CA is a PEM file with the certificate authority of Nexus's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime is the longest time a user is left alone: one that is still there afterwards is deleted. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

var _ credential.Config = (*Config)(nil)

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential nexus of registry %q: %w", env.Registry, err)
	}
	if c.Fixed != "" {
		env.WarnUnread(Kind.Name, "the registry's credential", c.Fixed)
		return s, nil
	}
	env.WarnUnread(Kind.Name, "the secret of whom makes users", c.Password)
	return s, nil
}

func (c *Config) source(env credential.Env) (credential.Source, error) {
	switch {
	case (c.Role == "") == (c.Fixed == ""):
		return nil, errors.New("expected exactly one of role NAME, whose users are made and deleted, and fixed SECRET")
	case c.Fixed != "":
		return c.fixed(env)
	}
	if err := credential.CheckUser(c.User); err != nil {
		return nil, fmt.Errorf("user: %w; write the account that makes users", err)
	}
	if err := credential.CheckSecret("password", c.Password); err != nil {
		return nil, err
	}
	role, err := c.role()
	if err != nil {
		return nil, err
	}
	maker, err := mintapi.NewMaker(c.URL, "http://nexus:8081", c.CA, c.Lifetime, mintapi.Lives{}, c.now)
	if err != nil {
		return nil, err
	}
	return &minter{
		registry: env.Registry, role: role, token: c.UserToken, lifetime: maker.Lifetime, now: maker.Now,
		readable: c.Reads || readsFirst[env.Ecosystem],
		settings: env.Ecosystem == cargo && !strings.Contains(c.Role, "{package}"),
		api:      api{API: maker.API, user: c.User, password: c.Password},
		logger:   env.Logger.With("registry", env.Registry, "credential", Kind.Name),
	}, nil
}

// role reads the template. What a client names must not choose among all roles of Nexus, so a text of the operator's comes first.
func (c *Config) role() (mintapi.Template, error) {
	role, err := mintapi.ParseTemplate(c.Role, mintapi.Allowed{Names: []string{"registry", "ecosystem", "action", "package"}})
	switch {
	case err != nil:
		return role, fmt.Errorf("role has %w", err)
	case strings.HasPrefix(c.Role, "{"):
		return role, fmt.Errorf("role is %q, expected one that begins with a text of yours, as in pypi-{package}: packages must not choose among all roles", model.OneLine(c.Role, 100))
	case len(c.Role) > maxRole || strings.TrimSpace(c.Role) != c.Role || strings.ContainsFunc(c.Role, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return role, fmt.Errorf("role is %q, expected the id of a role", model.OneLine(c.Role, 100))
	case c.Role == adminRole:
		return role, fmt.Errorf("role is %s, which may do everything, expected one that may publish to this repository alone", adminRole)
	}
	return role, nil
}

// readsFirst are the ecosystems whose clients read before they write: layers that are there already, indexes.
var readsFirst = map[string]bool{"oci": true, "maven": true, cargo: true}

// cargo is the ecosystem of which a read without a package may need a credential: that of the settings of its index, which Nexus never shows to anybody.
const cargo = "cargo"

// maxRole bounds a role's id.
const maxRole = 200

func (c *Config) fixed(env credential.Env) (credential.Source, error) {
	if err := c.Fixed.Validate(); err != nil {
		return nil, fmt.Errorf("fixed: %w", err)
	}
	for field, given := range map[string]bool{
		"url": c.URL != "", "user": c.User != "", "password": c.Password != "", "user_token": c.UserToken, "reads": c.Reads, "ca": c.CA != "", "lifetime": c.Lifetime != 0,
	} {
		if given {
			return nil, fmt.Errorf("%s does nothing here: it goes with role", field)
		}
	}
	return &fixed{registry: env.Registry, secret: c.Fixed}, nil
}
