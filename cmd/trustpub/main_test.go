package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	program := func() { os.Exit(run()) }
	testscript.Main(m, map[string]func(){
		"trustpub": program, "docker-credential-trustpub": program, "cargo-credential-trustpub": program, "keyring": program,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Days from and to the dates of the tokens in the scripts.
			env.Setenv("SINCE", days(time.Since(time.Unix(1700000000, 0))))
			program, err := exec.LookPath("trustpub")
			if err != nil {
				return err
			}
			env.Setenv("TRUSTPUB", program) // for scripts that change the PATH
			env.Setenv("UNTIL", days(time.Until(time.Unix(4102444800, 0))))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exec-code": execCode},
	})
}

func days(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }

// execCode is exec for a program that must end with the given exit code.
func execCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exec-code CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		ts.Fatalf("exit code is 0, expected %d", want)
	case !errors.As(err, &exit):
		ts.Fatalf("%v", err)
	case exit.ExitCode() != want:
		ts.Fatalf("exit code is %d, expected %d", exit.ExitCode(), want)
	}
}
