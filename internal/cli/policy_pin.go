package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/migration"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// pinCommand is one run of `policy pin`.
type pinCommand struct {
	in       auditFlags
	token    string
	write    bool
	evidence []migration.Evidence
	// missing counts policies that still lack an id.
	missing int
}

func policyPinCommand() *cobra.Command {
	p := &pinCommand{}
	cmd := &cobra.Command{
		Use:   "pin PATH... --token FILE|- | --audit FILE",
		Short: "Fill in the stable ids of policies that name only names",
		Long: `Fill in the stable ids of policies that name only names, from a token or from the runs of the audit: where the names of a
run equal those of a policy, and all such runs have one id. Comments and layout stay. Without -w the differences are shown.

A token is taken apart, not verified: take it from a job that you know. Events of the audit were verified when they were written.
The exit code is 1 while a policy lacks an id and none was found.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no path, expected at least one policy file, directory or glob")
			}
			if err := p.gather(cmd); err != nil {
				return err
			}
			for _, arg := range args {
				files := expand(arg)
				if len(files) == 0 {
					return fmt.Errorf("%s: there is no such file or directory", arg)
				}
				for _, file := range files {
					if err := p.file(cmd, file); err != nil {
						return err
					}
				}
			}
			if p.missing > 0 {
				return fmt.Errorf("no id was found for %s", policiesOf(p.missing))
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&p.in.files, "audit", nil, "an audit file; may repeat, and - is the standard input")
	cmd.Flags().StringSliceVar(&p.in.gateway.issuers, "issuers", nil, "the gateway's issuers, as NAME=PROVIDER,..., for audit lines without provider")
	cmd.Flags().StringVar(&p.token, "token", "", "a file with an identity token; - is the standard input, where no process list shows it")
	cmd.Flags().BoolVarP(&p.write, "write", "w", false, "write the ids into the files")
	return cmd
}

// gather reads what the ids are taken from.
func (p *pinCommand) gather(cmd *cobra.Command) error {
	if (p.token == "") == (len(p.in.files) == 0) {
		return usagef("expected one of --token and --audit")
	}
	if p.token != "" {
		claims, err := tokenClaims(cmd, p.token)
		if err == nil {
			p.evidence = []migration.Evidence{{Claims: claims}}
		}
		return err
	}
	providers, err := p.in.providers()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	return p.in.each(cmd, nil, func(event model.Event) {
		if e, ok := migration.EventEvidence(event, providers); ok && !seen[e.Key()] {
			seen[e.Key()] = true
			p.evidence = append(p.evidence, e)
		}
	})
}

// tokenClaims reads a token's claims without verifying it; errors never quote it.
func tokenClaims(cmd *cobra.Command, name string) (_ map[string]any, err error) {
	in := cmd.InOrStdin()
	if name != stdin {
		f, openErr := os.Open(name)
		if openErr != nil {
			return nil, openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	t, err := parseToken(string(raw))
	if err != nil {
		return nil, err
	}
	if t.publish {
		return nil, errors.New("the input is a publish token, expected the identity token that it was made for")
	}
	// parseToken has read it strictly; this gives the values the types that verified claims have.
	claims := make(map[string]any, len(t.payload))
	for name, value := range t.payload {
		dec := json.NewDecoder(bytes.NewReader(value))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("the claim %q cannot be read", name)
		}
		claims[name] = v
	}
	return claims, nil
}

// file pins one file.
func (p *pinCommand) file(cmd *cobra.Command, path string) error {
	data, err := readUpTo(path, policies.MaxFileSize+1)
	if err != nil {
		return err
	}
	if len(data) > policies.MaxFileSize {
		return fmt.Errorf("%s has more than %d bytes; split it", path, policies.MaxFileSize)
	}
	text, pinned, err := migration.Pin(string(data), p.evidence)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, one := range pinned {
		if one.Reason != "" {
			p.missing++
			fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: policy %s: %s\n", path, one.Line, one.Policy, one.Reason)
		} else if one.Unpinned {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: policy %s: allow_unpinned: true is not needed any more\n", path, one.Line, one.Policy)
		}
	}
	switch {
	case text == string(data):
		return nil
	case !p.write:
		_, err = cmd.OutOrStdout().Write(diff.Diff(path, data, path, []byte(text)))
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", path)
	return os.WriteFile(path, []byte(text), info.Mode().Perm())
}
