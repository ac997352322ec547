package policies

import (
	"slices"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// maxNearest bounds the policies that a denial compares to find the nearest, maxElsewhere the other registries that it
	// looks at.
	maxNearest   = 64
	maxElsewhere = 16
)

// Evaluate judges an identity and a target. One policy that grants the target is enough, and the decision names it. A target
// without a package is an exchange: what of a policy needs the package or the version is left open, and so is the action
// where none is named. Where only a pattern of a policy covers the package, the decision may be an allow that asks for more:
// Exists. A name that only a pattern covers, and that some registry takes for a package that another policy names, is refused, and
// so is a file whose name could be that of another package, which another policy names. A denial names the nearest policy and the
// first field that differs.
//
// The target's names are expected in the canonical form of its ecosystem; any other spelling matches nothing.
func (s *Set) Evaluate(id *Identity, target Target) Decision {
	if id == nil {
		return denied()
	}
	f := facts{id: id, target: target, clock: s.env.now}
	if p, exists := s.granting(&f); p != nil {
		if name, like := s.index.likeness(target); like != nil && target.Action != model.ActionRead {
			return Decision{
				Code: model.CodeNoMatchingPolicy, Policy: like.policies[0].Name, Field: "package", Got: target.Package, Want: name,
				Hint: "some registries take the two spellings for one package: name this one in a policy of its own, where both are meant",
			}
		}
		if name, rival := s.index.rival(target, p); rival != nil {
			return Decision{
				Code: model.CodeNoMatchingPolicy, Policy: rival.Name, Field: "file", Got: target.File, Want: "one that could not be of " + name,
				Hint: "this file could be one of another package, which another policy names: choose another version or platform, or name both packages in one policy",
			}
		}
		return Decision{Allow: true, Policy: p.Name, Exists: exists}
	}
	return s.denial(&f)
}

// granting finds a policy that grants the target, one that also grants a first publish where there is such a one.
func (s *Set) granting(f *facts) (found *Policy, exists bool) {
	scope := s.index.scopes[scopeKey{f.target.Registry, f.id.Issuer}]
	if scope == nil {
		return nil, false
	}
	scope.each(f.id.Claims, func(b *bucket) bool {
		return b.each(f.target.Package, func(p *Policy) bool {
			if !p.allows(f) {
				return true
			}
			needs := !f.open() && p.testNew(f) == open
			if found == nil || !needs {
				found, exists = p, needs
			}
			return exists
		})
	})
	return found, exists
}

// denied is a denial that tells nothing.
func denied() Decision {
	return Decision{Code: model.CodeNoMatchingPolicy, Hint: model.CodeNoMatchingPolicy.Info().Hint}
}

// denial names the policy with the fewest fields that differ, and the first of them. Between equals, one that the token
// may be told about goes first, then the order of the files.
func (s *Set) denial(f *facts) Decision {
	var nearest *Policy
	var at, fewest int
	var reveal bool
	for _, p := range s.candidates(f) {
		first, count := p.distance(f)
		mine := p.reveals(f)
		if nearest == nil || count < fewest || count == fewest && mine && !reveal {
			nearest, at, fewest, reveal = p, first, count, mine
		}
	}
	d := denied()
	if nearest == nil {
		d.Field, d.Got = checkNothing(f)
		return d
	}
	c := nearest.check(at, f)
	d.Policy, d.Field, d.Got, d.Want, d.Reveal = nearest.Name, c.Field, c.Got, c.Want, reveal
	if reveal && c.Hint != "" {
		d.Hint = c.Hint
	}
	return d
}

// checkNothing names what no policy knows.
func checkNothing(f *facts) (field, got string) {
	if f.open() {
		return "registry", f.target.Registry
	}
	return "package", f.target.Package
}

// distance counts the checks that differ and finds the first. An expression is only evaluated where all else holds.
func (p *Policy) distance(f *facts) (first, count int) {
	last := p.checks() - 1
	for i := range last {
		if p.test(i, f) == differs {
			if count == 0 {
				first = i
			}
			count++
		}
	}
	if count == 0 {
		// Only the condition is left, or something changed between two questions; the condition is then what to look at.
		return last, 1
	}
	return first, count
}

// reveals is true where a token may be told what the policy wants: it is of the policy's issuer and of its owner id. A
// policy that names no owner id reveals itself to runs of the repository id that it names, one without ids to nobody.
func (p *Policy) reveals(f *facts) bool {
	if p.issuer.Name != f.id.Issuer {
		return false
	}
	m := p.owner()
	return m != nil && m.holds(p.provider, f.id.Claims)
}

// candidates are the policies among which a denial looks for the nearest: those that name the package, those of the same
// publisher, and, where there are none, those of the same publisher for other registries.
func (s *Set) candidates(f *facts) []*Policy {
	var list []*Policy
	gather := func(limit int) func(*Policy) bool {
		return func(p *Policy) bool {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
			limit--
			return limit > 0
		}
	}
	pkg, registry := f.target.Package, f.target.Registry
	s.publishers(f, registry, pkg, gather(maxNearest))
	if pkg != "" {
		if o := s.index.named[registry][pkg]; o != nil {
			visitAll(o.policies, gather(maxNearest))
		}
		if globs := s.index.globs[registry]; globs != nil {
			globs.each(pkg, gather(maxNearest))
		}
		s.publishers(f, registry, "", gather(maxNearest))
	}
	if len(list) > 0 {
		return list
	}
	for i, other := range s.registries {
		if i >= maxElsewhere {
			break
		}
		if other != registry {
			s.publishers(f, other, "", gather(maxNearest))
		}
	}
	return list
}

// publishers visits the policies of the identity's publisher for one registry.
func (s *Set) publishers(f *facts, registry, pkg string, visit func(*Policy) bool) {
	scope := s.index.scopes[scopeKey{registry, f.id.Issuer}]
	if scope == nil {
		return
	}
	scope.each(f.id.Claims, func(b *bucket) bool { return b.each(pkg, visit) })
}

func visitAll(list []*Policy, visit func(*Policy) bool) {
	for _, p := range list {
		if !visit(p) {
			return
		}
	}
}

// Protected is true where some policy claims the package exclusively; expired policies and those of a disabled issuer claim
// it too. A name that the registry's ecosystem does not accept, and a registry that is unknown, count as protected.
func (s *Set) Protected(registry, pkg string) bool {
	ecosystem, _ := s.env.ecosystem(registry)
	canonical, err := model.NormalizeName(ecosystem, pkg)
	if err != nil {
		return true
	}
	if o := s.index.named[registry][canonical]; o != nil && o.exclusive {
		return true
	}
	if _, like := s.index.likeness(Target{Ecosystem: ecosystem, Registry: registry, Package: canonical}); like != nil && like.exclusive {
		return true
	}
	globs := s.index.globs[registry]
	if globs == nil {
		return false
	}
	return !globs.each(canonical, func(p *Policy) bool { return !p.exclusive })
}
