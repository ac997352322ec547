package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/model"
)

// denyPath is the admin API's route for switches.
const denyPath = "/trusted_publishing/deny"

const denyLong = `Stop what must not go on: switches that beat every policy, in a running gateway.

  issuer NAME            all tokens of one issuer
  kid KID                tokens that this key has signed
  repository_id ID       runs of one repository (project), by its stable id
  run_id ID              one run
  package REGISTRY/NAME  one package: a freeze, for passwords too
  registry NAME          a whole registry, likewise
  policy NAME            what this policy would allow

A switch acts at once, also on publish tokens that are out and uploads under way, survives reloads and restarts, and reaches
every gateway that shares the store within five seconds. Reading goes on.`

// denyFlags are what the verbs of deny share.
type denyFlags struct{ address, issuer string }

func (f *denyFlags) bind(cmd *cobra.Command, scoped bool) *cobra.Command {
	cmd.Flags().StringVar(&f.address, "address", "", "the gateway's admin API, as HOST:PORT or unix//PATH (default: $CADDY_ADMIN, or "+defaultAdmin+")")
	if scoped {
		cmd.Flags().StringVar(&f.issuer, "issuer", "", "the issuer whose kid, repository_id or run_id is meant (default: every issuer's)")
	}
	return cmd
}

func denyCommand(opts Options) *cobra.Command {
	cmd := group("deny", "Stop an issuer, key, repository, run, package, registry or policy in a running gateway",
		denyAddCommand(opts), denyListCommand(opts), denyRemoveCommand())
	cmd.Long = denyLong
	return cmd
}

// switchOf reads KIND VALUE.
func switchOf(args []string, issuer string) (model.Switch, error) {
	if len(args) != 2 {
		return model.Switch{}, usagef("got %d arguments, expected a kind (%s) and its value", len(args), joinKinds(", "))
	}
	one := model.Switch{Kind: model.SwitchKind(args[0]), Value: args[1], Issuer: issuer}
	if who, err := user.Current(); err == nil {
		one.By = who.Username
	}
	return one, nil
}

func joinKinds(sep string) string {
	var words []string
	for _, kind := range model.SwitchKinds() {
		words = append(words, string(kind))
	}
	return strings.Join(words, sep)
}

func denyAddCommand(opts Options) *cobra.Command {
	var flags denyFlags
	var reason, until string
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "add KIND VALUE --reason TEXT",
		Short: "Stop something",
		Long:  denyLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			one, err := switchOf(args, flags.issuer)
			if err != nil {
				return err
			}
			one.Reason = reason
			if one.Until, err = endOf(until, within, opts.Now()); err != nil {
				return err
			}
			if err := one.Check(opts.Now()); err != nil {
				return usagef("%w", err)
			}
			if _, err := changeSwitch(cmd, flags.address, http.MethodPost, one); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "stopped: %s\n", one)
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit and for whoever finds the switch later (required)")
	cmd.Flags().StringVar(&until, "until", "", "when it ends by itself, as 2030-01-31T12:00:00Z (default: never)")
	cmd.Flags().DurationVar(&within, "for", 0, "how long until it ends by itself, as 2h (default: never)")
	return flags.bind(cmd, true)
}

// endOf is the end that the flags ask for; zero: none.
func endOf(until string, within time.Duration, now time.Time) (time.Time, error) {
	switch {
	case until != "" && within != 0:
		return time.Time{}, usagef("got --until and --for, expected one of them")
	case within < 0:
		return time.Time{}, usagef("--for is %s, expected a time to come", within)
	case within > 0:
		return now.Add(within).UTC().Truncate(time.Second), nil
	case until == "":
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return at, usagef("--until is %q, expected a moment such as 2030-01-31T12:00:00Z", until)
	}
	return at.UTC(), nil
}

func denyRemoveCommand() *cobra.Command {
	var flags denyFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "remove KIND VALUE",
		Short: "Let something go on",
		RunE: func(cmd *cobra.Command, args []string) error {
			one, err := switchOf(args, flags.issuer)
			if err != nil {
				return err
			}
			one.Reason = reason
			if _, err := changeSwitch(cmd, flags.address, http.MethodDelete, one); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "not stopped any more: %s\n", one)
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return flags.bind(cmd, true)
}

func denyListCommand(opts Options) *cobra.Command {
	var flags denyFlags
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show what is stopped, by whom and why",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %d arguments, expected none", len(args))
			}
			if format != "text" && format != "json" {
				return usagef("--format is %q, expected text or json", format)
			}
			api, err := newAdminAPI(flags.address)
			if err != nil {
				return err
			}
			var list []model.Switch
			if err := api.call(cmd.Context(), http.MethodGet, denyPath, nil, &list); err != nil {
				return err
			}
			if format == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(list)
			}
			return printSwitches(cmd.OutOrStdout(), list, opts.Now())
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return flags.bind(cmd, false)
}

func changeSwitch(cmd *cobra.Command, address, method string, one model.Switch) ([]model.Switch, error) {
	api, err := newAdminAPI(address)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(one)
	if err != nil {
		return nil, err
	}
	var list []model.Switch
	return list, api.call(cmd.Context(), method, denyPath, bytes.NewReader(body), &list)
}

func printSwitches(out io.Writer, list []model.Switch, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nothing is stopped")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tVALUE\tISSUER\tSINCE\tUNTIL\tBY\tREASON")
	for _, s := range list {
		issuer, until := "any", "removed"
		if s.Issuer != "" {
			issuer = s.Issuer
		}
		if s.Kind == model.SwitchPackage || s.Kind == model.SwitchRegistry || s.Kind == model.SwitchPolicy || s.Kind == model.SwitchIssuer {
			issuer = "-"
		}
		if !s.Until.IsZero() {
			until = s.Until.UTC().Format(time.RFC3339) + " (" + s.Until.Sub(now).Round(time.Minute).String() + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Kind, s.Value, issuer, s.Since.UTC().Format(time.RFC3339), until, s.By, s.Reason)
	}
	return w.Flush()
}
