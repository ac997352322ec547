//go:build unix

package cli

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
)

// TestNohupStaysInForce: a command that was started to outlive its terminal is not ended by a forwarded signal.
func TestNohupStaysInForce(t *testing.T) {
	hup := os.Signal(syscall.SIGHUP)
	signal.Notify(make(chan os.Signal, 1), hup) // whatever this test was started to ignore
	defer signal.Reset(hup)
	if !slices.Contains(heeded(), hup) {
		t.Error("SIGHUP is not forwarded")
	}
	signal.Ignore(hup)
	if slices.Contains(heeded(), hup) {
		t.Error("SIGHUP is forwarded, though this process ignores it")
	}
}
