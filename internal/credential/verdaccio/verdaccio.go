// Package verdaccio is the credential source for Verdaccio. It logs in as npm does and uses the token for all uploads until the
// token's life, or the configured one, is nearly over; the next one is made before.
//
// Verdaccio's tokens are a user's whole rights and can't be revoked, so their life is what bounds a lost one: that is set in Verdaccio
// (security.api.jwt.sign.expiresIn), and read out of the token here.
package verdaccio

import (
	"context"
	"encoding/base64"
	"encoding/json"
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

// The longest time that one token is used.
const (
	DefaultLifetime = time.Hour
	MinLifetime     = time.Minute
	MaxLifetime     = 24 * time.Hour
)

// Kind registers the source.
var Kind = credential.Kind{Name: "verdaccio", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches Verdaccio: `url http://verdaccio:4873`. Required.
	URL string `json:"url"`
	// User is the name of the user that publishes. Required.
	User string `json:"user"`
	// Password is where his password is: `password SECRET`. Required.
	Password model.Secret `json:"password"`
	// CA is a PEM file with the certificate authority of Verdaccio's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime is the longest time that one token is used; one that ends sooner by itself is replaced before. Default: 1h.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source logs in as one user.
type source struct {
	registry string
	api      *mintapi.API
	user     string
	password model.Secret
	lifetime time.Duration
	tokens   *lease.Cache
	now      func() time.Time
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
		return nil, fmt.Errorf("credential verdaccio of registry %q: %w", env.Registry, err)
	}
	env.WarnUnread(Kind.Name, "the user's password", s.password)
	return s, nil
}

// userName allows what is safe in a path and in a Basic credential.
var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *Config) source(env credential.Env) (*source, error) {
	if env.Ecosystem != "npm" {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected npm", env.Ecosystem)
	}
	maker, err := mintapi.NewMaker(c.URL, "http://verdaccio:4873", c.CA, c.Lifetime, mintapi.Lives{Default: DefaultLifetime, Min: MinLifetime, Max: MaxLifetime}, c.now)
	if err != nil {
		return nil, err
	}
	if !userName.MatchString(c.User) {
		return nil, fmt.Errorf("user is %q, expected the name of the user that publishes", model.OneLine(c.User, 100))
	}
	if err := credential.CheckSecret("password", c.Password); err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, api: maker.API, user: c.User, password: c.Password, lifetime: maker.Lifetime, now: maker.Now,
		tokens: lease.New(lease.Options{Logger: env.Logger, Now: maker.Now}),
	}, nil
}

// Kept is the token, and what is known of the API.
func (s *source) Kept() []credential.Kept {
	return []credential.Kept{s.api.Kept(), s.tokens.Kept(Kind.Name, s.api.Base(), s.user, s.lifetime.String())}
}

// Issue gives the token of now. A read gets it too: whoever may publish a package may see it.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := s.issue(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential verdaccio: %w", err)
	}
	return c, nil
}

func (s *source) issue(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	password, err := s.password.Resolve()
	if err != nil {
		return model.Credential{}, err
	}
	// The password is in the key, so that a replaced one acts at the next upload.
	return s.tokens.Get(ctx, lease.Key(s.user, password), func(ctx context.Context) (model.Credential, error) {
		return s.login(ctx, password)
	})
}

// account is the document of a login, as npm sends it.
type account struct {
	ID       string   `json:"_id"`
	Name     string   `json:"name"`
	Password string   `json:"password"`
	Type     string   `json:"type"`
	Roles    []string `json:"roles"`
	Date     string   `json:"date"`
}

// login asks for a token. The Basic credential says that the user exists: without it Verdaccio would register him.
func (s *source) login(ctx context.Context, password string) (model.Credential, error) {
	const prefix = "org.couchdb.user:"
	started := s.now()
	var made struct {
		Token string `json:"token"`
	}
	_, err := s.api.Do(ctx, mintapi.Call{
		Method: http.MethodPut, Path: "/-/user/" + prefix + url.PathEscape(s.user), User: s.user, Password: password,
		JSON: account{
			ID: prefix + s.user, Name: s.user, Password: password, Type: "user", Roles: []string{},
			Date: started.UTC().Format("2006-01-02T15:04:05.000Z"),
		},
		Expect: []int{http.StatusCreated}, Hint: s.hint,
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return mintapi.CheckSecret("token", made.Token)
		},
	})
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Bearer(made.Token)
	c.Expiry = started.Add(min(s.lifetime, life(made.Token, s.lifetime)))
	return c, nil
}

// hint says what a status means here.
func (s *source) hint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("check user %s and the password in %s", s.user, s.password)
	case http.StatusConflict:
		return fmt.Sprintf("is there a user %s in Verdaccio, and is the password in %s his?", s.user, s.password)
	case http.StatusNotFound:
		return "does url lead to Verdaccio?"
	}
	return ""
}

// life is how long a token lives from its beginning: so the clocks of the gateway and of Verdaccio may differ. One that does not say
// it (Verdaccio's older form is no JWT, and a JWT may have no exp) lives for the time given.
func life(token string, otherwise time.Duration) time.Duration {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return otherwise
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return otherwise
	}
	var claims struct {
		IssuedAt *int64 `json:"iat"`
		Expiry   *int64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.IssuedAt == nil || claims.Expiry == nil {
		return otherwise
	}
	seconds := *claims.Expiry - *claims.IssuedAt
	if seconds < 0 || seconds > int64(otherwise/time.Second) {
		return otherwise
	}
	return time.Duration(seconds) * time.Second
}
