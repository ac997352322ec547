package courier

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/exchange"
)

var update = flag.Bool("update", false, "write the golden texts")

const limit = 2 * time.Minute

// gate is a gateway's host as the courier sees it: it mints tokens one after the other and keeps a list of what it was asked.
type gate struct {
	*httptest.Server
	mu       sync.Mutex
	minted   int
	revoked  []string
	life     int // seconds
	refuse   string
	noRevoke bool
	// each exchange is announced on exchanged, and waits on hold where that is set.
	exchanged chan string
	hold      chan struct{}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{life: 900, exchanged: make(chan string, 16)}
	g.Server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.Close)
	return g
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	const base = "/.well-known/trusted-publishing"
	var in struct{ Token string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch r.URL.Path {
	case base:
		fmt.Fprintf(w, `{"version":1,"registries":[{"name":"internal-pypi","ecosystem":"pypi","url":"%[1]s/acme/prod/","audience":"pypi.example.com","exchange":"%[1]s%[2]s/exchange","revoke":"%[1]s%[2]s/revoke"}]}`, g.URL, base)
	case base + "/exchange":
		g.exchanged <- in.Token
		if g.hold != nil {
			select {
			case <-g.hold:
			case <-r.Context().Done():
				return
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.refuse != "" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"detail":"refused [%[1]s]","code":%[1]q}`, g.refuse)
			return
		}
		g.minted++
		fmt.Fprintf(w, `{"token":"tpub_%d","expires_in":%d,"registries":["internal-pypi"]}`, g.minted, g.life)
	case base + "/revoke":
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.noRevoke {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		g.revoked = append(g.revoked, in.Token)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// ended fails the test unless just these tokens were revoked, in any order.
func (g *gate) ended(t *testing.T, want ...string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	got := slices.Sorted(slices.Values(g.revoked))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("revoked tokens (-want +got):\n%s", diff)
	}
}

// notes is a buffer for several goroutines.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// world is a trip with all around it.
type world struct {
	t       *testing.T
	gate    *gate
	trip    Trip
	temp    string
	notes   *notes
	out     *notes
	signals chan os.Signal
}

var identity = "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":"pypi.example.com"}`)) + ".c2ln"

// newWorld is a trip of a shell's script with a token of a file, which is always fresh.
func newWorld(t *testing.T, client, script string) *world {
	t.Helper()
	w := &world{t: t, gate: newGate(t), temp: t.TempDir(), notes: &notes{}, out: &notes{}, signals: make(chan os.Signal, 1)}
	t.Setenv("TMPDIR", w.temp)
	job := ambient.Here()
	job.Getenv = func(string) string { return "" }
	job.ReadFile = func(string) ([]byte, error) { return []byte(identity), nil }
	w.trip = Trip{
		Errand: Errand{
			Registry: w.gate.URL + "/acme/prod/", Named: true, Identity: "file:/identity", Job: job, Gateway: exchange.New(nil, "test"), Notes: w.notes,
			After: func(time.Duration) <-chan time.Time { return nil },
		},
		Command: []string{"sh", "-c", script}, For: client, Environ: []string{"PATH=/usr/bin:/bin", "TWINE_PASSWORD=stays-behind"},
		Home: t.TempDir(), Stdout: w.out, Stderr: w.out, Signals: w.signals,
	}
	return w
}

// run runs the trip, and then looks whether anything is left of it.
func (w *world) run() (int, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	code, err := w.trip.Run(ctx)
	left, readErr := os.ReadDir(w.temp)
	if readErr != nil || len(left) != 0 {
		w.t.Errorf("%d things are left in the folder for temporary files (%v)", len(left), readErr)
	}
	return code, err
}

func TestRunHandsOverAndRevokes(t *testing.T) {
	w := newWorld(t, "twine,curl", `echo "$TWINE_PASSWORD $TWINE_REPOSITORY_URL"; cat "$CURL_HOME/netrc"; ls -lR "$TMPDIR"/trustpub-* | cut -c1-10; ls -ld "$TMPDIR"/trustpub-* | cut -c1-10; exit 7`)
	w.trip.Environ = append(w.trip.Environ, "TMPDIR="+w.temp)
	code, err := w.run()
	if err != nil || code != 7 {
		t.Fatalf("%d %v", code, err)
	}
	out := w.out.String()
	for _, want := range []string{"tpub_1 " + w.gate.URL + "/acme/prod/\n", "password tpub_1\n", "drwx------"} {
		if !strings.Contains(out, want) {
			t.Errorf("the child saw nothing of %q:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "-r") && line != "-rw-------\n" {
			t.Errorf("a file may be read by others: %s", line)
		}
	}
	w.gate.ended(t, "tpub_1")
	if got := w.notes.String(); got != "" {
		t.Errorf("it said %q", got)
	}
}

// TestSignalsAreForwarded: the child decides what a signal means; its token ends after it.
func TestSignalsAreForwarded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script string
		sig    os.Signal
		code   int
	}{
		{"trapped", `trap 'echo trapped; exit 9' TERM; echo ready; while :; do read line || :; done < "$FIFO"`, syscall.SIGTERM, 9},
		{"hup", `echo ready; exec cat "$FIFO"`, syscall.SIGHUP, 128 + 1},
		{"interrupted", `echo ready; exec cat "$FIFO"`, os.Interrupt, 128 + 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// What this process was started to ignore, as under nohup, the child would ignore too.
			heard := make(chan os.Signal, 1)
			signal.Notify(heard, tc.sig)
			defer signal.Stop(heard)
			w := newWorld(t, "twine", tc.script)
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			keep, err := os.OpenFile(fifo, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer keep.Close()
			w.trip.Environ = append(w.trip.Environ, "FIFO="+fifo)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			w.trip.Stdout = write
			go func() {
				_, _ = io.ReadFull(read, make([]byte, len("ready\n")))
				w.signals <- tc.sig
			}()
			code, err := w.run()
			if err != nil || code != tc.code {
				t.Errorf("%d %v, want %d", code, err, tc.code)
			}
			w.gate.ended(t, "tpub_1")
		})
	}
}

func TestTerminalsSendTheirOwnInterrupts(t *testing.T) {
	w := newWorld(t, "twine", `trap 'exit 3' INT; trap 'exit 4' TERM; echo ready; while :; do read line || :; done`)
	in, keep, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.trip.Stdin, w.trip.Stdout, w.trip.Interactive = in, write, true
	go func() {
		_, _ = io.ReadFull(read, make([]byte, len("ready\n")))
		w.signals <- os.Interrupt // the child has its own
		w.signals <- syscall.SIGTERM
	}()
	if code, err := w.run(); err != nil || code != 4 {
		t.Errorf("%d %v", code, err)
	}
}

func TestKilledChild(t *testing.T) {
	w := newWorld(t, "npm", `kill -9 $$`)
	if code, err := w.run(); err != nil || code != 128+9 {
		t.Errorf("%d %v", code, err)
	}
	w.gate.ended(t, "tpub_1")
}

// TestInterruptedBeforeTheChild: a signal that comes while the token is fetched ends all, and nothing is run.
func TestInterruptedBeforeTheChild(t *testing.T) {
	w := newWorld(t, "twine", "echo ran")
	w.gate.hold = make(chan struct{})
	defer close(w.gate.hold)
	go func() {
		<-w.gate.exchanged
		w.signals <- syscall.SIGTERM
	}()
	if code, err := w.run(); err != nil || code != 128+15 || w.out.String() != "" {
		t.Errorf("%d %v %q", code, err, w.out)
	}
}

// TestRenewal: the child finds a new token in its file, and both end with it.
func TestRenewal(t *testing.T) {
	w := newWorld(t, "curl", `grep ^password "$CURL_HOME/netrc"; read line; grep ^password "$CURL_HOME/netrc"`)
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.trip.Stdin = stdin
	said, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.trip.Stdout = write
	lines := bufio.NewScanner(said)
	line := func() string { lines.Scan(); return lines.Text() }
	timers, waits := make(chan chan time.Time, 4), make(chan time.Duration, 4)
	w.trip.After = func(d time.Duration) <-chan time.Time {
		c := make(chan time.Time, 1)
		waits <- d
		timers <- c
		return c
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if first := <-waits; first < 9*time.Minute || first > 10*time.Minute {
			t.Errorf("the first renewal is after %s, want two thirds of 15 minutes", first)
		}
		<-w.gate.exchanged // the first token
		if got := line(); got != "password tpub_1" {
			t.Errorf("first the child read %q", got)
		}
		(<-timers) <- time.Now()
		<-w.gate.exchanged // the second
		<-timers           // the file is written, and the next renewal waited for
		_, _ = feed.WriteString("\n")
		_ = feed.Close()
		if got := line(); got != "password tpub_2" {
			t.Errorf("then the child read %q", got)
		}
	}()
	if code, err := w.run(); err != nil || code != 0 {
		t.Fatalf("%d %v %s", code, err, w.notes)
	}
	<-done
	w.gate.ended(t, "tpub_1", "tpub_2")
}

// TestNoRenewal: where the child could not see a new token, or the job has no other identity token, none is asked for.
func TestNoRenewal(t *testing.T) {
	for name, change := range map[string]func(*world){
		"a variable": func(w *world) { w.trip.For = "twine" },
		"one identity token": func(w *world) {
			w.trip.Identity = "env:ID"
			w.trip.Job.Getenv = func(string) string { return identity }
		},
		"a shadow": func(w *world) { w.trip.For, w.trip.Shadow = "env", true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "curl", "exit 0")
			change(w)
			w.trip.After = func(time.Duration) <-chan time.Time {
				t.Error("it waits for a renewal")
				return nil
			}
			if code, err := w.run(); err != nil || code != 0 {
				t.Errorf("%d %v", code, err)
			}
		})
	}
}

// TestFailedRenewalIsTriedAgain until the token has expired.
func TestFailedRenewalIsTriedAgain(t *testing.T) {
	w := newWorld(t, "curl", `read line; exit 5`)
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.trip.Stdin = stdin
	var mu sync.Mutex
	now, said := time.Now(), 0
	w.trip.Notes = writer(func(p []byte) (int, error) {
		if said += bytes.Count(p, []byte("could not be renewed: ")); said == 3 {
			_ = feed.Close() // the child ends when the last attempt has failed
		}
		return w.notes.Write(p)
	})
	w.trip.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	var waited []time.Duration
	w.trip.After = func(d time.Duration) <-chan time.Time {
		mu.Lock()
		defer mu.Unlock()
		waited = append(waited, d.Round(time.Minute))
		now = now.Add(d)
		if len(waited) == 3 {
			now = now.Add(time.Hour)
		}
		w.gate.mu.Lock()
		w.gate.refuse = "no_matching_policy"
		w.gate.mu.Unlock()
		c := make(chan time.Time, 1)
		c <- now
		return c
	}
	code, err := w.run()
	if err != nil || code != 5 || len(waited) != 3 {
		t.Fatalf("%d %v, waited %v", code, err, waited)
	}
	got := w.notes.String()
	if strings.Count(got, "the token could not be renewed: exchange: the gateway answered 403: refused [no_matching_policy]\n") != 3 ||
		!strings.Contains(got, "before the command ended: it could not be renewed\n") {
		t.Errorf("it said\n%s", got)
	}
	w.gate.ended(t) // it has expired: there is nothing to revoke
}

// writer is a function as a writer.
type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

// TestExpiredHint: a child that failed after its token's end hears why.
func TestExpiredHint(t *testing.T) {
	for client, want := range map[string]string{
		"twine": "twine gets its token when it starts. Build and test first",
		"curl":  "the variable ID holds one identity token for the whole job",
	} {
		w := newWorld(t, client, "exit 1")
		w.trip.Identity = "env:ID"
		w.trip.Job.Getenv = func(string) string { return identity }
		w.trip.Now = func() time.Time { return time.Now().Add(time.Hour) }
		if code, err := w.run(); err != nil || code != 1 || !strings.Contains(w.notes.String(), want) {
			t.Errorf("%s: %d %v\n%s", client, code, err, w.notes)
		}
	}
}

// TestRefused: no token, no child.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*world)
		want   string
	}{
		{"no policy", func(w *world) { w.gate.refuse = "no_matching_policy" }, "exchange: the gateway answered 403: refused [no_matching_policy]"},
		{"another audience", func(w *world) {
			w.gate.refuse, w.trip.Identity = "wrong_audience", "gitlab"
			w.trip.Job.Getenv = func(name string) string { return map[string]string{"TRUSTPUB_ID_TOKEN": identity}[name] }
		}, "exchange: the gateway answered 403: refused [wrong_audience]\nThe token comes from the variable TRUSTPUB_ID_TOKEN, and its audience must be pypi.example.com:\n\n    id_tokens:\n      TRUSTPUB_ID_TOKEN:\n        aud: pypi.example.com"},
		{"used before", func(w *world) {
			w.gate.refuse, w.trip.Identity = "replayed", "env:ID"
			w.trip.Job.Getenv = func(string) string { return identity }
		}, "exchange: the gateway answered 403: refused [replayed]\nThe token comes from the variable ID, and each run of this command needs one of its own"},
		{"no identity", func(w *world) { w.trip.Identity = "gitlab" }, "GitLab CI: none of TRUSTPUB_ID_TOKEN, PYPI_EXAMPLE_COM_ID_TOKEN is set: the job declares no identity token for pypi.example.com. Paste this into the job:\n\n    id_tokens:\n      TRUSTPUB_ID_TOKEN:\n        aud: pypi.example.com\n"},
		{"no registry", func(w *world) { w.trip.Registry = w.gate.URL + "/other/" }, "GATE has no registry at GATE/other/, expected the URL of one of these: GATE/acme/prod/"},
		{"no client", func(w *world) { w.trip.For = "" }, "sh is no client that is known"},
		{"no command", func(w *world) { w.trip.Command = nil }, "no command: expected one behind --"},
		{"no shadow", func(w *world) { w.trip.Shadow = true }, "--shadow: twine lets no header be set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, "twine", "echo ran")
			tc.change(w)
			code, err := w.run()
			if err == nil || code != 0 || !strings.HasPrefix(err.Error(), strings.ReplaceAll(tc.want, "GATE", w.gate.URL)) || w.out.String() != "" {
				t.Errorf("%d, the child said %q\ngot  %v\nwant %s", code, w.out, err, tc.want)
			}
		})
	}
}

func TestCommandsThatCanNotRun(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"plain": 0o644, "broken": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/absent/interpreter\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for command, want := range map[string]int{"/absent/twine": ExitNotFound, filepath.Join(dir, "plain"): ExitNotExecutable, filepath.Join(dir, "broken"): ExitNotExecutable} {
		w := newWorld(t, "twine", "")
		w.trip.Command = []string{command}
		if code, err := w.run(); err != nil || code != want || !strings.HasPrefix(w.notes.String(), "trustpub: ") {
			t.Errorf("%s: %d %v %q", filepath.Base(command), code, err, w.notes)
		}
		w.gate.ended(t, "tpub_1")
	}
}

func TestRevocationThatFailsIsSaid(t *testing.T) {
	w := newWorld(t, "twine", "exit 0")
	w.gate.noRevoke = true
	if code, err := w.run(); err != nil || code != 0 || !strings.Contains(w.notes.String(), "the token was not revoked and ends by itself at ") {
		t.Errorf("%d %v %q", code, err, w.notes)
	}
}

// TestMasks: GitHub hides the token, and what Basic makes of it.
func TestMasks(t *testing.T) {
	w := newWorld(t, "twine", "exit 0")
	w.trip.Job.Getenv = func(name string) string { return map[string]string{"GITHUB_ACTIONS": "true"}[name] }
	if code, err := w.run(); err != nil || code != 0 {
		t.Fatalf("%d %v", code, err)
	}
	want := "::add-mask::tpub_1\n"
	for _, user := range []string{"__token__", "oidc"} {
		want += "::add-mask::" + base64.StdEncoding.EncodeToString([]byte(user+":tpub_1")) + "\n"
	}
	if diff := cmp.Diff(want, w.notes.String()); diff != "" {
		t.Error(diff)
	}
}

// TestShadow: the child keeps its password, no token is minted, and the identity token travels.
func TestShadow(t *testing.T) {
	w := newWorld(t, "env", `echo "$TRUSTPUB_IDENTITY $TWINE_PASSWORD"`)
	w.trip.Shadow = true
	if code, err := w.run(); err != nil || code != 0 || w.out.String() != identity+" stays-behind\n" || w.gate.minted != 0 {
		t.Errorf("%d %v, minted %d, the child saw %q", code, err, w.gate.minted, w.out)
	}
	w.gate.ended(t)
}

func TestPrint(t *testing.T) {
	m := &Minted{
		Registry: &exchange.Registry{Name: "internal-pypi", Ecosystem: "pypi", URL: "https://pypi.example.com/acme/prod/"},
		Token:    exchange.Token{Value: "tpub_TOKEN", Expiry: time.Unix(1795466563, 5)},
	}
	var b strings.Builder
	for _, format := range Formats() {
		text, err := Print(m, format, "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "-- %s --\n%s", format, text)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/formats.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/formats.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
	if _, err := Print(m, "xml", ""); err == nil || err.Error() != `--format is "xml", expected one of docker-config, env, json, maven-settings, netrc, npmrc, pypirc, token` {
		t.Error(err)
	}
}
