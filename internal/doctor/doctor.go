// Package doctor looks at a gateway that is configured, before or while it serves: whether all that it depends on answers, and
// whether a setting makes it weaker than it could be. It changes nothing that a gateway keeps, opens no listener, and prints no
// secret. What needs Caddy is handed in by caddymodule.
package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Status is the verdict of a line.
type Status string

// The verdicts.
const (
	// OK: it was looked at and is well.
	OK Status = "ok"
	// Warn: it works, and is weaker or more fragile than it could be.
	Warn Status = "warn"
	// Fail: uploads fail, or somebody who should not can publish or see a credential.
	Fail Status = "fail"
	// Skip: nothing was proved; the message says why.
	Skip Status = "skip"
)

// Finding is one line of a report.
type Finding struct {
	// Area is the part of the gateway, Subject the name of the issuer, registry, ... in it; may be empty.
	Area    string `json:"area"`
	Subject string `json:"subject,omitempty"`
	// Status is the verdict.
	Status Status `json:"status"`
	// Message says what was looked at and what was found, Help what to do. Neither holds a secret.
	Message string `json:"message"`
	Help    string `json:"help,omitempty"`
}

// Check looks at one thing.
type Check struct {
	// Area and Subject are those of its findings.
	Area, Subject string
	// What is looked at, for the line that says that it was not.
	What string
	// Network is true where it talks to another machine, or asks one to do something.
	Network bool
	// Run looks, until the context ends.
	Run func(ctx context.Context) []Finding
}

// Options of Run.
type Options struct {
	// Offline leaves out what needs the network.
	Offline bool
	// Timeout bounds each check.
	Timeout time.Duration
	// Secrets are texts that must not be printed, whatever an error says.
	Secrets []string
}

// DefaultTimeout bounds a check where nothing else is said: both requests to an issuer fit in.
const DefaultTimeout = 15 * time.Second

// atOnce is how many checks run at a time; they wait for others and compute little.
const atOnce = 16

// Run makes all checks, many at a time, and reports in their order.
func Run(ctx context.Context, checks []Check, o Options) *Report {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	results := make([][]Finding, len(checks))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = c.run(ctx, o)
		})
	}
	wg.Wait()
	r := &Report{Findings: []Finding{}}
	for i, c := range checks {
		for _, f := range results[i] {
			if f.Area == "" {
				f.Area = c.Area
			}
			if f.Subject == "" {
				f.Subject = c.Subject
			}
			r.add(f.without(o.Secrets))
		}
	}
	return r
}

// run makes one check within its time.
func (c Check) run(ctx context.Context, o Options) []Finding {
	switch {
	case c.Network && o.Offline:
		return []Finding{{Status: Skip, Message: c.What + ": not looked at, since --offline is given"}}
	case ctx.Err() != nil:
		return []Finding{{Status: Skip, Message: c.What + ": not looked at: interrupted"}}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []Finding{{Status: Fail, Message: fmt.Sprintf("%s: the check itself failed: %v", c.What, p), Help: "please report this"}}
			}
		}()
		done <- c.Run(ctx)
	}()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
	}
	// Most checks end with their context, and know best what they waited for.
	select {
	case found := <-done:
		return found
	case <-time.After(time.Second):
		return []Finding{{
			Status: Fail, Message: fmt.Sprintf("%s: no answer within %s", c.What, o.Timeout),
			Help: "find out why it does not answer, or give it longer with --timeout",
		}}
	}
}

// shortestSecret is the shortest text that is struck out; shorter ones would strike out words.
const shortestSecret = 6

// without strikes secrets out. Nothing prints one on purpose: this is for errors of programs and libraries.
func (f Finding) without(secrets []string) Finding {
	for _, s := range secrets {
		if len(s) >= shortestSecret {
			f.Message = strings.ReplaceAll(f.Message, s, "[secret]")
			f.Help = strings.ReplaceAll(f.Help, s, "[secret]")
		}
	}
	return f
}

// ok, warning and failure make findings.
func ok(format string, args ...any) Finding {
	return Finding{Status: OK, Message: fmt.Sprintf(format, args...)}
}

func warning(help, format string, args ...any) Finding {
	return Finding{Status: Warn, Message: fmt.Sprintf(format, args...), Help: help}
}

func failure(help, format string, args ...any) Finding {
	return Finding{Status: Fail, Message: fmt.Sprintf(format, args...), Help: help}
}

func unproved(help, format string, args ...any) Finding {
	return Finding{Status: Skip, Message: fmt.Sprintf(format, args...), Help: help}
}
