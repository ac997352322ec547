// Package exec is the credential source that asks a program, in the manner of git's credential helpers: it gets the target as JSON on
// its standard input, and prints a credential as JSON. So a registry that has no source of its own needs a script, not a build.
//
// The program is started without a shell, with an environment of named variables only, and with every process that it starts it is
// killed when its time is over. What it prints is bounded; what it writes to its standard error is never shown.
package exec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// The time that one run of the program may take.
const (
	defaultTimeout = 10 * time.Second
	minTimeout     = time.Second
	maxTimeout     = time.Minute
)

// Kind registers the source.
var Kind = credential.Kind{Name: "exec", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// Command is the program, by its absolute path, and its arguments: `command /usr/local/bin/mint --realm prod`. Required. The
	// operation, get or erase, is added as the last argument.
	Command []string `json:"command"`
	// Env names variables of the gateway's environment that the program is given: `env HOME VAULT_ADDR`. Default: none but PATH and LANG.
	Env []string `json:"env,omitempty"`
	// Timeout bounds one run. Default: 10s.
	Timeout model.Duration `json:"timeout,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// source asks one program.
type source struct {
	registry string
	program  program
	now      func() time.Time
}

var (
	_ credential.Config = (*Config)(nil)
	_ credential.Source = (*source)(nil)
	_ credential.Joint  = (*source)(nil)
)

// Provision checks the configuration. A program that is not there yet is a warning: it is looked for again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env.Registry)
	if err != nil {
		return nil, fmt.Errorf("credential exec of registry %q: %w", env.Registry, err)
	}
	if err := s.program.check(); err != nil {
		env.Logger.Warn("the program that makes the registry's credentials can't be run yet; uploads are refused until it can",
			slog.String("registry", env.Registry), slog.String("credential", Kind.Name), slog.Any("error", err))
	}
	return s, nil
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *Config) source(registry string) (*source, error) {
	if len(c.Command) == 0 {
		return nil, errors.New("command is absent, expected a program by its absolute path and its arguments: command /usr/local/bin/mint --realm prod")
	}
	if path := c.Command[0]; !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return nil, fmt.Errorf("command is %q, expected an absolute path without . and ..: it is looked for nowhere else", model.OneLine(path, 100))
	}
	for _, name := range c.Env {
		if !envName.MatchString(name) {
			return nil, fmt.Errorf("env is %q, expected the names of variables, as in env HOME VAULT_ADDR", model.OneLine(name, 100))
		}
	}
	timeout, err := c.Timeout.Within("timeout", defaultTimeout, minTimeout, maxTimeout)
	if err != nil {
		return nil, err
	}
	now := c.now
	if now == nil {
		now = time.Now
	}
	return &source{
		registry: registry, now: now,
		program: program{command: slices.Clone(c.Command), env: slices.Clone(c.Env), timeout: timeout, slots: make(chan struct{}, maxRuns)},
	}, nil
}

// Issue asks for the credential of one target.
func (s *source) Issue(ctx context.Context, target model.Target, id *model.Identity) (model.Credential, error) {
	return s.IssueAll(ctx, []model.Target{target}, id)
}

// IssueAll asks for one credential that is good for all of a request.
func (s *source) IssueAll(ctx context.Context, targets []model.Target, id *model.Identity) (model.Credential, error) {
	c, err := s.get(ctx, targets, id)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential exec: %s: %w", s.program.command[0], err)
	}
	return c, nil
}

func (s *source) get(ctx context.Context, targets []model.Target, id *model.Identity) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, targets...); err != nil {
		return model.Credential{}, err
	}
	q := question{Version: protocol}
	for _, t := range targets {
		q.Targets = append(q.Targets, targetOf(t))
	}
	if id != nil {
		q.Publisher = &publisher{Issuer: id.Issuer, Provider: id.Provider}
	}
	out, err := s.program.run(ctx, "get", q)
	if err != nil {
		return model.Credential{}, err
	}
	a, err := parse(out)
	if err != nil {
		return model.Credential{}, err
	}
	c, err := a.credential(s.now())
	if err != nil || a.ID == "" {
		return c, err
	}
	q.ID = a.ID
	c.Revoke = func(ctx context.Context) error {
		if _, err := s.program.run(ctx, "erase", q); err != nil {
			return fmt.Errorf("credential exec: %s: %w", s.program.command[0], err)
		}
		return nil
	}
	return c, nil
}

// check refuses a program that others than its owner can replace, and one that can't be run.
func (p *program) check() error {
	info, err := os.Stat(p.command[0])
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is no program: expected a file with the right to run it", p.command[0])
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s has the rights %s, expected that its owner alone can write it: chmod go-w", p.command[0], info.Mode().Perm())
	}
	return nil
}
