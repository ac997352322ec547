package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// counted is a benchmark whose instructions are counted. It must do nothing beside what it measures: no other goroutine, no network.
type counted struct {
	name, folder, bench string
	unit                string
	units               float64 // of one round of the benchmark
	few, many           int     // rounds of the two runs, of which the difference counts
}

// counteds are the parsers, and the line that each publish waits for.
var counteds = []counted{
	{"form, random file", "internal/ecosystem/pypi", "^BenchmarkScan$/^random$/^plain$", "byte", 32 << 20, 1, 2},
	{"form, file of CRLF", "internal/ecosystem/pypi", "^BenchmarkScan$/^crlf$/^plain$", "byte", 32 << 20, 1, 2},
	{"form, file of CRLF and hyphens", "internal/ecosystem/pypi", "^BenchmarkScan$/^crlf-hyphens$/^plain$", "byte", 32 << 20, 1, 2},
	{"form, file of hyphens", "internal/ecosystem/pypi", "^BenchmarkScan$/^hyphens$/^plain$", "byte", 32 << 20, 1, 2},
	{"form, small", "internal/ecosystem/pypi", "^BenchmarkSmall$", "form", 1, 1000, 11000},
	{"JSON, one text", "internal/jsonstream", "^BenchmarkStream$", "byte", 100 << 20, 1, 2},
	{"npm, list of numbers", "internal/ecosystem/npm", "^BenchmarkWorst$/^numbers$", "byte", 1 << 20, 4, 12},
	{"npm, list of objects", "internal/ecosystem/npm", "^BenchmarkWorst$/^objects$", "byte", 1 << 20, 4, 12},
	{"npm, list of texts", "internal/ecosystem/npm", "^BenchmarkWorst$/^texts$", "byte", 1 << 20, 4, 12},
	{"npm, deep lists", "internal/ecosystem/npm", "^BenchmarkWorst$/^deep$", "byte", 1 << 20, 4, 12},
	{"npm, escapes", "internal/ecosystem/npm", "^BenchmarkWorst$/^escapes$", "byte", 1 << 20, 4, 12},
	{"line of the audit", "internal/audit", "^BenchmarkRecord$/^one_line$", "line", 1, 1000, 11000},
}

// collected is what callgrind says at its end.
var collected = regexp.MustCompile(`Collected : ([0-9]+)`)

// instructions counts with valgrind's callgrind, which no other load of the machine disturbs, and prints a table.
func instructions(ctx context.Context, only *regexp.Regexp) error {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return fmt.Errorf("-instructions: %w; install valgrind with the system's packages", err)
	}
	dir, err := os.MkdirTemp("", "trustpub-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root, err := projectRoot(ctx)
	if err != nil {
		return err
	}
	fmt.Print("| what | instructions |\n|---|---|\n")
	for _, c := range counteds {
		if !only.MatchString(c.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, c.name)
		n, err := c.count(ctx, root, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("| %s | %s for each %s |\n", c.name, number(n), c.unit)
	}
	return nil
}

// count is the instructions of one unit.
func (c counted) count(ctx context.Context, root, dir string) (float64, error) {
	program := filepath.Join(dir, strings.ReplaceAll(c.folder, "/", "-")+".test")
	if _, err := os.Stat(program); err != nil {
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./"+c.folder) //nolint:gosec // of this project
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("go test -c: %w\n%s", err, out)
		}
	}
	var runs [2]float64
	for i, rounds := range []int{c.few, c.many} {
		run := exec.CommandContext(ctx, "valgrind", "--tool=callgrind", "--callgrind-out-file="+os.DevNull, program, //nolint:gosec // as above
			"-test.run=^$", "-test.bench="+c.bench, fmt.Sprintf("-test.benchtime=%dx", rounds), "-test.cpu=1")
		run.Dir = filepath.Join(root, filepath.FromSlash(c.folder))
		// What would come at another time in each run is left out: collections, and signals that change goroutines.
		run.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
		out, err := run.CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("valgrind: %w\n%s", err, out)
		}
		found := collected.FindSubmatch(out)
		if found == nil || !strings.Contains(string(out), "ns/op") {
			return 0, errors.New("got no count, or no benchmark of that name")
		}
		if runs[i], err = strconv.ParseFloat(string(found[1]), 64); err != nil {
			return 0, err
		}
	}
	return (runs[1] - runs[0]) / float64(c.many-c.few) / c.units, nil
}

// projectRoot is the folder of go.mod.
func projectRoot(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	name := strings.TrimSpace(string(mod))
	if err == nil && filepath.Base(name) != "go.mod" {
		err = errors.New("there is no go.mod")
	}
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w; run it inside the project, with go on the PATH", err)
	}
	return filepath.Dir(name), nil
}
