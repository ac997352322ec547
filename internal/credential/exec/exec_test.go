package exec

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

var start = time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)

var targets = []model.Target{
	{Ecosystem: "pypi", Registry: "internal", Package: "acme-widget", Version: "1.0", File: "acme_widget-1.0-py3-none-any.whl", Action: model.ActionPublish},
	{Ecosystem: "pypi", Registry: "internal", Package: "other", Version: "2.0", File: "other-2.0.tar.gz", Action: model.ActionPublish},
}

// script writes a program of the shell and returns its path.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mint")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "pypi", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// provision makes a source of a program.
func provision(t testing.TB, c *Config) *source {
	t.Helper()
	c.now = func() time.Time { return start }
	src, err := c.Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	return src.(*source)
}

// asks prints the package that it is asked for as a bearer token.
const asks = `read -r line
package=${line#*\"package\":\"}
printf '{"bearer":"token-of-%s"}' "${package%%\"*}"
`

func TestConformance(t *testing.T) {
	program := script(t, asks)
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Targets: targets, NoSecret: true,
		Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
			c.(*Config).Command = []string{program}
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			if diff := cmp.Diff(http.Header{"Authorization": {"Bearer token-of-" + target.Package}}, got.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		},
	})
}

// TestAsks: what the program reads, how it is called, and what it is given of the gateway's environment.
func TestAsks(t *testing.T) {
	t.Setenv("TRUSTPUB_TEST_GIVEN", "given")
	t.Setenv("TRUSTPUB_TEST_KEPT", "canary-kept")
	dir := t.TempDir()
	program := script(t, `out=`+dir+`/$3
cat > "$out.json"
env | grep -v '^PWD=\|^_=\|^SHLVL=\|^OLDPWD=' | sort > "$out.env"
printf '%s ' "$@" > "$out.args"
pwd > "$out.pwd"
printf '{"basic":{"user":"bot","password":"pass word"},"expires_at":"2026-11-23T21:00:00Z","id":"lease/7"}'
`)
	src := provision(t, &Config{Command: []string{program, "--realm", "prod"}, Env: []string{"TRUSTPUB_TEST_GIVEN", "TRUSTPUB_TEST_ABSENT"}})
	got, err := src.IssueAll(t.Context(), targets, &model.Identity{Issuer: "work-github", Provider: "github", Claims: map[string]any{"sub": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := model.Credential{Header: http.Header{"Authorization": {"Basic Ym90OnBhc3Mgd29yZA=="}}, Expiry: start.Add(time.Hour)}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(model.Credential{}, "Revoke", "Refused")); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}
	if err := got.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := map[string]any{
		"version": 1.0, "publisher": map[string]any{"issuer": "work-github", "provider": "github"},
		"targets": []any{
			map[string]any{"ecosystem": "pypi", "registry": "internal", "action": "publish", "package": "acme-widget", "version": "1.0", "file": "acme_widget-1.0-py3-none-any.whl"},
			map[string]any{"ecosystem": "pypi", "registry": "internal", "action": "publish", "package": "other", "version": "2.0", "file": "other-2.0.tar.gz"},
		},
	}
	for _, operation := range []string{"get", "erase"} {
		if operation == "erase" {
			asked["id"] = "lease/7"
		}
		read := func(kind string) string {
			b, err := os.ReadFile(filepath.Join(dir, operation+"."+kind))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		var q map[string]any
		if err := json.Unmarshal([]byte(read("json")), &q); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asked, q); diff != "" {
			t.Errorf("%s reads (-want +got):\n%s", operation, diff)
		}
		if diff := cmp.Diff("LANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin\nTRUSTPUB_TEST_GIVEN=given\n", read("env")); diff != "" {
			t.Errorf("%s has the environment (-want +got):\n%s", operation, diff)
		}
		if diff := cmp.Diff("--realm prod "+operation+" /\n", read("args")+read("pwd")); diff != "" {
			t.Errorf("%s is called with (-want +got):\n%s", operation, diff)
		}
	}
}

// TestAnswers: what the program may print.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		out  string
		want http.Header
		err  string
	}{
		"a bearer token":            {`{"bearer":"abc"}`, http.Header{"Authorization": {"Bearer abc"}}, ""},
		"a header":                  {`{"header":{"name":"x-nuget-apikey","value":"abc"}}` + "\n", http.Header{"X-Nuget-Apikey": {"abc"}}, ""},
		"nothing is needed":         {`{"anonymous":true}`, nil, ""},
		"a reason":                  {`{"error":"no such\nproject"}`, nil, `it says: no such`},
		"nothing":                   {``, nil, "not the JSON"},
		"an empty object":           {`{}`, nil, "0 of basic"},
		"two":                       {`{"bearer":"canary","anonymous":true}`, nil, "2 of basic"},
		"a member twice":            {`{"bearer":"canary","bearer":"canary2"}`, nil, "not the JSON"},
		"an unknown member":         {`{"bearer":"canary","expiry":"2026-11-23T21:00:00Z"}`, nil, "not the JSON"},
		"two documents":             {`{"bearer":"canary"}{"bearer":"canary"}`, nil, "not the JSON"},
		"a token by itself":         {`canary`, nil, "not the JSON"},
		"an expiry that is over":    {`{"bearer":"canary","expires_at":"2026-11-23T20:00:00Z"}`, nil, "expires_at is 2026-11-23T20:00:00Z"},
		"a line break in it":        {`{"bearer":"canary\r\nX: y"}`, nil, "the secret has a control character"},
		"an empty password":         {`{"basic":{"user":"bot","password":""}}`, nil, "the secret is empty"},
		"a user with a colon":       {`{"basic":{"user":"canary:x","password":"p"}}`, nil, "the user is empty, or has a colon"},
		"a header of the transport": {`{"header":{"name":"Host","value":"canary"}}`, nil, "belongs to the transport"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "answer")
			if err := os.WriteFile(path, []byte(tc.out), 0o600); err != nil {
				t.Fatal(err)
			}
			src := provision(t, &Config{Command: []string{script(t, "exec cat "+path)}})
			got, err := src.Issue(t.Context(), targets[0], nil)
			if tc.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, got.Header); diff != "" {
					t.Error(diff)
				}
				if got.Revoke != nil {
					t.Error("got a Revoke without an id")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.err) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q", err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the answer is quoted: %v", err)
			}
		})
	}
}

// TestRefusesPrograms: what can't be run, or was run badly.
func TestRefusesPrograms(t *testing.T) {
	writable := script(t, asks)
	if err := os.Chmod(writable, 0o775); err != nil {
		t.Fatal(err)
	}
	plain := script(t, asks)
	if err := os.Chmod(plain, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ program, want string }{
		"absent":             {filepath.Join(t.TempDir(), "absent"), "no such file"},
		"a folder":           {t.TempDir(), "is no program"},
		"no right to run it": {plain, "is no program"},
		"others can write":   {writable, "chmod go-w"},
		"an exit status":     {script(t, "echo canary; echo canary >&2; exit 3\n"), "exit status 3: it wrote 7 bytes to its standard error"},
		"a signal":           {script(t, "kill -9 $$\n"), "signal: killed"},
		"too much":           {script(t, "exec yes canary\n"), "more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			src := provision(t, &Config{Command: []string{tc.program}})
			_, err := src.Issue(t.Context(), targets[0], nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.program) {
				t.Errorf("got %v, expected an error with the program and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("what it printed is quoted")
			}
		})
	}
}

// TestKillsTheGroup: a program that takes too long is killed with all that it has started, and so is what an honest one leaves behind.
func TestKillsTheGroup(t *testing.T) {
	for name, tc := range map[string]struct {
		last    string
		timeout time.Duration
		want    string
	}{
		"too long":     {"wait", 5 * time.Second, "longer than 5s"}, // it has to come that far first
		"it goes away": {`printf '{"bearer":"abc"}'`, time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fifo := filepath.Join(dir, "alive")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			// The child holds the pipe's writing end open for as long as it lives, and says so first.
			program := script(t, `(exec 3> `+fifo+`; echo alive >&3; exec sleep 1000 >/dev/null 2>&1) &
read -r line < `+fifo+`.read || true
`+tc.last+"\n")
			if err := syscall.Mkfifo(fifo+".read", 0o600); err != nil {
				t.Fatal(err)
			}
			dead := make(chan string, 1)
			go func() {
				f, err := os.Open(fifo)
				if err != nil {
					dead <- err.Error()
					return
				}
				defer f.Close()
				first := make([]byte, 6)
				if _, err := io.ReadFull(f, first); err != nil {
					dead <- err.Error()
					return
				}
				if err := os.WriteFile(fifo+".read", []byte("go\n"), 0o600); err != nil { // the child is there: the program may go on
					dead <- err.Error()
					return
				}
				rest, err := io.ReadAll(f)
				if err != nil || len(rest) > 0 {
					dead <- "got more from the child"
				}
				dead <- ""
			}()
			src := provision(t, &Config{Command: []string{program}, Timeout: model.Duration(tc.timeout)})
			_, err := src.Issue(t.Context(), targets[0], nil)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, expected %q", err, tc.want)
			}
			if problem := <-dead; problem != "" {
				t.Error(problem)
			}
		})
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		config Config
		want   string
	}{
		"no command":        {Config{}, "command is absent"},
		"a relative path":   {Config{Command: []string{"mint"}}, "absolute path"},
		"a path with dots":  {Config{Command: []string{"/usr/../mint"}}, "absolute path"},
		"an assignment":     {Config{Command: []string{"/mint"}, Env: []string{"A=b"}}, "names of variables"},
		"too short a time":  {Config{Command: []string{"/mint"}, Timeout: model.Duration(time.Millisecond)}, "timeout is 1ms"},
		"too long a time":   {Config{Command: []string{"/mint"}, Timeout: model.Duration(time.Hour)}, "timeout is 1h"},
		"a negative amount": {Config{Command: []string{"/mint"}, Timeout: -1}, "timeout is -1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.config.Provision(env())
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}

func TestIssueRefusesAnotherRegistry(t *testing.T) {
	src := provision(t, &Config{Command: []string{script(t, asks)}})
	other := targets[1]
	other.Registry = "other"
	if _, err := src.IssueAll(t.Context(), []model.Target{targets[0], other}, nil); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("got %v, expected an error that names the registry", err)
	}
}

// FuzzAnswer: whatever a program prints is an error or a credential that a header can carry, and no error quotes a secret.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"basic":{"user":"bot","password":"x"},"expires_at":"2026-11-23T21:00:00Z","id":"7"}`))
	f.Add([]byte(`{"header":{"name":"X-Key","value":"x"}}`))
	f.Add([]byte(`{"anonymous":true}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		a, err := parse(out)
		if err != nil {
			return
		}
		c, err := a.credential(start)
		if err != nil {
			return
		}
		if a.Anonymous != (len(c.Header) == 0) {
			t.Fatalf("got %d headers, anonymous is %t", len(c.Header), a.Anonymous)
		}
		for name, values := range c.Header {
			if name != http.CanonicalHeaderKey(name) || len(values) != 1 || strings.ContainsAny(values[0], "\r\n\x00") {
				t.Fatalf("got header %q with %d values", name, len(values))
			}
		}
	})
}
