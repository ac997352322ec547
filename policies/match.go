package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/provider"
)

// match is one field that a publisher asks for.
type match struct {
	*matchKind
	// values are what is accepted: one of them is enough.
	values []value
	// at is where the values are written.
	at spot
}

// matchKind is what a match shares with all of its field in a file.
type matchKind struct {
	// name is the field's word in the policy ("repository", "claims.email").
	name string
	// field is the provider's description; nil for an open claim.
	field *provider.Field
	claim string
	// equal are the claims that a template is compared with, without those that another field replaces.
	equal []string
}

// value is one accepted value.
type value struct {
	text string
	glob *glob
	at   spot
}

// match compares the whole of a claim's text.
func (v *value) match(got string) bool {
	if v.glob != nil {
		return v.glob.match(got)
	}
	return got == v.text
}

// holds compares one field. An absent or empty claim never matches, nor does one of another type than the provider says.
func (m *match) holds(prov *provider.Provider, claims map[string]any) bool {
	if m.field != nil && m.field.Equals != nil {
		claim, _ := m.unequal(prov, claims)
		return claim == ""
	}
	got, ok := prov.Text(claims, m.claim)
	return ok && m.accepts(got)
}

// accepts is true where one of the values matches.
func (m *match) accepts(got string) bool {
	if got == "" {
		return false
	}
	for i := range m.values {
		if m.values[i].match(got) {
			return true
		}
	}
	return false
}

// unequal is the first claim that is not what the field's template says of the value that comes nearest, and that value; the
// claim is empty where all are equal for one value.
func (m *match) unequal(prov *provider.Provider, claims map[string]any) (claim, value string) {
	best := -1
	for i := range m.values {
		text := m.values[i].text
		at := 0
		for at < len(m.equal) {
			got, ok := prov.Text(claims, m.equal[at])
			if !ok || got == "" || !prov.Equal(m.field.Equals, claims, text, got) {
				break
			}
			at++
		}
		if at == len(m.equal) {
			return "", text
		}
		if at > best {
			best, value = at, text
		}
	}
	return m.equal[best], value
}

// texts are the accepted values as they are written.
func (m *match) texts() []string {
	list := make([]string, len(m.values))
	for i := range m.values {
		list[i] = m.values[i].text
	}
	return list
}

// String names a match for conditions that are compared with each other.
func (m *match) String() string { return fmt.Sprintf("%s=%q%v", m.name, m.texts(), m.equal) }

// describe fills in the two sides of a publisher's field.
func (m *match) describe(c *Check, prov *provider.Provider, claims map[string]any) {
	c.Field, c.Want = m.name, oneOf(m.texts())
	if m.field == nil || m.field.Equals == nil {
		c.Got = shown(prov, claims, m.claim)
		if c.Got == "" {
			c.Hint = fmt.Sprintf("the token has no claim %s that could be compared", m.claim)
		}
		return
	}
	claim, value := m.unequal(prov, claims)
	if claim == "" {
		claim = m.equal[0]
	}
	if claim != m.field.EqualClaims[0] {
		c.Field = claim
	}
	c.Got = shown(prov, claims, claim)
	m.want(c, prov, claims, value)
	for _, f := range prov.Fields {
		if f.Replaces == claim && claim != m.field.EqualClaims[0] {
			c.Hint = fmt.Sprintf("a job that is written in another file is named by %s in the policy", f.Name)
		}
	}
}

// want says what a template expects: of the value that comes nearest once a claim agreed with it, else of all.
func (m *match) want(c *Check, prov *provider.Provider, claims map[string]any, nearest string) {
	values := m.texts()
	if c.Field != m.name {
		values = []string{nearest}
	}
	for i, value := range values {
		want, ok := prov.Expand(m.field.Equals, claims, value)
		if !ok {
			return
		}
		values[i] = want
	}
	c.Want = oneOf(values)
}

// shown is a claim as a denial shows it; empty where it is absent.
func shown(prov *provider.Provider, claims map[string]any, claim string) string {
	text, ok := prov.Text(claims, claim)
	if ok {
		return text
	}
	if _, there := prov.Value(claims, claim); there {
		return "a value of another type"
	}
	return ""
}

// The ranks of a field by how few policies share one of its values: a repository's id, its name, its owner's id and name, a
// literal beginning, then anything else that is written out. A field that no index can use has none.
const (
	rankStem  = 5
	rankOpen  = 6
	rankOther = 7
	rankNone  = 100
)

// identity is the field by which the index finds a policy, the one with the most telling values that are written out; nil
// where no field has such values.
func (p *Policy) identity() *match {
	var found *match
	best := rankNone
	for i := range p.matches {
		if rank := p.matches[i].rank(); rank < best {
			best, found = rank, &p.matches[i]
		}
	}
	return found
}

// rank is that of the value which is shared most.
func (m *match) rank() int {
	if m.field != nil && m.field.Equals != nil {
		return rankNone
	}
	worst := 0
	for i := range m.values {
		worst = max(worst, m.valueRank(&m.values[i]))
	}
	return worst
}

func (m *match) valueRank(v *value) int {
	switch {
	case v.glob != nil && (m.field == nil || m.field.Names == "" || v.glob.stem() == ""):
		return rankNone
	case v.glob != nil:
		return rankStem
	case m.field == nil:
		return rankOpen
	case m.field.Stable == provider.Repository:
		return 1
	case m.field.Names == provider.Repository:
		return 2
	case m.field.Stable == provider.Owner:
		return 3
	case m.field.Names == provider.Owner:
		return 4
	}
	return rankOther
}

// owner is the field of the ids that tell whether a token may be told what this policy wants: the owner's, or else the
// repository's; nil where there are none.
func (p *Policy) owner() *match {
	for _, subject := range []provider.Subject{provider.Owner, provider.Repository} {
		for i := range p.matches {
			if m := &p.matches[i]; m.field != nil && m.field.Stable == subject {
				return m
			}
		}
	}
	return nil
}

// startsOpen is true where the first part of a pattern holds a star.
func startsOpen(pattern string) bool {
	first, _, _ := strings.Cut(pattern, "*")
	return !strings.ContainsAny(first, separators)
}

// loose is the first name that begins with a pattern; empty where none does.
func (m *match) loose() string {
	if m.field == nil || m.field.Names == "" {
		return ""
	}
	at := slices.IndexFunc(m.values, func(v value) bool { return v.glob != nil && startsOpen(v.text) })
	if at < 0 {
		return ""
	}
	return m.values[at].text
}
