// Command trustpub is the command line of trustpub without Caddy: it runs clients with a publish token, is the
// credential helper of some, checks policy files, looks into tokens and verifies audit files, on laptops and in CI jobs.
package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/trustpub/trustpub/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return cli.Main(ctx, cli.Options{Name: "trustpub"}, cli.Applet(os.Args), os.Stdin, os.Stdout, os.Stderr)
}
