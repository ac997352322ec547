package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/policies"
	"github.com/trustpub/trustpub/policies/format"
)

// stdin is the path that stands for the standard input.
const stdin = "-"

// formatting is one run of `policy fmt`.
type formatting struct {
	check, diff, list, write bool
	in                       io.Reader
	out                      io.Writer
	changed                  int
}

func policyFmtCommand() *cobra.Command {
	f := &formatting{}
	cmd := &cobra.Command{
		Use:   "fmt PATH...",
		Short: "Give policy files their canonical form; comments stay",
		Long: `Give policy files their canonical form: the order of fields, indentation, quotes and lists. Comments stay, and so does what
the policies say: the result is read again and compared before anything is written.

Paths are files, directories (every *.yaml and *.yml below) and globs; "-" is the standard input. Without a flag the
formatted text is printed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no path, expected at least one file, directory or glob, or - for the standard input")
			}
			f.in, f.out = cmd.InOrStdin(), cmd.OutOrStdout()
			return f.run(args)
		},
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "change nothing, name the files that are not formatted, and exit with 1 if there are any")
	cmd.Flags().BoolVarP(&f.diff, "diff", "d", false, "print the differences")
	cmd.Flags().BoolVarP(&f.list, "list", "l", false, "name the files that are not formatted")
	cmd.Flags().BoolVarP(&f.write, "write", "w", false, "write the formatted text into the files")
	return cmd
}

// run formats all files; one that cannot be formatted does not keep the others from it.
func (f *formatting) run(args []string) error {
	if f.check && f.write {
		return usagef("got --check and --write, expected one of them: one changes nothing")
	}
	var paths []string
	var errs []error
	for _, arg := range args {
		if arg == stdin {
			if f.write {
				return usagef("got - and --write, expected a file: the standard input cannot be written")
			}
			errs = append(errs, f.input())
			continue
		}
		paths = append(paths, arg)
	}
	files, err := policies.Files(paths)
	errs = append(errs, err)
	for _, file := range files {
		errs = append(errs, f.file(file))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if f.check && f.changed > 0 {
		return fmt.Errorf("%s not formatted: run 'policy fmt -w'", count(f.changed, "file is", "files are"))
	}
	return nil
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (f *formatting) input() error {
	data, err := io.ReadAll(io.LimitReader(f.in, policies.MaxFileSize+1))
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	_, err = f.text("standard input", data)
	return err
}

func (f *formatting) file(path string) error {
	data, err := readUpTo(path, policies.MaxFileSize+1)
	if err != nil {
		return err
	}
	text, err := f.text(path, data)
	if err != nil || !f.write || text == string(data) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), info.Mode().Perm())
}

// text formats one text and prints what the flags ask for. It is given one byte more than is formatted of a larger one, so that nothing is ever cut off.
func (f *formatting) text(name string, data []byte) (string, error) {
	if len(data) > policies.MaxFileSize {
		return "", fmt.Errorf("%s: the file has more than %d bytes; split it", name, policies.MaxFileSize)
	}
	text, err := format.Source(string(data))
	if err != nil {
		return "", fmt.Errorf("%s:%w", name, spaced(err))
	}
	differs := text != string(data)
	if differs {
		f.changed++
	}
	if differs && (f.list || f.check && !f.diff) {
		fmt.Fprintln(f.out, name)
	}
	if differs && f.diff {
		fmt.Fprintf(f.out, "%s", diff.Diff(name, data, name+" (formatted)", []byte(text)))
	}
	if !f.check && !f.diff && !f.list && !f.write {
		fmt.Fprint(f.out, text)
	}
	return text, nil
}

// spaced puts a blank before an error that has no place in the file.
func spaced(err error) error {
	var e *format.Error
	if errors.As(err, &e) && e.Line == 0 {
		return fmt.Errorf(" %w", err)
	}
	return err
}
