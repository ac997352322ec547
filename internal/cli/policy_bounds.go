package cli

import (
	"strings"

	"github.com/trustpub/trustpub/policies"
)

// bound gives the environment the bounds that --bound flags say, for every path.
func bound(env *policies.Env, paths, flags []string) error {
	if len(flags) == 0 {
		return nil
	}
	b := policies.Bounds{Publisher: map[string][]string{}}
	for _, pair := range flags {
		name, list, ok := strings.Cut(pair, "=")
		if !ok || name == "" || list == "" {
			return usagef("--bound has %q, expected FIELD=VALUE,...", pair)
		}
		values := strings.Split(list, ",")
		switch name {
		case "registry":
			b.Registries = append(b.Registries, values...)
		case "packages":
			b.Packages = append(b.Packages, values...)
		case "actions":
			b.Actions = append(b.Actions, values...)
		case "issuer":
			b.Issuers = append(b.Issuers, values...)
		default:
			b.Publisher[name] = append(b.Publisher[name], values...)
		}
	}
	for _, path := range paths {
		b.Path = path
		env.Bounds = append(env.Bounds, b)
	}
	return nil
}
