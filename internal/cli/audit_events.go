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
	gateway gatewayFlags
}

// add defines --audit, and what says which registries and issuers the gateway has.
func (f *auditFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.files, "audit", nil, "an audit file, oldest first; more may follow as arguments, and - is the standard input")
	f.gateway.register(cmd)
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

// providers maps the gateway's issuers, as far as the flags name them, to their providers.
func (f *auditFlags) providers() (map[string]string, error) {
	parts, err := f.gateway.read()
	out := map[string]string{}
	for _, issuer := range parts.issuers {
		out[issuer.Name] = issuer.Provider
	}
	return out, err
}

// present loads the policies of now; nil where no path is given.
func (f *auditFlags) present(paths []string) (*policies.Set, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	env, err := f.gateway.env(paths)
	if err != nil {
		return nil, err
	}
	set, err := policies.Load(paths, env)
	if err != nil {
		return nil, invalid(err)
	}
	return set, nil
}
