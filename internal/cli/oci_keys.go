package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/credential/distribution"
)

// ociKeysCommand is `oci-keys`.
func ociKeysCommand() *cobra.Command {
	var keyFile, setFile string
	cmd := &cobra.Command{
		Use:   "oci-keys --key FILE --jwks FILE",
		Short: "Make the key with which the gateway signs tokens for a container registry",
		Long: `Make the key with which the gateway signs tokens for a container registry (credential distribution). The private half is a new
file that the gateway's user alone should read; the public half is added to a set of keys, which the registry reads
(auth.token.jwks). To replace a key: make a second one into the same set, restart the registry, point the gateway at the new
file, and take the old key out of the set.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return usagef("got %d arguments, expected none", len(args))
			case keyFile == "" || setFile == "":
				return usagef("expected --key FILE for the gateway and --jwks FILE for the registry")
			}
			return makeKeys(cmd, keyFile, setFile)
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "the new file with the private key; one that is there is never replaced")
	cmd.Flags().StringVar(&setFile, "jwks", "", "the file with the public keys; made where it is not there")
	return cmd
}

func makeKeys(cmd *cobra.Command, keyFile, setFile string) error {
	set, err := os.ReadFile(setFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	private, public, err := distribution.NewKey()
	if err != nil {
		return err
	}
	if set, err = distribution.AddKey(set, public); err != nil {
		return fmt.Errorf("%s: %w", setFile, err)
	}
	// The private half first, since it must not replace anything.
	f, err := os.OpenFile(keyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(private)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.WriteFile(setFile, set, 0o644); err != nil { //nolint:gosec // public keys, which the registry's user reads
		return errors.Join(err, os.Remove(keyFile))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "key %s: %s for the gateway, %s for the registry\n", public.KeyID, keyFile, setFile)
	return nil
}
