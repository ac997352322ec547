package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// maxOutput bounds what the program may print, in bytes.
	maxOutput = 64 << 10
	// maxRuns is how many runs are under way at once; more wait.
	maxRuns = 16
	// patience is how long the program's children may hold its output after it has ended.
	patience = 500 * time.Millisecond
)

// fixed is the environment of every run; the allow-list may replace parts of it.
var fixed = map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

// program is one that is run for each question.
type program struct {
	command, env []string
	timeout      time.Duration
	slots        chan struct{}
}

// run asks, and returns what the program printed. Errors quote nothing of it.
func (p *program) run(ctx context.Context, operation string, q question) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	in, err := json.Marshal(q)
	if err != nil {
		return nil, errors.New("the target can't be written as JSON")
	}
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	out, complaint := &limitedBuffer{left: maxOutput, full: cancel}, &counter{}
	cmd := exec.CommandContext(limited, p.command[0], append(slices.Clone(p.command[1:]), operation)...) //nolint:gosec // the operator's own program
	cmd.Env, cmd.Dir = p.environment(), "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(in, '\n')), out, complaint
	cmd.WaitDelay = patience
	group := newGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	group.ended() // and with it all that it has left behind
	err = cmd.Wait()
	switch {
	case out.over:
		return nil, fmt.Errorf("it printed more than %d bytes", maxOutput)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("it took longer than %s, and was killed", p.timeout)
	case err != nil:
		return nil, fmt.Errorf("%w: it wrote %d bytes to its standard error, which are not shown since they may hold a secret; let it say why in {\"error\": …}, or write a log of its own", plain(err), complaint.n)
	}
	return out.kept, nil
}

// plain is an error of a program that was run, without what it wrote.
func plain(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(exit.ProcessState.String())
	}
	return err
}

// environment is all that the program is given.
func (p *program) environment() []string {
	var env []string
	for name, value := range fixed {
		if !slices.Contains(p.env, name) {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range p.env {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	slices.Sort(env)
	return env
}

// limitedBuffer keeps what fits, and calls full for more. The buffer is not embedded: copies would use its ReadFrom, which has no limit.
type limitedBuffer struct {
	kept []byte
	left int
	full func()
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.over = true
		b.full()
		return 0, errors.New("too much output")
	}
	b.left -= len(p)
	b.kept = append(b.kept, p...)
	return len(p), nil
}

// counter counts bytes and forgets them.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
