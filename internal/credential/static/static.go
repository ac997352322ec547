// Package static is the credential source for registries that know only long-lived secrets: one password, token or header
// that the gateway keeps and CI never sees. It is the same for every package, so what it may do is decided by the
// policies alone; give its account no more than the right to upload.
package static

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// Kind registers the source.
var Kind = credential.Kind{Name: "static", New: func() credential.Config { return new(Config) }}

// Config is the configuration: exactly one of its fields.
type Config struct {
	// Basic is a user and a password: `basic USER SECRET`.
	Basic *Basic `json:"basic,omitempty"`
	// Bearer is a token sent as "Authorization: Bearer": `bearer SECRET`.
	Bearer model.Secret `json:"bearer,omitempty"`
	// Header is a header of the registry's own, or a raw Authorization: `header NAME SECRET`.
	Header *Header `json:"header,omitempty"`
}

// Basic is a user's name, which is not secret, and the password.
type Basic struct {
	User     string       `json:"user"`
	Password model.Secret `json:"password"`
}

// Header is a header's name and its value.
type Header struct {
	Name  string       `json:"name"`
	Value model.Secret `json:"value"`
}

// source sets the same header for every target.
type source struct {
	secret model.Secret
	form   func(value string) model.Credential
	last   atomic.Pointer[issued]
	now    func() time.Time
	header string // the registry's own one, where the credential travels in it
}

var (
	_ credential.Config  = (*Config)(nil)
	_ credential.Source  = (*source)(nil)
	_ credential.Carrier = (*source)(nil)
)

// Provision checks the configuration. A secret that can't be read yet is a warning: it may be mounted later, and it is read at
// each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source()
	if err != nil {
		return nil, fmt.Errorf("credential static of registry %q: %w", env.Registry, err)
	}
	if _, err := s.value(); err != nil {
		env.Logger.Warn("the registry's credential can't be used yet; uploads are refused until it can",
			"registry", env.Registry, "credential", Kind.Name, "error", err)
	}
	return s, nil
}

func (c *Config) source() (*source, error) {
	given := 0
	for _, have := range []bool{c.Basic != nil, c.Bearer != "", c.Header != nil} {
		if have {
			given++
		}
	}
	if given != 1 {
		return nil, fmt.Errorf("got %d of basic, bearer and header, expected exactly one: basic USER SECRET, bearer SECRET or header NAME SECRET", given)
	}
	switch {
	case c.Basic != nil:
		user := c.Basic.User
		if err := credential.CheckUser(user); err != nil {
			return nil, fmt.Errorf("basic: %w", err)
		}
		return checked("basic", c.Basic.Password, func(v string) model.Credential { return model.Basic(user, v) })
	case c.Header != nil:
		name, err := credential.CheckHeader(c.Header.Name)
		if err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
		s, err := checked("header", c.Header.Value, func(v string) model.Credential {
			return model.Credential{Header: http.Header{name: {v}}}
		})
		if err == nil {
			s.header = name
		}
		return s, err
	}
	return checked("bearer", c.Bearer, model.Bearer)
}

func checked(field string, secret model.Secret, form func(string) model.Credential) (*source, error) {
	if err := secret.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return &source{secret: secret, form: form, now: time.Now}, nil
}

// Issue returns the credential, read anew, so that a replaced secret acts at the next upload. A read of a package that a
// policy covers gets it too: whoever may publish a package may see it. To look at a file costs as much as all else that a read
// does here, so that reads of the same moment share one look.
func (s *source) Issue(_ context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	last, now := s.last.Load(), s.now()
	if last != nil && target.Action == model.ActionRead && now.Sub(last.looked) < sharedLook {
		return last.again(), nil
	}
	v, err := s.value()
	if err != nil {
		s.last.Store(nil)
		return model.Credential{}, fmt.Errorf("credential static: %w", err)
	}
	made := &issued{value: v, looked: now}
	if last != nil && last.value == v {
		made.credential = last.credential
	} else {
		made.credential = s.form(v)
	}
	s.last.Store(made)
	return made.again(), nil
}

// sharedLook is how long a look at the secret serves reads.
const sharedLook = time.Second

// issued is the last credential, of which secret it was made, and when that was looked at.
type issued struct {
	value      string
	looked     time.Time
	credential model.Credential
}

// again is the credential once more: whoever forwards it may change its header.
func (i *issued) again() model.Credential {
	header := make(http.Header, len(i.credential.Header))
	for name, values := range i.credential.Header {
		header[name] = slices.Clone(values)
	}
	return model.Credential{Header: header}
}

// Carries names the header that the registry believes, as that of a user in front of whom only the gateway stands.
func (s *source) Carries() []string {
	if s.header == "" {
		return nil
	}
	return []string{s.header}
}

// value reads the secret and refuses what a header can't carry. The error names the placeholder, never the value.
func (s *source) value() (string, error) {
	v, err := s.secret.Resolve()
	if err != nil {
		return "", err
	}
	if err := credential.CheckValue(v); err != nil {
		return "", fmt.Errorf("secret %s %w", s.secret, err)
	}
	return v, nil
}
