package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/migration"
	"github.com/trustpub/trustpub/internal/model"
)

func policySuggestCommand() *cobra.Command {
	var in auditFlags
	var opts migration.SuggestOptions
	var out string
	var paths []string
	cmd := &cobra.Command{
		Use:   "suggest --audit FILE...",
		Short: "Suggest policies for the runs that the audit has seen refused",
		Long: `Suggest policies for the runs that the audit has seen refused, or judged beside a password (X-Trustpub-Identity).

Each policy is the smallest that would have allowed what was seen: repository and stable id, workflow file, environment, tag or
ref. Comments say how often, which versions, and what is weak. All of it was loaded and asked about every run it comes from.

Without --out one file goes to the standard output; with it one file for each repository is written, and none is overwritten.
The chain of the audit is not checked: trustpub audit verify does that.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if opts.Providers, err = in.providers(); err != nil {
				return err
			}
			if opts.Present, err = in.present(paths); err != nil {
				return err
			}
			s := migration.NewSuggester(opts)
			if err := in.each(cmd, args, func(event model.Event) { s.Add(event) }); err != nil {
				return err
			}
			suggestion, err := s.Suggest()
			if err != nil {
				return err
			}
			printLeft(cmd.ErrOrStderr(), suggestion.Left)
			if len(suggestion.Files) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "nothing to suggest: the audit has no refused or judged run that a policy would allow")
				return nil
			}
			return writeFiles(cmd, out, suggestion.Files)
		},
	}
	in.add(cmd)
	cmd.Flags().StringVar(&out, "out", "", "a directory for the files, one a repository (default: one file to the standard output)")
	cmd.Flags().StringSliceVar(&paths, "policies", nil, "the policies of now: what they allow is left out")
	cmd.Flags().StringSliceVar(&opts.Owners, "owner", nil, "only runs with this name or id of a repository or owner; may repeat")
	cmd.Flags().BoolVar(&opts.Weak, "weak", false, "also suggest for triggers that policies refuse by default, such as pull requests")
	cmd.Flags().BoolVar(&opts.Shared, "shared", false, "add exclusive: false, so that passwords go on working in mode claimed")
	return cmd
}

// printLeft says what is not suggested, and why.
func printLeft(w io.Writer, left []migration.Left) {
	for _, one := range left {
		what := one.Repository
		if one.Package != "" {
			what += " for " + one.Package
		}
		times := ""
		if one.Count > 1 {
			times = fmt.Sprintf(" (%d times)", one.Count)
		}
		fmt.Fprintf(w, "not suggested: %s: %s%s\n", model.OneLine(what, 300), model.OneLine(one.Reason, 500), times)
	}
}
