package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/policies"
	"github.com/trustpub/trustpub/policies/grants"
)

// errWidens ends the command with 1; the output has said all.
var errWidens = &ExitError{Code: ExitFailed, Err: errors.New("something widens")}

func policyDiffCommand() *cobra.Command {
	var format string
	var exitZero bool
	var gateway gatewayFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say which grants appear, vanish, widen or narrow between two sets of policies",
		Long: `Say which grants appear, vanish, widen or narrow between two sets of policies: files or directories, as of before and after a
change. What cannot be compared (conditions in CEL that differ, names made of claims) counts as widening.

Exit codes: 0 nothing widens, 1 something does (0 with --exit-zero), or a set does not load, 2 the command line is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("got %d paths, expected OLD and NEW", len(args))
			}
			if format != "text" && format != "markdown" && format != "json" {
				return usagef("--format is %q, expected text, markdown or json", format)
			}
			env, err := gateway.env(args)
			if err != nil {
				return err
			}
			before, err := policies.Load(args[:1], env)
			if err != nil {
				return fmt.Errorf("the old policies: %w", invalid(err))
			}
			after, err := policies.Load(args[1:], env)
			if err != nil {
				return fmt.Errorf("the new policies: %w", invalid(err))
			}
			report := grants.Diff(before, after)
			if err := printDiff(cmd, &report, format); err != nil {
				return err
			}
			if report.Widening && !exitZero {
				return errWidens
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, markdown or json")
	cmd.Flags().BoolVar(&exitZero, "exit-zero", false, "exit with 0 even if something widens")
	gateway.register(cmd)
	return cmd
}

func printDiff(cmd *cobra.Command, r *grants.Report, format string) error {
	switch format {
	case "markdown":
		return r.Markdown(cmd.OutOrStdout())
	case "json":
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	default:
		return r.Text(cmd.OutOrStdout())
	}
}
