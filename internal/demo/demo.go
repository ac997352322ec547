// Package demo shows trusted publishing on one machine, with nothing but this program: a development issuer, a small PyPI
// index and, handed in by the caller, the gateway between them. It runs one whole publish, shows the refusals that matter with
// what a client prints, and the audit of it all.
//
// Everything lies in one temporary folder, which is removed at the end. The package knows no Caddy; it writes the Caddyfile
// and leaves the running of it to its caller.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Gateway is a running gateway.
type Gateway interface {
	// Stop ends it and waits until it has let go of its files and ports.
	Stop() error
}

// Options configure a run.
type Options struct {
	// Out is where the story is told; required.
	Out io.Writer
	// Check runs the scenario, prints one line a step and ends.
	Check bool
	// StartGateway runs the gateway from a Caddyfile and returns once it serves; required.
	StartGateway func(ctx context.Context, caddyfile string) (Gateway, error)
	// Explain says why the run of an identity token may or may not publish a package by the policies of a folder; required.
	Explain func(ctx context.Context, token, policies, pkg string) (string, error)
}

const (
	// portAttempts is how often other ports are tried where a free one was taken before the gateway had it.
	portAttempts = 3
	// stepTimeout bounds one step.
	stepTimeout = 30 * time.Second
)

// Run runs the demo. With Check it returns nil when every step went as it should; else it stays up until the context ends or
// the user interrupts, which is no error.
func Run(ctx context.Context, o Options) (err error) {
	if o.Out == nil || o.StartGateway == nil || o.Explain == nil {
		return errors.New("demo: Out, StartGateway and Explain are required")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	h, err := newHouse()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p := &printer{out: o.Out, brief: o.Check}
	p.title("Trusted publishing on this machine, in %s", h.dir)
	if err := h.open(ctx, o.StartGateway); err != nil {
		return interrupted(ctx, fmt.Errorf("the demo did not start: %w", err))
	}
	p.ok("start", "issuer %s, index %s, gateway %s", h.issuer.URL(), h.indexAddr, h.public)
	if err := runScenario(ctx, h, p, o); err != nil {
		return interrupted(ctx, err)
	}
	if o.Check {
		p.ok("done", "%d steps in %s", p.steps, time.Since(began).Round(time.Millisecond))
		return nil
	}
	p.byHand(h)
	<-ctx.Done()
	p.line("")
	p.line("Stopping; the folder is removed.")
	return nil
}

// interrupted says so where an error comes from the user's own interrupt.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted before the scenario had ended")
	}
	return err
}
