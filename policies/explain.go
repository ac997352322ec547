package policies

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation says how a decision came about: the decision, and every check of the policies that were near.
type Explanation struct {
	Decision Decision            `json:"decision"`
	Policies []PolicyExplanation `json:"policies,omitempty"`
}

// PolicyExplanation is what one policy's checks say.
type PolicyExplanation struct {
	Policy string `json:"policy"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	// Grants is true where every check agrees or is left open.
	Grants bool    `json:"grants"`
	Checks []Check `json:"checks"`
}

// Explain evaluates and tells all of it, from the very checks that decide. It is for operators: what it says of other
// owners' policies is not for the token's holder.
func (s *Set) Explain(id *Identity, target Target) Explanation {
	e := Explanation{Decision: s.Evaluate(id, target)}
	if id == nil {
		return e
	}
	f := facts{id: id, target: target, clock: s.env.now}
	for _, p := range s.candidates(&f) {
		one := PolicyExplanation{Policy: p.Name, File: p.File, Line: p.Line, Grants: p.allows(&f)}
		for i := range p.checks() {
			if c := p.check(i, &f); p.asks(i) {
				one.Checks = append(one.Checks, c)
			}
		}
		e.Policies = append(e.Policies, one)
	}
	return e
}

// asks is false for a check of something that the policy says nothing about.
func (p *Policy) asks(i int) bool {
	switch i - len(p.matches) {
	case checkTrigger:
		return p.provider.Trigger != nil
	case checkTag:
		return p.tag != nil
	case checkNotBefore:
		return !p.notBefore.IsZero()
	case checkNotAfter:
		return !p.notAfter.IsZero()
	case checkNew:
		return slices.ContainsFunc(p.grants, func(g grant) bool { return g.patterns() })
	case checkWhen:
		return p.when != nil
	}
	return true
}

// String is the explanation as text, one check a line.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Decision.Allow {
		fmt.Fprintf(&b, "allowed by policy %s\n", e.Decision.Policy)
	} else {
		fmt.Fprintf(&b, "denied: %s\n", e.Decision.Code)
	}
	for _, p := range e.Policies {
		verdict := "does not grant"
		if p.Grants {
			verdict = "grants"
		}
		fmt.Fprintf(&b, "\npolicy %s (%s:%d) %s\n", p.Policy, p.File, p.Line, verdict)
		for _, c := range p.Checks {
			b.WriteString("  " + c.String() + "\n")
		}
	}
	return b.String()
}

// String is the check as one line.
func (c Check) String() string {
	got := "absent"
	if c.Got != "" {
		got = fmt.Sprintf("%q", c.Got)
	}
	switch {
	case c.OK:
		return fmt.Sprintf("ok      %s is %s", c.Field, got)
	case c.Open:
		return fmt.Sprintf("open    %s is decided at the upload, expected %s", c.Field, c.Want)
	}
	text := fmt.Sprintf("differs %s is %s, expected %s", c.Field, got, c.Want)
	if c.Hint != "" {
		text += "; " + c.Hint
	}
	return text
}
