//go:build unix

package file

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// lock takes the file for this process: two that append to one file would break each other's chain. The lock ends with
// the handle.
func lock(ctx context.Context, f handle, wait time.Duration) error {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
