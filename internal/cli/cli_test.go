package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func fixedNow() time.Time { return time.Unix(1700000600, 0) }

func encoded(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }

func TestExitCode(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, ExitOK},
		{"any", errors.New("x"), ExitFailed},
		{"usage", usagef("x"), ExitUsage},
		{"wrapped", errors.Join(errors.New("x"), usagef("y")), ExitUsage},
	}
	for _, c := range cases {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%s: ExitCode = %d, want %d", c.name, got, c.want)
		}
	}
}

// TestMounted: below another program's command the tree keeps its words, and each of its errors passes Exit, whatever
// cobra makes of it.
func TestMounted(t *testing.T) {
	cases := []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"fine", []string{"host", "mounted", "version"}, -1, ""},
		{"its own demo", []string{"host", "mounted", "demo", "--check"}, ExitFailed, "host mounted demo: the demo failed\n"},
		{"failed", []string{"host", "mounted", "audit", "verify", "/nowhere"}, ExitFailed, "host mounted audit verify: open /nowhere: no such file or directory\n"},
		{"arguments", []string{"host", "mounted", "version", "x"}, ExitUsage, "host mounted version: got 1 arguments, expected none\nRun 'host mounted version --help' for usage.\n"},
		{"flags", []string{"host", "mounted", "version", "--x"}, ExitUsage, "host mounted version: unknown flag: --x\nRun 'host mounted version --help' for usage.\n"},
		{"unknown", []string{"host", "mounted", "x"}, ExitUsage, "host mounted: unknown command \"x\" for \"host mounted\"\nRun 'host mounted --help' for usage.\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var errw bytes.Buffer
			code := -1
			host, mounted := &cobra.Command{Use: "host", SilenceUsage: true}, &cobra.Command{Use: "mounted"}
			host.AddCommand(mounted)
			Mount(mounted, Options{
				Name: "host mounted", Version: "v1.2.3",
				Demo: func() *cobra.Command {
					demo := &cobra.Command{Use: "demo", RunE: func(*cobra.Command, []string) error { return errors.New("the demo failed") }}
					demo.Flags().Bool("check", false, "")
					return demo
				},
				Exit: func(_ *cobra.Command, err error) error { code = ExitCode(err); return err },
			})
			host.SetArgs(c.args[1:])
			host.SetOut(io.Discard)
			host.SetErr(&errw)
			if err := host.Execute(); (err != nil) != (c.code > 0) {
				t.Errorf("Execute: %v", err)
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if diff := cmp.Diff(c.out, errw.String()); diff != "" {
				t.Errorf("error output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenTimes(t *testing.T) {
	cases := []struct{ name, claims, want string }{
		{"ahead", `"exp":1700000900`, "expires   2023-11-14 22:28:20 UTC, in 5m0s"},
		{"behind", `"exp":1700000000`, "expires   2023-11-14 22:13:20 UTC, 10m0s ago"},
		{"now", `"iat":1700000600`, "issued    2023-11-14 22:23:20 UTC, now"},
		{"hours", `"exp":1700150000`, "expires   2023-11-16 15:53:20 UTC, in 41h30m0s"},
		{"days", `"exp":1700259800`, "expires   2023-11-17 22:23:20 UTC, in 3 days"},
		{"fraction", `"nbf":1700000600.5`, "valid     2023-11-14 22:23:20 UTC, in 1s"},
		{"text", `"exp":"soon"`, `expires   "soon" (not a date: expected seconds since 1970)`},
		{"huge", `"exp":1e300`, "expires   1e300 (not a date: expected seconds since 1970)"},
		{"null", `"exp":null`, "expires   null (not a date: expected seconds since 1970)"},
		{"array", `"exp":[1]`, "expires   [1] (not a date: expected seconds since 1970)"},
		{"no issuer", `"a":1`, "issuer    absent"},
		{"odd issuer", `"iss":["a\u00e9\n"]`, `issuer    ["a\u00e9\n"]`},
		{"odd names", `"a\u001bb":1,"":2,"c d":3`, "claims\n  \"\"        2\n  \"a\\x1bb\"  1\n  \"c d\"     3\n"},
		{"nested", `"a":{"b":{"c":[{"d":1}]},"e":{}}`, "claims\n  a.b.c  [{\"d\":1}]\n  a.e    {}\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out, errw bytes.Buffer
			in := strings.NewReader(encoded(`{"alg":"none"}`) + "." + encoded("{"+c.claims+"}") + ".\n")
			code := Main(context.Background(), Options{Name: "trustpub", Now: fixedNow}, []string{"token", "inspect"}, in, &out, &errw)
			if code != ExitOK || !strings.Contains(out.String(), c.want+"\n") && !strings.HasSuffix(out.String(), c.want) {
				t.Errorf("exit code %d, error output %q, output:\n%s\nwant:\n%s", code, &errw, &out, c.want)
			}
		})
	}
}

func TestTooLongAToken(t *testing.T) {
	_, err := parseToken(strings.Repeat("canary", maxToken))
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("parseToken: %v", err)
	}
}

// FuzzParseToken: no input makes the command print anything but ASCII that a terminal shows as it is.
func FuzzParseToken(f *testing.F) {
	f.Add(encoded(`{"alg":"RS256"}`) + "." + encoded(`{"iss":"a","exp":1,"x":{"y":["\u001b"]}}`) + ".c2lnbmF0dXJl")
	f.Add("tpub_e30.e30.e30")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		parsed, err := parseToken(raw)
		var out bytes.Buffer
		switch {
		case err != nil:
			out.WriteString(err.Error())
		default:
			parsed.print(&out, fixedNow())
		}
		for _, b := range out.Bytes() {
			if b != '\n' && (b < 0x20 || b > 0x7e) {
				t.Fatalf("byte %#x in %q", b, out.String())
			}
		}
	})
}
