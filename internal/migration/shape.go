package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// shape is the part of a policy that follows from one run: the smallest pinned publisher that covers it.
type shape struct {
	publisher []Pair
	events    []string
	tag       string
	unpinned  bool
	// notes say what is weak about the policy, and what to check, one a line.
	notes []string
}

// key tells shapes apart.
func (s *shape) key() string {
	return fmt.Sprintf("%q %q %q %t", s.publisher, s.events, s.tag, s.unpinned)
}

// shape derives the publisher of a run. An error says why there can be none.
func (o *observation) shape() (*shape, error) {
	s := &shape{}
	for _, step := range []func(*shape) error{o.pin, o.file, o.trigger, o.gates, o.needed} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	// The provider's order, which is that of its documentation.
	slices.SortStableFunc(s.publisher, func(a, b Pair) int { return o.place(a.Field) - o.place(b.Field) })
	return s, nil
}

func (o *observation) place(field string) int {
	return slices.IndexFunc(o.prov.Fields, func(f *provider.Field) bool { return f.Name == field })
}

// ask adds a field with the run's own text. A text that a policy would read as a pattern cannot be asked for.
func (o *observation) ask(s *shape, f *provider.Field, value string) error {
	if strings.Contains(value, "*") {
		return fmt.Errorf("%s is %q, which a policy would read as a pattern", f.Name, value)
	}
	s.publisher = append(s.publisher, Pair{f.Name, value})
	return nil
}

// first is the first field that wanted is true of and that the run has a text for.
func (o *observation) first(wanted func(*provider.Field) bool) *provider.Field {
	for _, f := range o.prov.Fields {
		if wanted(f) && f.Claim != "" && o.text(f.Claim) != "" {
			return f
		}
	}
	return nil
}

// pin names the repository and a stable id: its owner's, which a renamed repository keeps, or else its own.
func (o *observation) pin(s *shape) error {
	named := o.first(func(f *provider.Field) bool { return f.Names == provider.Repository })
	stable := o.first(func(f *provider.Field) bool { return f.Stable == provider.Owner })
	if stable == nil || named == nil {
		if id := o.first(func(f *provider.Field) bool { return f.Stable == provider.Repository }); id != nil {
			stable = id
		}
	}
	if named == nil && (stable == nil || stable.Stable != provider.Repository) {
		return fmt.Errorf("the audit has no repository of the run")
	}
	for _, f := range []*provider.Field{named, stable} {
		if f == nil {
			continue
		}
		if err := o.ask(s, f, o.text(f.Claim)); err != nil {
			return err
		}
	}
	switch {
	case stable == nil && o.prov.Pinned():
		s.unpinned = true
		s.notes = append(s.notes, "WEAK: the audit has no stable id of this run; add one with trustpub policy pin, and remove allow_unpinned.")
	case stable == nil:
		s.notes = append(s.notes, fmt.Sprintf("WEAK: tokens of %s have no stable id: whoever gets the name later may publish too.", o.prov.Title))
	}
	return nil
}

// file names the file that the run is written in. Where a claim names another file than the field expects, the field that
// replaces the comparison names that one.
func (o *observation) file(s *shape) error {
	for _, f := range o.prov.Fields {
		if f.Equals == nil {
			continue
		}
		value, replaced := "", []*provider.Field{}
		for _, claim := range f.EqualClaims {
			solved, ok := o.prov.Solve(f, o.id.Claims, claim)
			switch by := o.replacing(claim); {
			case ok && (value == "" || value == solved):
				value = solved
			case by != nil && o.text(claim) != "":
				replaced = append(replaced, by)
			default:
				s.notes = append(s.notes, fmt.Sprintf("WEAK: the audit does not say in which file the run is written, so any %s will do.", f.Name))
				return nil
			}
		}
		if value != "" {
			if err := o.ask(s, f, value); err != nil {
				return err
			}
		}
		for _, by := range replaced {
			if err := o.ask(s, by, o.text(by.Claim)); err != nil {
				return err
			}
		}
	}
	return nil
}

// replacing finds the field that takes over a claim from fields with a template.
func (o *observation) replacing(claim string) *provider.Field {
	for _, f := range o.prov.Fields {
		if f.Replaces == claim {
			return f
		}
	}
	return nil
}

// trigger accepts what started the run, where that is not accepted anyway.
func (o *observation) trigger(s *shape) error {
	t := o.prov.Trigger
	if t == nil {
		return nil
	}
	event := o.text(t.Claim)
	switch {
	case event == "":
		return fmt.Errorf("the audit does not say what started the run (%s)", t.Claim)
	case t.Allows(event):
		return nil
	case !slices.Contains(t.Known, event):
		return fmt.Errorf("%s is %q, which no policy can name", t.Claim, event)
	}
	s.events = []string{event}
	s.notes = append(s.notes, fmt.Sprintf("WEAK: started by %s: such a run may hold a stranger's code or a stranger's input.", event))
	return nil
}

// gates names what held the run back: environment, tag, or the branch.
func (o *observation) gates(s *shape) error {
	environment := o.first(func(f *provider.Field) bool { return f.Gate == provider.GateEnvironment })
	if environment != nil {
		if err := o.ask(s, environment, o.text(environment.Claim)); err != nil {
			return err
		}
	}
	tagged, err := o.tag(s)
	if err != nil {
		return err
	}
	ref := o.first(func(f *provider.Field) bool { return f.Gate == provider.GateRef })
	if ref != nil && !tagged {
		if err := o.ask(s, ref, o.text(ref.Claim)); err != nil {
			return err
		}
	}
	o.protection(s, environment, ref)
	return nil
}

// needed adds the fields without which the platform's tokens speak for strangers' code too.
func (o *observation) needed(s *shape) error {
	for _, f := range o.prov.Fields {
		if !f.Needed || slices.ContainsFunc(s.publisher, func(p Pair) bool { return p.Field == f.Name }) {
			continue
		}
		value := o.text(f.Claim)
		if value == "" {
			return fmt.Errorf("the audit does not say %s, which every policy of %s needs", f.Claim, o.prov.Title)
		}
		before, versioned := strings.CutSuffix(s.tag, "{version}")
		if start := o.tagPrefix() + before; f.Gate == provider.GateRef && f.Glob && versioned && strings.HasPrefix(value, start) {
			s.publisher = append(s.publisher, Pair{f.Name, start + "*"}) // the tag says the rest
			continue
		}
		if err := o.ask(s, f, value); err != nil {
			return err
		}
	}
	return nil
}

// tagPrefix begins the claim that holds a tag.
func (o *observation) tagPrefix() string {
	if o.prov.Tag == nil {
		return ""
	}
	return o.prov.Tag.Prefix
}

// protection asks for what the platform said of environment and ref, and says where it held nothing back.
func (o *observation) protection(s *shape, environment, ref *provider.Field) {
	gate, what := provider.GateProtectedRef, "ref"
	if environment != nil {
		gate, what = provider.GateProtectedEnvironment, "environment"
	}
	said := o.first(func(f *provider.Field) bool { return f.Gate == gate })
	switch {
	case said != nil && o.text(said.Claim) == "true":
		s.publisher = append(s.publisher, Pair{said.Name, "true"})
	case said != nil:
		s.notes = append(s.notes, fmt.Sprintf("WEAK: the %s is not protected (%s): whoever may push to the repository can publish; protect it, and add %s: \"true\".", what, said.Name, said.Name))
	case environment != nil:
		// Platforms that do not say whether an environment is protected create it unprotected at its first use.
		s.notes = append(s.notes, fmt.Sprintf("CHECK: the token does not say whether the environment %q is protected: see that it has reviewers or a list of refs.", o.text(environment.Claim)))
	case ref == nil:
		s.notes = append(s.notes, "WEAK: the audit names neither an environment nor a ref: any run of this publisher will do.")
	default:
		s.notes = append(s.notes, "WEAK: neither an environment nor a protected ref: whoever may push to the repository can publish.")
	}
}

// tag asks for the tag that started the run, with the version's place where it has one; false where there is no tag.
func (o *observation) tag(s *shape) (bool, error) {
	if o.prov.Tag == nil || o.prov.Tag.Chosen {
		return false, nil
	}
	tag, ok := o.prov.TagOf(o.id.Claims)
	if !ok {
		return false, nil
	}
	if strings.ContainsAny(tag, "{}*") || strings.HasPrefix(tag, "refs/") {
		return false, fmt.Errorf("the tag is %q, which a policy cannot name", tag)
	}
	if before, ok := versionAt(o.target, tag); ok {
		s.tag = before + "{version}"
		return true, nil
	}
	if before, ok := versionIn(o.target.Ecosystem, tag); ok && o.target.Versionless {
		s.tag = before + "{version}"
		return true, nil
	}
	s.tag = tag
	// Other packages and versions may come to the same policy, so none is named.
	s.notes = append(s.notes, fmt.Sprintf("WEAK: the tag %q does not name the version that is published, so a run of it may publish any.", tag))
	return true, nil
}

// versionAt is the text of a tag before the version of a target, which ends the tag.
func versionAt(target model.Target, tag string) (before string, ok bool) {
	if target.Version == "" {
		return "", false
	}
	return beforeVersion(target.Ecosystem, tag, func(v string) bool { return v == target.Version })
}

// versionIn is the text of a tag before any version that ends it, for a target that does not say which.
func versionIn(ecosystem, tag string) (before string, ok bool) {
	return beforeVersion(ecosystem, tag, func(string) bool { return true })
}

// beforeVersion is the text of a tag before the longest version that ends it and fits.
func beforeVersion(ecosystem, tag string, fits func(version string) bool) (before string, ok bool) {
	for i := range tag {
		digit := tag[i] >= '0' && tag[i] <= '9'
		if !digit || i > 0 && tag[i-1] >= '0' && tag[i-1] <= '9' {
			continue // a version's number is never cut
		}
		if v, err := model.NormalizeVersion(ecosystem, tag[i:]); err == nil && fits(v) {
			return tag[:i], true
		}
	}
	return "", false
}
