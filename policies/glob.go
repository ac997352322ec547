package policies

import (
	"errors"
	"strings"
)

// separators are the bytes that a "*" never stands for: a glob that crosses them would cover names of other owners.
const separators = "/:"

// glob is a compiled, anchored pattern in which "*" stands for any run of bytes without a separator, the empty run included.
type glob struct {
	pattern string
	// parts are the literals around the stars; there is always at least one star.
	parts []string
}

// isGlob is true where a value is meant as a pattern. No claim that may be matched by a pattern can hold a star itself.
func isGlob(s string) bool { return strings.Contains(s, "*") }

// newGlob compiles a pattern.
func newGlob(pattern string) (*glob, error) {
	if strings.Contains(pattern, "**") {
		return nil, errors.New(`"**" is not a pattern: a single "*" stands for any text without "/" and ":"`)
	}
	return &glob{pattern: pattern, parts: strings.Split(pattern, "*")}, nil
}

// prefix is the literal before the first star, suffix the one after the last.
func (g *glob) prefix() string { return g.parts[0] }
func (g *glob) suffix() string { return g.parts[len(g.parts)-1] }

// stem is the literal up to and including the last separator before the first star: what a value must begin with.
func (g *glob) stem() string {
	head := g.prefix()
	return head[:strings.LastIndexAny(head, separators)+1]
}

// match compares the whole of s. It backtracks to the last star only, which is enough since no star crosses a separator.
func (g *glob) match(s string) bool {
	first, last := g.prefix(), g.suffix()
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	rest := s[len(first) : len(s)-len(last)]
	for _, part := range g.parts[1 : len(g.parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		if strings.ContainsAny(rest[:at], separators) {
			return false
		}
		rest = rest[at+len(part):]
	}
	return !strings.ContainsAny(rest, separators)
}

// anchored is true where the pattern holds a letter or a digit at all; one that does not covers every name.
func (g *glob) anchored() bool {
	return strings.ContainsFunc(g.pattern, func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	})
}
