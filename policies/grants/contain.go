package grants

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// view is a policy as it is compared: read once, since its accessors copy.
type view struct {
	policy      *policies.Policy
	issuer      policies.Issuer
	fields      []policies.Field
	grants      []policies.Grant
	actions     []policies.Action
	events      []string
	tag, when   string
	begin, end  time.Time
	fresh       bool // new_packages
	freshUntil  time.Time
	fingerprint string
}

func viewOf(p *policies.Policy) *view {
	v := &view{
		policy: p, issuer: p.Issuer(), fields: p.Fields(), grants: p.Grants(), actions: p.Actions(), events: p.Events(),
		tag: p.Tag(), when: p.When(), begin: p.NotBefore(), end: p.NotAfter(),
	}
	v.fresh, v.freshUntil = p.NewPackages()
	var b strings.Builder
	fmt.Fprintf(&b, "%q%q%v", p.Provider(), v.issuer.Name, v.issuer.Disabled)
	for _, f := range v.fields {
		fmt.Fprintf(&b, "|%q%q%q", f.Name, f.Claim, f.Equal)
		for _, one := range f.Values { // each on its own: a value may hold a comma
			fmt.Fprintf(&b, "%q%v", one.Text, one.Glob)
		}
	}
	for _, g := range v.grants {
		fmt.Fprintf(&b, "|%q%q", g.Registry, g.Ecosystem)
		for _, one := range g.Packages {
			fmt.Fprintf(&b, "%q", one.Pattern)
		}
	}
	fmt.Fprintf(&b, "|%q%q%q%q%s%s%v%s%v", v.actions, v.events, v.tag, v.when, stamp(v.begin), stamp(v.end), v.fresh, stamp(v.freshUntil), p.Exclusive())
	v.fingerprint = b.String()
	return v
}

// atom is the smallest thing that is compared: one package of one registry, one action, one value of each field.
type atom struct {
	*view

	grant  *policies.Grant
	pkg    policies.Package
	action policies.Action
	fields []policies.Field
}

// maxSplit bounds the combinations of values into which one policy's fields are split.
const maxSplit = 64

// atoms splits a policy. A policy of a disabled issuer grants nothing.
func (v *view) atoms() []atom {
	if v.issuer.Disabled {
		return nil
	}
	var list []atom
	for _, fields := range split(v.fields) {
		for i := range v.grants {
			for _, pkg := range v.grants[i].Packages {
				for _, action := range v.actions {
					list = append(list, atom{v, &v.grants[i], pkg, action, fields})
				}
			}
		}
	}
	return list
}

// split gives one list of fields for each combination of values, or the fields as they are where these are too many.
func split(fields []policies.Field) [][]policies.Field {
	out := [][]policies.Field{nil}
	for _, f := range fields {
		if len(out)*len(f.Values) > maxSplit {
			return [][]policies.Field{fields}
		}
		var next [][]policies.Field
		for _, head := range out {
			for _, v := range f.Values {
				one := f
				one.Values = []policies.Value{v}
				next = append(next, append(slices.Clone(head), one))
			}
		}
		out = next
	}
	return out
}

// gaps lists why a policy may refuse something that the atom grants: none means that it grants all of it. With gone, the
// atom is of the old set and the words go the other way.
func (a *atom) gaps(by *view, gone bool) []string {
	if by.issuer.Disabled || by.issuer != a.issuer || by.policy.Provider() != a.policy.Provider() {
		return []string{"issuer: " + by.issuer.Name + " -> " + a.issuer.Name}
	}
	var why []string
	add := func(field, from, to string) {
		if gone {
			from, to = to, from
		}
		why = append(why, fmt.Sprintf("%s: %s -> %s", field, or(from), or(to)))
	}
	for i := range by.fields {
		f := &by.fields[i]
		at := slices.IndexFunc(a.fields, func(one policies.Field) bool { return one.Name == f.Name })
		if at < 0 || !implies(&a.fields[at], f) {
			to := ""
			if at >= 0 {
				to = texts(a.fields[at].Values)
			}
			add(f.Name, texts(f.Values), to)
		}
	}
	why = append(why, a.packageGaps(by, gone)...)
	if !allows(by.actions, a.action) {
		add("actions", words(by.actions), string(a.action))
	}
	for _, event := range a.events {
		if !slices.Contains(by.events, event) {
			add("events", "", event)
		}
	}
	if by.tag != "" && by.tag != a.tag {
		add("tag", by.tag, a.tag)
	}
	if by.when != "" && by.when != a.when {
		why = append(why, "when: the conditions are not the same text, and are not compared further")
	}
	if a.begin.Before(by.begin) {
		add("not_before", stamp(by.begin), stamp(a.begin))
	}
	if !by.end.IsZero() && (a.end.IsZero() || a.end.After(by.end)) {
		add("not_after", stamp(by.end), stamp(a.end))
	}
	return why
}

// implies is true where whatever the narrow field accepts is accepted by the wide one, which has the same name.
func implies(narrow, wide *policies.Field) bool {
	for _, claim := range wide.Equal {
		if !slices.Contains(narrow.Equal, claim) {
			return false
		}
	}
	for _, v := range narrow.Values {
		if !slices.ContainsFunc(wide.Values, func(w policies.Value) bool {
			return w.Text == v.Text || w.Glob && policies.CoversPattern(w.Text, v.Text)
		}) {
			return false
		}
	}
	return true
}

// packagesGap begins the gaps of a package that a policy does not cover at all.
const packagesGap = "packages: "

// packageGaps compares the package, and whether its first publish is granted.
func (a *atom) packageGaps(by *view, gone bool) []string {
	at := slices.IndexFunc(by.grants, func(g policies.Grant) bool { return g.Registry == a.grant.Registry && g.Ecosystem == a.grant.Ecosystem })
	if at < 0 {
		return []string{packagesGap + "not in the registry " + a.grant.Registry}
	}
	covered, named := false, false
	for _, one := range by.grants[at].Packages {
		if covers(one, a.pkg) {
			covered = true
			named = named || !one.Glob && !one.Template
		}
	}
	switch {
	case !covered && a.pkg.Template:
		return []string{packagesGap + a.pkg.Pattern + " is a template, and is not compared further"}
	case !covered:
		return []string{packagesGap + a.pkg.Pattern + " is not covered"}
	case named || !a.creates() || by.fresh && (by.freshUntil.IsZero() || !a.pkgNamed() && !a.freshUntil.IsZero() && !a.freshUntil.After(by.freshUntil)):
		return nil
	}
	if gone {
		return []string{"new_packages: the first publish of " + a.pkg.Pattern + " is no longer allowed"}
	}
	return []string{"new_packages: the first publish of " + a.pkg.Pattern + " is allowed"}
}

func (a *atom) pkgNamed() bool { return !a.pkg.Glob && !a.pkg.Template }

// creates is true where the atom grants the first publish of a package.
func (a *atom) creates() bool {
	switch a.action {
	case model.ActionRead, model.ActionYank, model.ActionDelete:
		return false
	}
	return a.pkgNamed() || a.fresh
}

// covers is true where an entry of packages covers all of another one.
func covers(wide, narrow policies.Package) bool {
	switch {
	case wide.Any:
		return true
	case wide.Template:
		return narrow.Template && narrow.Pattern == wide.Pattern
	case narrow.Template:
		return wide.Glob && policies.CoversPattern(wide.Pattern, narrow.Covers)
	}
	return !narrow.Any && policies.CoversPattern(wide.Pattern, narrow.Pattern)
}

func allows(actions []policies.Action, action policies.Action) bool {
	return slices.Contains(actions, action) || action == model.ActionRead && slices.Contains(actions, model.ActionPublish)
}

func or(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func texts(values []policies.Value) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.Text
	}
	return strings.Join(list, ", ")
}

func words(actions []policies.Action) string {
	list := make([]string, len(actions))
	for i, a := range actions {
		list[i] = string(a)
	}
	return strings.Join(list, ", ")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
