package caddymodule

import (
	"bytes"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/demo"
)

// The tree under "caddy trustpub", with Caddy's own exit codes.
func TestCommand(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		out  string
		err  string // of the error that Caddy's main function turns into the exit code; empty: 0
	}{
		{"version", []string{"version"}, "trustpub", ""},
		{"help", []string{"--help"}, "demo", ""},
		{"demo help", []string{"demo", "--help"}, "--check", ""},
		{"policy check fails with 1", []string{"policy", "check", "/nowhere"}, "", "/nowhere"},
		{"no path is usage, 2", []string{"policy", "check"}, "", "exiting with status 2"},
		{"unknown command is usage, 2", []string{"publish"}, "", "exiting with status 2"},
		{"unknown flag is usage, 2", []string{"version", "--nope"}, "", "exiting with status 2"},
		{"doctor help", []string{"doctor", "--help"}, "--direct", ""},
		{"doctor with an argument is usage, 2", []string{"doctor", "now"}, "", "exiting with status 2"},
		{"doctor of nothing fails with 1", []string{"doctor", "--config", "/nowhere"}, "", "/nowhere"},
		{"demo with an argument", []string{"demo", "now"}, "", "takes no arguments"},
		{"demo of nothing", []string{"demo", "--check", "--ecosystem", "conda"}, "", `ecosystem is "conda", expected one of pypi, npm`},
	} {
		t.Run(c.name, func(t *testing.T) {
			registered, ok := caddycmd.Commands()["trustpub"]
			if !ok {
				t.Fatal("the command is not registered")
			}
			cmd := &cobra.Command{Use: "trustpub"}
			registered.CobraFunc(cmd)
			var out, errw bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&errw)
			cmd.SetArgs(c.args)
			err := cmd.Execute()
			switch {
			case c.err == "" && err != nil:
				t.Errorf("error %v", err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, expected %s", err, c.err)
			}
			if !strings.Contains(out.String(), c.out) {
				t.Errorf("printed %q (errors %q), expected %q", &out, &errw, c.out)
			}
		})
	}
}

// The whole demo, in this process: of every ecosystem, and in the quick loop of one that exchanges tokens and one that does not.
func TestDemo(t *testing.T) {
	shown := []string{"pypi", "oci"}
	if !testing.Short() {
		shown = []string{demo.All}
	}
	for _, name := range shown {
		cmd := demoCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"--check", "--ecosystem", name})
		if err := cmd.Execute(); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		if !strings.Contains(out.String(), "ok   done") {
			t.Errorf("the demo said:\n%s", &out)
		}
		if n := uses(""); n != 0 {
			t.Errorf("the demo left %d leases", n)
		}
	}
}
