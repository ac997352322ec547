//go:build !amd64

package process

import (
	"errors"
	"runtime"
	"time"
)

// ShiftClock needs code of the processor's own.
func (p *Process) ShiftClock(time.Duration) error {
	return errors.New("the clock of a process can be shifted on amd64 only, and this is " + runtime.GOARCH)
}
