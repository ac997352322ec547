// Package static is the credential source for registries that know only long-lived secrets: one password, token or header
// that the gateway keeps and CI never sees. It is the same for every package, so what it may do is decided by the
// policies alone; give its account no more than the right to upload.
package static

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

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
		if err := checkUser(user); err != nil {
			return nil, fmt.Errorf("basic: %w", err)
		}
		return checked("basic", c.Basic.Password, func(v string) model.Credential { return model.Basic(user, v) })
	case c.Header != nil:
		name, err := checkHeader(c.Header.Name)
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
	return &source{secret: secret, form: form}, nil
}

// Issue returns the credential, read anew, so that a replaced secret acts at the next upload. A read of a package that a
// policy covers gets it too: whoever may publish a package may see it.
func (s *source) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	v, err := s.value()
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential static: %w", err)
	}
	return s.form(v), nil
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
	if v != strings.TrimSpace(v) {
		return "", fmt.Errorf("secret %s begins or ends with a space", s.secret)
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return "", fmt.Errorf("secret %s has a control character", s.secret)
		}
	}
	return v, nil
}

func checkUser(user string) error {
	switch {
	case user == "":
		return errors.New("the user is empty")
	case strings.Contains(user, ":"):
		return fmt.Errorf("the user is %q, expected a name without a colon, which ends it in a Basic credential", user)
	case strings.ContainsAny(user, "{}"):
		return fmt.Errorf("the user is %q, expected a plain name: placeholders are for the secret only", user)
	case strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the user has a control character")
	}
	return nil
}

// refusedHeaders belong to the transport, to the body, or to the registry's idea of its own address; none is a credential.
var refusedHeaders = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Alt-Svc": true, "Http2-Settings": true,
	"Host": true, "Content-Length": true, "Content-Type": true, "Content-Encoding": true, "Expect": true, "Via": true,
	"Forwarded": true, "X-Outside-Url": true,
}

// checkHeader returns the canonical name.
func checkHeader(name string) (string, error) {
	if name == "" {
		return "", errors.New("the name is empty")
	}
	for i := range len(name) {
		if c := name[i]; !isTokenChar(c) {
			return "", fmt.Errorf("the name is %q, expected letters, digits and dashes", name)
		}
	}
	canonical := http.CanonicalHeaderKey(name)
	if refusedHeaders[canonical] || strings.HasPrefix(canonical, "X-Forwarded-") || strings.HasPrefix(canonical, "X-Trustpub-") {
		return "", fmt.Errorf("the name is %q, which belongs to the transport or to the gateway, expected a header in which the registry reads a credential", name)
	}
	return canonical, nil
}

// isTokenChar is tchar of RFC 9110, 5.6.2.
func isTokenChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
