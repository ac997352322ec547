// Package devpi is the credential source for devpi-server with the plugin devpi-tokens. From one parent token it derives, by
// itself and without a call to devpi, a token that uploads to this index, for this project, for a few minutes.
//
// devpi checks a token when the whole body has come, so the lifetime also bounds the time that an upload may take.
package devpi

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// The lifetimes of derived tokens.
const (
	DefaultLifetime = 15 * time.Minute
	MinLifetime     = time.Minute
	MaxLifetime     = 24 * time.Hour
)

// Kind registers the source.
var Kind = credential.Kind{Name: "devpi", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// Token is where the parent token is: `token SECRET`. Required.
	Token model.Secret `json:"token"`
	// Index is devpi's own name of the index, USER/INDEX. Default: the last two path segments of the registry's public URL.
	Index string `json:"index,omitempty"`
	// Lifetime of a derived token, from the start of an upload to its end. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source derives tokens for one index.
type source struct {
	public          *url.URL
	registry, index string
	token           model.Secret
	lifetime        time.Duration
	now             func() time.Time
}

var (
	_ credential.Config = (*Config)(nil)
	_ credential.Source = (*source)(nil)
)

// Provision checks the configuration, and the parent token where it can be read: one that can't be parsed, or that is too
// narrow for this index, is refused. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err == nil {
		err = s.check(env.Logger)
	}
	if err != nil {
		return nil, fmt.Errorf("credential devpi of registry %q: %w", env.Registry, err)
	}
	return s, nil
}

func (c *Config) source(env credential.Env) (*source, error) {
	if env.Ecosystem != "pypi" {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected pypi", env.Ecosystem)
	}
	if err := credential.CheckSecret("token", c.Token); err != nil {
		return nil, err
	}
	lifetime, err := c.Lifetime.Within("lifetime", DefaultLifetime, MinLifetime, MaxLifetime)
	if err != nil {
		return nil, err
	}
	index := c.Index
	if index == "" {
		index = lastTwo(env.Public)
	}
	if !indexName.MatchString(index) || strings.Contains("/"+index+"/", "/../") || strings.Contains("/"+index+"/", "/./") {
		return nil, fmt.Errorf("index is %q, expected USER/INDEX as in root/prod: write index USER/INDEX, or end the public URL with it", index)
	}
	now := c.now
	if now == nil {
		now = time.Now
	}
	return &source{registry: env.Registry, public: env.Public, index: index, token: c.Token, lifetime: lifetime, now: now}, nil
}

// indexName allows nothing that a caveat's list or a URL could read in another way.
var indexName = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)

// lastTwo is USER/INDEX at the end of a public URL; empty where it has fewer segments.
func lastTwo(public *url.URL) string {
	if public == nil {
		return ""
	}
	parts := strings.Split(strings.Trim(public.Path, "/"), "/")
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts[len(parts)-2:], "/")
}

func (s *source) check(logger *slog.Logger) error {
	if _, err := s.token.Resolve(); err != nil {
		logger.Warn("the registry's parent token can't be read yet; uploads are refused until it can",
			"registry", s.registry, "credential", Kind.Name, "error", err)
		return nil
	}
	p, err := s.parent()
	if err != nil {
		return err
	}
	if err := s.valid(p); err != nil { // no reason to keep the whole gateway from starting
		logger.Warn("the registry's parent token can't be used now; uploads are refused until it is replaced",
			"registry", s.registry, "credential", Kind.Name, "error", err)
	}
	return nil
}

// parent reads the parent token anew, so that a replaced one acts at the next upload, and checks what does not depend on
// the target or the time.
func (s *source) parent() (*parent, error) {
	raw, err := s.token.Resolve()
	if err != nil {
		return nil, err
	}
	p, err := parseParent(raw)
	if err != nil {
		return nil, fmt.Errorf("token %s is no devpi token: %w: make one with POST /USER/+token-create of devpi-tokens", s.token, err)
	}
	if err := allows("indexes", p.indexes, s.index); err != nil {
		return nil, fmt.Errorf("token %s: %w", s.token, err)
	}
	if err := allows("permissions", p.allowed, "upload"); err != nil {
		return nil, fmt.Errorf("token %s: %w", s.token, err)
	}
	return p, nil
}

// valid checks the parent's own times.
func (s *source) valid(p *parent) error {
	now := s.now()
	if !p.expires.IsZero() && !now.Before(p.expires) {
		return fmt.Errorf("token %s: the parent token has expired at %s: make a new one", s.token, p.expires.UTC().Format(time.RFC3339))
	}
	if now.Before(p.notBefore) {
		return fmt.Errorf("token %s: the parent token is not valid before %s", s.token, p.notBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// projectName is a name in PEP 503's form, the only one that the ecosystem hands on.
var projectName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Issue derives a token for one upload. Reads get the zero credential: devpi refuses downloads with an upload token, even those
// that it allows without one.
func (s *source) Issue(_ context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	if target.Action == model.ActionRead {
		return model.Credential{}, nil
	}
	c, err := s.upload(target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential devpi: %w", err)
	}
	return c, nil
}

func (s *source) upload(target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	switch {
	case target.Action != model.ActionPublish && target.Action != model.ActionOverwrite:
		return model.Credential{}, fmt.Errorf("action is %q, expected publish: derived tokens only upload", target.Action)
	case !projectName.MatchString(target.Package):
		return model.Credential{}, fmt.Errorf("package is %q, expected a normalised project name", model.OneLine(target.Package, 100))
	}
	p, err := s.parent()
	if err != nil {
		return model.Credential{}, err
	}
	if err := s.valid(p); err != nil {
		return model.Credential{}, err
	}
	if err := allows("projects", p.projects, target.Package); err != nil {
		return model.Credential{}, fmt.Errorf("token %s: %w", s.token, err)
	}
	expires := s.now().Add(s.lifetime).Truncate(time.Second)
	child, err := p.attenuate(
		"expires="+strconv.FormatInt(expires.Unix(), 10),
		"indexes="+s.index,
		"projects="+target.Package,
		"allowed=upload",
	)
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Bearer(child)
	c.Expiry = expires
	if !p.expires.IsZero() && p.expires.Before(expires) {
		c.Expiry = p.expires
	}
	return c, nil
}
