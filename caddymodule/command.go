package caddymodule

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/cli"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "trustpub",
		Short: "Trusted publishing: demo, doctor, policy checks, tokens, audit",
		CobraFunc: func(cmd *cobra.Command) {
			cli.Mount(cmd, cli.Options{Name: "caddy trustpub", Demo: demoCommand, Doctor: examine, Exit: exitWith})
		},
	})
}

// exitWith makes Caddy's main function exit with the code of an error that was printed already.
func exitWith(cmd *cobra.Command, err error) error {
	code := cli.ExitCode(err)
	if code <= 1 {
		return err // Caddy exits with 1 for any error
	}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}
