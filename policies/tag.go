package policies

import (
	"fmt"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// The placeholders of a tag rule.
const (
	versionPlaceholder = "{version}"
	packagePlaceholder = "{package}"
)

// maxTag bounds a run's tag, so that comparing it with a rule costs little.
const maxTag = 512

// tagPattern is a `tag` rule: literal text around an optional {version} and an optional {package}.
type tagPattern struct {
	text  string
	parts []tagPart
	// version and pkg are true where the rule has that placeholder.
	version, pkg bool
}

// tagPart is literal text, or a placeholder.
type tagPart struct{ literal, hole string }

// newTagPattern compiles a rule.
func newTagPattern(text string) (*tagPattern, error) {
	wrong := func() (*tagPattern, error) {
		return nil, fmt.Errorf("tag is %q, expected text around one %s and one %s at most, with text between them, as in \"v%s\"",
			clip(text), versionPlaceholder, packagePlaceholder, versionPlaceholder)
	}
	if strings.HasPrefix(text, "refs/") {
		return nil, fmt.Errorf("tag is %q, expected the tag's own name without refs/tags/", clip(text))
	}
	t := &tagPattern{text: text}
	for rest := text; rest != ""; {
		literal, hole, after := nextHole(rest)
		if strings.ContainsAny(literal, "{}*") || hole != "" && literal == "" && len(t.parts) > 0 {
			return wrong()
		}
		if literal != "" {
			t.parts = append(t.parts, tagPart{literal: literal})
		}
		switch {
		case hole == "":
		case hole == versionPlaceholder && !t.version:
			t.version = true
			t.parts = append(t.parts, tagPart{hole: hole})
		case hole == packagePlaceholder && !t.pkg:
			t.pkg = true
			t.parts = append(t.parts, tagPart{hole: hole})
		default:
			return wrong()
		}
		rest = after
	}
	return t, nil
}

// nextHole cuts a text at its first placeholder; hole is empty where there is none.
func nextHole(text string) (literal, hole, after string) {
	at := len(text)
	for _, one := range []string{versionPlaceholder, packagePlaceholder} {
		if i := strings.Index(text, one); i >= 0 && i < at {
			at, hole = i, one
		}
	}
	return text[:at], hole, text[at+len(hole):]
}

// match is true where a tag has the rule's form, with texts in the placeholders that fit.
func (t *tagPattern) match(tag string, fits func(hole, text string) bool) bool {
	return len(tag) <= maxTag && matchTag(t.parts, tag, fits)
}

func matchTag(parts []tagPart, rest string, fits func(hole, text string) bool) bool {
	if len(parts) == 0 {
		return rest == ""
	}
	part := parts[0]
	if part.hole == "" {
		rest, ok := strings.CutPrefix(rest, part.literal)
		return ok && matchTag(parts[1:], rest, fits)
	}
	for n := 1; n <= len(rest); n++ {
		if matchTag(parts[1:], rest[n:], fits) && fits(part.hole, rest[:n]) {
			return true
		}
	}
	return false
}

// testTag compares the run's tag. A read names no version: the tag's form is then all that is asked of it.
func (p *Policy) testTag(f *facts) verdict {
	if p.tag == nil {
		return holds
	}
	tag, ok := p.provider.TagOf(f.id.Claims)
	if !ok || !p.tag.match(tag, func(hole, text string) bool { return p.fitsTag(hole, text, f) }) {
		return differs
	}
	if p.tag.pkg && f.open() || p.tag.version && f.openVersion() {
		return open
	}
	return holds
}

// fitsTag is true where a part of a tag names what is published, both spelled as the registry's ecosystem does.
func (p *Policy) fitsTag(hole, text string, f *facts) bool {
	if f.open() || hole == versionPlaceholder && f.openVersion() {
		return true
	}
	g := p.grant(f.target.Registry)
	if g == nil {
		return false
	}
	if hole == packagePlaceholder {
		name, err := model.NormalizeName(g.ecosystem, text)
		return err == nil && name == f.target.Package
	}
	if f.target.Version == "" {
		return f.target.Action == model.ActionRead
	}
	version, err := model.NormalizeVersion(g.ecosystem, text)
	return err == nil && version == f.target.Version
}

// describeTag says which tag was expected.
func (p *Policy) describeTag(c *Check, f *facts) {
	c.Field = "tag"
	if p.tag == nil {
		return
	}
	c.Got, _ = p.provider.TagOf(f.id.Claims)
	c.Want = p.tag.text
	if f.target.Package != "" && p.tag.pkg {
		c.Want = strings.Replace(c.Want, packagePlaceholder, f.target.Package, 1)
	}
	if f.target.Version != "" && p.tag.version {
		c.Want = strings.Replace(c.Want, versionPlaceholder, f.target.Version, 1) + " or an equal version"
	}
	c.Hint = "publish from a run that was started by this tag"
	if c.Got == "" {
		c.Hint = "the run was not started by a tag; push the tag and publish from the run that it starts"
	}
}
