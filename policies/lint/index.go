package lint

import (
	"iter"
	"strings"

	"github.com/trustpub/trustpub/policies"
)

// byPackage finds policies by what they cover, grouped by something else that they have, so that no rule compares each
// policy with each.
type byPackage[K comparable] struct {
	// exact has the policies by registry and name, globs by registry and the text before a pattern's first star.
	exact, globs map[string]*groups[K]
}

// groups are entries by what they have in common; keys are in the order of the first of each.
type groups[K comparable] struct {
	keys []K
	by   map[K][]entry
}

// entry is a policy, by its index, and one name or pattern of it.
type entry struct {
	index int
	pkg   policies.Package
	shape
}

// shape is what can be told quickly of a name, of a pattern, or of the pattern that a template's names have.
type shape struct {
	text string
	// head is the text before the first star, tail the one behind the last; separators counts those of the text.
	head, tail string
	separators int
}

func shapeOf(pkg policies.Package) shape {
	s := shape{text: pkg.Pattern}
	if pkg.Template {
		s.text = pkg.Covers
	}
	s.head, _, _ = strings.Cut(s.text, "*")
	s.tail = s.text[strings.LastIndexByte(s.text, '*')+1:]
	s.separators = strings.Count(s.text, "/") + strings.Count(s.text, ":")
	return s
}

// isPattern is true for an entry of which more than one name may be meant.
func isPattern(pkg policies.Package) bool { return pkg.Glob || pkg.Template }

// newByPackage makes the index; key gives the group of a policy.
func newByPackage[K comparable](all []*policy, key func(i int) K) *byPackage[K] {
	idx := &byPackage[K]{exact: map[string]*groups[K]{}, globs: map[string]*groups[K]{}}
	for i, one := range all {
		of := key(i)
		for _, g := range one.grants {
			for _, pkg := range g.Packages {
				e := entry{i, pkg, shapeOf(pkg)}
				into, at := idx.exact, g.Registry+"\x00"+e.text
				if isPattern(pkg) {
					into, at = idx.globs, g.Registry+"\x00"+e.head
				}
				if into[at] == nil {
					into[at] = &groups[K]{by: map[K][]entry{}}
				}
				into[at].add(of, e)
			}
		}
	}
	return idx
}

func (g *groups[K]) add(key K, e entry) {
	if g.by[key] == nil {
		g.keys = append(g.keys, key)
	}
	g.by[key] = append(g.by[key], e)
}

// near are the groups of what may cover a name or pattern: the name itself, and the patterns whose text before the star is a
// beginning of it.
func (idx *byPackage[K]) near(registry string, s shape) iter.Seq[*groups[K]] {
	return func(yield func(*groups[K]) bool) {
		if g, ok := idx.exact[registry+"\x00"+s.text]; ok && !yield(g) {
			return
		}
		key := registry + "\x00" + s.head
		for n := len(registry) + 1; n <= len(key); n++ {
			if g, ok := idx.globs[key[:n]]; ok && !yield(g) {
				return
			}
		}
	}
}
