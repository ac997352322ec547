package provider

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

//go:embed data/*.yaml
var files embed.FS

// embedded loads each embedded file at its first use, since most programs need one or two. They are part of the program and tests
// load them all, so a broken one is a defect.
var embedded = sync.OnceValue(func() map[string]func() *Provider {
	entries, err := files.ReadDir("data")
	if err != nil {
		panic("provider: " + err.Error())
	}
	providers := make(map[string]func() *Provider, len(entries))
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), ".yaml")
		providers[name] = sync.OnceValue(func() *Provider {
			p, err := loadEmbedded(name)
			if err != nil {
				panic("provider: " + err.Error())
			}
			return p
		})
	}
	return providers
})

func loadEmbedded(name string) (*Provider, error) {
	file := "data/" + name + ".yaml"
	data, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if p.Name != name {
		return nil, fmt.Errorf("%s: its name is %q, expected that of the file", file, p.Name)
	}
	return p, nil
}

// Get finds a provider by its name.
func Get(name string) (*Provider, bool) {
	load, ok := embedded()[name]
	if !ok {
		return nil, false
	}
	return load(), true
}

// Names lists the providers in alphabetical order.
func Names() []string {
	return slices.Sorted(maps.Keys(embedded()))
}

// Load reads one provider from YAML, strictly: unknown fields, names that nothing declares and contradictions are errors.
func Load(data []byte) (*Provider, error) {
	var p Provider
	if err := yaml.Load(data, &p, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return nil, err
	}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	return &p, nil
}

// prepare fills in what follows from the rest and checks all of it.
func (p *Provider) prepare() error {
	for name, c := range p.Claims {
		if c == nil {
			return fmt.Errorf("claims.%s is empty, expected at least its kind", name)
		}
		if !slices.Contains([]Kind{String, BoolString, Bool, Number, List, Object}, c.Kind) {
			return fmt.Errorf("claims.%s.kind is %q, expected string, bool_string, bool, number, list or object", name, c.Kind)
		}
		if c.Kind != String && (c.After != "" || c.Template) {
			return fmt.Errorf("claims.%s is a %s, and after and template are for strings", name, c.Kind)
		}
		if len(c.Path) == 0 {
			c.Path = []string{name}
		}
	}
	if err := p.Issuer.compile(); err != nil {
		return err
	}
	return errors.Join(p.checkNames(), p.prepareFields(), p.checkRun(), p.checkSample(), p.Docs.check())
}

// checkNames checks what stands alone.
func (p *Provider) checkNames() error {
	switch {
	case p.Name == "" || p.Title == "" || p.Source == "":
		return errors.New("name, title and source must be given")
	case p.Issuer.Default == "" && len(p.Issuer.Forms) == 0:
		return errors.New("issuer must have a default or forms")
	case !slices.Contains([]Presence{Always, Sometimes, Never}, p.JTI):
		return fmt.Errorf("jti is %q, expected always, sometimes or never", p.JTI)
	case p.JTI == Always && !slices.Contains(p.Required, "jti"):
		return errors.New("jti is always there, so required must list it")
	}
	if p.Issuer.Default != "" {
		if _, err := canonicalURL(p.Issuer.Default); err != nil {
			return fmt.Errorf("issuer.default: %w", err)
		}
	}
	return nil
}

// prepareFields checks the publisher fields and indexes them.
func (p *Provider) prepareFields() error {
	if len(p.Fields) == 0 {
		return errors.New("publisher has no fields")
	}
	p.fields = make(map[string]*Field, len(p.Fields))
	for n, f := range p.Fields {
		if f == nil || f.Name == "" {
			return fmt.Errorf("publisher[%d] has no name", n)
		}
		if _, twice := p.fields[f.Name]; twice || p.OpenClaims && f.Name == "claims" {
			return fmt.Errorf("publisher field %s is there twice", f.Name)
		}
		p.fields[f.Name] = f
		if err := p.prepareField(f); err != nil {
			return fmt.Errorf("publisher field %s: %w", f.Name, err)
		}
	}
	return nil
}

func (p *Provider) prepareField(f *Field) error {
	for _, s := range []Subject{f.Stable, f.Names} {
		if s != "" && s != Repository && s != Owner {
			return fmt.Errorf("stable and names are %q, expected repository or owner", s)
		}
	}
	gates := []Gate{GateEnvironment, GateRef, GateProtectedRef, GateProtectedEnvironment}
	if f.Gate != "" && (!slices.Contains(gates, f.Gate) || f.Equals != nil) {
		return fmt.Errorf("gate is %q, expected one of %v, on a field with a claim", f.Gate, gates)
	}
	f.Kind = String
	if f.Equals == nil {
		c, known := p.Claims[f.Claim]
		switch {
		case !known:
			return fmt.Errorf("claim %q is not among claims", f.Claim)
		case c.Kind == List || c.Kind == Object:
			return fmt.Errorf("claim %q is a %s, which a field cannot compare", f.Claim, c.Kind)
		case f.Glob && (f.Stable != "" || c.Kind != String):
			return errors.New("globs are for names, not for ids or other kinds")
		case f.Stable != "" && !slices.Contains(p.Required, f.Claim):
			return fmt.Errorf("claim %q is a stable id, so required must list it", f.Claim)
		case len(f.EqualClaims) > 0:
			return errors.New("equal_claims needs equals")
		}
		f.Kind = c.Kind
	} else if f.Claim != "" || f.Glob || f.Stable != "" || f.Names != "" || len(f.EqualClaims) == 0 {
		return errors.New("a field with equals has equal_claims, and no claim, glob, stable or names")
	}
	names := slices.Clone(f.EqualClaims)
	if f.Replaces != "" {
		names = append(names, f.Replaces)
	}
	if f.Equals != nil {
		for _, one := range f.Equals.parts {
			if one.name != "" && one.name != valuePlaceholder && one.name != addressPlaceholder {
				names = append(names, one.name)
			}
		}
	}
	return p.declaredStrings(names)
}

// declaredStrings checks that names are declared claims that have a text.
func (p *Provider) declaredStrings(names []string) error {
	for _, name := range names {
		if c, known := p.Claims[name]; !known || c.Kind == List || c.Kind == Object {
			return fmt.Errorf("%q is no claim with a text", name)
		}
	}
	return nil
}

// checkRun checks the names in required, trigger, tag and run.
func (p *Provider) checkRun() error {
	for _, name := range p.Required {
		if _, known := p.Claims[name]; !known {
			return fmt.Errorf("required: %q is not among claims", name)
		}
	}
	if p.RunID != "" {
		if err := p.declaredStrings([]string{p.RunID}); err != nil {
			return fmt.Errorf("run_id: %w", err)
		}
	}
	if err := p.declaredStrings(p.Run); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if t := p.Trigger; t != nil {
		if err := p.declaredStrings([]string{t.Claim}); err != nil {
			return fmt.Errorf("trigger.claim: %w", err)
		}
		for _, event := range t.Allowed {
			if !slices.Contains(t.Known, event) {
				return fmt.Errorf("trigger.allowed: %q is not among known", event)
			}
		}
	}
	if t := p.Tag; t != nil {
		names := []string{t.Claim}
		for name := range t.Where {
			names = append(names, name)
		}
		if err := p.declaredStrings(names); err != nil {
			return fmt.Errorf("tag: %w", err)
		}
	}
	return nil
}

// checkSample checks that the sample has every required claim and that what is declared is of its kind.
func (p *Provider) checkSample() error {
	sample, ok := normal(p.Sample).(map[string]any)
	if !ok || len(sample) == 0 {
		return errors.New("sample must be given")
	}
	p.Sample = sample
	if name, problem, missing := p.Missing(sample); missing {
		return fmt.Errorf("sample: the required claim %s is %s", name, strings.TrimSpace("absent "+problem))
	}
	for name, c := range p.Claims {
		if v, there := p.Value(sample, name); there && !c.Kind.Is(v) {
			return fmt.Errorf("sample: claim %s is not a %s", name, c.Kind)
		}
	}
	return nil
}
