package provider

import "slices"

// Kept is true where the audit keeps a claim of each run, by its own name or by one with the same place in the token: what is
// then not in a run was not in the token.
func (p *Provider) Kept(claim string) bool {
	if claim == "iss" || slices.Contains(p.Run, claim) {
		return true
	}
	c, known := p.Claims[claim]
	return known && slices.ContainsFunc(p.Run, func(name string) bool {
		kept, ok := p.Claims[name]
		return ok && kept.After == "" && slices.Equal(kept.Path, c.Path)
	})
}
