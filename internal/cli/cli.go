// Package cli is the command tree of trustpub. It links no Caddy: cmd/trustpub runs it alone, and caddymodule mounts the
// same tree under `caddy trustpub` and hands in what needs Caddy.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/doctor"
)

// The exit codes.
const (
	// ExitOK: all is well.
	ExitOK = 0
	// ExitFailed: what was asked about is wrong, or could not be done.
	ExitFailed = 1
	// ExitUsage: the command line is wrong.
	ExitUsage = 2
	// ExitExec: exec could not run its command, so that any other code is the command's own.
	ExitExec = 125
)

// Options of Mount and New.
type Options struct {
	// Name is how users call the tree, "trustpub" or "caddy trustpub"; hints use it.
	Name string
	// Version is the program's version; empty: that of the build.
	Version string
	// Demo makes the demo command, where the program can run one.
	Demo func() *cobra.Command
	// Doctor examines a configuration, where the program can provision one.
	Doctor func(ctx context.Context, o DoctorOptions) (*doctor.Report, error)
	// Exit turns an error of this package, which was printed already, into one that gives the program the exit code.
	// Default: the error itself, for ExitCode.
	Exit func(cmd *cobra.Command, err error) error
	// Now is the clock.
	Now func() time.Time
}

// ExitError is an error with its exit code.
type ExitError struct {
	// Code is ExitFailed or ExitUsage; that of a child, or ExitExec, for a command that runs one.
	Code int
	// Err is what happened.
	Err error
}

// Error is that of Err.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the exit code that an error asks for.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return ExitFailed
}

// usagef is an error of the command line.
func usagef(format string, args ...any) error {
	return &ExitError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// New makes the tree as a program of its own.
func New(opts Options) *cobra.Command {
	root := &cobra.Command{Use: opts.Name}
	Mount(root, opts)
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// Mount puts the tree into an existing command, whose name it keeps.
func Mount(root *cobra.Command, opts Options) {
	if opts.Name == "" {
		opts.Name = root.Name()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Exit == nil {
		opts.Exit = func(_ *cobra.Command, err error) error { return err }
	}
	root.Short = "Trusted publishing for the package registry you already run"
	root.Long = root.Short + ".\n\nExit codes: 0 all is well, 1 refused or failed, 2 the command line is wrong."
	root.AddCommand(
		execCommand(opts),
		mintCommand(opts),
		revokeCommand(opts),
		credentialCommand(opts),
		ociKeysCommand(),
		demoCommand(opts),
		doctorCommand(opts),
		group(
			"policy", "Work with policy files",
			policyCheckCommand(),
			policyDiffCommand(),
			policyExplainCommand(opts),
			policyFmtCommand(),
			policyLintCommand(opts),
			policyTestCommand(opts),
			policySuggestCommand(),
			policyPinCommand(),
			policySchemaCommand(),
		),
		group("migrate", "Move from passwords to trusted publishing", migrateStatusCommand(opts), migrateImportCommand()),
		group("token", "Look into tokens", tokenInspectCommand(opts)),
		denyCommand(opts),
		group("audit", "Work with audit files", auditVerifyCommand()),
		versionCommand(opts),
	)
	root.RunE = groupHelp
	tame(root, opts)
}

// group is a command that only has subcommands.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: groupHelp}
	c.AddCommand(children...)
	return c
}

// groupHelp is what a command does that needs a subcommand.
func groupHelp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		return errors.Join(cmd.Help(), &ExitError{Code: ExitUsage, Err: errShown})
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(": did you mean %s?", strings.Join(near, " or "))
	}
	return usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
}

// errShown is an error of which the user has seen all there is.
var errShown = errors.New("a subcommand is missing")

// errElsewhere is an error that no reading of the usage helps with.
var errElsewhere = errors.New("this program is built without Caddy")

// tame makes every command below print its errors in one way and exit with our codes, wherever it is mounted. Arguments
// are counted in RunE, since an error of cobra's own check would pass our hands.
func tame(cmd *cobra.Command, opts Options) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	// Cobra leaves this at zero for commands other than the one that is executed.
	cmd.SuggestionsMinimumDistance = 2
	finish := func(cmd *cobra.Command, err error) error {
		if err == nil {
			return nil
		}
		if !errors.Is(err, errShown) && !errors.Is(err, errDenied) && !errors.Is(err, errWidens) && !errors.Is(err, errTests) && !errors.Is(err, errChild) && !errors.Is(err, errUnwell) {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.CommandPath(), err)
		}
		if ExitCode(err) == ExitUsage && !errors.Is(err, errShown) && !errors.Is(err, errElsewhere) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Run '%s --help' for usage.\n", cmd.CommandPath())
		}
		return opts.Exit(cmd, err)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return finish(cmd, usagef("%w", err)) })
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return finish(cmd, run(cmd, args)) }
		cmd.Args = cobra.ArbitraryArgs
	}
	for _, child := range cmd.Commands() {
		tame(child, opts)
	}
}

// Main runs the tree and returns the exit code.
func Main(ctx context.Context, opts Options, args []string, in io.Reader, out, errw io.Writer) int {
	root := New(opts)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	return ExitCode(root.ExecuteContext(ctx))
}

// demoCommand is the demo where there is one, or says where it is.
func demoCommand(opts Options) *cobra.Command {
	if opts.Demo != nil {
		return opts.Demo()
	}
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a whole publish and its refusals (needs Caddy: run caddy trustpub demo)",
		// Whatever flags the real one takes, the answer is the same.
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("%w: run 'caddy trustpub demo' with a Caddy that has the module, or 'go run ./cmd/caddy trustpub demo' in a checkout", errElsewhere)
		},
	}
}
