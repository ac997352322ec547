package cli

import (
	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/policies"
)

func policySchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policy files, for editors",
		Long: `Print the JSON Schema of policy files. An editor with the YAML language server completes and explains the fields of a file
that begins with

  # yaml-language-server: $schema=./policy.schema.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %q, expected no arguments", args[0])
			}
			schema, err := policies.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(schema)
			return err
		},
	}
}
