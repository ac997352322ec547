package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/cli"
	"github.com/trustpub/trustpub/internal/demo"
)

// stopTimeout bounds how long the demo waits for its gateway to let go of its files.
const stopTimeout = 20 * time.Second

// demoCommand is "caddy trustpub demo".
func demoCommand() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a whole publish and its refusals, on this machine alone",
		Long: `Starts a development issuer, a small registry and this gateway between them, on free loopback ports and in a temporary
folder; publishes a package, shows the refusals that matter and the audit of it all, and stays up for you to try by hand with the
ecosystem's own client until you press Ctrl-C. Nothing is left behind.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("demo takes no arguments, got %q", args[0])
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			o.Out, o.StartGateway, o.Explain = cmd.OutOrStdout(), startGateway, explain
			if program, err := os.Executable(); err == nil {
				o.Command = program + " trustpub"
			}
			return demo.Run(ctx, o)
		},
	}
	names := demo.Ecosystems()
	cmd.Flags().StringVar(&o.Ecosystem, "ecosystem", names[0], "what is published: "+strings.Join(names, ", ")+"; with --check also "+demo.All)
	cmd.Flags().BoolVar(&o.Check, "check", false, "run the scenario, print one line a step, and exit with 0 or 1")
	return cmd
}

// quiet is a configuration that does nothing but log errors only: without it, Caddy tells on the terminal that the demo's
// own configuration moves the log to a file.
const quiet = `{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"level":"ERROR"}}}}`

// startGateway runs Caddy with a Caddyfile in this process.
func startGateway(_ context.Context, path string) (demo.Gateway, error) {
	caddyfile, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": path})
	if err != nil {
		return nil, err
	}
	if err := caddy.Load([]byte(quiet), true); err != nil {
		return nil, err
	}
	if err := caddy.Load(config, true); err != nil {
		return nil, err
	}
	return runningCaddy{}, nil
}

// explain is "trustpub policy explain".
func explain(ctx context.Context, token string, q demo.Question) (string, error) {
	var out, problems bytes.Buffer
	args := []string{"policy", "explain", "--token", "-", "--package", q.Package, "--policies", q.Policies, "--registries", q.Registry + "=" + q.Ecosystem}
	// Denied is an answer, too.
	if code := cli.Main(ctx, cli.Options{Name: "trustpub"}, args, strings.NewReader(token), &out, &problems); code > cli.ExitFailed || out.Len() == 0 {
		return "", fmt.Errorf("policy explain: exit code %d: %s", code, problems.String())
	}
	return out.String(), nil
}

// runningCaddy is the one Caddy of this process.
type runningCaddy struct{}

// Stop ends it, and waits until the store and the audit are closed.
func (runningCaddy) Stop() error {
	err := caddy.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return errors.Join(err, pending.wait(ctx))
}

// Interface guard
var _ demo.Gateway = runningCaddy{}
