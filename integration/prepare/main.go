// Command prepare installs what the integration tests run, before they do, and says what it does: `go run ./integration/prepare`.
// The tests install the same by themselves where it is missing, but `go test` of several packages shows nothing of it until they end.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/trustpub/trustpub/integration/toolbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := toolbox.InstallAll(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}
