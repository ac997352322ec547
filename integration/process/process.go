// Package process runs the servers of the integration tests: each in a process group of its own, its output in a file, its
// readiness found by asking it.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// readyLimit bounds how long a server may take to answer, on a busy machine.
	readyLimit = 90 * time.Second
	// probeEvery is how often a starting server is asked.
	probeEvery = 25 * time.Millisecond
	// stopLimit is how long a server may take to stop before it is killed.
	stopLimit = 15 * time.Second
)

// Spec says what to run.
type Spec struct {
	// Name is the word for messages.
	Name string
	// Args are the program and its arguments, Env its whole environment, Dir its working folder.
	Args []string
	Env  []string
	Dir  string
	// Log is the file that its output is appended to.
	Log string
	// Ready answers nil once the server serves; nil where nobody has to wait.
	Ready func(context.Context) error
}

// Process is a running server.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	stop sync.Once
}

// Start runs the server and waits until it is ready.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(spec.Args[0], spec.Args[1:]...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := p.waitReady(ctx); err != nil {
		p.Kill()
		return nil, fmt.Errorf("%w\n%s", err, p.Log())
	}
	return p, nil
}

func (p *Process) waitReady(ctx context.Context) error {
	if p.spec.Ready == nil {
		return nil
	}
	err := Poll(ctx, readyLimit, p.done, p.spec.Ready)
	switch {
	case errors.Is(err, ErrEnded):
		return fmt.Errorf("%s ended before it was ready: %w", p.spec.Name, p.err)
	case err != nil:
		return fmt.Errorf("%s is not ready: %w", p.spec.Name, err)
	}
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is all that the process has printed.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.spec.Log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Stop asks the process to end and waits for it, and kills what is left of its group.
func (p *Process) Stop() {
	p.stop.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(stopLimit)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		}
		p.killGroup()
	})
}

// Kill ends the process and its group at once.
func (p *Process) Kill() { p.stop.Do(p.killGroup) }

func (p *Process) killGroup() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// ErrEnded is the error of a Poll whose process has ended.
var ErrEnded = errors.New("the process has ended")

// Poll asks until the answer is nil, ended is closed, or the limit is over; then the last answer is part of the error.
func Poll(ctx context.Context, limit time.Duration, ended <-chan struct{}, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return ErrEnded
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-tick.C:
		}
	}
}
