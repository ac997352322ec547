package lint

import (
	"slices"
	"strings"

	"github.com/trustpub/trustpub/policies"
)

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

// overlappingOwners reports each policy once that shares a package with one of another owner: of a name and a pattern the
// name, of a smaller and a larger pattern the smaller one, of two that are alike the later one. A policy that only reads shares nothing.
func overlappingOwners(p *pass) {
	all := slices.DeleteFunc(slices.Clone(p.policies), (*policy).onlyReads)
	owners := make([]owner, len(all))
	for i, one := range all {
		owners[i] = one.owner()
	}
	idx := newByPackage(all, func(i int) owner { return owners[i] })
	for i, in := range all {
		if pkg, other, found := conflict(idx, in, i, owners[i]); found {
			p.report(in, pkg.Position, "", "package %q is also published by another owner, with policy %s (%s:%d)",
				pkg.Pattern, all[other].Name, all[other].File, all[other].Line)
		}
	}
}

// conflict finds a package of a policy that a policy of another owner covers too.
func conflict(idx *byPackage[owner], in *policy, i int, mine owner) (pkg policies.Package, other int, found bool) {
	for _, g := range in.grants {
		for _, pkg := range g.Packages {
			s := shapeOf(pkg)
			if everything(pkg, s) {
				continue
			}
			for near := range idx.near(g.Registry, s) {
				for _, theirs := range near.keys {
					if !mine.differs(theirs) {
						continue
					}
					for _, e := range near.by[theirs] {
						alike := isPattern(pkg) == isPattern(e.pkg) && s.head == e.head
						if alike && e.index > i {
							break // it comes later, as do those behind it
						}
						if !everything(e.pkg, e.shape) && meet(pkg, s, &e) {
							return pkg, e.index, true
						}
					}
				}
			}
		}
	}
	return policies.Package{}, 0, false
}

// everything is true for an entry that covers any name, for which any_package has a word; a template of nothing but a claim
// covers each publisher's own.
func everything(pkg policies.Package, s shape) bool {
	return pkg.Any || isPattern(pkg) && !telling(s.text)
}

// meet is true where a name or pattern and another have a name in common, of which the other's head is a beginning. For
// patterns of several stars it may be true where only their ends agree.
func meet(pkg policies.Package, s shape, e *entry) bool {
	switch {
	case !isPattern(e.pkg):
		return s.text == e.text
	case !isPattern(pkg):
		return covers(e.text, s.text)
	}
	return s.separators == e.separators && (strings.HasSuffix(s.tail, e.tail) || strings.HasSuffix(e.tail, s.tail))
}
