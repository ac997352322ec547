package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

func policyCheckCommand() *cobra.Command {
	var registries, issuers []string
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Check policy files as the gateway would load them",
		Long: `Check policy files as the gateway would load them: files, directories (every *.yaml and *.yml below) and globs.

What a policy may name depends on the gateway's configuration. Without --registries every registry that a policy names is
taken to exist, with the ecosystem pypi; without --issuers every issuer too, and one for each provider whose policies name none.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no path, expected at least one file, directory or glob")
			}
			env, err := checkEnv(args, registries, issuers)
			if err != nil {
				return err
			}
			set, err := policies.Load(args, env)
			if err != nil {
				return invalid(err)
			}
			noun := "policies"
			if set.Len() == 1 {
				noun = "policy"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ok: %d %s\n", set.Len(), noun)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&registries, "registries", nil, "the gateway's registries, as NAME=ECOSYSTEM,...")
	cmd.Flags().StringSliceVar(&issuers, "issuers", nil, "the gateway's issuers, as NAME=PROVIDER,... or PROVIDER,...")
	return cmd
}

// invalid spells every error out, where the error's own text stops after some.
func invalid(err error) error {
	var all policies.Errors
	if !errors.As(err, &all) {
		return err
	}
	lines := make([]string, len(all))
	for i, one := range all {
		lines[i] = "\n" + one.Error()
	}
	noun := "errors"
	if len(all) == 1 {
		noun = "error"
	}
	return fmt.Errorf("%d %s%s", len(all), noun, strings.Join(lines, ""))
}

// checkEnv is the configuration that the policies are checked against: what the flags say, and what the files need where
// they say nothing.
func checkEnv(paths, registries, issuers []string) (policies.Env, error) {
	env := policies.Env{Registries: map[string]string{}}
	for _, pair := range registries {
		name, ecosystem, ok := strings.Cut(pair, "=")
		if !ok || name == "" || ecosystem == "" {
			return env, usagef("--registries has %q, expected NAME=ECOSYSTEM", pair)
		}
		if _, twice := env.Registries[name]; twice {
			return env, usagef("--registries names %q twice", name)
		}
		env.Registries[name] = ecosystem
	}
	for _, pair := range issuers {
		issuer, err := parseIssuer(pair)
		if err != nil {
			return env, err
		}
		if slices.ContainsFunc(env.Issuers, func(i policies.Issuer) bool { return i.Name == issuer.Name }) {
			return env, usagef("--issuers names %q twice", issuer.Name)
		}
		env.Issuers = append(env.Issuers, issuer)
	}
	if len(registries) > 0 && len(issuers) > 0 {
		return env, nil
	}
	needed := collect(paths)
	if len(registries) == 0 {
		for name := range needed.registries {
			env.Registries[name] = "pypi"
		}
	}
	if len(issuers) == 0 {
		env.Issuers = needed.issuers()
	}
	return env, nil
}

func parseIssuer(pair string) (policies.Issuer, error) {
	name, kind, ok := strings.Cut(pair, "=")
	if !ok {
		kind = name
	}
	if name == "" {
		return policies.Issuer{}, usagef("--issuers has %q, expected NAME=PROVIDER", pair)
	}
	if _, known := provider.Get(kind); !known {
		return policies.Issuer{}, usagef("--issuers has the provider %q, expected one of %s", kind, strings.Join(provider.Names(), ", "))
	}
	return policies.Issuer{Name: name, Provider: kind}, nil
}
