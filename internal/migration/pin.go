package migration

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// Evidence are the claims of a run, from an audit event or from a token.
type Evidence struct {
	// Issuer is the configured name of the issuer, Provider the kind of CI; both are empty for a token, whose iss says which
	// providers it can be of.
	Issuer, Provider string
	Claims           map[string]any
}

// EventEvidence is what an audit event says of its run; false where it has none. providers maps issuers to providers, for
// events of before the audit named the provider.
func EventEvidence(event model.Event, providers map[string]string) (Evidence, bool) {
	prov, id := identityOf(event, providers)
	if id == nil {
		return Evidence{}, false
	}
	return Evidence{Issuer: id.Issuer, Provider: prov.Name, Claims: id.Claims}, true
}

// Key is the same for runs that give the same ids to the same names.
func (e *Evidence) Key() string {
	prov, ok := provider.Get(e.Provider)
	if !ok {
		return ""
	}
	parts := []string{e.Issuer, e.Provider}
	for _, f := range prov.Fields {
		if f.Names != "" || f.Stable != "" {
			text, _ := prov.Text(e.Claims, f.Claim)
			parts = append(parts, text)
		}
	}
	return fmt.Sprintf("%q", parts)
}

// of is true where the evidence can be of a provider.
func (e *Evidence) of(prov *provider.Provider) bool {
	if e.Provider != "" {
		return e.Provider == prov.Name
	}
	iss, _ := e.Claims["iss"].(string)
	if _, err := prov.IssuerURL(iss); iss == "" || err != nil {
		return false
	}
	_, _, missing := prov.Missing(e.Claims)
	return !missing
}

// Pinned is a stable id that was filled in, or why none was.
type Pinned struct {
	Policy string
	// Line is that of the policy in the text as it was.
	Line int
	// Field and Value are what was filled in; empty where Reason says why nothing was.
	Field, Value string
	Reason       string
	// Unpinned is true where allow_unpinned: true is not needed any more.
	Unpinned bool
}

// Pin fills in stable ids where a policy of the text names a repository or an owner and no id: where the names of a run
// equal those of the policy, and all such runs have one id. Comments and layout stay as they are. It returns the new text
// and what became of each policy without an id.
func Pin(text string, evidence []Evidence) (string, []Pinned, error) {
	var doc yaml.Node
	if err := yaml.Load([]byte(text), &doc); err != nil {
		return "", nil, err
	}
	if len(doc.Content) != 1 {
		return "", nil, fmt.Errorf("the file is empty, expected a mapping with policies")
	}
	list := child(doc.Content[0], "policies")
	if list == nil || list.Kind != yaml.SequenceNode {
		return "", nil, fmt.Errorf("the file has no list policies")
	}
	edit := newEditor(text)
	var all []Pinned
	filled := map[int]Pinned{}
	for i, policy := range list.Content {
		p := &pinning{policy: policy}
		if !p.wanted() {
			continue
		}
		out := p.decide(evidence)
		if out.Reason == "" {
			if err := edit.insert(p.fields, p.after, out.Field, quoted(out.Value)); err != nil {
				out = Pinned{Policy: out.Policy, Line: out.Line, Reason: err.Error()}
			} else {
				filled[i] = out
			}
		}
		all = append(all, out)
	}
	result := edit.text()
	return result, all, same(text, result, filled)
}

// child is the value of a mapping's key; nil where there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// scalarOf is the text of a key's value; empty where it has none.
func scalarOf(n *yaml.Node, key string) string {
	if v := child(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// pinning is one policy that may lack an id.
type pinning struct {
	policy *yaml.Node
	prov   *provider.Provider
	// fields is the publisher's mapping, after the value behind which an id is put.
	fields, after *yaml.Node
	// names are the publisher's name fields and the values that each accepts.
	names map[*provider.Field][]string
	// repository is true where the publisher names one.
	repository bool
}

// wanted is true for a policy that names something and has no stable id, of a provider that has some.
func (p *pinning) wanted() bool {
	publisher := child(p.policy, "publisher")
	if publisher == nil || publisher.Kind != yaml.MappingNode || len(publisher.Content) != 2 {
		return false
	}
	prov, ok := provider.Get(publisher.Content[0].Value)
	p.fields = publisher.Content[1]
	if !ok || !prov.Pinned() || p.fields.Kind != yaml.MappingNode {
		return false
	}
	p.prov, p.names = prov, map[*provider.Field][]string{}
	for i := 0; i+1 < len(p.fields.Content); i += 2 {
		f, ok := prov.Field(p.fields.Content[i].Value)
		if !ok {
			continue
		}
		if f.Stable != "" {
			return false
		}
		if f.Names != "" {
			p.names[f] = accepted(p.fields.Content[i+1])
			p.after = p.fields.Content[i+1]
			p.repository = p.repository || f.Names == provider.Repository
		}
	}
	return len(p.names) > 0
}

// accepted are the values of a field: one, or a list.
func accepted(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var list []string
	for _, one := range n.Content {
		list = append(list, one.Value)
	}
	return list
}

// decide finds the id, or why there is none.
func (p *pinning) decide(evidence []Evidence) Pinned {
	out := Pinned{Policy: scalarOf(p.policy, "name"), Line: p.policy.Line}
	for _, f := range p.prov.Fields {
		for _, value := range p.names[f] {
			if strings.Contains(value, "*") {
				out.Reason = fmt.Sprintf("%s is the pattern %q; an id is filled in for names that are written out", f.Name, model.OneLine(value, 200))
				return out
			}
		}
	}
	ids := map[*provider.Field][]string{}
	seen := false
	for i := range evidence {
		if !p.matches(&evidence[i]) {
			continue
		}
		seen = true
		for _, f := range p.prov.Fields {
			if id, ok := p.prov.Text(evidence[i].Claims, f.Claim); f.Stable != "" && ok && id != "" && !slices.Contains(ids[f], id) {
				ids[f] = append(ids[f], id)
			}
		}
	}
	field := p.stable(ids)
	switch {
	case !seen:
		out.Reason = "no run with these names was seen"
	case field == nil:
		out.Reason = "the runs that were seen have no stable id"
	case len(ids[field]) > 1:
		slices.Sort(ids[field])
		out.Reason = fmt.Sprintf("runs with these names had the ids %s: the name has passed to another, or two issuers use it; find out which is yours", strings.Join(ids[field], " and "))
	default:
		out.Field, out.Value = field.Name, ids[field][0]
		out.Unpinned = scalarOf(p.policy, "allow_unpinned") == "true"
	}
	return out
}

// stable chooses the field for the id: the owner's, which a renamed repository keeps, or else the repository's where that is
// what the policy names.
func (p *pinning) stable(ids map[*provider.Field][]string) *provider.Field {
	for _, subject := range []provider.Subject{provider.Owner, provider.Repository} {
		if subject == provider.Repository && !p.repository {
			continue
		}
		for _, f := range p.prov.Fields {
			if f.Stable == subject && len(ids[f]) > 0 {
				return f
			}
		}
	}
	return nil
}

// matches is true for a run whose names are exactly those of the policy.
func (p *pinning) matches(e *Evidence) bool {
	if issuer := scalarOf(p.policy, "issuer"); !e.of(p.prov) || issuer != "" && e.Issuer != "" && issuer != e.Issuer {
		return false
	}
	for f, values := range p.names {
		if got, ok := p.prov.Text(e.Claims, f.Claim); !ok || got == "" || !slices.Contains(values, got) {
			return false
		}
	}
	return true
}

// same proves that a text says what it said before, and the ids that were filled in, by the policies' places in the list.
func same(before, after string, filled map[int]Pinned) error {
	var old, now struct {
		Policies []map[string]any `yaml:"policies"`
	}
	if err := yaml.Load([]byte(before), &old); err != nil {
		return err
	}
	if err := yaml.Load([]byte(after), &now); err != nil {
		return fmt.Errorf("the edited file is not YAML; please report it: %w", err)
	}
	for i, pin := range filled {
		publisher, _ := old.Policies[i]["publisher"].(map[string]any)
		for _, fields := range publisher {
			if fields, ok := fields.(map[string]any); ok {
				fields[pin.Field] = pin.Value
			}
		}
	}
	// Printed maps are in order.
	if fmt.Sprintf("%#v", old) != fmt.Sprintf("%#v", now) {
		return fmt.Errorf("the edit would change more than ids; please report it")
	}
	return nil
}
