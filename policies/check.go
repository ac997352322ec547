package policies

import (
	"errors"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// facts are what one question is about.
type facts struct {
	id     *model.Identity
	target model.Target
	clock  func() time.Time

	moment time.Time
	claims map[string]any
}

// open is true at an exchange that names no package: what needs the package or the version is decided at the upload.
func (f *facts) open() bool { return f.target.Package == "" }

// openVersion is true where nothing that has a version is published, as at every exchange.
func (f *facts) openVersion() bool { return f.open() || f.target.Versionless }

// now is the moment of the question, the same for all policies.
func (f *facts) now() time.Time {
	if f.moment.IsZero() {
		f.moment = f.clock()
	}
	return f.moment
}

// celClaims are the claims as expressions see them, converted once.
func (f *facts) celClaims() map[string]any {
	if f.claims == nil {
		f.claims, _ = celValue(f.id.Claims).(map[string]any)
	}
	return f.claims
}

// The checks of a policy, in the order in which a denial looks for the first that differs. Those of the publisher's fields
// stand between the issuer and the registry.
const (
	checkIssuer = iota
	checkRegistry
	checkPackage
	checkAction
	checkTrigger
	checkTag
	checkNotBefore
	checkNotAfter
	checkNew
	checkWhen
	fixedChecks
)

// verdict is the result of one check.
type verdict uint8

const (
	differs verdict = iota
	holds
	// left open until the upload names package and version.
	open
)

// checks is the number of checks of this policy.
func (p *Policy) checks() int { return fixedChecks + len(p.matches) }

// test makes one check. It allocates nothing unless it has an expression to evaluate.
func (p *Policy) test(i int, f *facts) verdict {
	switch n := i - 1 - len(p.matches); {
	case i == checkIssuer:
		return when(p.issuer.Name == f.id.Issuer && !p.issuer.Disabled)
	case n < 0:
		return when(p.matches[i-1].holds(p.provider, f.id.Claims))
	default:
		return p.testFixed(n+1, f)
	}
}

// testFixed makes a check that every policy has.
func (p *Policy) testFixed(check int, f *facts) verdict {
	switch check {
	case checkRegistry:
		return when(p.grant(f.target.Registry) != nil)
	case checkPackage:
		if f.open() {
			return open
		}
		g := p.grant(f.target.Registry)
		return when(g != nil && g.covers(f.target.Package, p.provider, f.id.Claims))
	case checkAction:
		if f.open() && f.target.Action == "" {
			return open
		}
		return when(p.actions.allows(f.target.Action))
	case checkTrigger:
		return when(p.provider.Trigger == nil || p.triggered(f.id.Claims))
	case checkTag:
		return p.testTag(f)
	case checkNotBefore:
		return when(p.notBefore.IsZero() || !f.now().Before(p.notBefore))
	case checkNotAfter:
		return when(p.notAfter.IsZero() || f.now().Before(p.notAfter))
	case checkNew:
		return p.testNew(f)
	case checkWhen:
		switch {
		case p.when == nil:
			return holds
		case p.when.names(varPackage) && f.open(), p.when.names(varVersion) && f.openVersion():
			return open
		}
		return when(p.when.holds(f) == nil)
	}
	return differs
}

// testNew is open where only a pattern covers the package and the policy does not grant first publishes: the registry must
// then hold the package already. It never differs, since what a registry holds is not known here.
func (p *Policy) testNew(f *facts) verdict {
	switch f.target.Action {
	case model.ActionRead, model.ActionYank, model.ActionDelete:
		return holds // nothing is made
	}
	g := p.grant(f.target.Registry)
	if g == nil || !g.patterns() || p.newPackages.allowed && (p.newPackages.until.IsZero() || f.now().Before(p.newPackages.until)) {
		return holds
	}
	if !f.open() && g.names(f.target.Package) {
		return holds
	}
	return open
}

func when(ok bool) verdict {
	if ok {
		return holds
	}
	return differs
}

func (p *Policy) triggered(claims map[string]any) bool {
	got, ok := p.provider.Text(claims, p.provider.Trigger.Claim)
	return ok && slices.Contains(p.events, got)
}

// Check is one comparison of a policy with an identity and a target.
type Check struct {
	// Field is what is compared, Got and Want the two sides; Got is empty for an absent claim.
	Field string `json:"field"`
	Got   string `json:"got,omitempty"`
	Want  string `json:"expected,omitempty"`
	// OK is true where they agree, Open where the answer waits for the upload.
	OK   bool `json:"ok"`
	Open bool `json:"open,omitempty"`
	// Unknown is true where the claims that are compared are not known; only rankings of runs from the audit have it.
	Unknown bool `json:"unknown,omitempty"`
	// Hint says what to do where they differ.
	Hint string `json:"hint,omitempty"`
}

// check makes one check and says what it compared. Denials and explanations both come from here.
func (p *Policy) check(i int, f *facts) Check {
	v := p.test(i, f)
	c := Check{OK: v == holds, Open: v == open}
	switch n := i - 1 - len(p.matches); {
	case i == checkIssuer:
		c.Field, c.Got, c.Want = "issuer", f.id.Issuer, p.issuer.Name
		if p.issuer.Disabled {
			c.Want, c.Hint = "an enabled issuer", "the issuer "+p.issuer.Name+" is disabled in the gateway's configuration"
		}
	case n < 0:
		p.matches[i-1].describe(&c, p.provider, f.id.Claims)
	default:
		p.describeFixed(&c, n+1, f)
	}
	c.Got = clip(c.Got)
	if v != differs {
		c.Hint = ""
	}
	return c
}

// describeFixed fills in the two sides of a check that every policy has.
func (p *Policy) describeFixed(c *Check, check int, f *facts) {
	switch check {
	case checkRegistry:
		c.Field, c.Got, c.Want = "registry", f.target.Registry, oneOf(p.registries())
		c.Hint = "publish to the registry that the policy names, or add this one to it"
	case checkPackage:
		c.Field, c.Got, c.Want = "package", f.target.Package, "none of this registry"
		if g := p.grant(f.target.Registry); g != nil {
			c.Want = g.shown(p.provider, f.id.Claims)
		}
		c.Hint = "add the package to the policy if this publisher may publish it"
	case checkAction:
		c.Field, c.Got, c.Want = "action", string(f.target.Action), p.actions.String()
		c.Hint = "add the action to the policy if this publisher may do it"
	case checkTrigger:
		c.Field = "trigger"
		if t := p.provider.Trigger; t != nil {
			c.Field, c.Want = t.Claim, oneOf(p.events)
			c.Got = shown(p.provider, f.id.Claims, t.Claim)
		}
		c.Hint = "start the run in another way, or add the event to events in the policy"
	case checkTag:
		p.describeTag(c, f)
	case checkNotBefore:
		c.Field = "not_before"
		if !p.notBefore.IsZero() {
			c.Got, c.Want = stamp(f.now()), "not before "+stamp(p.notBefore)
			c.Hint = "the policy does not grant anything yet; publish later"
		}
	case checkNotAfter:
		c.Field = "not_after"
		if !p.notAfter.IsZero() {
			c.Got, c.Want = stamp(f.now()), "before "+stamp(p.notAfter)
			c.Hint = "the policy has expired; renew it"
		}
	case checkNew:
		c.Field, c.Want = "new_packages", "a package that the registry has already"
		if !c.Open {
			c.Got = "allowed"
		}
	case checkWhen:
		c.Field = "when"
		if p.when != nil {
			c.Want = clip(model.OneLine(p.when.text, len(p.when.text)+1))
			if !c.Open {
				c.Got = p.whenResult(f)
			}
			c.Hint = "the policy's own condition does not hold for this run"
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// whenResult is what the expression gives: true, false, or why it gives nothing.
func (p *Policy) whenResult(f *facts) string {
	err := p.when.holds(f)
	switch {
	case err == nil:
		return "true"
	case errors.Is(err, errFalse):
		return "false"
	default:
		return err.Error()
	}
}

func (p *Policy) registries() []string {
	names := make([]string, len(p.grants))
	for i := range p.grants {
		names[i] = p.grants[i].registry
	}
	return names
}

// allows is true where every check holds or is left open.
func (p *Policy) allows(f *facts) bool {
	for i := range p.checks() {
		if p.test(i, f) == differs {
			return false
		}
	}
	return true
}
