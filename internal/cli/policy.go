package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

func policyCheckCommand() *cobra.Command {
	var gateway gatewayFlags
	var bounds []string
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Check policy files as the gateway would load them",
		Long: `Check policy files as the gateway would load them: files, directories (every *.yaml and *.yml below) and globs.

What a policy may name depends on the gateway's configuration. Without --registries and --config every registry that a policy
names is taken to exist, with the ecosystem in which its packages and actions can be said (of several the first of pypi, npm, oci, maven); without --issuers and --config every issuer too, and one for each provider whose policies name none.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no path, expected at least one file, directory or glob")
			}
			env, err := gateway.env(args)
			if err != nil {
				return err
			}
			if err := bound(&env, args, bounds); err != nil {
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
	gateway.register(cmd)
	cmd.Flags().StringArrayVar(&bounds, "bound", nil, "what the files can grant at most, as registry=NAME,..., packages=PATTERN,..., actions=ACTION,..., issuer=NAME,... or FIELD=VALUE,... of publishers; may repeat")
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
	return (&gatewayFlags{registries: registries, issuers: issuers}).env(paths)
}

// env is what the flags say, and what the files need where they say nothing.
func (f *gatewayFlags) env(paths []string) (policies.Env, error) {
	parts, err := f.read()
	// A checkout keeps nobody's permissions, so they say nothing of those at the gateway.
	env := policies.Env{Registries: parts.registries, Issuers: parts.issuers, AnyMode: true}
	if err != nil || env.Registries != nil && env.Issuers != nil {
		return env, err
	}
	needed := collect(paths)
	if env.Registries == nil {
		env.Registries = needed.ecosystems()
	}
	if env.Issuers == nil {
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
