package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// grant is what a policy covers of one registry, its names in the form of the registry's ecosystem.
type grant struct {
	registry  string
	ecosystem string
	packages  []string
	globs     []*glob
	templates []*template
	// any is true for a bare "*".
	any bool
}

// names is true where the grant names the package exactly.
func (g *grant) names(pkg string) bool {
	for _, name := range g.packages {
		if name == pkg {
			return true
		}
	}
	return false
}

// covers is true where the grant covers the package for a run with these claims.
func (g *grant) covers(pkg string, prov *provider.Provider, claims map[string]any) bool {
	if g.any || g.names(pkg) {
		return true
	}
	for _, one := range g.globs {
		if one.match(pkg) {
			return true
		}
	}
	for _, one := range g.templates {
		if one.match(pkg, g.ecosystem, prov, claims) {
			return true
		}
	}
	return false
}

// patterns is true where the grant covers packages that it does not name.
func (g *grant) patterns() bool { return g.any || len(g.globs) > 0 || len(g.templates) > 0 }

// patternGlobs are the patterns of what the grant covers beyond its names, those of templates included.
func (g *grant) patternGlobs() []*glob {
	if len(g.templates) == 0 {
		return g.globs
	}
	list := slices.Clone(g.globs)
	for _, t := range g.templates {
		list = append(list, t.glob)
	}
	return list
}

// shown shows what a grant covers, templates filled in with the claims.
func (g *grant) shown(prov *provider.Provider, claims map[string]any) string {
	list := slices.Clone(g.packages)
	for _, one := range g.globs {
		list = append(list, one.pattern)
	}
	for _, one := range g.templates {
		name, ok := one.expand(g.ecosystem, prov, claims)
		if !ok {
			name = one.text
		}
		list = append(list, name)
	}
	if g.any {
		list = append(list, "*")
	}
	return oneOf(list)
}

// grant finds the grant for a registry.
func (p *Policy) grant(registry string) *grant {
	for i := range p.grants {
		if p.grants[i].registry == registry {
			return &p.grants[i]
		}
	}
	return nil
}

// template is a package name that is made of claims of the run: literal text and {claims.NAME}.
type template struct {
	text  string
	parts []templatePart
	// glob is what the template can give at most, whatever the claims: a "*" in the place of each.
	glob *glob
}

// templatePart is literal text, or the name of a claim.
type templatePart struct{ literal, claim string }

// The ends of a claim's place in a template.
const (
	templateOpen  = "{claims."
	templateClose = "}"
)

func isTemplate(s string) bool { return strings.ContainsAny(s, "{}") }

// newTemplate compiles a template for one ecosystem. Claims that whoever starts a run can choose are refused, since the run
// would name its own packages.
func newTemplate(text, ecosystem string, prov *provider.Provider) (*template, error) {
	t := &template{text: text}
	var pattern strings.Builder
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, templateOpen)
		if strings.ContainsAny(literal, "{}*") {
			return nil, fmt.Errorf("%q is not a template: write {claims.NAME} for a claim, and no %q beside it", text, "*")
		}
		if literal != "" {
			t.parts = append(t.parts, templatePart{literal: literal})
			pattern.WriteString(literal)
		}
		if !found {
			break
		}
		claim, behind, closed := strings.Cut(after, templateClose)
		if c, known := prov.Claims[claim]; !closed || !known || !c.Template {
			return nil, fmt.Errorf("%q: packages cannot be named after the claim %q, %s", text, clip(claim), templateClaims(prov))
		}
		t.parts = append(t.parts, templatePart{claim: claim})
		pattern.WriteString("*")
		rest = behind
	}
	canonical, err := normalizeGlob(ecosystem, pattern.String())
	if err != nil {
		return nil, fmt.Errorf("%q is not a template of package names of the ecosystem %s", text, ecosystem)
	}
	if t.glob, err = newGlob(canonical); err != nil {
		return nil, errors.New("two claims stand side by side, so that one name could be made in two ways; write text between them")
	}
	return t, nil
}

// templateClaims says which claims a template may hold.
func templateClaims(prov *provider.Provider) string {
	var list []string
	for name, c := range prov.Claims {
		if c.Template {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return "nor after any other of the provider " + prov.Name + ": none is set by the platform alone"
	}
	slices.Sort(list)
	return "expected one that the platform alone sets: " + oneOf(list)
}

// match is true where the template, filled in with a run's claims, is the package.
func (t *template) match(pkg, ecosystem string, prov *provider.Provider, claims map[string]any) bool {
	if !t.glob.match(pkg) {
		return false
	}
	name, ok := t.expand(ecosystem, prov, claims)
	return ok && name == pkg
}

// expand fills the template in. A claim that is absent or empty, that holds a separator or a "*", or that makes no name of the
// ecosystem gives no name at all.
func (t *template) expand(ecosystem string, prov *provider.Provider, claims map[string]any) (string, bool) {
	var b strings.Builder
	for _, part := range t.parts {
		b.WriteString(part.literal)
		if part.claim == "" {
			continue
		}
		text, ok := prov.Text(claims, part.claim)
		if !ok || text == "" || strings.ContainsAny(text, separators+"*{}") {
			return "", false
		}
		b.WriteString(text)
	}
	name, err := model.NormalizeName(ecosystem, b.String())
	return name, err == nil
}

// ofRepository is true where a claim of the template is the repository's, so that the run's repository names the package.
func (t *template) ofRepository(prov *provider.Provider) bool {
	return slices.ContainsFunc(t.parts, func(part templatePart) bool {
		c := prov.Claims[part.claim]
		return c != nil && slices.ContainsFunc(prov.Fields, func(f *provider.Field) bool {
			of := prov.Claims[f.Claim]
			return of != nil && (f.Names == provider.Repository || f.Stable == provider.Repository) && slices.Equal(of.Path, c.Path)
		})
	})
}

// followsRepository is true where every package of the policy is named by the run's repository.
func (p *Policy) followsRepository(prov *provider.Provider) bool {
	for i := range p.grants {
		g := &p.grants[i]
		if len(g.packages) > 0 || len(g.globs) > 0 || g.any || len(g.templates) == 0 {
			return false
		}
		for _, t := range g.templates {
			if !t.ofRepository(prov) {
				return false
			}
		}
	}
	return len(p.grants) > 0
}
