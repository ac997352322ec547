package provider

import "encoding/json"

// Gate is what holds a run back before it publishes, beyond whose it is.
type Gate string

// The gates.
const (
	// GateEnvironment fields name a deployment environment, which the platform can guard.
	GateEnvironment Gate = "environment"
	// GateRef fields name the branch or tag, in the form that tells the two apart.
	GateRef Gate = "ref"
	// GateProtectedRef fields are "true" where the platform lets only some people push the ref, GateProtectedEnvironment fields
	// where it lets only some people deploy.
	GateProtectedRef         Gate = "protected_ref"
	GateProtectedEnvironment Gate = "protected_environment"
)

// Gated lists the fields of a gate, in the provider's order.
func (p *Provider) Gated(gate Gate) []*Field {
	var fields []*Field
	for _, f := range p.Fields {
		if f.Gate == gate {
			fields = append(fields, f)
		}
	}
	return fields
}

// RunIdentity turns a run of the audit back into claims as policies compare them: the opposite of RunClaims. A text that
// is not of its claim's kind is left out. Of iss it knows only what a template with {issuer_address} gives away.
func (p *Provider) RunIdentity(run map[string]string) map[string]any {
	claims := map[string]any{}
	for name, value := range run {
		if v, ok := p.typed(name, value); ok && p.after(name) == "" {
			p.put(claims, name, v)
		}
	}
	// A claim that is the last part of another one comes from that, if the run has it.
	for name, value := range run {
		if _, there := p.Value(claims, name); !there && p.after(name) != "" {
			p.put(claims, name, p.after(name)+value)
		}
	}
	for _, f := range p.Fields {
		if f.Equals == nil || f.Equals.uses(addressPlaceholder) != 1 {
			continue
		}
		for _, claim := range f.EqualClaims {
			if address, _, ok := p.solve(f.Equals, claims, claim); ok && address != "" {
				claims["iss"] = "https://" + address
			}
		}
	}
	return claims
}

// after is the separator of a claim that is the last part of a text.
func (p *Provider) after(name string) string {
	if c, known := p.Claims[name]; known {
		return c.After
	}
	return ""
}

// typed gives a text its claim's type.
func (p *Provider) typed(name, value string) (any, bool) {
	kind := String
	if c, known := p.Claims[name]; known {
		kind = c.Kind
	}
	switch kind {
	case Bool:
		return value == "true", value == "true" || value == "false"
	case Number:
		numeric := value != "" && (value[0] == '-' || value[0] >= '0' && value[0] <= '9')
		return json.Number(value), numeric && json.Valid([]byte(value))
	case List, Object:
		return nil, false
	default:
		return value, true
	}
}

// put sets a claim where its path leads.
func (p *Provider) put(claims map[string]any, name string, value any) {
	path := []string{name}
	if c, known := p.Claims[name]; known {
		path = c.Path
	}
	for _, key := range path[:len(path)-1] {
		below, ok := claims[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			claims[key] = below
		}
		claims = below
	}
	claims[path[len(path)-1]] = value
}
