package exec

import (
	"errors"

	"golang.org/x/sys/unix"
)

// waitEnd waits for a process without reaping it, and says whether it could.
func waitEnd(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
