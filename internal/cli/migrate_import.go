package cli

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/migration"
)

func migrateImportCommand() *cobra.Command {
	var table, out string
	var registries, issuers []string
	var opts migration.ImportOptions
	cmd := &cobra.Command{
		Use:   "import --csv FILE",
		Short: "Write policies in bulk from a table",
		Long: `Write policies in bulk from a CSV table with a header.

Columns: registry, package and provider must be there; name, issuer, actions, events, tag, exclusive, allow_unpinned and
allow_any_package may be; every other column is a field of a publisher (repository, repository_owner_id, workflow, ...), empty in
rows of providers that do not have it. Rows that differ in the package alone become one policy. Nothing is written unless every
row gives a policy that loads; errors have line and column.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if table == "" || len(args) > 0 {
				return usagef("expected --csv FILE and no arguments")
			}
			env, err := checkEnv(nil, registries, issuers)
			if err != nil {
				return err
			}
			if len(registries) == 0 {
				env.AnyRegistry = "pypi"
			}
			env.AnyIssuer = len(issuers) == 0
			opts.Env = env
			files, err := importTable(cmd, table, opts)
			if err != nil {
				return invalid(err)
			}
			if len(files) == 0 {
				return errors.New(table + " has no rows below its header")
			}
			return writeFiles(cmd, out, files)
		},
	}
	cmd.Flags().StringVar(&table, "csv", "", "the table; - is the standard input")
	cmd.Flags().StringVar(&out, "out", "", "a directory for the files, one a repository (default: one file to the standard output)")
	cmd.Flags().BoolVar(&opts.Shared, "shared", false, "add exclusive: false to every policy, so that passwords go on working in mode claimed")
	cmd.Flags().StringSliceVar(&registries, "registries", nil, "the gateway's registries, as NAME=ECOSYSTEM,... (default: all that are named, with the ecosystem pypi)")
	cmd.Flags().StringSliceVar(&issuers, "issuers", nil, "the gateway's issuers, as NAME=PROVIDER,... or PROVIDER,... (default: all that are named)")
	return cmd
}

func importTable(cmd *cobra.Command, name string, opts migration.ImportOptions) (_ []migration.File, err error) {
	in := cmd.InOrStdin()
	if name == stdin {
		name = "the standard input"
	} else {
		f, openErr := os.Open(name)
		if openErr != nil {
			return nil, openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	return migration.Import(name, in, opts)
}
