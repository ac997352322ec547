package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/trustpub/trustpub/policies"
)

// unmarshalPolicies reads one policies line of the global option, with its bounds where it has a block:
//
//	policies PATH... {
//		registry NAME...
//		packages PATTERN...
//		actions  ACTION...
//		issuer   NAME...
//		FIELD    VALUE...
//	}
func (a *App) unmarshalPolicies(d *caddyfile.Dispenser) error {
	paths := d.RemainingArgs()
	if len(paths) == 0 {
		return d.Errf("policies needs a file, a directory or a glob")
	}
	for i, p := range paths {
		paths[i] = besideCaddyfile(d, p)
	}
	a.Policies = append(a.Policies, paths...)
	var bounds policies.Bounds
	bounded := false
	for nesting := d.Nesting(); d.NextBlock(nesting); bounded = true {
		if err := unmarshalBound(d, &bounds); err != nil {
			return err
		}
	}
	if !bounded {
		return nil
	}
	for _, p := range paths {
		one := bounds
		one.Path = p
		a.PolicyBounds = append(a.PolicyBounds, one)
	}
	return nil
}

// unmarshalBound reads one line of bounds.
func unmarshalBound(d *caddyfile.Dispenser, bounds *policies.Bounds) error {
	name := d.Val()
	values := d.RemainingArgs()
	if len(values) == 0 {
		return d.Errf("%s needs a value that policies may have", name)
	}
	into := map[string]*[]string{
		"registry": &bounds.Registries, "packages": &bounds.Packages, "actions": &bounds.Actions, "issuer": &bounds.Issuers,
	}[name]
	switch {
	case into != nil:
		*into = append(*into, values...)
	case bounds.Publisher == nil:
		bounds.Publisher = map[string][]string{name: values}
	default:
		bounds.Publisher[name] = append(bounds.Publisher[name], values...)
	}
	return nil
}
