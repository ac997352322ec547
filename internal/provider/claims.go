package provider

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Value finds a claim by the name that the provider gives it; where the provider does not know it, by its own key, or by the
// path of its keys if the name begins with a slash (see Below). It is false where the claim is absent or null.
func (p *Provider) Value(claims map[string]any, name string) (any, bool) {
	c, known := p.Claims[name]
	if !known {
		if strings.HasPrefix(name, "/") {
			return Below(claims, name)
		}
		v := claims[name]
		return v, v != nil
	}
	var v any = claims
	for _, key := range c.Path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		v = object[key]
	}
	if s, ok := v.(string); ok && c.After != "" {
		at := strings.LastIndex(s, c.After)
		if at < 0 {
			return nil, false
		}
		v = s[at+len(c.After):]
	}
	return v, v != nil
}

// Text is a claim as policies compare it and the audit shows it. It is false where the claim is absent or of another kind
// than the provider says, so that a value never matches by accident of its type. Lists and objects have no text.
func (p *Provider) Text(claims map[string]any, name string) (string, bool) {
	v, ok := p.Value(claims, name)
	if !ok {
		return "", false
	}
	kind := String
	if c, known := p.Claims[name]; known {
		kind = c.Kind
	}
	return text(v, kind)
}

func text(v any, kind Kind) (string, bool) {
	switch v := v.(type) {
	case string:
		ok := kind == String || kind == BoolString && (v == "true" || v == "false")
		return v, ok
	case bool:
		return strconv.FormatBool(v), kind == Bool
	case json.Number:
		return v.String(), kind == Number
	default:
		return "", false
	}
}

// Is is true where a value is of the kind.
func (k Kind) Is(v any) bool {
	switch k {
	case List:
		_, ok := v.([]any)
		return ok
	case Object:
		_, ok := v.(map[string]any)
		return ok
	default:
		_, ok := text(v, k)
		return ok
	}
}

// Missing names the first required claim that a token lacks, that is of another kind, or that is an empty string, and says
// which of these it is. It is false where nothing is missing.
func (p *Provider) Missing(claims map[string]any) (name, problem string, missing bool) {
	for _, name := range p.Required {
		v, ok := p.Value(claims, name)
		switch c := p.Claims[name]; {
		case !ok:
			return name, "", true
		case !c.Kind.Is(v):
			return name, "not a " + string(c.Kind), true
		case v == "":
			return name, "an empty string", true
		}
	}
	return "", "", false
}

// RunClaims are the claims of a run that the audit keeps, those that are there.
func (p *Provider) RunClaims(claims map[string]any) map[string]string {
	run := make(map[string]string, len(p.Run))
	for _, name := range p.Run {
		if v, ok := p.Text(claims, name); ok && v != "" {
			run[name] = v
		}
	}
	return run
}

// TagOf is the git tag that started the run; false where it was started by something else, or where the platform does
// not say.
func (p *Provider) TagOf(claims map[string]any) (string, bool) {
	if p.Tag == nil {
		return "", false
	}
	for name, want := range p.Tag.Where {
		if got, ok := p.Text(claims, name); !ok || got != want {
			return "", false
		}
	}
	ref, ok := p.Text(claims, p.Tag.Claim)
	if !ok {
		return "", false
	}
	tag, ok := strings.CutPrefix(ref, p.Tag.Prefix)
	return tag, ok && tag != ""
}

// normal gives a value of a YAML file the types that verified claims have.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = normal(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = normal(value)
		}
		return out
	case int:
		return json.Number(strconv.Itoa(v))
	default:
		return v
	}
}
