// Package demo shows trusted publishing on one machine, with nothing but this program: a development issuer, a small registry of
// one ecosystem and, handed in by the caller, the gateway between them. It runs one whole publish, shows the refusals that matter
// with what a client prints, and the audit of it all.
//
// Everything lies in one temporary folder, which is removed at the end. The package knows no Caddy; it writes the Caddyfile
// and leaves the running of it to its caller. What differs between ecosystems is a script.Script each.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/trustpub/trustpub/internal/demo/cargo"
	"github.com/trustpub/trustpub/internal/demo/generic"
	"github.com/trustpub/trustpub/internal/demo/hex"
	"github.com/trustpub/trustpub/internal/demo/maven"
	"github.com/trustpub/trustpub/internal/demo/npm"
	"github.com/trustpub/trustpub/internal/demo/nuget"
	"github.com/trustpub/trustpub/internal/demo/oci"
	"github.com/trustpub/trustpub/internal/demo/pypi"
	"github.com/trustpub/trustpub/internal/demo/rubygems"
	"github.com/trustpub/trustpub/internal/demo/script"
)

// scripts are the ecosystems that the demo can show; the first is the default.
var scripts = []*script.Script{
	&pypi.Script, &npm.Script, &cargo.Script, &oci.Script, &rubygems.Script, &nuget.Script, &maven.Script, &hex.Script, &generic.Script,
}

// All is the name that stands for every ecosystem, one after the other.
const All = "all"

// Ecosystems are the names that Options.Ecosystem may have beside All.
func Ecosystems() []string {
	var names []string
	for _, s := range scripts {
		names = append(names, s.Ecosystem)
	}
	return names
}

// Gateway is a running gateway.
type Gateway interface {
	// Stop ends it and waits until it has let go of its files and ports.
	Stop() error
}

// Question is what the story asks about a refused run.
type Question struct {
	// Registry and Package are those of the publish, Ecosystem the registry's; Policies is the folder.
	Registry, Ecosystem, Package, Policies string
}

// Options configure a run.
type Options struct {
	// Out is where the story is told; required.
	Out io.Writer
	// Ecosystem is one of Ecosystems, or with Check All; empty: the first.
	Ecosystem string
	// Command is how this program's other commands are run; empty: "caddy trustpub".
	Command string
	// Check runs the scenario, prints one line a step and ends.
	Check bool
	// StartGateway runs the gateway from a Caddyfile and returns once it serves; required.
	StartGateway func(ctx context.Context, caddyfile string) (Gateway, error)
	// Explain says why the run of an identity token may or may not publish a package; required.
	Explain func(ctx context.Context, token string, q Question) (string, error)
}

const (
	// portAttempts is how often other ports are tried where a free one was taken before the gateway had it.
	portAttempts = 3
	// stepTimeout bounds one step.
	stepTimeout = 30 * time.Second
)

// Run runs the demo. With Check it returns nil when every step went as it should; else it stays up until the context ends or
// the user interrupts, which is no error.
func Run(ctx context.Context, o Options) error {
	if o.Out == nil || o.StartGateway == nil || o.Explain == nil {
		return errors.New("demo: Out, StartGateway and Explain are required")
	}
	shown, err := o.scripts()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, s := range shown {
		if len(shown) > 1 {
			fmt.Fprintf(o.Out, "\n%s\n", s.Ecosystem)
		}
		if err := show(ctx, s, o); err != nil {
			return err
		}
	}
	return nil
}

// scripts are those of the chosen ecosystem.
func (o Options) scripts() ([]*script.Script, error) {
	names := Ecosystems()
	switch at := slices.Index(names, o.Ecosystem); {
	case at >= 0:
		return scripts[at : at+1], nil
	case o.Ecosystem == "":
		return scripts[:1], nil
	case o.Ecosystem == All && o.Check:
		return scripts, nil
	case o.Ecosystem == All:
		return nil, fmt.Errorf("ecosystem is %q, which is for a check; without one, choose one of %s", All, strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("ecosystem is %q, expected one of %s, or with a check %s", o.Ecosystem, strings.Join(names, ", "), All)
}

// show runs one ecosystem's story.
func show(ctx context.Context, s *script.Script, o Options) (err error) {
	began := time.Now()
	h, err := newHouse(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p := &printer{out: o.Out, brief: o.Check, command: cmp.Or(o.Command, "caddy trustpub")}
	p.title("Trusted publishing on this machine, in %s", h.dir)
	if err := h.open(ctx, o.StartGateway); err != nil {
		return interrupted(ctx, fmt.Errorf("the demo did not start: %w", err))
	}
	p.ok("start", "issuer %s, registry %s, gateway %s", h.issuer.URL(), h.storeAddr, h.public)
	if err := runScenario(ctx, h, p, o); err != nil {
		return interrupted(ctx, err)
	}
	if o.Check {
		p.ok("done", "%d steps in %s", p.steps, time.Since(began).Round(time.Millisecond))
		return nil
	}
	if err := p.byHand(h); err != nil {
		return err
	}
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
