package provider

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The placeholders of a template that are no claims.
const (
	valuePlaceholder   = "value"
	addressPlaceholder = "issuer_address"
)

// Template is a text with {placeholders}, parsed once.
type Template struct {
	source string
	parts  []part
}

// part is literal text, or a placeholder's name.
type part struct {
	literal string
	name    string
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

var _ yaml.Unmarshaler = (*Template)(nil)

// UnmarshalYAML reads a template from a string.
func (t *Template) UnmarshalYAML(node *yaml.Node) error {
	var source string
	if err := node.Decode(&source); err != nil {
		return err
	}
	parsed, err := parseTemplate(source)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*t = *parsed
	return nil
}

func parseTemplate(source string) (*Template, error) {
	t := &Template{source: source}
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(source, -1) {
		if m[0] > at {
			t.parts = append(t.parts, part{literal: source[at:m[0]]})
		}
		t.parts = append(t.parts, part{name: source[m[2]:m[3]]})
		at = m[1]
	}
	if at < len(source) {
		t.parts = append(t.parts, part{literal: source[at:]})
	}
	for _, p := range t.parts {
		if strings.ContainsAny(p.literal, "{}") {
			return nil, fmt.Errorf("template %q has a brace outside a {placeholder}", source)
		}
	}
	if t.uses(valuePlaceholder) != 1 {
		return nil, fmt.Errorf("template %q must hold {value} once", source)
	}
	return t, nil
}

// String is the template as it was written.
func (t *Template) String() string { return t.source }

// uses counts a placeholder.
func (t *Template) uses(name string) int {
	n := 0
	for _, p := range t.parts {
		if p.name == name {
			n++
		}
	}
	return n
}

// Expand fills the template in with a policy's value and the token's claims; false where a claim is absent or empty.
func (p *Provider) Expand(t *Template, claims map[string]any, value string) (string, bool) {
	var b strings.Builder
	for _, one := range t.parts {
		s, ok := p.fill(one, claims, value)
		if !ok {
			return "", false
		}
		b.WriteString(s)
	}
	return b.String(), true
}

// Equal is true where got is the template filled in. It allocates nothing.
func (p *Provider) Equal(t *Template, claims map[string]any, value, got string) bool {
	for _, one := range t.parts {
		s, ok := p.fill(one, claims, value)
		if !ok {
			return false
		}
		if got, ok = strings.CutPrefix(got, s); !ok {
			return false
		}
	}
	return got == ""
}

// Solve finds the policy's value for a field with Equals from a claim of a token: the value with which the claim is equal to
// the template. It is false where no value is, or where two would be.
func (p *Provider) Solve(f *Field, claims map[string]any, claim string) (value string, ok bool) {
	if f.Equals == nil {
		return "", false
	}
	_, value, ok = p.solve(f.Equals, claims, claim)
	return value, ok && value != ""
}

// solve also finds the issuer's address, where the token does not say iss.
func (p *Provider) solve(t *Template, claims map[string]any, claim string) (address, value string, ok bool) {
	got, ok := p.Text(claims, claim)
	if !ok {
		return "", "", false
	}
	var pattern strings.Builder
	for _, one := range t.parts {
		s, filled := p.fill(one, claims, "")
		switch {
		case one.name == valuePlaceholder:
			pattern.WriteString("(?P<value>.+)")
		case filled:
			pattern.WriteString(regexp.QuoteMeta(s))
		case one.name == addressPlaceholder:
			pattern.WriteString("(?P<address>[^/]+(?:/[^/]+)*?)")
		default:
			return "", "", false
		}
	}
	re, err := regexp.Compile("^" + pattern.String() + "$")
	if err != nil {
		return "", "", false
	}
	m := re.FindStringSubmatch(got)
	if m == nil {
		return "", "", false
	}
	if n := re.SubexpIndex("address"); n >= 0 {
		address = m[n]
	}
	return address, m[re.SubexpIndex("value")], true
}

func (p *Provider) fill(one part, claims map[string]any, value string) (string, bool) {
	var s string
	var ok bool
	switch one.name {
	case "":
		return one.literal, true
	case valuePlaceholder:
		s, ok = value, true
	case addressPlaceholder:
		if s, ok = claims["iss"].(string); ok {
			_, s, ok = strings.Cut(s, "://")
		}
	default:
		s, ok = p.Text(claims, one.name)
	}
	return s, ok && s != ""
}
