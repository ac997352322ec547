package policies

import (
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// smallBucket is the number of policies up to which looking at each is cheaper than a map.
const smallBucket = 8

// index finds the policies that can match without looking at the others.
type index struct {
	// scopes are the policies of enabled issuers by registry and issuer, then by the publisher's most telling claim.
	scopes map[scopeKey]*scope
	// named are all policies by registry and package, the expired and disabled ones included.
	named map[string]map[string]*owners
	// folded are the named packages by registry and loosest spelling, of ecosystems where some registry tells fewer names apart.
	folded map[string]map[string]string
	// globs are those that cover packages by patterns, by registry.
	globs map[string]*globIndex

	room indexRoom
}

// indexRoom are pieces of the index, side by side; it is empty once the index is built.
type indexRoom struct {
	owners  slab[owners]
	buckets slab[bucket]
	lists   slab[*Policy]
}

type scopeKey struct{ registry, issuer string }

// owners are the policies that name one package.
type owners struct {
	policies  []*Policy
	exclusive bool
}

// scope holds the policies of one issuer for one registry.
type scope struct {
	provider *provider.Provider
	// values are the policies that write a claim's value out, stems those that write its beginning out; any are the rest.
	values []claimIndex
	stems  []claimIndex
	any    *bucket
}

// claimIndex finds buckets by the value of one claim.
type claimIndex struct {
	claim   string
	buckets map[string]*bucket
}

// bucket holds the policies of one publisher.
type bucket struct {
	policies []*Policy
	// Filled in for large buckets only: by package name, by pattern, and one of each set of policies that differ in nothing
	// but their packages, which is all that an exchange needs to look at.
	byPackage map[string][]*Policy
	globs     *globIndex
	distinct  []*Policy
}

// newIndex builds the index of a set.
func newIndex(env *environment, policies []*Policy) *index {
	x := &index{
		scopes: map[scopeKey]*scope{}, named: map[string]map[string]*owners{}, folded: map[string]map[string]string{},
		globs: map[string]*globIndex{},
	}
	x.room.owners.size, x.room.buckets.size, x.room.lists.size = len(policies), len(policies), 2*len(policies)
	for _, p := range policies {
		for i := range p.grants {
			g := &p.grants[i]
			x.claim(p, g)
			if !p.issuer.Disabled {
				x.publish(p, g)
			}
		}
	}
	for key, s := range x.scopes {
		s.finish(key.registry)
	}
	for registry, named := range x.named {
		ecosystem, _ := env.ecosystem(registry)
		x.fold(registry, ecosystem, named)
	}
	x.room = indexRoom{}
	return x
}

// fold enters the loosest spellings of a registry's named packages.
func (x *index) fold(registry, ecosystem string, named map[string]*owners) {
	if _, folds := model.FoldName(ecosystem, ""); !folds {
		return
	}
	spellings := make(map[string]string, len(named))
	for name := range named {
		folded, _ := model.FoldName(ecosystem, name)
		spellings[folded] = name
	}
	x.folded[registry] = spellings
}

// likeness is the owners of a package that some registry takes for this one although it is spelled in another way; nil where
// this very spelling is named, or no such package.
func (x *index) likeness(target Target) (name string, like *owners) {
	spellings := x.folded[target.Registry]
	if spellings == nil || x.named[target.Registry][target.Package] != nil {
		return "", nil
	}
	folded, _ := model.FoldName(target.Ecosystem, target.Package)
	name = spellings[folded]
	return name, x.named[target.Registry][name]
}

// rival is a policy that names another package to which a file of the target's name could belong; nil where there is none, or where
// the policy that grants the target names that package too.
func (x *index) rival(target Target, granting *Policy) (name string, rival *Policy) {
	if target.Action == model.ActionRead {
		return "", nil
	}
	for _, name := range model.Rivals(target) {
		if o := x.named[target.Registry][name]; o != nil && !slices.Contains(o.policies, granting) {
			return name, o.policies[0]
		}
	}
	return "", nil
}

// claim enters what a policy covers.
func (x *index) claim(p *Policy, g *grant) {
	named := x.named[g.registry]
	if named == nil {
		named = map[string]*owners{}
		x.named[g.registry] = named
	}
	for _, name := range g.packages {
		o := named[name]
		if o == nil {
			o = &x.room.owners.take(1)[0]
			named[name] = o
		}
		o.policies = x.room.lists.add(o.policies, p)
		o.exclusive = o.exclusive || p.exclusive
	}
	if !g.patterns() {
		return
	}
	globs := x.globs[g.registry]
	if globs == nil {
		globs = &globIndex{}
		x.globs[g.registry] = globs
	}
	globs.add(p, g)
}

// publish enters a policy under its publisher.
func (x *index) publish(p *Policy, g *grant) {
	key := scopeKey{g.registry, p.issuer.Name}
	s := x.scopes[key]
	if s == nil {
		s = &scope{provider: p.provider, any: &bucket{}}
		x.scopes[key] = s
	}
	m := p.identity()
	if m == nil {
		s.any.policies = append(s.any.policies, p)
		return
	}
	for i := range m.values {
		list, text := &s.values, m.values[i].text
		if m.values[i].glob != nil {
			list, text = &s.stems, m.values[i].glob.stem()
		}
		b := x.room.enter(list, m.claim, text)
		// Two patterns of one policy may begin alike.
		if n := len(b.policies); n == 0 || b.policies[n-1] != p {
			b.policies = x.room.lists.add(b.policies, p)
		}
	}
}

// enter finds or makes the bucket of a value.
func (r *indexRoom) enter(list *[]claimIndex, claim, value string) *bucket {
	for i := range *list {
		if (*list)[i].claim == claim {
			buckets := (*list)[i].buckets
			b := buckets[value]
			if b == nil {
				b = &r.buckets.take(1)[0]
				buckets[value] = b
			}
			return b
		}
	}
	b := &r.buckets.take(1)[0]
	buckets := map[string]*bucket{}
	buckets[value] = b
	*list = append(*list, claimIndex{claim: claim, buckets: buckets})
	return b
}

// finish prepares the large buckets of a scope.
func (s *scope) finish(registry string) {
	s.any.finish(registry)
	for _, list := range [][]claimIndex{s.values, s.stems} {
		for _, c := range list {
			for _, b := range c.buckets {
				b.finish(registry)
			}
		}
	}
}

func (b *bucket) finish(registry string) {
	if len(b.policies) <= smallBucket {
		return
	}
	b.byPackage = make(map[string][]*Policy, len(b.policies))
	seen := map[string]bool{}
	for _, p := range b.policies {
		g := p.grant(registry)
		for _, name := range g.packages {
			b.byPackage[name] = append(b.byPackage[name], p)
		}
		if g.patterns() {
			if b.globs == nil {
				b.globs = &globIndex{}
			}
			b.globs.add(p, g)
		}
		if key := p.conditionKey(); !seen[key] {
			seen[key] = true
			b.distinct = append(b.distinct, p)
		}
	}
}

// conditionKey is equal for policies that differ in nothing but their packages.
func (p *Policy) conditionKey() string {
	var b strings.Builder
	for i := range p.matches {
		b.WriteString(p.matches[i].String() + "\x00")
	}
	b.WriteString(strings.Join(p.events, ",") + "\x00" + p.actions.String() + "\x00")
	if p.tag != nil {
		b.WriteString(p.tag.text)
	}
	b.WriteString("\x00")
	if p.when != nil {
		b.WriteString(p.when.text)
	}
	b.WriteString("\x00" + p.notBefore.String() + p.notAfter.String())
	return b.String()
}

// each visits the buckets in which policies of this publisher lie, until visit returns false.
func (s *scope) each(claims map[string]any, visit func(*bucket) bool) {
	for i := range s.values {
		c := &s.values[i]
		if text, ok := s.provider.Text(claims, c.claim); ok {
			if b := c.buckets[text]; b != nil && !visit(b) {
				return
			}
		}
	}
	for i := range s.stems {
		c := &s.stems[i]
		text, _ := s.provider.Text(claims, c.claim)
		for at := range len(text) {
			if text[at] != '/' && text[at] != ':' {
				continue
			}
			if b := c.buckets[text[:at+1]]; b != nil && !visit(b) {
				return
			}
		}
	}
	if len(s.any.policies) > 0 {
		visit(s.any)
	}
}

// each visits the policies of a bucket that can cover the package, or one for each set of conditions where it is empty,
// until visit returns false.
func (b *bucket) each(pkg string, visit func(*Policy) bool) bool {
	list := b.policies
	switch {
	case b.byPackage == nil:
	case pkg == "":
		list = b.distinct
	default:
		list = b.byPackage[pkg]
	}
	for _, p := range list {
		if !visit(p) {
			return false
		}
	}
	if pkg != "" && b.globs != nil {
		return b.globs.each(pkg, visit)
	}
	return true
}

// globIndex finds the policies whose patterns match a name, by the literals at a pattern's two ends.
type globIndex struct {
	ends    []ends
	entries map[string][]globEntry
	any     []*Policy
}

// ends are the lengths of a pattern's first and last literal.
type ends struct{ prefix, suffix int }

type globEntry struct {
	glob   *glob
	policy *Policy
}

// key joins the two literals; no package name holds the byte between them.
func globKey(prefix, suffix string) string { return prefix + "*" + suffix }

func (x *globIndex) add(p *Policy, g *grant) {
	if g.any {
		x.any = append(x.any, p)
		return
	}
	if x.entries == nil {
		x.entries = map[string][]globEntry{}
	}
	for _, one := range g.patternGlobs() {
		e := ends{len(one.prefix()), len(one.suffix())}
		known := false
		for _, have := range x.ends {
			known = known || have == e
		}
		if !known {
			x.ends = append(x.ends, e)
		}
		key := globKey(one.prefix(), one.suffix())
		x.entries[key] = append(x.entries[key], globEntry{one, p})
	}
}

// each visits the policies with a pattern that matches, until visit returns false.
func (x *globIndex) each(name string, visit func(*Policy) bool) bool {
	var buf [256]byte
	for _, e := range x.ends {
		if e.prefix+e.suffix > len(name) {
			continue
		}
		key := append(buf[:0], name[:e.prefix]...)
		key = append(key, '*')
		key = append(key, name[len(name)-e.suffix:]...)
		for _, entry := range x.entries[string(key)] {
			if entry.glob.match(name) && !visit(entry.policy) {
				return false
			}
		}
	}
	for _, p := range x.any {
		if !visit(p) {
			return false
		}
	}
	return true
}
