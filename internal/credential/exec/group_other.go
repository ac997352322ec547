//go:build !unix

package exec

import "os/exec"

// group is the processes of one run: the program alone, where a system has no groups of processes.
type group struct{}

func newGroup(*exec.Cmd) *group { return &group{} }

func (*group) ended() {}
