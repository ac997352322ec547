package lint

import (
	"strings"

	"github.com/trustpub/trustpub/policies"
)

// byPackage finds policies by what they cover, so that no rule compares each with each.
type byPackage struct {
	policies []*policy
	// exact has the policies by registry and name, globs by registry and the text before a pattern's first star. Within, they
	// are by the value that tells most about the publisher.
	exact, globs map[string]map[string][]entry
}

// entry is a policy and one pattern of it.
type entry struct {
	index int
	pkg   policies.Package
}

func newByPackage(all []*policy) *byPackage {
	idx := &byPackage{policies: all, exact: map[string]map[string][]entry{}, globs: map[string]map[string][]entry{}}
	for i, one := range all {
		identity := one.identity()
		for _, g := range one.grants {
			for _, pkg := range g.Packages {
				into, key := idx.exact, g.Registry+"\x00"+pkg.Pattern
				if pkg.Glob || pkg.Template {
					into, key = idx.globs, g.Registry+"\x00"+head(shape(pkg))
				}
				if into[key] == nil {
					into[key] = map[string][]entry{}
				}
				into[key][identity] = append(into[key][identity], entry{i, pkg})
			}
		}
	}
	return idx
}

// shape is a name, a pattern, or the pattern that a template's names have.
func shape(pkg policies.Package) string {
	if pkg.Template {
		return pkg.Covers
	}
	return pkg.Pattern
}

// head is a pattern's text before its first star.
func head(pattern string) string {
	before, _, _ := strings.Cut(pattern, "*")
	return before
}

// identity is the field and value that few policies share: an id or name of the repository, else of the owner, else any; empty
// where all are patterns.
func (in *policy) identity() string {
	best, key := 0, ""
	for i := range in.fields {
		f := &in.fields[i]
		if len(f.Values) != 1 || f.Values[0].Glob {
			continue
		}
		rank := 1
		switch {
		case f.Stable == "repository":
			rank = 5
		case f.Names == "repository":
			rank = 4
		case f.Stable == "owner":
			rank = 3
		case f.Names == "owner":
			rank = 2
		}
		if rank > best {
			best, key = rank, f.Name+"="+f.Values[0].Text
		}
	}
	return key
}

// coverers are the policies that may cover all that one covers, by their index: those that cover its first package and whose
// telling value it has too.
func (idx *byPackage) coverers(in *policy) []int {
	if len(in.grants) == 0 || len(in.grants[0].Packages) == 0 {
		return nil
	}
	identities := []string{""}
	for i := range in.fields {
		for _, v := range in.fields[i].Values {
			identities = append(identities, in.fields[i].Name+"="+v.Text)
		}
	}
	var found []int
	add := func(by map[string][]entry) {
		for _, identity := range identities {
			for _, e := range by[identity] {
				found = append(found, e.index)
			}
		}
	}
	first := in.grants[0].Packages[0]
	if !first.Glob && !first.Template {
		add(idx.exact[in.grants[0].Registry+"\x00"+first.Pattern])
	}
	idx.heads(in.grants[0].Registry, head(shape(first)), add)
	return found
}

// heads visits the patterns whose text before the star is a beginning of a text.
func (idx *byPackage) heads(registry, text string, visit func(map[string][]entry)) {
	key := registry + "\x00" + text
	for n := len(registry) + 1; n <= len(key); n++ {
		if by, ok := idx.globs[key[:n]]; ok {
			visit(by)
		}
	}
}

// owner says to whom a publisher belongs.
type owner struct {
	issuer, id, name string
}

func (in *policy) owner() owner {
	o := owner{issuer: in.Issuer().Name}
	for i := range in.fields {
		f := &in.fields[i]
		if len(f.Values) != 1 || f.Values[0].Glob && f.Names != "repository" {
			continue
		}
		switch text := f.Values[0].Text; {
		case f.Stable == "owner":
			o.id = text
		case f.Names == "owner":
			o.name = text
		case f.Names == "repository" && o.name == "" && f.Claim != "sub":
			first, _, nested := strings.Cut(text, "/")
			if nested && !strings.Contains(first, "*") {
				o.name = first
			}
		}
	}
	return o
}

// differs is true where two owners are surely not one.
func (o owner) differs(other owner) bool {
	switch {
	case o.issuer != other.issuer:
		return true
	case o.id != "" && other.id != "":
		return o.id != other.id
	case o.name != "" && other.name != "":
		return o.name != other.name
	}
	return false
}

// overlappingOwners reports each policy once that shares a package with an earlier one of another owner.
func overlappingOwners(p *pass) {
	idx := newByPackage(p.policies)
	owners := make([]owner, len(p.policies))
	for i, one := range p.policies {
		owners[i] = one.owner()
	}
	reported := map[int]bool{}
	report := func(later, earlier int, pkg policies.Package) {
		if later < earlier {
			later, earlier = earlier, later
			pkg = policies.Package{Pattern: pkg.Pattern}
		}
		if reported[later] {
			return
		}
		reported[later] = true
		in, other := p.policies[later], p.policies[earlier]
		at := pkg.Position
		if at.Line == 0 {
			at = in.At("packages")
		}
		p.report(in, at, "", "package %q is also published by another owner, with policy %s (%s:%d)", pkg.Pattern, other.Name, other.File, other.Line)
	}
	firsts := map[string]int{}
	for i, one := range p.policies {
		for _, g := range one.grants {
			for _, pkg := range g.Packages {
				if everything(pkg) {
					continue
				}
				if !pkg.Glob && !pkg.Template {
					key := g.Registry + "\x00" + pkg.Pattern
					if first, seen := firsts[key]; !seen {
						firsts[key] = i
					} else if owners[first].differs(owners[i]) {
						report(i, first, pkg)
					}
				}
				idx.heads(g.Registry, head(shape(pkg)), func(by map[string][]entry) {
					for _, list := range by {
						for _, e := range list {
							if !everything(e.pkg) && e.index != i && owners[e.index].differs(owners[i]) && meet(pkg, e.pkg) {
								report(i, e.index, pkg)
							}
						}
					}
				})
			}
		}
	}
}

// everything is true for an entry that covers any name, for which any_package has a word; a template of nothing but a claim
// covers each publisher's own.
func everything(pkg policies.Package) bool {
	return pkg.Any || (pkg.Glob || pkg.Template) && !telling(shape(pkg))
}

// meet is true where a pattern and a name or another pattern have a name in common; the pattern's head is a beginning of the
// other's. For patterns of several stars it may be true where only their ends agree.
func meet(one, pattern policies.Package) bool {
	x, y := shape(one), shape(pattern)
	if !one.Glob && !one.Template {
		return covers(y, x)
	}
	count := func(s string) int { return strings.Count(s, "/") + strings.Count(s, ":") }
	a, b := x[strings.LastIndexByte(x, '*')+1:], y[strings.LastIndexByte(y, '*')+1:]
	return count(x) == count(y) && (strings.HasSuffix(a, b) || strings.HasSuffix(b, a))
}
