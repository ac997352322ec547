// Package distribution is the credential source for registries that take the tokens of a token server (distribution, and all
// that have its `auth: token`). The gateway is that server: for each request it signs a token of its own, good for this
// repository and these actions, for a minute. The registry knows the public half of the key, and nobody has a password.
//
// Source: docs/content/spec/auth/jwt.md and registry/auth/token of distribution/distribution.
package distribution

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	// defaultIssuer is the name by which the registry knows the gateway.
	defaultIssuer = "trustpub"
	// Lifetime is how long a token is good for: the registry looks at it when a request begins.
	Lifetime = time.Minute
	// leeway is for a registry whose clock is behind.
	leeway = 10 * time.Second
)

// Kind registers the source.
var Kind = credential.Kind{Name: "distribution", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// Key is where the private key is, as `trustpub oci-keys` writes it: `key SECRET`. Required.
	Key model.Secret `json:"key"`
	// Issuer is the registry's setting auth.token.issuer. Default: trustpub.
	Issuer string `json:"issuer,omitempty"`
	// Service is the registry's setting auth.token.service. Default: host and port of the public URL.
	Service string `json:"service,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source signs tokens.
type source struct {
	key             model.Secret
	issuer, service string
	now             func() time.Time

	mu   sync.Mutex
	text string // what signer was made of
	sign jose.Signer
}

var (
	_ credential.Config = (*Config)(nil)
	_ credential.Source = (*source)(nil)
	_ credential.Joint  = (*source)(nil)

	_ credential.TokenServer = (*source)(nil)
)

// word is what issuer and service may be: they stand in a challenge and in a token.
var word = regexp.MustCompile(`^[!#-\[\]-~]{1,256}$`)

// Provision checks the configuration, and the key where it can be read.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential distribution of registry %q: %w", env.Registry, err)
	}
	text, err := s.key.Resolve()
	if err != nil {
		env.Logger.Warn("the registry's credential can't be used yet; uploads are refused until it can",
			"registry", env.Registry, "credential", Kind.Name, "error", err)
		return s, nil
	}
	if _, err := s.signer(text); err != nil {
		return nil, fmt.Errorf("credential distribution of registry %q: key %s: %w", env.Registry, s.key, err)
	}
	return s, nil
}

func (c *Config) source(env credential.Env) (*source, error) {
	if env.Ecosystem != "oci" {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected oci", env.Ecosystem)
	}
	if c.Key == "" {
		return nil, errors.New("key is absent, expected key {file./absolute/path}, of a file that `trustpub oci-keys` wrote")
	}
	if err := c.Key.Validate(); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	s := &source{key: c.Key, issuer: c.Issuer, service: c.Service, now: c.now}
	if s.issuer == "" {
		s.issuer = defaultIssuer
	}
	if s.service == "" && env.Public != nil {
		s.service = env.Public.Host
	}
	if s.now == nil {
		s.now = time.Now
	}
	for field, value := range map[string]string{"issuer": s.issuer, "service": s.service} {
		if !word.MatchString(value) {
			return nil, fmt.Errorf("%s is %q, expected a word without spaces and quotes, as in the registry's own configuration", field, value)
		}
	}
	return s, nil
}

// access is one entry of a token's claim.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// claims are those of the specification.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	Expiry    int64    `json:"exp"`
	NotBefore int64    `json:"nbf"`
	IssuedAt  int64    `json:"iat"`
	ID        string   `json:"jti"`
	Access    []access `json:"access"`
}

// ServesTokens marks the source as the registry's token server.
func (*source) ServesTokens() {}

// Issue signs a token for one target.
func (s *source) Issue(ctx context.Context, target model.Target, id *model.Identity) (model.Credential, error) {
	return s.IssueAll(ctx, []model.Target{target}, id)
}

// IssueAll signs a token for what a request touches, and for nothing where it names no repository.
func (s *source) IssueAll(_ context.Context, targets []model.Target, _ *model.Identity) (model.Credential, error) {
	text, err := s.key.Resolve()
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential distribution: %w", err)
	}
	signer, err := s.signer(text)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential distribution: key %s: %w", s.key, err)
	}
	now := s.now()
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	c := claims{
		Issuer: s.issuer, Subject: "trustpub", Audience: s.service, ID: hex.EncodeToString(id[:]),
		Expiry: now.Add(Lifetime).Unix(), NotBefore: now.Add(-leeway).Unix(), IssuedAt: now.Add(-leeway).Unix(), Access: []access{},
	}
	for _, target := range targets {
		if target.Package != "" {
			c.Access = append(c.Access, access{Type: "repository", Name: target.Package, Actions: credential.RepositoryActions(target.Action)})
		}
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential distribution: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential distribution: key %s can't sign", s.key)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential distribution: %w", err)
	}
	cred := model.Bearer(token)
	cred.Expiry = now.Add(Lifetime)
	return cred, nil
}

// signer is that of a key, made anew only where the file holds another one.
func (s *source) signer(text string) (jose.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sign != nil && s.text == text {
		return s.sign, nil
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	sign, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return nil, errNoKey
	}
	s.text, s.sign = text, sign
	return sign, nil
}
