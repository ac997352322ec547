package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/courier"
	"github.com/trustpub/trustpub/internal/handover"
)

// errChild is the end of a child that has said what there is to say.
var errChild = errors.New("the command failed")

func execCommand(opts Options) *cobra.Command {
	var gateway gatewayClient
	var trip courier.Trip
	cmd := &cobra.Command{
		Use:   "exec --registry URL -- COMMAND [ARGS...]",
		Short: "Run a command that publishes or installs, with a publish token for as long as it runs",
		Long: `Run a command that publishes or installs, with a publish token for as long as it runs:

  ` + opts.Name + ` exec --registry https://pypi.example.com/publisher/prod/ -- twine upload dist/*

The identity token is that of the CI job that this runs in. The command gets the publish token as its kind of client wants it: variables,
or files in a private folder that is gone afterwards. Signals and the exit code pass through; the token is revoked at the end.

Exit codes: that of the command, 128 and the signal's number where one ended it, 127 and 126 where it is absent or can't be run,
125 where there is no token for it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := gateway.needRegistry(); err != nil {
				return err
			}
			if len(args) == 0 {
				return usagef("the command is missing, expected one behind --, as in exec --registry URL -- twine upload dist/*")
			}
			errand, err := gateway.errand(cmd, opts)
			if err != nil {
				return &ExitError{Code: ExitExec, Err: err}
			}
			trip.Errand, trip.Command = errand, args
			return runTrip(cmd, &trip)
		},
	}
	gateway.flags(cmd)
	cmd.Flags().StringVar(&trip.For, "for", "", "the `client` that gets the token, where the command's name does not say it: "+strings.Join(handover.Names(), ", ")+"; several, joined by commas")
	cmd.Flags().StringVar(&trip.Name, "name", "", "what the client calls the registry: the repository, server, source or registry of its configuration; default: its name in the gateway")
	cmd.Flags().BoolVar(&trip.Shadow, "shadow", false, "leave the client its password, and send the identity token beside it (X-Trustpub-Identity)")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// runTrip lends the child this process's surroundings.
func runTrip(cmd *cobra.Command, trip *courier.Trip) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, heeded()...)
	defer signal.Stop(signals)
	trip.Signals = signals
	trip.Environ, trip.Stdin, trip.Stdout, trip.Stderr = os.Environ(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if home, err := os.UserHomeDir(); err == nil {
		trip.Home = home
	}
	trip.Interactive = isTerminal(trip.Stdin)
	// An interrupt ends the context of the whole program; the child is to end by itself, and its token after it.
	code, err := trip.Run(context.WithoutCancel(cmd.Context()))
	switch {
	case err != nil:
		return &ExitError{Code: ExitExec, Err: err}
	case code != 0:
		return &ExitError{Code: code, Err: errChild}
	}
	return nil
}

// heeded are the forwarded signals, without those that this process was started to ignore, as under nohup: the child ignores them too.
func heeded() []os.Signal { return slices.DeleteFunc(slices.Clone(forwarded), signal.Ignored) }

// isTerminal is true for a device of characters that is not the one that is always empty.
func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && (nullErr != nil || !os.SameFile(info, null))
}
