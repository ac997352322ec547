package cli

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// auditFlags are the files that a command reads events from.
type auditFlags struct {
	files   []string
	issuers []string
}

// add defines --audit and --issuers.
func (f *auditFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.files, "audit", nil, "an audit file, oldest first; more may follow as arguments, and - is the standard input")
	cmd.Flags().StringSliceVar(&f.issuers, "issuers", nil, "the gateway's issuers, as NAME=PROVIDER,... or PROVIDER,...")
}

// each reads the events of all files, those of further arguments included.
func (f *auditFlags) each(cmd *cobra.Command, args []string, do func(model.Event)) error {
	files := append(append([]string(nil), f.files...), args...)
	if len(files) == 0 {
		return usagef("got no audit file, expected --audit FILE")
	}
	for _, name := range files {
		if err := eachEvent(cmd, name, do); err != nil {
			return err
		}
	}
	return nil
}

func eachEvent(cmd *cobra.Command, name string, do func(model.Event)) (err error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, openErr := os.Open(name)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	for event, err := range audit.Events(name, in) {
		if err != nil {
			return err
		}
		do(event)
	}
	return nil
}

// providers maps the issuers of --issuers to their providers.
func (f *auditFlags) providers() (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range f.issuers {
		issuer, err := parseIssuer(pair)
		if err != nil {
			return nil, err
		}
		out[issuer.Name] = issuer.Provider
	}
	return out, nil
}

// present loads the policies of now; nil where no path is given.
func (f *auditFlags) present(paths []string) (*policies.Set, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	env, err := checkEnv(paths, nil, f.issuers)
	if err != nil {
		return nil, err
	}
	set, err := policies.Load(paths, env)
	if err != nil {
		return nil, invalid(err)
	}
	return set, nil
}
