package policies

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Set is a compiled, immutable set of policies. It is safe for concurrent use.
type Set struct {
	env        *environment
	policies   []*Policy
	index      *index
	registries []string
	hash       string
}

// newSet builds a set from compiled files.
func newSet(env *environment, files []*compiled) *Set {
	s := &Set{env: env, registries: env.registryNames()}
	total := 0
	sums := make([]string, 0, len(files))
	for _, f := range files {
		total += len(f.policies)
		sums = append(sums, string(f.sum[:]))
	}
	s.policies = make([]*Policy, 0, total)
	for _, f := range files {
		s.policies = append(s.policies, f.policies...)
	}
	slices.Sort(sums)
	h := sha256.New()
	for _, sum := range sums {
		h.Write([]byte(sum))
	}
	s.hash = hex.EncodeToString(h.Sum(nil))
	s.index = newIndex(env, s.policies)
	return s
}

// Hash names the content of the set: it is the same for the same files, wherever they lie and in whatever order they were
// read.
func (s *Set) Hash() string { return s.hash }

// Len is the number of policies.
func (s *Set) Len() int { return len(s.policies) }

// Names lists the policies in the order of the files.
func (s *Set) Names() []string {
	names := make([]string, len(s.policies))
	for i, p := range s.policies {
		names[i] = p.Name
	}
	return names
}
