//go:build unix

package exec

import (
	"os/exec"
	"syscall"
)

// group is the processes of one run.
type group struct{ cmd *exec.Cmd }

// newGroup gives a program a process group of its own, which is killed as a whole when its time is over.
func newGroup(cmd *exec.Cmd) *group {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g := &group{cmd}
	cmd.Cancel = func() error {
		g.kill()
		return nil
	}
	return g
}

// ended waits until the program has ended, and kills what it has left behind, as long as its own process is not yet reaped: so its
// number is nobody else's.
func (g *group) ended() {
	if waitEnd(g.cmd.Process.Pid) {
		g.kill()
	}
}

func (g *group) kill() { _ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL) }
