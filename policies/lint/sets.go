package lint

import (
	"iter"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/policies"
)

// The rules about policies beside each other and beside the gateway's configuration.
var setRules = []Rule{
	{
		Code: "expired", Severity: Warning, Title: "the policy has expired", check: each(expired),
		Why: "It grants nothing any more and still claims its packages in mode `claimed`. NORA parsed `namespace_scope` and did not " +
			"enforce it (until its issue 583): what stands in a policy and does nothing misleads whoever reads it.",
		Fix: "remove the policy, or give it a new date",
	},
	{
		Code: "unknown_registry", Severity: Error, Title: "no such registry", check: each(unknownRegistry),
		Why: "The gateway refuses a file that names a registry it does not have: a policy for a misspelt registry would protect nothing. Looked for " +
			"where `--registries` or `--config` says which there are.",
		Fix: "correct the name, or configure the registry",
	},
	{
		Code: "unknown_issuer", Severity: Error, Title: "no such issuer", check: each(unknownIssuer),
		Why: "No token can match a policy whose issuer is not configured; the gateway refuses the file. Looked for where `--issuers` or " +
			"`--config` says which there are.",
		Fix: "correct the name, or configure the issuer",
	},
	{
		Code: "disabled_issuer", Severity: Note, Title: "the issuer is disabled", check: each(disabledIssuer),
		Why: "The policy grants nothing until the issuer is enabled again, and still claims its packages in mode `claimed`. Looked for where " +
			"`--config` says so.",
		Fix: "remove the policy if the issuer stays disabled",
	},
	{
		Code: "shadowed", Severity: Warning, Title: "another policy grants all of it", check: shadowed,
		Why: "Policies only ever add, so narrowing or removing this one changes nothing: the other still grants. Who tightens it after an incident " +
			"believes in a protection that is not there.",
		Fix: "remove one of the two, or narrow the other",
	},
	{
		Code: "overlapping_owners", Severity: Warning, Title: "different owners publish one package", check: overlappingOwners,
		Why: "Each of them can replace what the other publishes. Where it is meant, as in a move from one owner to another, it is meant for a time. " +
			"Trail of Bits found that PyPI mixed publishers of two issuers with the same names (TOB-PYPI26-12).",
		Fix: "leave the package to one of them, or set not_after on the one that goes",
	},
	{
		Code: "look_alike", Severity: Warning, Title: "a name that looks like another", check: lookAlikes,
		Why: "Names are compared byte for byte: one that differs in case or in a letter of another alphabet never matches, or is somebody else's. " +
			"Squatted look-alikes are the oldest attack on registries (typosquatting), and pass every review.",
		Fix: "write it as the other one is written, or ignore this with the reason why both exist",
	},
}

// ended is true for a policy whose time is over.
func (in *policy) ended(p *pass) bool {
	end := in.NotAfter()
	return !end.IsZero() && !p.opts.Now().Before(end)
}

func expired(p *pass, in *policy) {
	if !in.ended(p) {
		return
	}
	p.report(in, in.At("not_after"), "", "the policy grants nothing since %s", in.NotAfter().UTC().Format("2006-01-02 15:04 MST"))
}

func unknownRegistry(p *pass, in *policy) {
	if p.opts.Registries == nil {
		return
	}
	for _, g := range in.grants {
		if _, known := p.opts.Registries[g.Registry]; !known {
			p.report(in, g.Position, "", "registry %q is not configured", g.Registry)
		}
	}
}

func unknownIssuer(p *pass, in *policy) {
	name := in.Issuer().Name
	if p.opts.Issuers == nil || slices.ContainsFunc(p.opts.Issuers, func(i policies.Issuer) bool { return i.Name == name }) {
		return
	}
	if at := in.At("issuer"); at.Line > 0 {
		p.report(in, at, "", "issuer %q is not configured", name)
		return
	}
	p.report(in, in.At("publisher"), "", "no issuer of the provider %s is configured", in.Provider())
}

func disabledIssuer(p *pass, in *policy) {
	if in.Issuer().Disabled {
		p.report(in, in.At("issuer"), "", "issuer %q is disabled", in.Issuer().Name)
	}
}

// shadowed reports each policy that another one grants as a whole; of two that are equal the later one.
func shadowed(p *pass) {
	identities := identities(p.policies)
	idx := newByPackage(p.policies, func(i int) string { return identities[i] })
	for i, in := range p.policies {
		if in.ended(p) {
			continue // expired says so
		}
		for j := range coverers(idx, in) {
			other := p.policies[j]
			if i == j || !other.grantsAllOf(in, p) || j > i && in.grantsAllOf(other, p) {
				continue
			}
			p.report(in, in.At(""), "", "policy %s (%s:%d) grants all that this one grants", other.Name, other.File, other.Line)
			break
		}
	}
}

// identities are, for each policy, the field and value of its publisher that the fewest policies have; empty where all are
// patterns or lists. Whatever is covered by a policy has its value too.
func identities(all []*policy) []string {
	literal := func(f *policies.Field) bool { return len(f.Values) == 1 && !f.Values[0].Glob }
	count := map[string]int{}
	for _, one := range all {
		for i := range one.fields {
			if f := &one.fields[i]; literal(f) {
				count[f.Name+"="+f.Values[0].Text]++
			}
		}
	}
	out := make([]string, len(all))
	for n, one := range all {
		for i := range one.fields {
			if f := &one.fields[i]; literal(f) {
				if key := f.Name + "=" + f.Values[0].Text; out[n] == "" || count[key] < count[out[n]] {
					out[n] = key
				}
			}
		}
	}
	return out
}

// coverers are the policies, by their index, that may cover all that one covers: those that cover its first package, and
// whose identity is among its values.
func coverers(idx *byPackage[string], in *policy) iter.Seq[int] {
	return func(yield func(int) bool) {
		if len(in.grants) == 0 || len(in.grants[0].Packages) == 0 {
			return
		}
		values := []string{""}
		for i := range in.fields {
			for _, v := range in.fields[i].Values {
				values = append(values, in.fields[i].Name+"="+v.Text)
			}
		}
		for near := range idx.near(in.grants[0].Registry, shapeOf(in.grants[0].Packages[0])) {
			for _, value := range values {
				for _, e := range near.by[value] {
					if !yield(e.index) {
						return
					}
				}
			}
		}
	}
}

// grantsAllOf is true where every run that other lets publish something may do so by this policy too. It is never true by
// mistake; conditions are only taken for equal where they are written alike.
func (in *policy) grantsAllOf(other *policy, p *pass) bool {
	switch {
	case in.Issuer().Name != other.Issuer().Name || in.Provider() != other.Provider():
	case !in.NotAfter().IsZero() && (in.ended(p) || other.NotAfter().IsZero() || in.NotAfter().Before(other.NotAfter())):
	case in.NotBefore().After(other.NotBefore()):
	case in.When() != "" && in.When() != other.When():
	case in.Tag() != "" && in.Tag() != other.Tag():
	case !in.Exclusive() && other.Exclusive():
	case !subset(other.Actions(), in.actions()) || !subset(other.Events(), in.Events()):
	case !in.asksNoMore(other):
	default:
		return in.coversPackages(other)
	}
	return false
}

// actions are what is granted; whoever may publish may also read.
func (in *policy) actions() []policies.Action {
	list := in.Actions()
	if slices.Contains(list, policies.ActionPublish) {
		list = append(list, policies.ActionRead)
	}
	return list
}

func subset[T comparable](small, large []T) bool {
	return !slices.ContainsFunc(small, func(v T) bool { return !slices.Contains(large, v) })
}

// asksNoMore is true where every field of the policy is in the other as well, at least as narrow.
func (in *policy) asksNoMore(other *policy) bool {
	for i := range in.fields {
		mine := &in.fields[i]
		theirs := other.field(mine.Name)
		if theirs == nil || !subset(mine.Equal, theirs.Equal) {
			return false
		}
		for _, v := range theirs.Values {
			if !slices.ContainsFunc(mine.Values, func(w policies.Value) bool { return w.Text == v.Text || w.Glob && covers(w.Text, v.Text) }) {
				return false
			}
		}
	}
	return true
}

// coversPackages is true where every registry and package of the other is covered. A pattern or template covers a name, or
// another that lets new packages be published, only where it lets new packages be published itself.
func (in *policy) coversPackages(other *policy) bool {
	for i := range other.grants {
		theirs := &other.grants[i]
		at := slices.IndexFunc(in.grants, func(g policies.Grant) bool { return g.Registry == theirs.Registry })
		if at < 0 {
			return false
		}
		for _, pkg := range theirs.Packages {
			if !slices.ContainsFunc(in.grants[at].Packages, func(mine policies.Package) bool {
				exact := !mine.Glob && !mine.Template
				return exact && mine.Pattern == pkg.Pattern || !exact && in.letsIn(other, pkg) && wider(mine, pkg)
			}) {
				return false
			}
		}
	}
	return true
}

// letsIn is true where a pattern of the policy lets every new package be published that an entry of the other lets be.
func (in *policy) letsIn(other *policy, pkg policies.Package) bool {
	mine, until := in.NewPackages()
	theirs, _ := other.NewPackages()
	return mine && until.IsZero() || (pkg.Glob || pkg.Template) && !theirs
}

// wider is true where a pattern or template covers all that another entry of a list covers.
func wider(mine, pkg policies.Package) bool {
	switch {
	case mine.Any || mine.Pattern == pkg.Pattern:
		return true
	case mine.Template || pkg.Any:
		return false
	case pkg.Template:
		return covers(mine.Pattern, pkg.Covers)
	}
	return covers(mine.Pattern, pkg.Pattern)
}

// covers is true where a pattern matches a text, or all that another pattern matches: a star in the other is matched by a star only.
func covers(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	rest := text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 || strings.ContainsAny(rest[:at], separators) {
			return false
		}
		rest = rest[at+len(part):]
	}
	return !strings.ContainsAny(rest, separators)
}

// separators are what a star never stands for.
const separators = "/:"
