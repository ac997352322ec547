// Command trustpub is the command line of trustpub without Caddy: it checks policy files, looks into tokens and verifies
// audit files, on laptops and in CI jobs.
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
	return cli.Main(ctx, cli.Options{Name: "trustpub"}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
