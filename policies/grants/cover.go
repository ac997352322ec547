package grants

import (
	"iter"
	"strings"

	"github.com/trustpub/trustpub/policies"
)

// cover finds the entries of packages that may cover another one, so that two sets of thousands of policies are not compared
// each with each: one that covers a name is that name, or begins like it up to its first star.
type cover[T any] struct {
	// exact holds names and templates by their text, loose patterns by what stands before their first star.
	exact, loose map[string][]T
}

func newCover[T any]() *cover[T] {
	return &cover[T]{exact: map[string][]T{}, loose: map[string][]T{}}
}

// put adds what an entry of packages belongs to.
func (c *cover[T]) put(p policies.Package, of T) {
	switch {
	case p.Any:
		c.loose[""] = append(c.loose[""], of)
	case p.Glob && !p.Template:
		c.loose[literal(p.Pattern)] = append(c.loose[literal(p.Pattern)], of)
	default:
		c.exact[p.Pattern] = append(c.exact[p.Pattern], of)
	}
}

// candidates are those among which all are that cover the entry; one may come more than once.
func (c *cover[T]) candidates(p policies.Package) iter.Seq[T] {
	begin := literal(p.Pattern)
	if p.Template {
		begin = literal(p.Covers)
	}
	return func(yield func(T) bool) {
		for _, of := range c.exact[p.Pattern] {
			if !yield(of) {
				return
			}
		}
		for end := range len(begin) + 1 {
			for _, of := range c.loose[begin[:end]] {
				if !yield(of) {
					return
				}
			}
		}
	}
}

// literal is a pattern up to its first star.
func literal(pattern string) string {
	text, _, _ := strings.Cut(pattern, "*")
	return text
}
