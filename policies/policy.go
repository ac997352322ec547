package policies

import (
	"fmt"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// Policy is one compiled policy. It is immutable and shared by all requests.
type Policy struct {
	// Name is the policy's own name; File and Line say where it is written.
	Name string
	File string
	Line int

	provider  *provider.Provider
	issuer    Issuer
	matches   []match
	grants    []grant
	actions   actionSet
	events    []string
	tag       *tagPattern
	when      *condition
	expires   time.Time
	exclusive bool

	// What only tools ask for.
	unpinned, anyPackage bool
	packageKinds         []packageKind
	marks                []mark
	number, column       int
}

// match is one claim that a publisher asks for.
type match struct {
	// name is the field's word in the policy ("repository", "claims.email").
	name string
	// field is the provider's description; nil for an open claim.
	field *provider.Field
	claim string
	value string
	glob  *glob
	// at is where the value is written.
	at spot
	// equal are the claims that a template is compared with, without those that another field replaces.
	equal []string
}

// grant is what a policy covers of one registry, its names in the form of the registry's ecosystem.
type grant struct {
	registry  string
	ecosystem string
	packages  []string
	globs     []*glob
	// any is true for a bare "*".
	any bool
}

// covers is true where the grant names the package.
func (g *grant) covers(pkg string) bool {
	if g.any {
		return true
	}
	for _, name := range g.packages {
		if name == pkg {
			return true
		}
	}
	for _, one := range g.globs {
		if one.match(pkg) {
			return true
		}
	}
	return false
}

// names shows what a grant covers.
func (g *grant) names() string {
	var list []string
	list = append(list, g.packages...)
	for _, one := range g.globs {
		list = append(list, one.pattern)
	}
	if g.any {
		list = append(list, "*")
	}
	return oneOf(list)
}

// grant finds the grant for a registry.
func (p *Policy) grant(registry string) *grant {
	for i := range p.grants {
		if p.grants[i].registry == registry {
			return &p.grants[i]
		}
	}
	return nil
}

// actionSet is a set of actions.
type actionSet uint8

func (s actionSet) has(a model.Action) bool { return s&actionBit(a) != 0 }

// actionBit is an action's bit; zero for a word that is no action.
func actionBit(a model.Action) actionSet {
	for i, known := range model.Actions() {
		if a == known {
			return 1 << i
		}
	}
	return 0
}

// allows is true where the set grants an action: whoever may publish a package may also read it.
func (s actionSet) allows(a model.Action) bool {
	return s.has(a) || a == model.ActionRead && s.has(model.ActionPublish)
}

func (s actionSet) String() string {
	var words []string
	for _, a := range model.Actions() {
		if s.has(a) {
			words = append(words, string(a))
		}
	}
	return oneOf(words)
}

// tagPattern is a `tag` rule: literal text around an optional {version}.
type tagPattern struct {
	text           string
	prefix, suffix string
	version        bool
}

const versionPlaceholder = "{version}"

// newTagPattern compiles a rule.
func newTagPattern(text string) (*tagPattern, error) {
	bare := strings.Replace(text, versionPlaceholder, "", 1)
	if strings.ContainsAny(bare, "{}*") {
		return nil, fmt.Errorf("tag is %q, expected text around one %s at most, as in \"v%s\"", text, versionPlaceholder, versionPlaceholder)
	}
	prefix, suffix, version := strings.Cut(text, versionPlaceholder)
	if strings.HasPrefix(prefix, "refs/") {
		return nil, fmt.Errorf("tag is %q, expected the tag's own name without refs/tags/", text)
	}
	return &tagPattern{text: text, prefix: prefix, suffix: suffix, version: version}, nil
}

// match is true where a tag has the rule's form; version is the tag's part in the place of {version}.
func (t *tagPattern) match(tag string) (version string, ok bool) {
	if !t.version {
		return "", tag == t.text
	}
	rest, ok := strings.CutPrefix(tag, t.prefix)
	if !ok {
		return "", false
	}
	rest, ok = strings.CutSuffix(rest, t.suffix)
	return rest, ok && rest != ""
}

// oneOf shows a list of accepted values.
func oneOf(list []string) string {
	const shown = 8
	switch {
	case len(list) == 0:
		return "nothing"
	case len(list) == 1:
		return list[0]
	case len(list) > shown:
		return fmt.Sprintf("one of %s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return "one of " + strings.Join(list, ", ")
}
