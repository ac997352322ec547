// Command bench compares the gateway with a plain reverse proxy: both are cmd/caddy of this checkout, run in front of the same
// upstream, and asked in turn, round by round, so that whatever else the machine does meets both. HAProxy and nginx join where they are
// on the PATH. With -instructions it counts those of the parsers instead, which a busy machine does not change. It prints one table; docs/performance.md explains it. It reads /proc, and so runs on Linux.
//
//	go run ./bench                                     # everything, about ten minutes on an idle machine
//	go run ./bench -rounds 3 -duration 1s -rows read   # a short look at some rows
//	go run ./bench -instructions                       # some minutes; needs valgrind
//	go run ./bench -rounds 1 -rows npm -profiles DIR   # where the time goes: go tool pprof -top DIR/ROW.SIDE.profile
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rounds   int
	duration time.Duration
	tokens   int
	rows     *regexp.Regexp
	profiles string // a folder; empty: none are taken
}

func main() {
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// start reads the flags and runs the rows until they are through or somebody interrupts them.
func start() error {
	opts := options{}
	flag.IntVar(&opts.rounds, "rounds", 9, "how many times each row is measured on each side")
	flag.DurationVar(&opts.duration, "duration", 2*time.Second, "how long small requests are sent in one round")
	flag.IntVar(&opts.tokens, "tokens", 1000, "how many new tokens are used in one round")
	counting := flag.Bool("instructions", false, "count the instructions of the parsers instead, with valgrind; -rows names some of them")
	rows := flag.String("rows", "", "a regular expression for the names of the rows that are measured (default: all)")
	flag.StringVar(&opts.profiles, "profiles", "", "a folder for profiles of Caddy's processor time and allocations, of the last round of each row; they cost some speed")
	flag.Parse()
	if err := opts.check(*rows); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *counting {
		return instructions(ctx, opts.rows)
	}
	return run(ctx, opts)
}

// check completes the options.
func (o *options) check(rows string) (err error) {
	if o.rounds < 1 || o.tokens < 1 || o.duration <= 0 {
		return fmt.Errorf("got -rounds %d, -tokens %d, -duration %s; each must be above zero", o.rounds, o.tokens, o.duration)
	}
	if o.rows, err = regexp.Compile(rows); err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	return nil
}

// run measures every row and prints the table.
func run(ctx context.Context, opts options) error {
	dir, err := os.MkdirTemp("", "trustpub-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rig, err := newRig(ctx, dir, opts)
	if err != nil {
		return err
	}
	defer rig.close()
	var measured []measurement
	for _, r := range rows {
		if !opts.rows.MatchString(r.name) {
			continue
		}
		m, err := rig.measure(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		measured = append(measured, m...)
	}
	if len(measured) == 0 {
		return fmt.Errorf("-rows %s matches no row", opts.rows)
	}
	fmt.Print(table(measured))
	return nil
}
