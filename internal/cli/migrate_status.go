package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/migration"
	"github.com/trustpub/trustpub/internal/model"
)

func migrateStatusCommand(opts Options) *cobra.Command {
	var in auditFlags
	var bounds migration.StatusOptions
	var paths []string
	var since string
	var asJSON, passwords bool
	cmd := &cobra.Command{
		Use:   "status --audit FILE...",
		Short: "Say which packages still depend on a password, and which are ready for exclusive policies",
		Long: `Say for each package of the audit which password published it last, which trusted publishes there were, and which judged
runs would be refused. A package is ready when its newest publish was a trusted one. The exit code is 1 while one is not.

The chain of the audit is not checked: trustpub audit verify does that.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if bounds.Since, err = parseSince(since, opts.Now()); err != nil {
				return err
			}
			if bounds.Present, err = in.present(paths); err != nil {
				return err
			}
			tally := migration.NewTally(bounds)
			if err := in.each(cmd, args, tally.Add); err != nil {
				return err
			}
			status := tally.Status()
			switch {
			case asJSON:
				err = writeJSON(cmd.OutOrStdout(), status)
			case passwords:
				err = printPasswords(cmd.OutOrStdout(), status)
			default:
				err = printStatus(cmd.OutOrStdout(), status)
			}
			if err == nil && status.Ready < len(status.Packages) {
				err = fmt.Errorf("not ready: %d of %s", len(status.Packages)-status.Ready, packagesOf(len(status.Packages)))
			}
			return err
		},
	}
	in.add(cmd)
	cmd.Flags().StringSliceVar(&paths, "policies", nil, "the policies of now, to tell which packages are exclusive already")
	cmd.Flags().StringSliceVar(&bounds.Registries, "registry", nil, "only this registry; may repeat")
	cmd.Flags().StringVar(&since, "since", "", "only what is newer than a date (2030-01-31), a moment (RFC 3339) or a number of days (90d)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&passwords, "passwords", false, "list the passwords, each with the packages that it published")
	return cmd
}

func packagesOf(n int) string {
	if n == 1 {
		return "1 package"
	}
	return fmt.Sprintf("%d packages", n)
}

// parseSince reads a date, a moment or a number of days.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usagef("--since is %q, expected a date such as 2030-01-31, a moment such as 2030-01-31T12:00:00Z, or days such as 90d", text)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printStatus prints a table, then what is next for each package that is not ready.
func printStatus(w io.Writer, s *migration.Status) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REGISTRY\tPACKAGE\tSTATE\tLAST PASSWORD\tTRUSTED\tNOT ALLOWED")
	for _, p := range s.Packages {
		password := "-"
		if p.Password != nil {
			password = seen(p.Password.Seen) + " " + p.Password.String()
		}
		if p.Refused.Count > 0 {
			password += fmt.Sprintf(", %d refused", p.Refused.Count)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Registry, p.Package, p.State, password, seen(p.Trusted.Seen), seen(p.Denied.Seen))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, p := range s.Packages {
		if !p.Ready {
			fmt.Fprintf(w, "%s/%s: %s\n", p.Registry, p.Package, model.OneLine(p.Next, 600))
		}
	}
	if s.Unnamed > 0 {
		fmt.Fprintf(w, "%d requests with a password named no package; the audit has them under credential \"foreign\"\n", s.Unnamed)
	}
	_, err := fmt.Fprintf(w, "ready: %d of %s\n", s.Ready, packagesOf(len(s.Packages)))
	return err
}

// printPasswords prints a table of the passwords that still publish.
func printPasswords(w io.Writer, s *migration.Status) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PASSWORD\tLAST\tPACKAGES")
	for _, p := range s.Passwords {
		fmt.Fprintf(table, "%s\t%s\t%s\n", p, seen(p.Seen), strings.Join(p.Packages, ", "))
	}
	return table.Flush()
}

// seen is "2030-01-02 (3)".
func seen(s migration.Seen) string {
	if s.Last == nil {
		return "-"
	}
	return fmt.Sprintf("%s (%d)", s.Last.Format(time.DateOnly), s.Count)
}
