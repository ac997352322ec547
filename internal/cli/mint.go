package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/courier"
)

func mintCommand(opts Options) *cobra.Command {
	var gateway gatewayClient
	var format, name string
	cmd := &cobra.Command{
		Use:   "mint --registry URL",
		Short: "Swap the job's identity token for a publish token, and print it",
		Long: `Swap the identity token of the CI job that this runs in for a publish token, and print it.

The token is masked in GitHub's logs. It lives for minutes, in whatever takes the output; '` + opts.Name + ` revoke' ends it sooner.
'` + opts.Name + ` exec' does both, and leaves nothing behind.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %d arguments, expected none", len(args))
			}
			if err := gateway.needRegistry(); err != nil {
				return err
			}
			if err := courier.CheckFormat(format); err != nil {
				return usagef("%w", err)
			}
			errand, err := gateway.errand(cmd, opts)
			if err != nil {
				return err
			}
			minted, err := errand.Mint(cmd.Context())
			if err != nil {
				return err
			}
			text, err := courier.Print(minted, format, name)
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	gateway.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "token", "one of "+strings.Join(courier.Formats(), ", "))
	cmd.Flags().StringVar(&name, "name", "", "what the client calls the registry (pypirc, maven-settings); default: its name in the gateway")
	return cmd
}

func revokeCommand(opts Options) *cobra.Command {
	var gateway gatewayClient
	cmd := &cobra.Command{
		Use:   "revoke --registry URL",
		Short: "End a publish token from the standard input",
		Long:  "End a publish token from the standard input, where no process list shows it:\n\n  printenv TRUSTPUB_TOKEN | " + opts.Name + " revoke --registry https://pypi.example.com/publisher/prod/",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %d arguments, expected none: the token comes from the standard input", len(args))
			}
			if err := gateway.needRegistry(); err != nil {
				return err
			}
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxToken+1))
			token := strings.TrimSpace(string(raw))
			switch {
			case err != nil:
				return fmt.Errorf("standard input: %w", err)
			case !strings.HasPrefix(token, publishPrefix) || len(token) > maxToken || strings.ContainsAny(token, " \t\r\n"):
				return errors.New("the standard input is no publish token: expected one token that begins with " + publishPrefix)
			}
			client, err := gateway.client(opts)
			if err != nil {
				return err
			}
			reg, err := client.Discover(cmd.Context(), gateway.registry)
			if err != nil {
				return err
			}
			if reg.Revoke == "" {
				return fmt.Errorf("%s has no revocation: the token ends by itself", reg.URL)
			}
			return client.Revoke(cmd.Context(), reg, token)
		},
	}
	cmd.Flags().StringVar(&gateway.registry, "registry", os.Getenv(envRegistry), "the registry's `URL`; default: "+envRegistry)
	cmd.Flags().StringVar(&gateway.ca, "ca", os.Getenv(envCA), "a `file` with the certificate authority of the gateway; default: "+envCA)
	return cmd
}
