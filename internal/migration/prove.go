package migration

import (
	"errors"
	"fmt"

	"github.com/trustpub/trustpub/policies"
)

// prove loads suggested files and asks them about every run: those that they come from are allowed, and the others are not.
func (s *Suggester) prove(files []File, groups map[string]*group, refused []*observation) error {
	if len(files) == 0 {
		return nil
	}
	texts := map[string]string{}
	for i := range files {
		texts[files[i].Name] = files[i].Text()
	}
	set, err := policies.Parse(texts, s.environment())
	if err != nil {
		return fmt.Errorf("the suggestion does not load; please report it: %w", err)
	}
	for _, g := range groups {
		for _, o := range g.all {
			if d := set.Evaluate(o.id, o.target); !d.Allow {
				return fmt.Errorf("the suggestion does not allow event %s (%s is %q, expected %s); please report it", o.event.ID, d.Field, d.Got, d.Want)
			}
		}
	}
	for _, o := range refused {
		if d := set.Evaluate(o.id, o.target); d.Allow {
			return fmt.Errorf("the suggestion would allow event %s by policy %s, which was left out; please report it", o.event.ID, d.Policy)
		}
	}
	return nil
}

// loads tries the policy of one run, whose claims may hold what no policy can say.
func (s *Suggester) loads(o *observation, shape *shape) error {
	draft := (&group{repository: o.repository(), shape: shape, all: []*observation{o}}).drafts(namer{}, s.opts.Shared)
	file := File{Name: "suggestion", Drafts: draft}
	_, err := policies.Parse(map[string]string{file.Name: file.Text()}, s.environment())
	var all policies.Errors
	if errors.As(err, &all) && len(all) > 0 {
		return errors.New(all[0].Message)
	}
	return err
}

// environment is a gateway with the registries and issuers that the observations name.
func (s *Suggester) environment() policies.Env {
	env := policies.Env{Registries: map[string]string{}, AnyIssuer: true}
	seen := map[string]bool{}
	for i := range s.all {
		o := &s.all[i]
		env.Registries[o.target.Registry] = o.target.Ecosystem
		if !seen[o.id.Issuer] {
			seen[o.id.Issuer] = true
			env.Issuers = append(env.Issuers, policies.Issuer{Name: o.id.Issuer, Provider: o.prov.Name})
		}
	}
	return env
}
