package policies

import (
	"fmt"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/provider"
)

// Env is what a gateway's configuration knows and policies refer to.
type Env struct {
	// Registries maps the name of each configured registry to its ecosystem.
	Registries map[string]string
	// Issuers are the configured issuers.
	Issuers []Issuer
	// AnyRegistry, where set, is the ecosystem of every registry that Registries does not name, for checking files away from
	// their gateway. A gateway leaves it empty: a policy that names an unknown registry is then an error.
	AnyRegistry string
	// AnyIssuer lets policies refer to issuers that Issuers does not name, likewise.
	AnyIssuer bool
	// Bounds limit what the files of a path can grant. Where several cover a file, it must lie within each of them.
	Bounds []Bounds
	// AnyMode takes files that their group or others can write, for checking a checkout. A gateway leaves it false.
	AnyMode bool
	// Now is the clock by which policies expire; nil: time.Now.
	Now func() time.Time `json:"-"`
}

// Issuer is a configured issuer as policies see it.
type Issuer struct {
	// Name is the issuer's configured name, Provider the kind of CI behind it.
	Name, Provider string
	// Disabled issuers verify nothing; their policies allow nothing and still claim their packages.
	Disabled bool
}

// environment is an Env prepared for compiling, shared by all files of a load.
type environment struct {
	env        Env
	now        func() time.Time
	issuers    map[string]Issuer
	byProvider map[string][]string
	bounds     []*bound
	conditions conditions
}

// newEnvironment checks and prepares an Env.
func newEnvironment(env Env) (*environment, error) {
	e := &environment{env: env, now: env.Now, issuers: map[string]Issuer{}, byProvider: map[string][]string{}}
	if e.now == nil {
		e.now = time.Now
	}
	for _, is := range env.Issuers {
		if _, ok := provider.Get(is.Provider); !ok {
			return nil, fmt.Errorf("issuer %s: provider is %q, expected one of %v", is.Name, is.Provider, provider.Names())
		}
		if _, twice := e.issuers[is.Name]; twice || is.Name == "" {
			return nil, fmt.Errorf("issuer %q: names must be unique and not empty", is.Name)
		}
		e.issuers[is.Name] = is
		e.byProvider[is.Provider] = append(e.byProvider[is.Provider], is.Name)
	}
	for _, names := range e.byProvider {
		slices.Sort(names)
	}
	return e, e.prepareBounds()
}

// ecosystem finds the ecosystem of a registry.
func (e *environment) ecosystem(registry string) (string, bool) {
	if eco, ok := e.env.Registries[registry]; ok {
		return eco, true
	}
	return e.env.AnyRegistry, e.env.AnyRegistry != ""
}

// registryNames lists the known registries, for errors.
func (e *environment) registryNames() []string {
	names := make([]string, 0, len(e.env.Registries))
	for name := range e.env.Registries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
