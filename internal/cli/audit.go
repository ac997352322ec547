package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/audit"
)

func auditVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check the hash chain of audit files",
		Long: `Check the hash chain of audit files: every line is whole, follows the one before, and carries its SHA-256.

Name rotated files oldest first: they are checked as one chain. "-" is the standard input. The head that is printed is the
SHA-256 of the newest line; kept elsewhere, it shows later whether lines were cut off the end.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no file, expected at least one")
			}
			var v audit.Verifier
			for _, name := range args {
				if err := verifyFile(cmd, &v, name); err != nil {
					return err
				}
			}
			printSummary(cmd.OutOrStdout(), v.Summary())
			return nil
		},
	}
}

func verifyFile(cmd *cobra.Command, v *audit.Verifier, name string) (err error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, openErr := os.Open(name)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	before := v.Summary().Lines
	if err := v.Check(name, in); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %d lines\n", name, v.Summary().Lines-before)
	return nil
}

func printSummary(out io.Writer, s audit.Summary) {
	if s.Lines == 0 {
		return
	}
	fmt.Fprintf(out, "seq   %d to %d", s.First, s.Last)
	if !s.Begins {
		fmt.Fprint(out, " (continues an earlier file)")
	}
	const layout = "2006-01-02 15:04:05 UTC"
	fmt.Fprintf(out, "\ntime  %s to %s\nhead  %s\n", s.Oldest.UTC().Format(layout), s.Newest.UTC().Format(layout), s.Head)
	if s.Lost > 0 {
		fmt.Fprintf(out, "lost  %d events could not be written; the lines of kind \"lost\" say when\n", s.Lost)
	}
}
