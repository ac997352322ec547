package policies

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/model"
)

// compiler turns one file into policies.
type compiler struct {
	*source
	env *environment
	// names are the policies of this file, to find a name that is used twice.
	names map[string]int
	// nodes are the fields of the policy being read, path is where it stands.
	nodes map[string]*yaml.Node
	path  string
	marks []mark
	// bounds are those of the file.
	bounds []*bound
	// room is where the policies of the file lie; matches and equal are used again for each, and kinds shared.
	room    compilerRoom
	matches []match
	equal   []string
	kinds   []*matchKind
	// publisherNode is what stands below the publisher's provider.
	publisherNode *yaml.Node
	// anyPackage and unpinned are its explicit opt-outs.
	anyPackage, unpinned bool
}

// compileFile reads and compiles one file; the policies are good only where no error is returned.
func compileFile(file, data string, env *environment) ([]*Policy, Errors) {
	c := &compiler{source: &source{file: file, data: data}, env: env, names: map[string]int{}, bounds: env.boundsOf(file)}
	root := c.document()
	if root == nil {
		return nil, c.errors
	}
	var list *yaml.Node
	for _, e := range c.mapping(root, "", []string{"policies"}) {
		list = e.value
	}
	if list == nil {
		if len(c.errors) == 0 {
			c.fail(root, "policies", "the field is missing; write policies: and a list below it")
		}
		return nil, c.errors
	}
	if !c.plain(list, "policies") {
		return nil, c.errors
	}
	if list.Kind != yaml.SequenceNode {
		c.fail(list, "policies", "%s, expected a list of policies", describe(list))
		return nil, c.errors
	}
	policies := make([]*Policy, 0, len(list.Content))
	c.room.expect(len(list.Content))
	for i, n := range list.Content {
		c.path = policyPath(i)
		if p := c.policy(n); p != nil {
			p.number = i
			policies = append(policies, p)
		}
	}
	return policies, c.errors
}

// policyPath is the path of a policy in its file.
func policyPath(i int) string { return fmt.Sprintf("policies[%d]", i) }

// at is the path of a field of the policy being read.
func (c *compiler) at(field string) string { return c.path + "." + field }

// policy compiles one policy; nil after an error.
func (c *compiler) policy(n *yaml.Node) *Policy {
	before := len(c.errors)
	c.nodes = make(map[string]*yaml.Node, len(policyFields))
	entries := c.mapping(n, c.path, policyFields)
	for _, e := range entries {
		c.nodes[e.key] = e.value
	}
	for _, field := range requiredFields {
		if c.nodes[field] == nil && len(c.errors) == before {
			c.fail(n, c.at(field), "the field is missing")
		}
	}
	if len(c.errors) > before {
		return nil
	}
	p := &c.room.policies.take(1)[0]
	p.File, p.Line, p.exclusive = c.file, n.Line, true
	c.mark(p, n, entries)
	c.anyPackage, c.unpinned = false, false
	c.flag("exclusive", &p.exclusive)
	c.flag("allow_unpinned", &c.unpinned)
	c.flag("allow_any_package", &c.anyPackage)
	p.unpinned, p.anyPackage = c.unpinned, c.anyPackage
	c.name(p)
	c.publisher(p, c.nodes["publisher"])
	c.grants(p)
	c.actions(p)
	if p.provider != nil {
		c.pinned(p)
		c.issuer(p)
		c.events(p)
		c.tag(p)
	}
	c.condition(p)
	c.times(p)
	c.newPackages(p)
	if len(c.errors) == before {
		c.within(p)
	}
	if len(c.errors) > before {
		return nil
	}
	return p
}

// name reads the policy's name: a word that fits every log, header and error.
func (c *compiler) name(p *Policy) {
	n := c.nodes["name"]
	name, ok := c.line(n, c.at("name"))
	if !ok {
		return
	}
	if !isWord(name) {
		c.fail(n, c.at("name"), "name is %q, expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit first", clip(name))
		return
	}
	if first, twice := c.names[name]; twice {
		c.fail(n, c.at("name"), "the name %q is used twice; the first is in line %d", name, first)
		return
	}
	c.names[name] = n.Line
	p.Name = name
}

func isWord(s string) bool {
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case i > 0 && (b == '.' || b == '_' || b == '-'):
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// grants reads registry and packages, whose names each registry's ecosystem spells in its own way.
func (c *compiler) grants(p *Policy) {
	for _, n := range c.list(c.nodes["registry"], c.at("registry"), true) {
		name, ok := c.line(n, c.at("registry"))
		if !ok {
			continue
		}
		ecosystem, known := c.env.ecosystem(name)
		switch {
		case !known:
			c.fail(n, c.at("registry"), "registry %q is not configured%s", clip(name), suggest(name, c.env.registryNames()))
			continue
		case p.grant(name) != nil:
			c.fail(n, c.at("registry"), "registry %q is named twice", name)
			continue
		}
		p.grants = append(p.grants, grant{registry: name, ecosystem: ecosystem})
	}
	packages := c.list(c.nodes["packages"], c.at("packages"), true)
	p.grants = c.room.grants.copy(p.grants)
	p.packageKinds = c.room.kinds.take(len(packages))
	for i := range p.grants {
		for j, n := range packages {
			p.packageKinds[j] = c.pkg(p, &p.grants[i], n, j)
		}
	}
}

// pkg reads one entry of packages for one registry.
func (c *compiler) pkg(p *Policy, g *grant, n *yaml.Node, i int) (kind packageKind) {
	field := fmt.Sprintf("%s[%d]", c.at("packages"), i)
	name, ok := c.line(n, field)
	if !ok {
		return kind
	}
	var err error
	switch {
	case isTemplate(name) && p.provider == nil: // what is wrong with the publisher is told already
	case isTemplate(name):
		kind = packageTemplate
		var one *template
		if one, err = newTemplate(name, g.ecosystem, p.provider); err == nil {
			g.templates = append(g.templates, one)
		}
	case isGlob(name):
		kind, err = c.pattern(g, name)
	default:
		var canonical string
		if canonical, err = model.NormalizeName(g.ecosystem, name); err == nil {
			g.packages = c.room.texts.add(g.packages, canonical)
		}
	}
	if err != nil {
		c.fail(n, field, "%v", err)
	}
	return kind
}

// pattern reads one pattern of package names for one registry.
func (c *compiler) pattern(g *grant, name string) (packageKind, error) {
	canonical, err := normalizeGlob(g.ecosystem, name)
	if err != nil {
		return packageGlob, err
	}
	one, err := newGlob(canonical)
	if err != nil {
		return packageGlob, err
	}
	if !one.anchored() && !c.anyPackage {
		return packageGlob, fmt.Errorf("%q covers every package; name packages, or say allow_any_package: true", name)
	}
	if canonical == "*" {
		// Names with separators are meant too where every package is.
		g.any = true
		return packageAny, nil
	}
	g.globs = append(g.globs, one)
	return packageGlob, nil
}

// normalizeGlob spells a glob's literals as the ecosystem spells names: the stars stand in as letters meanwhile.
func normalizeGlob(ecosystem, pattern string) (string, error) {
	if pattern == "*" {
		return pattern, nil
	}
	standIn := "x0x"
	for strings.Contains(strings.ToLower(pattern), standIn) {
		standIn += "0x"
	}
	stars := strings.Count(pattern, "*")
	canonical, err := model.NormalizeName(ecosystem, strings.ReplaceAll(pattern, "*", standIn))
	if err != nil || strings.Count(canonical, standIn) != stars {
		return "", fmt.Errorf("%q is not a pattern of package names of the ecosystem %s: %q would have to stand for part of a name", pattern, ecosystem, "*")
	}
	return strings.ReplaceAll(canonical, standIn, "*"), nil
}

// actions reads what is granted; publish where nothing is said.
func (c *compiler) actions(p *Policy) {
	n := c.nodes["actions"]
	if n == nil {
		p.actions = actionBit(model.ActionPublish)
		return
	}
	for _, one := range c.list(n, c.at("actions"), true) {
		word, ok := c.line(one, c.at("actions"))
		if !ok {
			continue
		}
		bit := actionBit(model.Action(word))
		switch {
		case bit == 0:
			c.fail(one, c.at("actions"), "action %q is unknown%s", clip(word), suggest(word, actionWords(model.Actions())))
		case p.actions&bit != 0:
			c.fail(one, c.at("actions"), "action %q is named twice", word)
		default:
			c.known(p, one, model.Action(word))
		}
		p.actions |= bit
	}
}

// known refuses an action that a registry of the policy does not have: it would grant nothing there.
func (c *compiler) known(p *Policy, n *yaml.Node, action model.Action) {
	for i := range p.grants {
		g := &p.grants[i]
		if has := model.EcosystemActions(g.ecosystem); !slices.Contains(has, action) {
			c.fail(n, c.at("actions"), "registry %s of the ecosystem %s has no action %q, only %s", g.registry, g.ecosystem, action, strings.Join(actionWords(has), ", "))
			return
		}
	}
}

func actionWords(list []model.Action) []string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = string(a)
	}
	return words
}

// issuer finds the one issuer that the policy means.
func (c *compiler) issuer(p *Policy) {
	names := c.env.byProvider[p.provider.Name]
	n := c.nodes["issuer"]
	switch {
	case n == nil && len(names) == 0 && c.env.env.AnyIssuer:
		p.issuer = Issuer{Name: p.provider.Name, Provider: p.provider.Name}
	case n == nil && len(names) == 1:
		p.issuer = c.env.issuers[names[0]]
	case n == nil && len(names) == 0:
		c.fail(c.nodes["publisher"], c.at("publisher"), "no issuer of the provider %s is configured", p.provider.Name)
	case n == nil:
		c.fail(c.nodes["publisher"], c.at("issuer"), "the provider %s has %d issuers; add issuer: and one of %s", p.provider.Name, len(names), strings.Join(names, ", "))
	default:
		name, ok := c.line(n, c.at("issuer"))
		if !ok {
			return
		}
		is, known := c.env.issuers[name]
		if !known && c.env.env.AnyIssuer {
			is, known = Issuer{Name: name, Provider: p.provider.Name}, true
		}
		if !known {
			c.fail(n, c.at("issuer"), "issuer %q is not configured%s", clip(name), suggest(name, names))
			return
		}
		if is.Provider != p.provider.Name {
			c.fail(n, c.at("issuer"), "issuer %q is of the provider %s, and the publisher is %s", name, is.Provider, p.provider.Name)
			return
		}
		p.issuer = is
	}
}

// condition compiles `when`.
func (c *compiler) condition(p *Policy) {
	n := c.nodes["when"]
	if n == nil {
		return
	}
	text, ok := c.bounded(n, c.at("when"), maxWhen)
	if !ok {
		return
	}
	compiled, errs := c.env.conditions.compile(text)
	for _, e := range errs {
		if line, column, exact := c.inside(n, e.line, e.column); exact {
			c.failAt(line, column, c.at("when"), "%s", e.message)
		} else {
			c.fail(n, c.at("when"), "%s (line %d, column %d of the expression)", e.message, e.line, e.column)
		}
	}
	p.when = compiled
}

// inside finds the place in the file of a place in a scalar's text; exact is false where quoting or folding hides it.
func (c *compiler) inside(n *yaml.Node, line, column int) (fileLine, fileColumn int, exact bool) {
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		lines := strings.Split(c.data, "\n")
		at := n.Line - 1 + line
		if at >= len(lines) {
			return 0, 0, false
		}
		indent := len(lines[at]) - len(strings.TrimLeft(lines[at], " "))
		return at + 1, indent + column, true
	case n.Style&yaml.FoldedStyle != 0 || line != 1 || strings.ContainsAny(n.Value, "\n"):
		return 0, 0, false
	}
	offset := n.Column - 1
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		offset++
	}
	lines := strings.SplitN(c.data, "\n", n.Line+1)
	if n.Line > len(lines) || offset > len(lines[n.Line-1]) || !strings.HasPrefix(lines[n.Line-1][offset:], n.Value) {
		return 0, 0, false
	}
	return n.Line, offset + column, true
}

// times reads the time in which the policy grants.
func (c *compiler) times(p *Policy) {
	if n := c.nodes["not_before"]; n != nil {
		p.notBefore, _ = c.moment(n, c.at("not_before"), false)
	}
	n := c.nodes["not_after"]
	if n == nil {
		return
	}
	end, ok := c.moment(n, c.at("not_after"), true)
	if p.notAfter = end; ok && !p.notBefore.Before(end) {
		c.fail(n, c.at("not_after"), "the policy would end before it begins; not_before is %s", c.nodes["not_before"].Value)
	}
}

// moment reads a date or a moment; with end, a date means the end of that day, else its beginning, both in UTC.
func (c *compiler) moment(n *yaml.Node, field string, end bool) (time.Time, bool) {
	if !c.plain(n, field) {
		return time.Time{}, false
	}
	if n.Kind == yaml.ScalarNode {
		if day, err := time.Parse(time.DateOnly, n.Value); err == nil {
			if end {
				day = day.AddDate(0, 0, 1)
			}
			return day, true
		}
		if moment, err := time.Parse(time.RFC3339, n.Value); err == nil {
			return moment, true
		}
	}
	c.fail(n, field, "%s, expected a date such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z", describe(n))
	return time.Time{}, false
}

// newPackages reads whether the policy grants first publishes of packages that it does not name: true, false, or until when.
func (c *compiler) newPackages(p *Policy) {
	n := c.nodes["new_packages"]
	if n == nil {
		return
	}
	field := c.at("new_packages")
	if n.Kind != yaml.MappingNode {
		c.flag("new_packages", &p.newPackages.allowed)
		return
	}
	entries := c.mapping(n, field, []string{"until"})
	if len(n.Content) == 0 {
		c.fail(n, field, "the mapping is empty; write true, or until: and a date")
	}
	for _, e := range entries {
		p.newPackages.until, p.newPackages.allowed = c.moment(e.value, join(field, e.key), true)
	}
}

// flag reads a boolean field where it is there.
func (c *compiler) flag(field string, into *bool) {
	n := c.nodes[field]
	if n == nil {
		return
	}
	if v, ok := c.boolean(n, c.at(field)); ok {
		*into = v
	}
}
