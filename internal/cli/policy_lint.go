package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/policies/lint"
)

func policyLintCommand(opts Options) *cobra.Command {
	var known gatewayFlags
	var format, failOn string
	cmd := &cobra.Command{
		Use:   "lint PATH...",
		Short: "Find what is wrong with policies that load",
		Long: `Find what is wrong with policies that load: shapes by which packages were taken over elsewhere, policies that never act, names
that are not what they seem. docs/lint.md has every rule with its code and its reason.

A comment on the line of a finding or above it ignores it: # trustpub:ignore CODE reason. What is ignored is listed.

Without --registries and --config every registry that a policy names is taken to exist, with the ecosystem in which its
packages and actions can be said (of several the first of pypi, npm, oci, maven); without --issuers and --config every issuer too.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no path, expected at least one file, directory or glob")
			}
			if !slices.Contains(lint.Formats(), lint.Format(format)) {
				return usagef("--format is %q, expected %s", format, words(lint.Formats()))
			}
			if !slices.Contains(lint.Severities(), lint.Severity(failOn)) {
				return usagef("--fail-on is %q, expected %s", failOn, words(lint.Severities()))
			}
			gateway, err := known.read()
			if err != nil {
				return err
			}
			if gateway.registries == nil {
				needed := collect(args)
				gateway.registries = needed.ecosystems()
			}
			report := lint.Run(args, lint.Options{Registries: gateway.registries, Issuers: gateway.issuers, Now: opts.Now})
			if err := report.Write(cmd.OutOrStdout(), lint.Format(format)); err != nil {
				return err
			}
			if report.Fails(lint.Severity(failOn)) {
				return fmt.Errorf("failed: %s", failures(report, lint.Severity(failOn)))
			}
			return nil
		},
	}
	known.register(cmd)
	cmd.Flags().StringVar(&format, "format", string(lint.Text), "the form of the output: "+words(lint.Formats()))
	cmd.Flags().StringVar(&failOn, "fail-on", string(lint.Error), "exit with 1 where something is at least that severe: "+words(lint.Severities()))
	return cmd
}

// words lists values for help and errors.
func words[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out[:len(out)-1], ", ") + " or " + out[len(out)-1]
}

// failures counts what makes the command fail.
func failures(r *lint.Report, on lint.Severity) string {
	var list []string
	for _, s := range lint.Severities() {
		if n := r.Count(s); n > 0 && s.AtLeast(on) {
			list = append(list, count(n, string(s), string(s)+"s"))
		}
	}
	return strings.Join(list, ", ")
}
