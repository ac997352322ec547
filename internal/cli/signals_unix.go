//go:build unix

package cli

import (
	"os"
	"syscall"
)

// forwarded are the signals that a child gets from those who mean this program.
var forwarded = []os.Signal{
	os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}
