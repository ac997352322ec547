package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/doctor"
)

// DoctorOptions are what the doctor command was asked for.
type DoctorOptions struct {
	// Config is the configuration's file, Adapter the name of its form; empty: as Caddy guesses. In is the standard input.
	Config, Adapter string
	In              io.Reader
	// Direct are NAME=URL of registries that should not be reachable.
	Direct []string
	// Offline leaves out what needs the network, Timeout bounds each check.
	Offline bool
	Timeout time.Duration
}

// doctorFlags are those of the command.
type doctorFlags struct {
	DoctorOptions
	json          bool
	failOn, caddy string
}

func doctorCommand(opts Options) *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor --config FILE",
		Short: "Look whether all that a gateway depends on works, and where it is weak",
		Long: `Look at a gateway's configuration as "caddy run" would see it, without starting it or disturbing one that runs: issuers and
their clocks, policies, registries and their credentials, the store, Caddy's storage, the audit, logs, and settings that are weaker than
they could be. Each line says what was looked at, ok, warn, fail or skip (not proved), and what to do. No secret is printed.

Run it as the gateway's user, in its folder and with its environment. For each registry one credential is made as for a publish, shown to
the registry where a read can tell whether it is accepted, and ended. The exit code is 1 where something fails (--fail-on).

A configuration needs Caddy with this gateway's modules to be read. trustpub finds it beside itself or in the PATH, and runs it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got the argument %q, expected none: name the configuration with --config", args[0])
			}
			if f.failOn != string(doctor.Fail) && f.failOn != string(doctor.Warn) {
				return usagef("--fail-on is %q, expected fail or warn", f.failOn)
			}
			if f.Timeout <= 0 {
				return usagef("--timeout is %s, expected a time such as 15s", f.Timeout)
			}
			if opts.Doctor == nil {
				return f.elsewhere(cmd)
			}
			return f.run(cmd, opts)
		},
	}
	cmd.Flags().StringVar(&f.Config, "config", "", "the gateway's configuration, a Caddyfile or JSON; - is the standard input (default: Caddyfile)")
	cmd.Flags().StringVar(&f.Adapter, "adapter", "", "the form of a configuration whose name does not tell it, as in caddyfile")
	cmd.Flags().StringArrayVar(&f.Direct, "direct", nil, "NAME=URL, a registry's own `address`, at which it must not answer; may repeat")
	cmd.Flags().BoolVar(&f.Offline, "offline", false, "leave out what needs the network")
	cmd.Flags().DurationVar(&f.Timeout, "timeout", doctor.DefaultTimeout, "how long each check may take")
	cmd.Flags().StringVar(&f.failOn, "fail-on", string(doctor.Fail), "exit with 1 where something is at least that bad: fail or warn")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().StringVar(&f.caddy, "caddy", "", "the `program` of the gateway, where this one is built without Caddy (default: caddy beside this one, or in the PATH)")
	return cmd
}

// run examines in this process.
func (f *doctorFlags) run(cmd *cobra.Command, opts Options) error {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	f.In = cmd.InOrStdin()
	report, err := opts.Doctor(ctx, f.DoctorOptions)
	if err != nil {
		return err
	}
	write := report.Text
	if f.json {
		write = report.JSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if report.Fails(doctor.Status(f.failOn)) {
		return &ExitError{Code: ExitFailed, Err: errUnwell}
	}
	return nil
}

// errUnwell is the end of a report that says all there is to say.
var errUnwell = errors.New("something is wrong")

// elsewhere runs the doctor of a Caddy that has the module.
func (f *doctorFlags) elsewhere(cmd *cobra.Command) error {
	program, err := findCaddy(cmd.Context(), f.caddy)
	if err != nil {
		return err
	}
	child := exec.CommandContext(cmd.Context(), program, append([]string{"trustpub", "doctor"}, f.arguments()...)...) //nolint:gosec // the operator's own program
	child.Stdin, child.Stdout, child.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	err = child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &ExitError{Code: exit.ExitCode(), Err: errUnwell} // it has said why
	}
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

// arguments are the flags once more.
func (f *doctorFlags) arguments() []string {
	args := []string{"--timeout", f.Timeout.String(), "--fail-on", f.failOn}
	for _, one := range []struct{ name, value string }{{"--config", f.Config}, {"--adapter", f.Adapter}} {
		if one.value != "" {
			args = append(args, one.name, one.value)
		}
	}
	for _, address := range f.Direct {
		args = append(args, "--direct", address)
	}
	if f.Offline {
		args = append(args, "--offline")
	}
	if f.json {
		args = append(args, "--json")
	}
	return args
}

// findCaddy finds a Caddy that has the doctor: the one that is named, else one beside this program, else that of the PATH.
func findCaddy(ctx context.Context, named string) (string, error) {
	candidates := []string{named}
	if named == "" {
		name := "caddy"
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		candidates = nil
		if self, err := os.Executable(); err == nil {
			if beside := filepath.Join(filepath.Dir(self), name); isProgram(beside) {
				candidates = append(candidates, beside)
			}
		}
		if inPath, err := exec.LookPath(name); err == nil {
			candidates = append(candidates, inPath)
		}
	}
	var last error
	for _, program := range candidates {
		if last = hasDoctor(ctx, program); last == nil {
			return program, nil
		}
	}
	const where = "name the gateway's program with --caddy, or run 'caddy trustpub doctor' with it"
	if last == nil {
		return "", fmt.Errorf("a configuration needs Caddy to be read, and there is no caddy beside this program or in the PATH: %s", where)
	}
	return "", fmt.Errorf("a configuration needs Caddy to be read: %w: %s", last, where)
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// hasDoctor asks a Caddy whether it has the command: one without the module, or with an older one, has not.
func hasDoctor(ctx context.Context, program string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "trustpub", "doctor", "--help").CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && len(out) > 0:
		return fmt.Errorf("%s has no doctor (it is built without trustpub's module, or with an older one)", program)
	}
	return fmt.Errorf("%s can't be run: %w", program, err)
}
