// Package harbor is the credential source for Harbor. For each request it makes a robot account that may push to (for a read: pull from)
// the project of the upload's repository, and deletes it as soon as the request is over.
//
// A robot lives for a day at least, and for a whole project: its name carries the time after which it is an orphan.
package harbor

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// ecosystem is the one that Harbor speaks.
const ecosystem = "oci"

// Kind registers the source.
var Kind = credential.Kind{Name: "harbor", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches Harbor: `url http://harbor:8080`. Required.
	URL string `json:"url"`
	// User is the name of whom makes robots: a robot, or an administrator of the project. Required.
	User string `json:"user"`
	// Password is where that account's secret is: `password SECRET`. Required.
	Password model.Secret `json:"password"`
	// CA is a PEM file with the certificate authority of Harbor's own certificate: `ca FILE`. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Lifetime is the longest time a robot is left alone: one that is still there afterwards is deleted. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source makes robots.
type source struct {
	registry string
	api      api
	lifetime time.Duration
	now      func() time.Time
	logger   *slog.Logger
	// sweepers are by project: *mintapi.Sweeper[int64]. Only projects that Harbor has are in it.
	sweepers sync.Map
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
		return nil, fmt.Errorf("credential harbor of registry %q: %w", env.Registry, err)
	}
	env.WarnUnread(Kind.Name, "the secret of whom makes robots", c.Password)
	return s, nil
}

func (c *Config) source(env credential.Env) (*source, error) {
	if env.Ecosystem != ecosystem {
		return nil, fmt.Errorf("the registry's ecosystem is %q, expected %s: Harbor has no other", env.Ecosystem, ecosystem)
	}
	if err := credential.CheckUser(c.User); err != nil {
		return nil, fmt.Errorf("user: %w; write the account that makes robots, as in robot$trustpub", err)
	}
	if err := credential.CheckSecret("password", c.Password); err != nil {
		return nil, err
	}
	maker, err := mintapi.NewMaker(c.URL, "http://harbor:8080", c.CA, c.Lifetime, mintapi.Lives{}, c.now)
	if err != nil {
		return nil, err
	}
	return &source{
		registry: env.Registry, lifetime: maker.Lifetime, now: maker.Now, api: api{API: maker.API, user: c.User, password: c.Password},
		logger: env.Logger.With("registry", env.Registry, "credential", Kind.Name),
	}, nil
}

// Kept is what is known of the API.
func (s *source) Kept() []credential.Kept { return []credential.Kept{s.api.Kept()} }

// Issue makes a robot for one request; none for a read that names no repository.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := s.issue(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential harbor: %w", err)
	}
	return c, nil
}

// projectName is Harbor's grammar of projects.
var projectName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

func (s *source) issue(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	if target.Action == model.ActionRead && target.Package == "" {
		return model.Credential{}, nil
	}
	project, repository, _ := strings.Cut(target.Package, "/")
	if repository == "" || len(project) > 255 || !projectName.MatchString(project) {
		return model.Credential{}, fmt.Errorf("package is %q, expected a name that begins with a project of Harbor, as in acme/widget", model.OneLine(target.Package, 100))
	}
	started := s.now()
	expires := started.Add(s.lifetime).Truncate(time.Second)
	// Harbor gives push along with pull only.
	made, err := s.api.create(ctx, mintapi.TemporaryName(expires), project, credential.RepositoryActions(target.Action), started)
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Basic(made.Name, made.Secret)
	c.Expiry = expires
	if ends := time.Unix(made.ExpiresAt, 0); ends.Before(expires) {
		c.Expiry = ends
	}
	c.Revoke = func(ctx context.Context) error {
		if err := s.api.remove(ctx, made.ID); err != nil {
			return fmt.Errorf("credential harbor: %w", err)
		}
		return nil
	}
	s.sweep(ctx, project)
	return c, nil
}

// sweep deletes the robots of a project that a crash or a failed deletion has left.
func (s *source) sweep(ctx context.Context, project string) {
	sweeper, _ := s.sweepers.LoadOrStore(project, new(mintapi.Sweeper[int64]))
	id := int64(0)
	sweeper.(*mintapi.Sweeper[int64]).Sweep(ctx, s.now(), s.lifetime, mintapi.Account[int64]{
		Logger: s.logger.With("project", project), Remove: s.api.remove,
		List: func(ctx context.Context, page int) (all []mintapi.Named[int64], last bool, err error) {
			if id == 0 {
				if id, err = s.api.projectID(ctx, project); err != nil {
					return nil, false, err
				}
			}
			robots, err := s.api.list(ctx, id, page)
			for _, r := range robots {
				all = append(all, mintapi.Named[int64]{ID: r.ID, Name: shortName(r.Name, project)})
			}
			return all, len(robots) < pageSize, err
		},
	})
}

// shortName is a robot's name without the prefix and the project, as in robot$acme+NAME; empty for a robot of another project.
func shortName(name, project string) string {
	prefix, short, found := strings.Cut(name, "+")
	if !found || !strings.HasSuffix(prefix, project) {
		return ""
	}
	return short
}
