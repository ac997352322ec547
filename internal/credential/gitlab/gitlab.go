// Package gitlab is the credential source for GitLab's package registry, and for its registry of containers. For each request it makes a
// deploy token of the project that may do nothing but write (for a read: read) packages, and revokes it as soon as the request is over. For
// containers it shows such a token to GitLab's token realm, for a bearer token of the repositories of the request.
//
// A deploy token ends at a midnight, and covers a whole project: its name carries the time after which it is an orphan.
package gitlab

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// deployToken is the header in which GitLab reads a deploy token that is no password.
const deployToken = "Deploy-Token"

// Kind registers the source.
var Kind = credential.Kind{Name: "gitlab", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches GitLab: `url https://gitlab.internal.example.com`. Required.
	URL string `json:"url"`
	// Token is where an access token is that may make deploy tokens: `token SECRET`. Required.
	Token model.Secret `json:"token"`
	// Project is the number or the path of the project: `project acme/packages`. Default: from the public URL.
	Project string `json:"project,omitempty"`
	// Containers is where the gateway reaches the registry of containers: `containers https://registry.internal.example.com`. Required for
	// containers, and for nothing else.
	Containers string `json:"containers,omitempty"`
	// Realm is the token realm that the registry of containers names: `realm https://gitlab.example.com/jwt/auth`. Default: URL and /jwt/auth.
	Realm string `json:"realm,omitempty"`
	// CA is a PEM file with the certificate authority of GitLab's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime is the longest time a token is left alone: one that is still there afterwards is revoked. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source makes deploy tokens of one project.
type source struct {
	registry, ecosystem string
	api                 api
	lifetime            time.Duration
	now                 func() time.Time
	logger              *slog.Logger
	sweeper             mintapi.Sweeper[int64]
}

var (
	_ credential.Config  = (*Config)(nil)
	_ credential.Source  = (*source)(nil)
	_ credential.Keeper  = (*source)(nil)
	_ credential.Carrier = (*source)(nil)
)

// ecosystems are those that GitLab takes deploy tokens for: packages as they stand, containers by way of its token realm.
var ecosystems = []string{"pypi", "npm", "maven", "nuget", "rubygems", "generic", ecosystemOCI}

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	made, err := c.source(env)
	var s credential.Source = made
	if err == nil && env.Ecosystem == ecosystemOCI {
		s, err = c.containers(made, env)
	}
	if err != nil {
		return nil, fmt.Errorf("credential gitlab of registry %q: %w", env.Registry, err)
	}
	env.WarnUnread(Kind.Name, "the token that makes deploy tokens", c.Token)
	return s, nil
}

// projectName is a number, or a path of groups and a name.
var projectName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)

func (c *Config) source(env credential.Env) (*source, error) {
	if !slices.Contains(ecosystems, env.Ecosystem) {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected one that GitLab takes deploy tokens for: %s", env.Ecosystem, strings.Join(ecosystems, ", "))
	}
	for field, given := range map[string]string{"containers": c.Containers, "realm": c.Realm} {
		if given != "" && env.Ecosystem != ecosystemOCI {
			return nil, fmt.Errorf("%s does nothing here: it goes with the ecosystem oci, and the registry's ecosystem is %s", field, env.Ecosystem)
		}
	}
	if err := credential.CheckSecret("token", c.Token); err != nil {
		return nil, err
	}
	project := c.Project
	if project == "" {
		project = projectOf(env.Public)
	}
	if len(project) > 255 || !projectName.MatchString(project) {
		return nil, fmt.Errorf("project is %q, expected the number or the path of a project, as in project acme/packages; a public URL with /api/v4/projects/ID/ has it", model.OneLine(project, 100))
	}
	maker, err := mintapi.NewMaker(c.URL, "https://gitlab.internal.example.com", c.CA, c.Lifetime, mintapi.Lives{}, c.now)
	if err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, ecosystem: env.Ecosystem, lifetime: maker.Lifetime, now: maker.Now, api: api{API: maker.API, token: c.Token, project: project},
		logger: env.Logger.With("registry", env.Registry, "credential", Kind.Name),
	}, nil
}

// projectOf reads the project out of a public URL, /api/v4/projects/ID/packages/..., in which a path has no slashes of its own.
func projectOf(public *url.URL) string {
	if public == nil {
		return ""
	}
	_, rest, _ := strings.Cut(public.EscapedPath(), "/api/v4/projects/")
	id, _, _ := strings.Cut(rest, "/")
	id, err := url.PathUnescape(id)
	if err != nil {
		return ""
	}
	return id
}

// Kept is what is known of the API.
func (s *source) Kept() []credential.Kept { return []credential.Kept{s.api.Kept()} }

// Carries is the header of a deploy token.
func (s *source) Carries() []string { return []string{deployToken} }

// Issue makes a token for one request; none for a read that names no package.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := s.issue(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential gitlab: %w", err)
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
	scopes, err := s.scopes(target.Action)
	if err != nil {
		return model.Credential{}, err
	}
	made, expires, err := s.make(ctx, scopes)
	if err != nil {
		return model.Credential{}, err
	}
	c := s.form(made)
	c.Expiry = expires
	c.Revoke = func(ctx context.Context) error {
		if err := s.api.remove(ctx, made.ID); err != nil {
			return fmt.Errorf("credential gitlab: %w", err)
		}
		return nil
	}
	return c, nil
}

// make makes a deploy token with these scopes, and revokes what others have left.
func (s *source) make(ctx context.Context, scopes []string) (made token, expires time.Time, err error) {
	expires = s.now().Add(s.lifetime).UTC().Truncate(time.Second)
	if made, err = s.api.create(ctx, mintapi.TemporaryName(expires), scopes, midnightAfter(expires)); err != nil {
		return token{}, time.Time{}, err
	}
	s.sweeper.Sweep(ctx, s.now(), s.lifetime, mintapi.Account[int64]{List: s.api.list, Remove: s.api.remove, Logger: s.logger})
	return made, expires, nil
}

// midnightAfter is the first midnight of UTC that is not before a moment: the days that deploy tokens end with.
func midnightAfter(t time.Time) time.Time {
	day := t.UTC().Truncate(24 * time.Hour)
	if day.Before(t) {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// asked are the ecosystems in which a publish reads too: the gateway asks whether a file is there.
var asked = []string{"maven", "generic", ecosystemOCI}

// scopes are those that an action needs, in alphabetical order. No deploy token deletes.
func (s *source) scopes(action model.Action) ([]string, error) {
	read, write := "read_package_registry", "write_package_registry"
	if s.ecosystem == ecosystemOCI {
		read, write = "read_registry", "write_registry"
	}
	switch action {
	case model.ActionRead:
		return []string{read}, nil
	case model.ActionPublish, model.ActionOverwrite, model.ActionTag:
		if slices.Contains(asked, s.ecosystem) {
			return []string{read, write}, nil
		}
		return []string{write}, nil
	}
	return nil, fmt.Errorf("action is %s, expected publish, overwrite, tag or read: GitLab's deploy tokens can do nothing else", action)
}

// form is how GitLab takes the token for a type of package.
func (s *source) form(made token) model.Credential {
	switch s.ecosystem {
	case "npm":
		return model.Bearer(made.Token)
	case "maven", "generic":
		return model.Credential{Header: http.Header{deployToken: {made.Token}}}
	case "rubygems": // as gem sends an API key
		return model.Credential{Header: http.Header{"Authorization": {made.Token}}}
	}
	return model.Basic(made.Username, made.Token)
}
