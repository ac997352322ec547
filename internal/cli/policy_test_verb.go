package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
	"github.com/trustpub/trustpub/policies/policytest"
)

// testRun is one run of `policy test`.
type testRun struct {
	verbose, coverage, required bool
	run, junit                  string
	gateway                     gatewayFlags
	only                        *regexp.Regexp
	now                         time.Time
	out                         io.Writer
	suites                      []policytest.Suite
	failed, ran                 int
	// sets are the policies under test, by the paths that name them.
	sets map[string]*tested
}

// tested is one set of policies and what was asked of it.
type tested struct {
	gateway policytest.Gateway
	results []policytest.Result
}

// errTests ends the command with 1; the output has said all.
var errTests = &ExitError{Code: ExitFailed, Err: errors.New("tests failed")}

func policyTestCommand(opts Options) *cobra.Command {
	t := &testRun{sets: map[string]*tested{}}
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Run the tests of policies (*_test.yaml)",
		Long: `Run the tests of policies: the files *_test.yaml among the paths and in directories below them. A test file is for the policies
of its own directory and below, unless it names others.

Exit codes: 0 all tests pass, 1 one fails or a file does not load, 2 the command line is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("got no path, expected at least one directory or *_test.yaml file")
			}
			var err error
			if t.only, err = regexp.Compile(t.run); err != nil {
				return usagef("--run is no regular expression: %w", err)
			}
			t.now, t.out = opts.Now(), cmd.OutOrStdout()
			return t.all(args)
		},
	}
	cmd.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "name every test")
	cmd.Flags().StringVar(&t.run, "run", "", "only tests whose names match this regular expression")
	cmd.Flags().StringVar(&t.junit, "junit", "", "write the results to this file too, as JUnit XML")
	cmd.Flags().BoolVar(&t.coverage, "coverage", false, "name the policies that no test has seen allow, or come nearest to a denial")
	cmd.Flags().BoolVar(&t.required, "require-coverage", false, "the same, and exit with 1 if there are any")
	t.gateway.register(cmd)
	return cmd
}

func (t *testRun) all(paths []string) error {
	files, err := testFiles(paths)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("no test file: expected *_test.yaml in " + strings.Join(paths, ", "))
	}
	for _, path := range files {
		if err := t.file(path); err != nil {
			return err
		}
	}
	if t.junit != "" {
		if err := t.writeJUnit(); err != nil {
			return err
		}
	}
	complete := true
	if t.coverage || t.required {
		if complete, err = t.covered(paths); err != nil {
			return err
		}
	}
	if t.failed > 0 || t.required && !complete {
		return errTests
	}
	if t.ran == 0 {
		return fmt.Errorf("no test has a name that matches %q", t.run)
	}
	return nil
}

// testFiles finds the test files, each once, in order.
func testFiles(paths []string) ([]string, error) {
	var files []string
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case !d.IsDir() && path == root && !policies.IsTestFile(path):
				return usagef("%s is no directory and no test file, whose name would end in _test.yaml", path)
			case !d.IsDir() && policies.IsTestFile(path):
				files = append(files, filepath.Clean(path))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// file runs the tests of one file.
func (t *testRun) file(path string) error {
	file, err := policytest.Load(path)
	if err != nil {
		return invalid(err)
	}
	set, err := t.set(file)
	if err != nil {
		return fmt.Errorf("the policies that %s tests: %w", path, err)
	}
	suite := policytest.Suite{File: path}
	failed := 0
	for i := range file.Tests {
		if !t.only.MatchString(file.Tests[i].Name) {
			continue
		}
		r := set.gateway.Run(file.Tests[i])
		suite.Results = append(suite.Results, r)
		if len(r.Failures) > 0 {
			failed++
		}
		t.tell(&r)
	}
	set.results = append(set.results, suite.Results...)
	t.suites = append(t.suites, suite)
	t.failed += failed
	t.ran += len(suite.Results)
	switch {
	case failed > 0:
		fmt.Fprintf(t.out, "FAIL\t%s\t%d of %s\n", path, failed, count(len(suite.Results), "test", "tests"))
	default:
		fmt.Fprintf(t.out, "ok  \t%s\t%s\n", path, count(len(suite.Results), "test", "tests"))
	}
	return nil
}

// tell prints one test where it failed, or all are asked for.
func (t *testRun) tell(r *policytest.Result) {
	switch {
	case len(r.Failures) > 0:
		fmt.Fprintf(t.out, "--- FAIL: %s (%s:%d)\n", model.OneLine(r.Test.Name, 200), r.Test.File, r.Test.Line)
		for _, why := range r.Failures {
			fmt.Fprintf(t.out, "    %s\n", model.OneLine(why, 2000))
		}
	case t.verbose:
		fmt.Fprintf(t.out, "--- PASS: %s\n", model.OneLine(r.Test.Name, 200))
	}
}

// set loads the policies of a test file.
func (t *testRun) set(file *policytest.File) (*tested, error) {
	dir := filepath.Dir(file.Path)
	paths := []string{dir}
	if len(file.Policies) > 0 {
		paths = nil
		for _, one := range file.Policies {
			paths = append(paths, filepath.Join(dir, one))
		}
	}
	return t.load(paths)
}

// load loads the policies of some paths, once.
func (t *testRun) load(paths []string) (*tested, error) {
	key := strings.Join(paths, "\x00")
	if have := t.sets[key]; have != nil {
		return have, nil
	}
	env, err := t.gateway.env(paths)
	if err != nil {
		return nil, err
	}
	clock := &policytest.Clock{Real: t.now}
	env.Now = clock.Now
	set, err := policies.Load(paths, env)
	if err != nil {
		return nil, invalid(err)
	}
	made := &tested{gateway: policytest.Gateway{Registries: env.Registries, Issuers: env.Issuers, Set: set, Clock: clock}}
	t.sets[key] = made
	return made, nil
}

// covered prints what no test has shown of the policies below the paths and of those that tests name, and is true where that
// is nothing.
func (t *testRun) covered(paths []string) (bool, error) {
	for _, path := range paths {
		if policies.IsTestFile(path) {
			continue // its policies were loaded for its tests
		}
		if _, err := t.load([]string{filepath.Clean(path)}); err != nil {
			return false, fmt.Errorf("the policies of %s: %w", path, err)
		}
	}
	parts := make([]policytest.Part, 0, len(t.sets))
	for _, key := range slices.Sorted(maps.Keys(t.sets)) {
		parts = append(parts, policytest.Part{Set: t.sets[key].gateway.Set, Results: t.sets[key].results})
	}
	c := policytest.Cover(parts)
	fmt.Fprintf(t.out, "coverage: of %s, %d allowed by a test and %d denied\n", policiesOf(c.Policies), c.Allowed, c.Denied)
	for _, one := range c.NeverAllowed {
		fmt.Fprintf(t.out, "    never allowed: %s\n", one)
	}
	for _, one := range c.NeverDenied {
		fmt.Fprintf(t.out, "    never denied: %s\n", one)
	}
	return c.Complete(), nil
}

func (t *testRun) writeJUnit() error {
	f, err := os.Create(t.junit)
	if err != nil {
		return err
	}
	return errors.Join(policytest.JUnit(f, t.suites), f.Close())
}
