package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/migration"
)

// writeFiles writes policy files into a directory, all or none, and never over one that is there. Without a directory their
// policies go to the standard output as one file.
func writeFiles(cmd *cobra.Command, dir string, files []migration.File) error {
	if dir == "" {
		one := migration.File{Comments: files[0].Comments}
		for i := range files {
			one.Drafts = append(one.Drafts, files[i].Drafts...)
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), one.Text())
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for i := range files {
		if _, err := os.Lstat(filepath.Join(dir, files[i].Name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already, and nothing is overwritten: move it away, or choose another directory; no file was written", filepath.Join(dir, files[i].Name))
		}
	}
	for i := range files {
		path := filepath.Join(dir, files[i].Name)
		if err := writeNew(path, files[i].Text()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s: %s\n", path, policiesOf(len(files[i].Drafts)))
	}
	return nil
}

func policiesOf(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

// writeNew writes a file that must not be there yet. Others may read policies; the loader wants that only the owner writes.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // policies are no secret
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
