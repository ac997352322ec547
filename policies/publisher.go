package policies

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/provider"
)

// openClaims is the publisher field below which a provider that allows it takes claims by their own names.
const openClaims = "claims"

// publisher compiles the publisher from what its provider's data says; nothing here knows any provider.
func (c *compiler) publisher(p *Policy, n *yaml.Node) {
	entries := c.mapping(n, c.at("publisher"), provider.Names())
	if len(entries) != 1 {
		if n.Kind == yaml.MappingNode && len(n.Content) != 2 {
			c.fail(n, c.at("publisher"), "%d providers are named, expected exactly one of %s", len(n.Content)/2, strings.Join(provider.Names(), ", "))
		}
		return
	}
	prov, _ := provider.Get(entries[0].key)
	c.publisherNode = entries[0].value
	field := join(c.at("publisher"), prov.Name)
	before := len(c.errors)
	p.matches = c.matches[:0]
	defer func() { c.matches, p.matches = p.matches, c.room.matches.copy(p.matches) }()
	given := c.mapping(entries[0].value, field, fieldNames(prov))
	replaced := map[string]bool{}
	for _, e := range given {
		if f, ok := prov.Field(e.key); ok && f.Replaces != "" {
			replaced[f.Replaces] = true
		}
	}
	for _, e := range given {
		if f, ok := prov.Field(e.key); ok {
			c.match(p, f, e, join(field, e.key), replaced)
		} else {
			c.open(p, prov, e.value, join(field, e.key))
		}
	}
	if len(c.errors) > before {
		return
	}
	// The provider's order, so that the first field that differs does not depend on how a file is written.
	slices.SortStableFunc(p.matches, func(a, b match) int { return place(prov, a.field) - place(prov, b.field) })
	p.provider = prov
}

// place is a field's place in its provider's list; open claims come last.
func place(prov *provider.Provider, f *provider.Field) int {
	if f == nil {
		return len(prov.Fields)
	}
	return slices.Index(prov.Fields, f)
}

func fieldNames(prov *provider.Provider) []string {
	names := make([]string, 0, len(prov.Fields)+1)
	for _, f := range prov.Fields {
		names = append(names, f.Name)
	}
	if prov.OpenClaims {
		names = append(names, openClaims)
	}
	return names
}

// match compiles one publisher field.
func (c *compiler) match(p *Policy, f *provider.Field, e entry, field string, replaced map[string]bool) {
	m := match{matchKind: c.kind(f.Name, f, f.Claim, replaced), at: spotOf(e.value)}
	if f.Equals != nil && len(m.equal) == 0 {
		c.fail(e.name, field, "another field of this publisher replaces all that %s compares; leave one of them out", f.Name)
		return
	}
	m.values = c.values(e.value, field, f)
	p.matches = append(p.matches, m)
}

// kind is that of a field, the same for all policies of the file where no other field replaces some of its claims.
func (c *compiler) kind(name string, f *provider.Field, claim string, replaced map[string]bool) *matchKind {
	var equal []string
	if f != nil && len(f.EqualClaims) > 0 {
		equal = c.equal[:0]
		for _, one := range f.EqualClaims {
			if !replaced[one] {
				equal = append(equal, one)
			}
		}
		c.equal = equal
	}
	for _, have := range c.kinds {
		if have.name == name && have.field == f && have.claim == claim && slices.Equal(have.equal, equal) {
			return have
		}
	}
	made := &matchKind{name: name, field: f, claim: claim, equal: slices.Clone(equal)}
	if len(c.kinds) < maxKinds {
		c.kinds = append(c.kinds, made)
	}
	return made
}

// maxKinds bounds the kinds that are compared with each other: no provider has as many fields, and a file may name any claims.
const maxKinds = 64

// values reads what a publisher's field accepts: one value, or a list of which one is enough. A nil field is an open claim.
func (c *compiler) values(n *yaml.Node, field string, f *provider.Field) []value {
	if n.Kind == yaml.ScalarNode {
		v, ok := c.value(n, field, f)
		if !ok {
			return nil
		}
		return c.room.values.add(nil, v)
	}
	nodes := c.list(n, field, false)
	values := make([]value, 0, len(nodes))
	for i, one := range nodes {
		at := fmt.Sprintf("%s[%d]", field, i)
		v, ok := c.value(one, at, f)
		if !ok {
			continue
		}
		for _, have := range values {
			if have.text == v.text {
				c.fail(one, at, "the value %q is written twice", clip(v.text))
			}
		}
		values = append(values, v)
	}
	return values
}

// value reads one value of a field; ok is false after an error.
func (c *compiler) value(n *yaml.Node, field string, f *provider.Field) (v value, ok bool) {
	read := c.line
	if f != nil && f.Stable != "" {
		read = c.quoted
	}
	text, ok := read(n, field)
	if !ok {
		return v, false
	}
	v = value{text: text, at: spotOf(n)}
	switch {
	case f != nil && (f.Kind == provider.BoolString || f.Kind == provider.Bool):
		if text != "true" && text != "false" {
			c.fail(n, field, "%q, expected \"true\" or \"false\", in quotes", clip(text))
			return v, false
		}
	case isGlob(text) && f == nil:
		c.fail(n, field, "%q is a pattern, and claims take exact values only", clip(text))
		return v, false
	case isGlob(text) && !f.Glob:
		c.fail(n, field, "%q is a pattern, and %s takes exact values only", clip(text), f.Name)
		return v, false
	case isGlob(text):
		one, err := newGlob(text)
		if err != nil {
			c.fail(n, field, "%v", err)
			return v, false
		}
		v.glob = one
	}
	return v, true
}

// open compiles claims by their own names, compared exactly.
func (c *compiler) open(p *Policy, prov *provider.Provider, n *yaml.Node, field string) {
	entries := c.mapping(n, field, nil)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		c.fail(n, field, "the mapping is empty; leave the field out or name at least one claim")
	}
	for _, e := range entries {
		if _, known := prov.Claims[e.key]; known {
			c.fail(e.name, join(field, e.key), "this claim has a publisher field of its own; use that")
			continue
		}
		if strings.HasPrefix(e.key, "/") {
			if err := provider.CheckPointer(e.key); err != nil {
				c.fail(e.name, join(field, e.key), "%v", err)
				continue
			}
		}
		if slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat"}, e.key) {
			c.fail(e.name, join(field, e.key), "the issuer's configuration and the gateway check this claim; leave it out")
			continue
		}
		values := c.values(e.value, join(field, e.key), nil)
		p.matches = append(p.matches, match{matchKind: c.kind(openClaims+"."+e.key, nil, e.key, nil), values: values, at: spotOf(e.value)})
	}
}

// pinned asks for the repository and for a stable id of it or of its owner: names pass to others, and ids do not.
func (c *compiler) pinned(p *Policy) {
	prov := p.provider
	n, field := c.publisherNode, join(c.at("publisher"), prov.Name)
	named, stable, any := p.followsRepository(prov), false, false
	var loose *match
	for i := range p.matches {
		m := &p.matches[i]
		if m.field == nil {
			any = true
			continue
		}
		named = named || m.field.Names == provider.Repository || m.field.Stable == provider.Repository
		stable = stable || m.field.Stable != ""
		any = any || m.field.Names != "" || m.field.Stable != ""
		if m.loose() != "" {
			loose = m
		}
	}
	for _, f := range prov.Fields {
		if f.Needed && !slices.ContainsFunc(p.matches, func(m match) bool { return m.field == f }) {
			c.fail(n, field, "%s is missing, without which a stranger's run could match; add it", f.Name)
		}
	}
	switch {
	case !any:
		c.fail(n, field, "nothing here says whose run it is; name %s", identifying(prov, "", true))
	case loose != nil && !stable:
		c.fail(n, join(field, loose.name), "%q begins with a pattern and no stable id is named, so that a stranger's run could match; write the first part out or add %s", loose.loose(), identifying(prov, "", false))
	case c.unpinned:
	case !named:
		c.fail(n, field, "no repository is named; add %s, or say allow_unpinned: true", identifying(prov, provider.Repository, true))
	case !stable && prov.Pinned():
		c.fail(n, field, "names can pass to other owners, and no stable id is named; add %s (in quotes), or say allow_unpinned: true", identifying(prov, "", false))
	}
}

// identifying lists the fields that are stable ids and, with names, those that are names, of a subject or of any.
func identifying(prov *provider.Provider, of provider.Subject, names bool) string {
	var list []string
	for _, f := range prov.Fields {
		if f.Stable != "" && (of == "" || f.Stable == of) || names && f.Names != "" && (of == "" || f.Names == of) {
			list = append(list, f.Name)
		}
	}
	if names && of == "" && prov.OpenClaims {
		list = append(list, openClaims)
	}
	return strings.Join(list, " or ")
}

// events reads the triggers that the policy accepts beside its provider's own.
func (c *compiler) events(p *Policy) {
	trigger := p.provider.Trigger
	if trigger != nil {
		p.events = trigger.Allowed
	}
	n := c.nodes["events"]
	if n == nil {
		return
	}
	if trigger == nil {
		c.fail(n, c.at("events"), "tokens of the provider %s do not say what started a run", p.provider.Name)
		return
	}
	added := slices.Clone(trigger.Allowed)
	for _, one := range c.list(n, c.at("events"), true) {
		event, ok := c.line(one, c.at("events"))
		switch {
		case !ok:
		case !slices.Contains(trigger.Known, event):
			c.fail(one, c.at("events"), "event %q is unknown to the provider %s%s", clip(event), p.provider.Name, suggest(event, trigger.Known))
		case !slices.Contains(added, event):
			added = append(added, event)
		}
	}
	p.events = added
}

// tag reads the rule for the tag that started the run.
func (c *compiler) tag(p *Policy) {
	n := c.nodes["tag"]
	if n == nil {
		return
	}
	text, ok := c.line(n, c.at("tag"))
	if !ok {
		return
	}
	if p.provider.Tag == nil {
		c.fail(n, c.at("tag"), "tokens of the provider %s do not name a tag", p.provider.Name)
		return
	}
	if p.provider.Tag.Chosen {
		c.fail(n, c.at("tag"), "whoever starts a run of the provider %s names its tag, so that it proves nothing; leave tag out", p.provider.Name)
		return
	}
	rule, err := newTagPattern(text)
	if err != nil {
		c.fail(n, c.at("tag"), "%v", err)
		return
	}
	p.tag = rule
}
