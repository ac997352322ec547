package policies

import (
	"fmt"
	"math"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/model"
)

// Position is a place in a policy file; both numbers start at 1, and are 0 where nothing is written.
type Position struct {
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// Grant is what a policy covers of one registry.
type Grant struct {
	Registry  string `json:"registry"`
	Ecosystem string `json:"ecosystem"`
	// Position is that of the registry's name.
	Position Position `json:"position"`
	// Packages are in the order of the file, spelled as the ecosystem spells them.
	Packages []Package `json:"packages"`
}

// Package is one entry of `packages` for one registry.
type Package struct {
	// Pattern is the name or pattern in the ecosystem's spelling.
	Pattern string `json:"pattern"`
	// Glob is true for a pattern with a "*", Any for one that covers every name there is.
	Glob bool `json:"glob,omitempty"`
	Any  bool `json:"any,omitempty"`
	// Template is true for a name that is made of claims, as it is written; Covers is then the pattern of all names that it
	// can give.
	Template bool     `json:"template,omitempty"`
	Covers   string   `json:"covers,omitempty"`
	Position Position `json:"position"`
}

// Field is one field of a publisher.
type Field struct {
	// Name is the field's word in the policy ("repository"); a claim by its own name is "claims.NAME".
	Name string `json:"name"`
	// Position is that of the field's value, or of its list.
	Position Position `json:"position"`
	// Claim is the claim that is compared; empty where Equal has those that are compared with a template of the provider.
	Claim string `json:"claim,omitempty"`
	// Equal are the claims that the provider's template (Template) filled in with the value must be equal to.
	Equal    []string `json:"equal,omitempty"`
	Template string   `json:"template,omitempty"`
	// Values are what is accepted; one of them is enough.
	Values []Value `json:"values"`
	// Stable says of what the claim is an id that is never given to another ("repository", "owner"), Names what it names.
	// Both are empty for other claims.
	Stable string `json:"stable,omitempty"`
	Names  string `json:"names,omitempty"`
	// Gate says what of a run the field holds back beyond whose it is ("environment", "ref", "protected_ref", "protected_environment"); empty: nothing.
	Gate string `json:"gate,omitempty"`
}

// Value is one accepted value of a field.
type Value struct {
	Text string `json:"text"`
	// Glob is true for a pattern.
	Glob     bool     `json:"glob,omitempty"`
	Position Position `json:"position"`
}

// Policies lists the policies in the order of the files. The list is the caller's own; the policies are shared.
func (s *Set) Policies() []*Policy { return slices.Clone(s.policies) }

// Provider is the kind of CI that the publisher is of.
func (p *Policy) Provider() string { return p.provider.Name }

// Issuer is the one issuer whose tokens the policy is for.
func (p *Policy) Issuer() Issuer { return p.issuer }

// Actions are what is granted, in the order of model.Actions; whoever may publish may also read.
func (p *Policy) Actions() []Action {
	var list []Action
	for _, a := range model.Actions() {
		if p.actions.has(a) {
			list = append(list, a)
		}
	}
	return list
}

// Grants are what the policy covers, one for each registry in the order of the file.
func (p *Policy) Grants() []Grant {
	list := make([]Grant, len(p.grants))
	for i := range p.grants {
		g := &p.grants[i]
		list[i] = Grant{Registry: g.registry, Ecosystem: g.ecosystem, Position: p.item("registry", i)}
		// Each entry of the file is one of the grant's names, patterns, or the bare star: in that order within their kind.
		names, globs, templates := g.packages, g.globs, g.templates
		for j, kind := range p.packageKinds {
			one := Package{Position: p.item("packages", j)}
			switch kind {
			case packageName:
				one.Pattern, names = names[0], names[1:]
			case packageGlob:
				one.Pattern, one.Glob, globs = globs[0].pattern, true, globs[1:]
			case packageTemplate:
				one.Pattern, one.Template, one.Covers, templates = templates[0].text, true, templates[0].glob.pattern, templates[1:]
			case packageAny:
				one.Pattern, one.Glob, one.Any = "*", true, true
			}
			list[i].Packages = append(list[i].Packages, one)
		}
	}
	return list
}

// Fields are the publisher's fields, in the provider's order.
func (p *Policy) Fields() []Field {
	list := make([]Field, len(p.matches))
	for i := range p.matches {
		m := &p.matches[i]
		f := Field{Name: m.name, Position: m.at.position(), Claim: m.claim, Equal: slices.Clone(m.equal)}
		for _, v := range m.values {
			f.Values = append(f.Values, Value{Text: v.text, Glob: v.glob != nil, Position: v.at.position()})
		}
		if m.field != nil {
			f.Stable, f.Names, f.Gate = string(m.field.Stable), string(m.field.Names), string(m.field.Gate)
			if m.field.Equals != nil {
				f.Template = m.field.Equals.String()
			}
		}
		list[i] = f
	}
	return list
}

// Events are the triggers that are accepted, the provider's own included; empty where the provider does not say what
// started a run. AddedEvents are those beside the provider's own.
func (p *Policy) Events() []string { return slices.Clone(p.events) }

// AddedEvents are the triggers that the policy accepts beside its provider's own.
func (p *Policy) AddedEvents() []string {
	if p.provider.Trigger == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.events), p.provider.Trigger.Allows)
}

// Tag is the rule for the tag as it is written; empty: none.
func (p *Policy) Tag() string {
	if p.tag == nil {
		return ""
	}
	return p.tag.text
}

// When is the condition as it is written; empty: none.
func (p *Policy) When() string {
	if p.when == nil {
		return ""
	}
	return p.when.text
}

// NotBefore is the moment from which the policy grants; zero: it always did.
func (p *Policy) NotBefore() time.Time { return p.notBefore }

// NotAfter is the moment from which the policy grants nothing any more; zero: it does not end.
func (p *Policy) NotAfter() time.Time { return p.notAfter }

// NewPackages is true where the policy grants the first publish of packages that it does not name exactly, and until when;
// zero: without end.
func (p *Policy) NewPackages() (allowed bool, until time.Time) {
	return p.newPackages.allowed, p.newPackages.until
}

// Exclusive is true where the policy claims its packages for trusted publishing in mode claimed.
func (p *Policy) Exclusive() bool { return p.exclusive }

// Unpinned is true where the policy says allow_unpinned.
func (p *Policy) Unpinned() bool { return p.unpinned }

// AnyPackage is true where the policy says allow_any_package.
func (p *Policy) AnyPackage() bool { return p.anyPackage }

// At is the place of a field's value ("tag"), the policy's own place for the empty name, zero for a field that is not
// written. For the fields of a publisher ask Fields.
func (p *Policy) At(field string) Position {
	if field == "" {
		return Position{Line: p.Line, Column: p.column}
	}
	return p.item(field, fieldItself)
}

// Item is the place of an entry of a list ("events", 0); where the file has one value in the place of a list, it is entry 0.
func (p *Policy) Item(field string, i int) Position {
	if i < 0 || i >= fieldItself {
		return Position{}
	}
	return p.item(field, i)
}

func (p *Policy) item(field string, i int) Position {
	at, found := slices.Index(policyFields, field), Position{}
	for _, m := range p.marks {
		if int(m.field) != at {
			continue
		}
		if int(m.item) == i {
			return m.position()
		}
		if i == 0 && m.item == fieldItself {
			found = m.position()
		}
	}
	return found
}

// String is the place as "line:column".
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// spot is a Position in half the room: a set holds millions.
type spot struct{ line, column uint32 }

func spotOf(n *yaml.Node) spot { return spot{small(n.Line), small(n.Column)} }

func small(i int) uint32 { return uint32(min(max(i, 0), math.MaxUint32)) }

func (s spot) position() Position { return Position{int(s.line), int(s.column)} }

// mark is where a field of a policy, or an entry of its list, is written.
type mark struct {
	spot

	// field is the index in policyFields, item that in the list.
	field uint16
	item  uint16
}

// fieldItself is the item of a mark that is the field's own; no list is as long.
const fieldItself = 1<<16 - 1

// packageKind is the kind of an entry of `packages`.
type packageKind uint8

// The kinds.
const (
	packageName packageKind = iota
	packageGlob
	packageTemplate
	packageAny
)

// mark notes where the fields of the policy being read are written.
func (c *compiler) mark(p *Policy, n *yaml.Node, entries []entry) {
	p.column = n.Column
	c.marks = c.marks[:0]
	for _, e := range entries {
		field := uint16(max(slices.Index(policyFields, e.key), 0) & math.MaxUint16)
		c.marks = append(c.marks, mark{spotOf(e.value), field, fieldItself})
		if e.value.Kind == yaml.SequenceNode {
			for i, item := range e.value.Content[:min(len(e.value.Content), maxList)] {
				c.marks = append(c.marks, mark{spotOf(item), field, uint16(i)})
			}
		}
	}
	p.marks = c.room.marks.copy(c.marks)
}
