package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// The rules about which runs of a publisher may publish.
var runRules = []Rule{
	{
		Code: "pull_request_trigger", Severity: Error, Title: "pull requests may publish", check: each(pullRequestTrigger),
		Why: "A run for a pull request runs code that a stranger wrote, or beside it. TanStack's packages were taken over in May 2026 by way of " +
			"`pull_request_target` and a poisoned cache (CVE-2026-45321): 84 versions, published by trusted publishing, with valid provenance.",
		Fix: "leave the event out, and publish from push, release or workflow_dispatch",
	},
	{
		Code: "outsider_trigger", Severity: Warning, Title: "strangers can start the run", check: each(outsiderTrigger),
		Why: "Anybody may comment, open an issue, star or fork, and a `workflow_run` follows runs of forks. What such a run reads of the event is " +
			"written by strangers. Rust's public registry refuses `workflow_run` and `pull_request_target` for that reason.",
		Fix: "leave the event out, or see to it that the run takes nothing from what started it",
	},
	{
		Code: "any_branch", Severity: Warning, Title: "runs of any branch may publish", check: each(anyBranch),
		Why: "Whoever may push any branch can edit the workflow there and publish with it; review and protected branches are passed by. It is " +
			"what PyPI's analysis of the Ultralytics attack (December 2024) advises an environment against.",
		Fix: "ask for an environment with required reviewers, for a protected ref, or for a tag",
	},
	{
		Code: "environment_may_not_exist", Severity: Note, Title: "GitHub makes an environment when it is first named", check: each(environmentMayNotExist),
		Why: "A workflow on any branch that names an environment which does not exist creates it, without reviewers and without branch rules " +
			"(GitHub's documentation, \"Managing environments for deployment\"). The name alone then holds nobody back.",
		Fix: "create the environment with protection rules first, or add tag:, ref: or ref_protected: \"true\"",
	},
	{
		Code: "environment_unprotected", Severity: Warning, Title: "an environment that need not be protected", check: each(environmentUnprotected),
		Why: "In GitLab every developer may deploy to an environment that is not protected, and naming a new one in `.gitlab-ci.yml` creates it. " +
			"The token says whether it is protected.",
		Fix: "add environment_protected: \"true\"",
	},
	{
		Code: "when_ignores_claims", Severity: Note, Title: "a condition that reads no claim", check: each(whenIgnoresClaims),
		Why: "A condition over package, version or time says what is published and when, not by whom: it holds or fails for every run alike. " +
			"`when: \"true\"` holds nobody back.",
		Fix: "name a claim, or use tag:, packages: and not_after: for what is published and until when",
	},
}

func pullRequestTrigger(p *pass, in *policy) {
	triggers(p, in, func(event string) string {
		if strings.Contains(event, "pull_request") || strings.Contains(event, "merge_request") || event == "pr" {
			return "event %q: runs for pull requests may " + in.may()
		}
		return ""
	})
}

// outsiders are triggers, of whatever provider, that need no right to push.
var outsiders = []string{
	"discussion", "discussion_comment", "fork", "gollum", "issue_comment", "issues", "watch", "workflow_run", "trigger", "chat", "external",
}

func outsiderTrigger(p *pass, in *policy) {
	triggers(p, in, func(event string) string {
		if slices.Contains(outsiders, event) {
			return "event %q: people who may not push can bring such a run about"
		}
		return ""
	})
}

// triggers reports the events of a policy for which say has something to say.
func triggers(p *pass, in *policy, say func(event string) string) {
	for i, event := range in.AddedEvents() {
		if text := say(event); text != "" {
			p.report(in, in.event(i, event, p), "", text, event)
		}
	}
}

// event is the place of an added event: the list may name events that the provider allows anyway, which are not among those added.
func (in *policy) event(i int, event string, p *pass) policies.Position {
	for n := i; ; n++ {
		at := in.Item("events", n)
		if at.Line == 0 {
			return in.At("events")
		}
		line := []rune(p.files[in.File].line(at.Line))
		if at.Column <= len(line) && strings.HasPrefix(strings.TrimLeft(string(line[at.Column-1:]), `"'`), event) {
			return at
		}
	}
}

// gates are the fields that hold a run back.
func (in *policy) gate(gate provider.Gate) *policies.Field {
	for i := range in.fields {
		if f := &in.fields[i]; f.Gate == string(gate) {
			return f
		}
	}
	return nil
}

// holds is true where a protection is asked for: its only value is "true".
func holds(f *policies.Field) bool {
	return f != nil && len(f.Values) == 1 && f.Values[0].Text == "true"
}

// refs is true where the policy asks for certain branches or tags, or for protected ones.
func (in *policy) refs() bool {
	if in.Tag() != "" || holds(in.gate(provider.GateProtectedRef)) {
		return true
	}
	for i := range in.fields {
		f := &in.fields[i]
		switch {
		case f.Name == "ref_type":
			if len(f.Values) == 1 && f.Values[0].Text == "tag" {
				return true
			}
		case f.Gate == string(provider.GateRef), f.Name == "ref":
			if !slices.ContainsFunc(f.Values, anyRef) {
				return true
			}
		}
	}
	return refCondition.MatchString(in.When())
}

// refCondition is a condition that reads a claim about the branch, tag or environment.
var refCondition = regexp.MustCompile(`claims\s*(\.|\[\s*["'])[a-zA-Z_]*(ref|branch|tag|environment)`)

// anyRef is true for a pattern that covers all branches.
func anyRef(v policies.Value) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(v.Text, "refs/"), "heads/")
	return v.Glob && strings.Trim(rest, "*/") == ""
}

// anyText is true for a pattern that says nothing.
func anyText(v policies.Value) bool { return v.Glob && !telling(v.Text) }

func anyBranch(p *pass, in *policy) {
	prov, known := provider.Get(in.Provider())
	if !known || prov.Tag == nil && len(prov.Gated(provider.GateRef)) == 0 && len(prov.Gated(provider.GateEnvironment)) == 0 {
		return // its tokens do not say
	}
	environment := in.gate(provider.GateEnvironment)
	named := environment != nil && !slices.ContainsFunc(environment.Values, anyText)
	if named || holds(in.gate(provider.GateProtectedEnvironment)) || in.refs() {
		return
	}
	p.report(in, in.At("publisher"), "", "the policy asks for no environment, tag, ref or protection, so a run of any branch may %s", in.may())
}

// madeOnUse are the providers whose platform makes an environment, unprotected, when a job first names it.
var madeOnUse = []string{"github"}

func environmentMayNotExist(p *pass, in *policy) {
	f := in.gate(provider.GateEnvironment)
	if f == nil || !slices.Contains(madeOnUse, in.Provider()) || in.refs() || slices.ContainsFunc(f.Values, anyText) {
		return
	}
	p.report(in, f.Position, "", "environment %s is all that holds a run back, and is created without protection if it does not exist", texts(f))
}

func environmentUnprotected(p *pass, in *policy) {
	f := in.gate(provider.GateEnvironment)
	prov, known := provider.Get(in.Provider())
	if f == nil || !known || len(prov.Gated(provider.GateProtectedEnvironment)) == 0 {
		return
	}
	if holds(in.gate(provider.GateProtectedEnvironment)) || holds(in.gate(provider.GateProtectedRef)) {
		return
	}
	p.report(in, f.Position, "", "environment %s need not be protected", texts(f))
}

// texts shows the values of a field.
func texts(f *policies.Field) string {
	list := make([]string, len(f.Values))
	for i, v := range f.Values {
		list[i] = v.Text
	}
	return quoted(list)
}

// celString is a text in an expression.
var celString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)

var celClaims = regexp.MustCompile(`(^|[^.\w])claims\b`)

func whenIgnoresClaims(p *pass, in *policy) {
	when := in.When()
	if when == "" || celClaims.MatchString(celString.ReplaceAllString(when, `""`)) {
		return
	}
	p.report(in, in.At("when"), "", "the condition reads no claim")
}
