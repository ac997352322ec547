package policies

import (
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// Question is what a ranking answers.
type Question struct {
	Identity *Identity
	// Target without a package is an exchange; without a version, what needs one is left open.
	Target Target
	// Known, where set, is false for claims of which nobody can tell whether the token had them, as for a run that was read
	// back from the audit. Nil: the identity has all of the token.
	Known func(claim string) bool
	// Limit is how many policies are told; 0: all.
	Limit int
}

// Outcome is the answer to a question.
type Outcome string

// The outcomes.
const (
	// OutcomeAllowed and OutcomeDenied are what the gateway decides.
	OutcomeAllowed Outcome = "allowed"
	OutcomeDenied  Outcome = "denied"
	// OutcomeOpen: a policy grants this if what the question leaves out (the version) agrees.
	OutcomeOpen Outcome = "open"
	// OutcomeUnknown: a policy grants this if claims that are not known agree.
	OutcomeUnknown Outcome = "unknown"
)

// Ranking is a decision and the policies by how near they are to granting the target.
type Ranking struct {
	Outcome Outcome `json:"outcome"`
	// Decision is that of Evaluate. Where claims are not known, a denial names the nearest policy by those that are.
	Decision Decision `json:"decision"`
	// Exists is true where the decision holds only if the registry has the package already.
	Exists bool `json:"exists,omitempty"`
	// Told is true where the token's holder may be told what the nearest policy expects.
	Told bool `json:"told"`
	// Policies are the nearest, the one that the decision names first; Total is the number of all.
	Policies []RankedPolicy `json:"policies"`
	Total    int            `json:"total"`
}

// RankedPolicy is what one policy's checks say.
type RankedPolicy struct {
	PolicyExplanation

	// Differs, Open and Unknown count the checks of each verdict.
	Differs int `json:"differs"`
	Open    int `json:"open"`
	Unknown int `json:"unknown"`
}

// ranked is a policy on its way into a ranking.
type ranked struct {
	policy                 *Policy
	differs, open, unknown int
}

// Rank answers a question from the very checks that decide, and compares every policy of the set. It is for operators, as
// Explain is.
func (s *Set) Rank(q Question) Ranking {
	r := Ranking{Decision: s.Evaluate(q.Identity, q.Target), Total: len(s.policies)}
	if q.Identity == nil {
		r.Outcome = OutcomeDenied
		return r
	}
	f := &facts{id: q.Identity, target: q.Target, clock: s.env.now}
	all := make([]ranked, len(s.policies))
	for i, p := range s.policies {
		all[i] = p.rank(f, q.Known)
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return r.order(a, b) })
	r.settle(all, f, q.Known)
	for i, one := range all {
		if q.Limit > 0 && i == q.Limit {
			break
		}
		r.Policies = append(r.Policies, one.policy.explain(f, q.Known))
	}
	return r
}

// order puts the policy of the decision first, then those with fewer checks that differ, are unknown, or open.
func (r *Ranking) order(a, b ranked) int {
	if c := a.differs - b.differs; c != 0 {
		return c
	}
	if r.Decision.Policy != "" && a.policy != b.policy {
		switch r.Decision.Policy {
		case a.policy.Name:
			return -1
		case b.policy.Name:
			return 1
		}
	}
	if c := a.unknown - b.unknown; c != 0 {
		return c
	}
	return a.open - b.open
}

// settle finds the outcome, and corrects a denial that comes from claims which are not known.
func (r *Ranking) settle(all []ranked, f *facts, known func(string) bool) {
	r.Exists, r.Told = r.Decision.Exists, r.Decision.Reveal
	r.Outcome = OutcomeDenied
	switch {
	case r.Decision.Allow:
		r.Outcome = OutcomeAllowed
		return
	case len(all) == 0:
		return
	case all[0].differs == 0 && all[0].unknown > 0:
		r.Outcome = OutcomeUnknown
	case all[0].differs == 0:
		r.Outcome = OutcomeOpen
	}
	if r.Outcome != OutcomeDenied {
		r.Decision = Decision{Policy: all[0].policy.Name}
		return
	}
	if known != nil || f.versionless() {
		r.correct(all[0].policy, f, known)
	}
}

// correct makes the denial from the nearest policy's first check that surely differs.
func (r *Ranking) correct(nearest *Policy, f *facts, known func(string) bool) {
	for i := range nearest.checks() {
		v, unknown := nearest.answer(i, f, known)
		if v != differs || unknown {
			continue
		}
		c, d := nearest.check(i, f), denied()
		d.Policy, d.Field, d.Got, d.Want, d.Reveal = nearest.Name, c.Field, c.Got, c.Want, nearest.reveals(f)
		if d.Reveal && c.Hint != "" {
			d.Hint = c.Hint
		}
		r.Decision, r.Told = d, d.Reveal
		return
	}
}

// versionless is true where a version is needed and not named.
func (f *facts) versionless() bool {
	return f.target.Version == "" && !f.openVersion() && f.target.Action != model.ActionRead
}

// rank counts the verdicts of a policy. A condition is only evaluated where all else holds, as for a denial.
func (p *Policy) rank(f *facts, known func(string) bool) ranked {
	r := ranked{policy: p}
	last := p.checks() - 1
	for i := range last + 1 {
		if i == last && r.differs > 0 {
			break
		}
		v, unknown := p.answer(i, f, known)
		switch {
		case unknown:
			r.unknown++
		case v == differs:
			r.differs++
		case v == open && i-len(p.matches) != checkNew:
			r.open++
		}
	}
	return r
}

// explain tells every check that the policy asks for.
func (p *Policy) explain(f *facts, known func(string) bool) RankedPolicy {
	r := RankedPolicy{PolicyExplanation: PolicyExplanation{Policy: p.Name, File: p.File, Line: p.Line}}
	for i := range p.checks() {
		if !p.asks(i) {
			continue
		}
		v, unknown := p.answer(i, f, known)
		c := p.check(i, f)
		c.OK, c.Open, c.Unknown = v == holds && !unknown, v == open && !unknown, unknown
		switch {
		case unknown:
			c.Got, c.Hint = "", ""
			r.Unknown++
		case v == differs:
			r.Differs++
		case v == open:
			c.Hint = ""
			r.Open++
		}
		r.Checks = append(r.Checks, c)
	}
	r.Grants = r.Differs == 0 && r.Unknown == 0
	return r
}

// answer makes one check, leaves open what needs a version that the question does not have, and says whether the answer
// rests on claims that are not known.
func (p *Policy) answer(i int, f *facts, known func(string) bool) (v verdict, unknown bool) {
	v = p.test(i, f)
	check := i - len(p.matches)
	if f.versionless() {
		switch {
		case check == checkTag && v == differs && p.tag.version:
			exchange := *f
			exchange.target.Versionless = true
			v = p.test(i, &exchange)
		case check == checkWhen && p.when != nil && p.when.names(varVersion):
			v = open
		}
	}
	if known == nil || v == open || p.issuer.Name != f.id.Issuer {
		return v, false
	}
	if check == checkWhen {
		return v, p.when != nil && strings.Contains(p.when.text, varClaims)
	}
	return v, v == differs && slices.ContainsFunc(p.claimsOf(i), func(claim string) bool { return !known(claim) })
}

// claimsOf are the claims that a check compares.
func (p *Policy) claimsOf(i int) []string {
	if at := i - 1; at >= 0 && at < len(p.matches) {
		if m := &p.matches[at]; len(m.equal) > 0 {
			return m.equal
		}
		return []string{p.matches[at].claim}
	}
	switch i - len(p.matches) {
	case checkTrigger:
		return []string{p.provider.Trigger.Claim}
	case checkTag:
		names := []string{p.provider.Tag.Claim}
		for name := range p.provider.Tag.Where {
			names = append(names, name)
		}
		return names
	case checkPackage:
		var names []string
		for i := range p.grants {
			for _, t := range p.grants[i].templates {
				for _, part := range t.parts {
					if part.claim != "" {
						names = append(names, part.claim)
					}
				}
			}
		}
		return names
	}
	return nil
}

// Verdict is the check's result in a word: "ok", "differs", "open" or "unknown".
func (c Check) Verdict() string {
	switch {
	case c.Unknown:
		return "unknown"
	case c.OK:
		return "ok"
	case c.Open:
		return "open"
	}
	return "differs"
}
