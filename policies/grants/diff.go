// Package grants compares two sets of policies by what they grant: which publisher may do what with which package. It is
// sound: where it says that nothing widens, no run and no target is allowed by the new set that the old one refused. Where
// it cannot tell (conditions in CEL, names made of claims), it counts a difference as widening.
package grants

import (
	"slices"
	"strings"

	"github.com/trustpub/trustpub/policies"
)

// Kind is what happens to a grant.
type Kind string

// The kinds. Appears, Widens and Opens let something through that the old set refused.
const (
	Appears  Kind = "appears"
	Widens   Kind = "widens"
	Opens    Kind = "opens"
	Narrows  Kind = "narrows"
	Vanishes Kind = "vanishes"
)

// Change is one difference.
type Change struct {
	Kind Kind `json:"kind"`
	// Policy is the new policy, or the old one of a grant that narrows or vanishes; File and Line say where it is.
	Policy string `json:"policy"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	// Publisher is the publisher in words, Registry and Package what it may act on, Actions how.
	Publisher string            `json:"publisher"`
	Registry  string            `json:"registry"`
	Package   string            `json:"package"`
	Actions   []policies.Action `json:"actions"`
	// Why says what changed, from old to new; empty for a grant that appears or vanishes whole.
	Why []string `json:"why,omitempty"`
}

// Report is the difference of two sets.
type Report struct {
	Changes []Change `json:"changes"`
	// Widening is true where something may be allowed that was not; Old and New are the numbers of policies.
	Widening bool `json:"widening"`
	Old      int  `json:"old_policies"`
	New      int  `json:"new_policies"`
}

// scope is what policies that can stand for each other have in common.
type scope struct{ registry, issuer string }

// side is one of the two sets.
type side struct {
	views   []*view
	known   map[string]bool
	byScope map[scope]*cover[*view]
}

func newSide(set *policies.Set) *side {
	s := &side{known: map[string]bool{}, byScope: map[scope]*cover[*view]{}}
	for _, p := range set.Policies() {
		v := viewOf(p)
		s.views = append(s.views, v)
		s.known[v.fingerprint] = true
		for _, g := range v.grants {
			key := scope{g.Registry, v.issuer.Name}
			if s.byScope[key] == nil {
				s.byScope[key] = newCover[*view]()
			}
			for _, pkg := range g.Packages {
				s.byScope[key].put(pkg, v)
			}
		}
	}
	return s
}

// Diff compares two sets, which must have been loaded for the same gateway.
func Diff(before, after *policies.Set) Report {
	was, is := newSide(before), newSide(after)
	r := Report{Changes: []Change{}, Old: len(was.views), New: len(is.views)}
	widened := map[string]bool{}
	for _, c := range compare(is, was, Appears, Widens) {
		widened[c.Policy+"\x00"+c.Registry+"\x00"+c.Package] = true
		r.Changes = append(r.Changes, c)
	}
	r.Changes = append(r.Changes, opened(was, is)...)
	r.Widening = len(r.Changes) > 0
	for _, c := range compare(was, is, Vanishes, Narrows) {
		// A grant that moved is told once, by what it lets through now.
		if c.Kind == Vanishes || !widened[c.Policy+"\x00"+c.Registry+"\x00"+c.Package] {
			r.Changes = append(r.Changes, c)
		}
	}
	return r
}

// compare finds what one side grants and the other does not: whole grants, and more of one that the other side has too.
func compare(one, other *side, whole, more Kind) []Change {
	var changes changeList
	for _, v := range one.views {
		if other.known[v.fingerprint] {
			continue
		}
		for _, a := range v.atoms() {
			why, kind, missing := other.lacks(&a, whole, more)
			if !missing {
				continue
			}
			changes.add(Change{
				Kind: kind, Policy: v.policy.Name, File: v.policy.File, Line: v.policy.Line, Publisher: publisher(v),
				Registry: a.grant.Registry, Package: a.pkg.Pattern, Actions: []policies.Action{a.action}, Why: why,
			})
		}
	}
	return changes.list
}

// lacks is true where no policy grants all of the atom. Where the policy of the same name covers its package, the atom is
// more of that grant, and the reason says what differs.
func (s *side) lacks(a *atom, whole, more Kind) (why []string, kind Kind, missing bool) {
	kind = whole
	near := s.byScope[scope{a.grant.Registry, a.issuer.Name}]
	if near == nil {
		return nil, kind, true
	}
	for v := range near.candidates(a.pkg) {
		gaps := a.gaps(v, more == Narrows)
		if len(gaps) == 0 {
			return nil, "", false
		}
		elsewhere := slices.ContainsFunc(gaps, func(gap string) bool { return strings.HasPrefix(gap, packagesGap) })
		if v.policy.Name == a.policy.Name && !elsewhere {
			why, kind = gaps, more
		}
	}
	return why, kind, true
}

// changeList joins changes that differ in their actions and reasons only.
type changeList struct {
	list []Change
	at   map[[4]string]int
}

func (l *changeList) add(c Change) {
	key := [4]string{string(c.Kind), c.Policy, c.Registry, c.Package}
	i, there := l.at[key]
	if !there {
		if l.at == nil {
			l.at = map[[4]string]int{}
		}
		l.at[key] = len(l.list)
		l.list = append(l.list, c)
		return
	}
	have := &l.list[i]
	for _, action := range c.Actions {
		if !slices.Contains(have.Actions, action) {
			have.Actions = append(have.Actions, action)
		}
	}
	for _, why := range c.Why {
		if !slices.Contains(have.Why, why) {
			have.Why = append(have.Why, why)
		}
	}
}

// opened finds packages that no policy claims exclusively any more: in mode claimed, passwords publish them again.
func opened(was, is *side) []Change {
	claims := map[string]*cover[policies.Package]{}
	for _, v := range is.views {
		if !v.policy.Exclusive() {
			continue
		}
		for _, g := range v.grants {
			if claims[g.Registry] == nil {
				claims[g.Registry] = newCover[policies.Package]()
			}
			for _, pkg := range g.Packages {
				claims[g.Registry].put(pkg, pkg)
			}
		}
	}
	var changes []Change
	for _, v := range was.views {
		if !v.policy.Exclusive() || is.known[v.fingerprint] {
			continue
		}
		for _, g := range v.grants {
			for _, pkg := range g.Packages {
				if claimed(claims[g.Registry], pkg) {
					continue
				}
				changes = append(changes, Change{
					Kind: Opens, Policy: v.policy.Name, File: v.policy.File, Line: v.policy.Line, Publisher: "any password of the registry",
					Registry: g.Registry, Package: pkg.Pattern, Actions: []policies.Action{policies.ActionPublish},
					Why: []string{"no exclusive policy names it any more: in mode claimed, passwords publish it again"},
				})
			}
		}
	}
	return changes
}

// claimed is true where one entry covers all of the package.
func claimed(by *cover[policies.Package], pkg policies.Package) bool {
	if by == nil {
		return false
	}
	for one := range by.candidates(pkg) {
		if covers(one, pkg) {
			return true
		}
	}
	return false
}

// publisher is who a policy is for, in words.
func publisher(v *view) string {
	list := []string{v.issuer.Name}
	for _, f := range v.fields {
		list = append(list, f.Name+"="+strings.ReplaceAll(texts(f.Values), ", ", "|"))
	}
	return strings.Join(list, " ")
}
