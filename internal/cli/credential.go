package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/courier"
	"github.com/trustpub/trustpub/internal/exchange"
	"github.com/trustpub/trustpub/internal/helper"
)

// applets are the names under which clients call a helper, and the commands that they stand for.
var applets = map[string][]string{
	"docker-credential-trustpub": {"credential", "docker"},
	"cargo-credential-trustpub":  {"credential", "cargo"},
	"keyring":                    {"credential", "keyring"},
}

// Applet is a command line with the name by which the program was called taken into account.
func Applet(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	words := applets[strings.TrimSuffix(filepath.Base(args[0]), ".exe")]
	return append(append([]string{}, words...), args[1:]...)
}

func credentialCommand(opts Options) *cobra.Command {
	cmd := group(
		"credential", "Be the helper that a client asks for its credential",
		helperCommand(opts, "docker get|store|erase|list", "Be a credential helper of docker's (or called docker-credential-trustpub)", func(h *helper.Helper, cmd *cobra.Command, _ string, args []string) error {
			if len(args) != 1 {
				return usagef("got %d arguments, expected get, store, erase or list", len(args))
			}
			return h.Docker(cmd.Context(), args[0])
		}),
		helperCommand(opts, "cargo", "Be a credential provider of cargo's (or called cargo-credential-trustpub)", func(h *helper.Helper, cmd *cobra.Command, registry string, _ []string) error {
			return h.Cargo(cmd.Context(), registry)
		}),
		helperCommand(opts, "keyring get SERVICE USER", "Be the keyring that pip and uv ask (or called keyring)", func(h *helper.Helper, cmd *cobra.Command, _ string, args []string) error {
			return h.Keyring(cmd.Context(), args)
		}),
	)
	return cmd
}

// helperCommand is one helper. Clients call it with arguments of their own, so there are no flags: variables say the rest.
func helperCommand(opts Options, use, short string, run func(h *helper.Helper, cmd *cobra.Command, registry string, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, DisableFlagParsing: true,
		Long: short + ".\n\n" + fmt.Sprintf("%s, %s and %s stand for the flags --registry, --identity and --ca of the other commands.", envRegistry, envIdentity, envCA),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
				return cmd.Help()
			}
			gateway := environmentClient()
			errand, err := gateway.errand(cmd, opts)
			if err != nil {
				return err
			}
			h := &helper.Helper{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Errand: func(registry string) courier.Errand {
				one := errand
				one.Registry = registry
				// Clients ask for any host that a configuration, a lock file or a Dockerfile names.
				one.Named = exchange.SameHost(registry, gateway.registry)
				return one
			}}
			return run(h, cmd, gateway.registry, args)
		},
	}
}
