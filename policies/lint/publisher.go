package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// The rules about whose run it is.
var publisherRules = []Rule{
	{
		Code: "unpinned_name", Severity: Error, Title: "names without a stable id", check: each(unpinnedName),
		Why: "A name passes to whoever registers it after its owner renamed or deleted it. PyPI found publishers of GitLab open to that " +
			"(warehouse issue 15643), and of the trust policies of cloud accounts that Astrix looked at in \"Sub:jugation\", one in seven " +
			"named an owner that nobody had registered.",
		Fix: "add the id of the repository or of its owner, in quotes, and leave allow_unpinned out",
	},
	{
		Code: "wildcard_owner", Severity: Warning, Title: "a pattern for the owner", check: each(wildcardOwner),
		Why: "A star in the owner's part of a name covers accounts that anybody may register. Loose subjects are the shape behind the findings " +
			"of Datadog Security Labs (2023), Wiz and Tinder in trust policies of cloud accounts.",
		Fix: "write the owner's name out",
	},
	{
		Code: "no_repository", Severity: Warning, Title: "no repository is named", check: each(noRepository),
		Why: "Every repository of the owner publishes these packages, new ones, forks inside the organisation and forgotten ones included. " +
			"In the GhostAction campaign (September 2025) a single pushed workflow was enough, in 817 repositories.",
		Fix: "name the repository, one policy each",
	},
	{
		Code: "any_package", Severity: Warning, Title: "every package is covered", check: each(anyPackage),
		Why: "One broken workflow then publishes all packages of the registry. From TanStack's release workflow (May 2026, " +
			"CVE-2026-45321) 84 versions of 42 packages were published.",
		Fix: "name the packages, or a prefix that belongs to the publisher",
	},
	{
		Code: "ref_only", Severity: Error, Title: "only the branch or tag is asked for", check: each(refOnly),
		Why: "Every repository has a branch called main. JFrog's documentation showed an identity mapping that asks for `ref` alone; with it " +
			"any repository of the whole platform publishes.",
		Fix: "ask for the claims that say whose run it is",
	},
	{
		Code: "subject_only", Severity: Warning, Title: "only the subject of a generic issuer is asked for", check: each(subjectOnly),
		Why: "A subject is a text made of names, in an order that can be configured: names pass to others, and a changed template silently changes " +
			"who matches. GitHub changed its subjects in 2026, which broke publishers that compared them (npm/cli issue 9969).",
		Fix: "ask for an id among the claims too",
	},
	{
		Code: "ambiguous_subject", Severity: Error, Title: "a subject with ids behind a hyphen", check: each(ambiguousSubject),
		Why: "In `repo:acme-222/widget-111:…` nobody can tell the owner acme with the id 222 from an owner that is called acme-222. GitHub took this " +
			"form back in 2026 after Boost Security's \"Sleeper Squats\"; Forgejo uses it.",
		Fix: "ask for the ids in claims of their own, or for the form with @",
	},
	{
		Code: "moving_workflow", Severity: Note, Title: "a reusable workflow at a place that moves", check: each(movingWorkflow),
		Why: "Whoever may push the branch of the other repository decides what is published. The tags of tj-actions/changed-files were moved to " +
			"malicious commits in March 2025 (CVE-2025-30066).",
		Fix: "name a protected tag or a commit behind the @",
	},
}

func unpinnedName(p *pass, in *policy) {
	prov, known := provider.Get(in.Provider())
	if !known || !prov.Pinned() {
		return
	}
	var name *policies.Field
	for i := range in.fields {
		f := &in.fields[i]
		if f.Stable != "" {
			return
		}
		if f.Names != "" && name == nil {
			name = f
		}
	}
	if name != nil {
		p.report(in, name.Position, "", "%s is a name, which can pass to others, and no stable id is named", name.Name)
	}
}

func wildcardOwner(p *pass, in *policy) {
	prov, _ := provider.Get(in.Provider())
	for i := range in.fields {
		f := &in.fields[i]
		replaces := false
		if prov != nil {
			if known, ok := prov.Field(f.Name); ok {
				replaces = known.Replaces != ""
			}
		}
		if f.Names == "" && !replaces {
			continue
		}
		for _, v := range f.Values {
			first, _, _ := strings.Cut(v.Text, "*")
			if v.Glob && !strings.ContainsAny(first, "/:") {
				p.report(in, v.Position, "", "%s is %q, a pattern that covers more than one owner", f.Name, v.Text)
			}
		}
	}
}

func noRepository(p *pass, in *policy) {
	for i := range in.fields {
		if f := &in.fields[i]; f.Names == "repository" || f.Stable == "repository" {
			return
		}
	}
	for i := range in.fields {
		if f := &in.fields[i]; (f.Names == "owner" || f.Stable == "owner") && !in.ownPackagesOnly() {
			p.report(in, f.Position, "", "the publisher names an owner and no repository, so all of the owner's repositories may %s", in.may())
			return
		}
	}
}

// ownPackagesOnly is true where every package is named after the run's own claims, so that no repository reaches another's.
func (in *policy) ownPackagesOnly() bool {
	return len(in.grants) > 0 && !slices.ContainsFunc(in.grants[0].Packages, func(pkg policies.Package) bool { return !pkg.Template })
}

func anyPackage(p *pass, in *policy) {
	if len(in.grants) == 0 {
		return
	}
	for _, pkg := range in.grants[0].Packages {
		if pkg.Any || pkg.Glob && !telling(pkg.Pattern) {
			p.report(in, pkg.Position, "", "%q covers every package of the registry", pkg.Pattern)
		}
	}
}

// telling is true for a pattern with a letter or a digit.
func telling(pattern string) bool {
	return strings.ContainsFunc(pattern, func(r rune) bool { return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' })
}

// refLike are the names under which CI platforms say which branch or tag a run is of.
var refLike = regexp.MustCompile(`(?i)(^|[^a-z])(head_|base_|build_|scm_|git_|vcs_)?(ref|refs|branch|tag|branch_?name|tag_?name)(_?(type|path|protected|name))?$`)

func refOnly(p *pass, in *policy) {
	for i := range in.fields {
		f := &in.fields[i]
		if f.Names != "" || f.Stable != "" || !refLike.MatchString(strings.TrimPrefix(f.Name, "claims.")) {
			return
		}
	}
	if len(in.fields) > 0 {
		p.report(in, in.fields[0].Position, "", "the publisher asks for %s only, which any repository has", in.fields[0].Name)
	}
}

// generic is the provider of which nothing is known but the subject.
const generic = "oidc"

func subjectOnly(p *pass, in *policy) {
	if in.Provider() != generic || len(in.fields) != 1 || in.fields[0].Claim != "sub" {
		return
	}
	p.report(in, in.fields[0].Position, "", "the subject is all that is asked for")
}

// hyphenSubject is the form of a subject that puts ids behind names with a hyphen.
var hyphenSubject = regexp.MustCompile(`^repo:[^/:@]+-[0-9*]+/[^/:@]+-[0-9*]+(:|$)`)

func ambiguousSubject(p *pass, in *policy) {
	for i := range in.fields {
		f := &in.fields[i]
		for _, v := range f.Values {
			if f.Claim == "sub" && hyphenSubject.MatchString(v.Text) {
				p.report(in, v.Position, "", "%s is %q, in which a name that ends in a number looks like a name with its id", f.Name, v.Text)
			}
		}
	}
}

func movingWorkflow(p *pass, in *policy) {
	prov, known := provider.Get(in.Provider())
	if !known {
		return
	}
	for i := range in.fields {
		f := &in.fields[i]
		if described, ok := prov.Field(f.Name); !ok || described.Replaces == "" {
			continue
		}
		for _, v := range f.Values {
			_, at, found := strings.Cut(v.Text, "@")
			if !found || strings.HasPrefix(at, "refs/heads/") || strings.Contains(at, "*") {
				p.report(in, v.Position, "", "%s is %q, which names a branch or a pattern", f.Name, v.Text)
			}
		}
	}
}
