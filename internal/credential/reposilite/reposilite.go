// Package reposilite is the credential source for Reposilite. For each request it makes a temporary access token whose one route is the
// file of the upload, which expires, and which is deleted as soon as the request is over.
package reposilite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// ecosystem is the one that Reposilite speaks.
const ecosystem = "maven"

// Kind registers the source.
var Kind = credential.Kind{Name: "reposilite", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches Reposilite: `url http://reposilite:8080`. Required.
	URL string `json:"url"`
	// User is the name of an access token with the permission of a manager. Required.
	User string `json:"user"`
	// Password is where that token's secret is: `password SECRET`. Required.
	Password model.Secret `json:"password"`
	// Repository is the name of the repository in Reposilite: `repository releases`. Default: the last part of the public URL.
	Repository string `json:"repository,omitempty"`
	// CA is a PEM file with the certificate authority of Reposilite's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime of a token, from its start to its end. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source makes tokens as one manager.
type source struct {
	registry, repository string
	api                  api
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
		return nil, fmt.Errorf("credential reposilite of registry %q: %w", env.Registry, err)
	}
	env.WarnUnread(Kind.Name, "the manager's secret", c.Password)
	return s, nil
}

// repositoryName is what Reposilite has as the first part of its paths.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)

func (c *Config) source(env credential.Env) (*source, error) {
	if env.Ecosystem != ecosystem {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected %s: Reposilite has no other", env.Ecosystem, ecosystem)
	}
	if err := credential.CheckUser(c.User); err != nil {
		return nil, fmt.Errorf("user: %w; write the name of a manager's access token", err)
	}
	if err := credential.CheckSecret("password", c.Password); err != nil {
		return nil, err
	}
	repository := c.Repository
	if repository == "" {
		repository = lastPart(env.Public)
	}
	if !repositoryName.MatchString(repository) {
		return nil, fmt.Errorf("repository is %q, expected the name of a repository, as in repository releases", model.OneLine(repository, 100))
	}
	maker, err := mintapi.NewMaker(c.URL, "http://reposilite:8080", c.CA, c.Lifetime, mintapi.Lives{}, c.now)
	if err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, repository: repository, lifetime: maker.Lifetime, now: maker.Now, api: api{API: maker.API, user: c.User, password: c.Password},
	}, nil
}

func lastPart(public *url.URL) string {
	if public == nil {
		return ""
	}
	path := strings.Trim(public.Path, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// Kept is what is known of the API.
func (s *source) Kept() []credential.Kept { return []credential.Kept{s.api.Kept()} }

// Issue makes a token for one request; none for a read that names no package.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := s.issue(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential reposilite: %w", err)
	}
	return c, nil
}

func (s *source) issue(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	if target.Action == model.ActionRead && target.Package == "" {
		return model.Credential{}, nil
	}
	path, err := s.route(target)
	if err != nil {
		return model.Credential{}, err
	}
	// Whether a file is there is asked before it is uploaded, which a private repository answers to none but readers.
	permissions := []string{"r", "w"}
	if target.Action == model.ActionRead {
		permissions = permissions[:1]
	}
	name, expires := tokenName(), s.now().Add(s.lifetime).UTC().Truncate(time.Second)
	secret, err := s.api.create(ctx, name, path, permissions, expires)
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Basic(name, secret)
	c.Expiry = expires
	c.Revoke = func(ctx context.Context) error {
		if err := s.api.remove(ctx, name); err != nil {
			return fmt.Errorf("credential reposilite: %w", err)
		}
		return nil
	}
	return c, nil
}

// plainPart is what a part of a path consists of: nothing that a route, or what is in front of Reposilite, reads in another way.
var plainPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)

// route is the path of the target's file, or of the narrowest folder that is known: Reposilite takes all paths that begin like it.
func (s *source) route(t model.Target) (string, error) {
	group, artifact, _ := strings.Cut(t.Package, ":")
	parts := append(strings.Split(group, "."), artifact)
	if t.Version != "" {
		parts = append(parts, t.Version)
	}
	end := "/"
	if t.File != "" && (t.Version != "" || t.Versionless) {
		parts, end = append(parts, t.File), ""
	}
	for _, part := range parts {
		if !plainPart.MatchString(part) {
			return "", fmt.Errorf("the token can't be narrowed: %q is no part of a path in a Maven repository", model.OneLine(part, 100))
		}
	}
	return "/" + s.repository + "/" + strings.Join(parts, "/") + end, nil
}

// tokenName is unique, since Reposilite replaces a token of the same name.
func tokenName() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return "trustpub-" + hex.EncodeToString(b)
}
