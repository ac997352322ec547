package policies

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// Bounds are what the policy files of one path can grant at most, whoever edits them: a policy beyond them does not load. What
// is left empty is not bounded.
type Bounds struct {
	// Path is a file, a directory or a glob, spelled like one of the configured paths: what it names is bounded, and all below.
	Path string `json:"path"`
	// Registries are the names that policies may be for.
	Registries []string `json:"registries,omitempty"`
	// Packages are names and patterns; a policy's name, pattern or template must lie within one of them.
	Packages []string `json:"packages,omitempty"`
	// Actions are what may be granted.
	Actions []string `json:"actions,omitempty"`
	// Issuers are the names of issuers that publishers may be of.
	Issuers []string `json:"issuers,omitempty"`
	// Publisher maps fields of a publisher to the values that they may have; every policy must have each of these fields.
	Publisher map[string][]string `json:"publisher,omitempty"`
}

// bound is a Bounds prepared for comparing.
type bound struct {
	Bounds

	abs string
	// packages has the patterns by ecosystem, each spelled in its way.
	packages map[string]*grant
}

// prepareBounds prepares all bounds of an Env.
func (e *environment) prepareBounds() error {
	for _, b := range e.env.Bounds {
		one, err := e.bound(b)
		if err != nil {
			return fmt.Errorf("bounds of %s: %w", b.Path, err)
		}
		e.bounds = append(e.bounds, one)
	}
	return nil
}

func (e *environment) bound(b Bounds) (*bound, error) {
	if b.Path == "" || len(b.Registries)+len(b.Packages)+len(b.Actions)+len(b.Issuers)+len(b.Publisher) == 0 {
		return nil, errors.New("nothing is bounded; name a path, and registry, packages, actions, issuer or a field of publishers")
	}
	for _, name := range b.Registries {
		if _, known := e.ecosystem(name); !known {
			return nil, fmt.Errorf("registry %q is not configured%s", clip(name), suggest(name, e.registryNames()))
		}
	}
	for _, word := range b.Actions {
		if actionBit(Action(word)) == 0 {
			return nil, fmt.Errorf("action %q is unknown", clip(word))
		}
	}
	for _, name := range b.Issuers {
		if _, known := e.issuers[name]; !known && !e.env.AnyIssuer {
			return nil, fmt.Errorf("issuer %q is not configured%s", clip(name), suggest(name, slices.Sorted(maps.Keys(e.issuers))))
		}
	}
	if err := e.boundPublisher(&b); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(b.Path)
	if err != nil {
		return nil, err
	}
	packages, err := e.boundPackages(b.Packages)
	if err != nil {
		return nil, err
	}
	return &bound{Bounds: b, abs: abs, packages: packages}, nil
}

// boundPublisher checks that the bounds on publishers mean something, and one thing only: an id is unique within one issuer,
// so issuers that share the fields need to be named.
func (e *environment) boundPublisher(b *Bounds) error {
	if len(b.Publisher) == 0 {
		return nil
	}
	for name, values := range b.Publisher {
		globs := slices.ContainsFunc(provider.Names(), func(kind string) bool {
			f, known := boundField(kind, name)
			return known && f != nil && f.Glob
		})
		for _, v := range values {
			if _, err := newGlob(v); v == "" || isGlob(v) && (!globs || err != nil) {
				return fmt.Errorf("%s is %q, expected an exact value", name, clip(v))
			}
		}
		if len(values) == 0 {
			return fmt.Errorf("%s has no value", name)
		}
	}
	var able []string
	for name, is := range e.issuers {
		if slices.Contains(b.Issuers, name) || len(b.Issuers) == 0 {
			if hasFields(is.Provider, b.Publisher) {
				able = append(able, name)
			}
		}
	}
	slices.Sort(able)
	fields := slices.Sorted(maps.Keys(b.Publisher))
	switch {
	case len(able) == 0 && !e.env.AnyIssuer:
		return fmt.Errorf("publishers of no configured issuer have %s", strings.Join(fields, " and "))
	case len(able) > 1 && len(b.Issuers) == 0:
		return fmt.Errorf("publishers of the issuers %s can have %s, and an id is unique within one issuer only; add issuer and the one that is meant",
			strings.Join(able, " and "), strings.Join(fields, " and "))
	}
	return nil
}

// boundField finds a field of a provider's publishers; nil and true for a claim by its own name where there are such.
func boundField(kind, name string) (f *provider.Field, known bool) {
	p, ok := provider.Get(kind)
	if !ok {
		return nil, false
	}
	if f, known = p.Field(name); known {
		return f, true
	}
	return nil, p.OpenClaims && strings.HasPrefix(name, openClaims+".")
}

func hasFields(kind string, fields map[string][]string) bool {
	for name := range fields {
		if _, known := boundField(kind, name); !known {
			return false
		}
	}
	return true
}

// boundPackages spells the patterns in the way of each ecosystem; one that no ecosystem takes is an error.
func (e *environment) boundPackages(patterns []string) (map[string]*grant, error) {
	packages := map[string]*grant{}
	ecosystems := slices.Collect(maps.Values(e.env.Registries))
	if e.env.AnyRegistry != "" {
		ecosystems = append(ecosystems, e.env.AnyRegistry)
	}
	slices.Sort(ecosystems)
	ecosystems = slices.Compact(ecosystems)
	for _, pattern := range patterns {
		var taken bool
		var last error
		for _, ecosystem := range ecosystems {
			g := packages[ecosystem]
			if g == nil {
				g = &grant{ecosystem: ecosystem}
				packages[ecosystem] = g
			}
			if err := g.bound(pattern); err != nil {
				last = err
				continue
			}
			taken = true
		}
		if !taken {
			return nil, fmt.Errorf("packages: %w", last)
		}
	}
	return packages, nil
}

// bound enters a pattern of bounds.
func (g *grant) bound(pattern string) error {
	if !isGlob(pattern) {
		name, err := model.NormalizeName(g.ecosystem, pattern)
		g.packages = append(g.packages, name)
		return err
	}
	canonical, err := normalizeGlob(g.ecosystem, pattern)
	if err != nil {
		return err
	}
	one, err := newGlob(canonical)
	g.any = g.any || canonical == "*"
	g.globs = append(g.globs, one)
	return err
}

// within is true where all that a policy's entry covers lies within the bounds. A pattern lies within another if that matches
// its text: a star of the outer one then stands for each of the inner's, and for nothing that the inner's cannot be.
func (g *grant) within(p Package) bool {
	text := p.Pattern
	if p.Template {
		text = p.Covers
	}
	switch {
	case g.any:
		return true
	case p.Any:
		return false
	case !p.Glob && !p.Template && g.names(text):
		return true
	}
	return slices.ContainsFunc(g.globs, func(outer *glob) bool { return outer.match(text) })
}

// covers is true where a file is what the bounds' path names, or below it.
func (b *bound) covers(file string) bool {
	abs, err := filepath.Abs(file)
	if err != nil {
		return true
	}
	for at := abs; ; at = filepath.Dir(at) {
		if at == b.abs {
			return true
		}
		if matched, err := filepath.Match(b.abs, at); err == nil && matched {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

// boundsOf finds the bounds of a file.
func (e *environment) boundsOf(file string) []*bound {
	var list []*bound
	for _, b := range e.bounds {
		if b.covers(file) {
			list = append(list, b)
		}
	}
	return list
}

// within refuses a policy that grants more than its file's bounds.
func (c *compiler) within(p *Policy) {
	for _, b := range c.bounds {
		c.withinGrants(p, b)
		for _, a := range p.Actions() {
			if len(b.Actions) > 0 && !slices.Contains(b.Actions, string(a)) {
				c.beyond(p, "actions", b, p.At("actions"), fmt.Sprintf("action %q", a), "actions "+strings.Join(b.Actions, " "))
			}
		}
		if len(b.Issuers) > 0 && !slices.Contains(b.Issuers, p.issuer.Name) {
			at := p.At("issuer")
			if at.Line == 0 {
				at = p.At("publisher")
			}
			c.beyond(p, "issuer", b, at, fmt.Sprintf("issuer %q", p.issuer.Name), "issuer "+strings.Join(b.Issuers, " "))
		}
		for _, name := range slices.Sorted(maps.Keys(b.Publisher)) {
			c.withinPublisher(p, b, name, b.Publisher[name])
		}
	}
}

func (c *compiler) withinGrants(p *Policy, b *bound) {
	for _, g := range p.Grants() {
		if len(b.Registries) > 0 && !slices.Contains(b.Registries, g.Registry) {
			c.beyond(p, "registry", b, g.Position, fmt.Sprintf("registry %q", g.Registry), "registry "+strings.Join(b.Registries, " "))
		}
		if len(b.Packages) == 0 {
			continue
		}
		outer := b.packages[g.Ecosystem]
		for i, one := range g.Packages {
			if outer == nil || !outer.within(one) {
				c.beyond(p, fmt.Sprintf("packages[%d]", i), b, one.Position, fmt.Sprintf("package %q", one.Pattern), "packages "+strings.Join(b.Packages, " "))
			}
		}
	}
}

// withinPublisher asks that a publisher has a field, with values that the bounds have too.
func (c *compiler) withinPublisher(p *Policy, b *bound, name string, values []string) {
	field := "publisher." + p.provider.Name + "." + name
	want := name + " " + strings.Join(values, " ")
	at := slices.IndexFunc(p.matches, func(m match) bool { return m.name == name })
	if at < 0 {
		c.beyond(p, field, b, p.At("publisher"), "a publisher without "+name, want)
		return
	}
	for _, v := range p.matches[at].values {
		if !slices.ContainsFunc(values, func(outer string) bool { return outer == v.text || withinGlob(outer, v.text) }) {
			c.beyond(p, field, b, v.at.position(), fmt.Sprintf("%s %q", name, v.text), want)
		}
	}
}

// withinGlob is true where an outer pattern covers a value, or all that a pattern covers.
func withinGlob(outer, text string) bool {
	if !isGlob(outer) {
		return false
	}
	one, err := newGlob(outer)
	return err == nil && one.match(text)
}

// beyond notes what lies outside of the bounds.
func (c *compiler) beyond(p *Policy, field string, b *bound, at Position, got, want string) {
	if at.Line == 0 {
		at = p.At("")
	}
	c.failAt(at.Line, at.Column, c.at(field), "%s is beyond the bounds of %s (%s); change the policy, or have the bounds changed in the gateway's configuration",
		got, b.Path, clip(want))
}
