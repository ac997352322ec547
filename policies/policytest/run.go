package policytest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// Gateway is what tests run against.
type Gateway struct {
	// Registries maps names to ecosystems, Issuers are the configured ones: as in policies.Env.
	Registries map[string]string
	Issuers    []policies.Issuer
	// Set is the policies under test. It must have been loaded with Clock.Now as its clock.
	Set   *policies.Set
	Clock *Clock
}

// Clock is the time that a set under test has: that of the test which is running.
type Clock struct {
	// Real is the moment of tests that name none.
	Real time.Time
	at   time.Time
}

// Now is the moment of the test.
func (c *Clock) Now() time.Time {
	if c.at.IsZero() {
		return c.Real
	}
	return c.at
}

// Result is what became of one test.
type Result struct {
	Test Test
	// Failures say what was got and what was expected; empty: the test passed.
	Failures []string
	// Decision is what the policies said.
	Decision policies.Decision
	Elapsed  time.Duration
}

// Run runs one test. A test that asks something impossible fails.
func (g *Gateway) Run(t Test) Result {
	began := time.Now()
	r := Result{Test: t}
	id, target, err := g.question(t)
	if err != nil {
		r.Failures = []string{err.Error()}
		return r
	}
	g.Clock.at = t.At
	r.Decision = g.Set.Evaluate(id, target)
	g.Clock.at = time.Time{}
	r.Failures, r.Elapsed = compare(t, r.Decision), time.Since(began)
	return r
}

// question makes the identity and the target.
func (g *Gateway) question(t Test) (*policies.Identity, policies.Target, error) {
	target := policies.Target{Registry: t.Registry, Action: t.Action}
	is, err := g.issuer(t)
	if err != nil {
		return nil, target, err
	}
	p, _ := provider.Get(is.Provider) // issuers have known providers only
	claims, err := claimsOf(p, t.Claims)
	if err != nil {
		return nil, target, err
	}
	if target.Registry == "" {
		if len(g.Registries) != 1 {
			return nil, target, fmt.Errorf("registry is missing, expected one of %s", strings.Join(slices.Sorted(maps.Keys(g.Registries)), ", "))
		}
		for name := range g.Registries {
			target.Registry = name
		}
	}
	var known bool
	if target.Ecosystem, known = g.Registries[target.Registry]; !known {
		return nil, target, fmt.Errorf("registry is %q, expected one of %s", target.Registry, strings.Join(slices.Sorted(maps.Keys(g.Registries)), ", "))
	}
	if t.Package != "" {
		if target.Package, err = model.NormalizeName(target.Ecosystem, t.Package); err != nil {
			return nil, target, fmt.Errorf("package: %w", err)
		}
	}
	if t.Version != "" {
		if target.Version, err = model.NormalizeVersion(target.Ecosystem, t.Version); err != nil {
			return nil, target, fmt.Errorf("version: %w", err)
		}
	}
	return &policies.Identity{Issuer: is.Name, Provider: is.Provider, Claims: claims}, target, nil
}

// issuer finds the issuer that a test means.
func (g *Gateway) issuer(t Test) (policies.Issuer, error) {
	var found []policies.Issuer
	var names []string
	for _, one := range g.Issuers {
		names = append(names, one.Name)
		if (t.Issuer == "" || one.Name == t.Issuer) && (t.Provider == "" || one.Provider == t.Provider) {
			found = append(found, one)
		}
	}
	if len(found) != 1 {
		return policies.Issuer{}, fmt.Errorf("issuer is %q and provider %q, expected what names one of the issuers %s", t.Issuer, t.Provider, strings.Join(names, ", "))
	}
	return found[0], nil
}

// claimsOf is the provider's sample with some claims replaced, each of the type that the provider sends.
func claimsOf(p *provider.Provider, changes []Claim) (map[string]any, error) {
	claims := clone(p.Sample)
	iss := p.Issuer.Default
	if derived, ok := p.RunIdentity(p.RunClaims(p.Sample))["iss"].(string); ok {
		iss = derived
	}
	if iss != "" {
		claims["iss"] = iss
	}
	for _, c := range changes {
		known := p.Claims[c.Name]
		_, sampled := p.Sample[c.Name]
		switch {
		case known == nil && !sampled && !p.OpenClaims && c.Name != "iss":
			return nil, fmt.Errorf("line %d: claims.%s: tokens of the provider %s have no such claim", c.Line, c.Name, p.Name)
		case known != nil && known.After != "":
			return nil, fmt.Errorf("line %d: claims.%s is the last part of %s; set that", c.Line, c.Name, strings.Join(known.Path, "."))
		case known != nil && c.Value != nil && !known.Kind.Is(c.Value):
			return nil, fmt.Errorf("line %d: claims.%s: tokens have a %s there; is it a matter of quotes?", c.Line, c.Name, known.Kind)
		}
		path := []string{c.Name}
		if known != nil {
			path = known.Path
		}
		put(claims, path, c.Value)
	}
	return claims, nil
}

// clone copies a claim set as deep as it goes.
func clone(claims map[string]any) map[string]any {
	out := make(map[string]any, len(claims))
	for name, v := range claims {
		if below, ok := v.(map[string]any); ok {
			v = clone(below)
		}
		out[name] = v
	}
	return out
}

func put(claims map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		below, ok := claims[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			claims[key] = below
		}
		claims = below
	}
	if last := path[len(path)-1]; value == nil {
		delete(claims, last)
	} else {
		claims[last] = value
	}
}

// compare says in what a decision is not what the test expects.
func compare(t Test, d policies.Decision) []string {
	got := Deny
	switch {
	case d.Allow && d.Exists:
		got = AllowExisting
	case d.Allow:
		got = Allow
	}
	if got != t.Expect {
		return []string{fmt.Sprintf("got %s, expected %s", told(got, d), t.Expect)}
	}
	var failures []string
	for _, side := range []struct{ name, got, want string }{
		{"code", string(d.Code), t.Code}, {"policy", d.Policy, t.Policy}, {"field", d.Field, t.Field},
	} {
		if side.want != "" && side.got != side.want {
			failures = append(failures, fmt.Sprintf("%s is %q, expected %q (%s)", side.name, side.got, side.want, told(got, d)))
		}
	}
	return failures
}

// told is a decision in words, the denial in the gateway's own.
func told(got Expect, d policies.Decision) string {
	if got != Deny {
		return string(got) + " by policy " + d.Policy
	}
	d.Reveal = true
	return "deny: " + model.Refuse(d).Sentence()
}

// Coverage counts what tests have shown of each policy.
type Coverage struct {
	// Policies is the number of policies, Allowed and Denied how many of them a test has seen allow, and come nearest to a
	// denial.
	Policies int `json:"policies"`
	Allowed  int `json:"allowed"`
	Denied   int `json:"denied"`
	// NeverAllowed and NeverDenied are the others, as "NAME (FILE:LINE)".
	NeverAllowed []string `json:"never_allowed,omitempty"`
	NeverDenied  []string `json:"never_denied,omitempty"`
}

// Complete is true where nothing is left.
func (c *Coverage) Complete() bool { return len(c.NeverAllowed)+len(c.NeverDenied) == 0 }

// Part is a set of policies and what was asked of it; sets may share policies.
type Part struct {
	Set     *policies.Set
	Results []Result
}

// Cover adds up what the results have shown of each policy, which counts once however many sets have it.
func Cover(parts []Part) Coverage {
	type shown struct{ allowed, denied bool }
	seen := map[string]*shown{}
	var places []string
	for _, part := range parts {
		byName := map[string]*shown{}
		for _, p := range part.Set.Policies() {
			place := fmt.Sprintf("%s (%s:%d)", p.Name, filepath.Clean(p.File), p.Line)
			if seen[place] == nil {
				seen[place] = new(shown)
				places = append(places, place)
			}
			byName[p.Name] = seen[place]
		}
		for i := range part.Results {
			d := &part.Results[i].Decision
			if one := byName[d.Policy]; one != nil {
				one.allowed = one.allowed || d.Allow
				one.denied = one.denied || !d.Allow && d.Code != ""
			}
		}
	}
	c := Coverage{Policies: len(places)}
	for _, place := range places {
		if seen[place].allowed {
			c.Allowed++
		} else {
			c.NeverAllowed = append(c.NeverAllowed, place)
		}
		if seen[place].denied {
			c.Denied++
		} else {
			c.NeverDenied = append(c.NeverDenied, place)
		}
	}
	return c
}
