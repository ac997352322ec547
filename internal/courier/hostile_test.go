package courier

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTokensForOthersAreNotAskedFor: a gateway that says the audience of another service gets no token of it, unless the user says so.
func TestTokensForOthersAreNotAskedFor(t *testing.T) {
	for audience, refused := range map[string]bool{"": true, "pypi.example.com": false} {
		w := newWorld(t, "twine", "exit 0")
		asked := 0
		runner := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			asked++
			_, _ = rw.Write([]byte(`{"value":"` + identity + `"}`))
		}))
		t.Cleanup(runner.Close)
		w.trip.Identity, w.trip.Audience = "github", audience
		w.trip.Job.Getenv = func(name string) string {
			return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": runner.URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"}[name]
		}
		_, err := w.run()
		if refused && (err == nil || asked != 0 || !strings.Contains(err.Error(), "whose audience is pypi.example.com, which does not name that host")) {
			t.Errorf("the platform was asked %d times: %v", asked, err)
		}
		if !refused && (err != nil || asked != 1) {
			t.Errorf("with --audience the platform was asked %d times: %v", asked, err)
		}
	}
}

// TestFilesAreWrittenThroughNoLink: beside docker's configuration lie links into the user's folder, and a file there may have any name. A new
// token never gets there.
func TestFilesAreWrittenThroughNoLink(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	b := &baggage{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json.new", "config.json"} {
		own := filepath.Join(home, name)
		if err := os.WriteFile(own, []byte("the user's"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(own, filepath.Join(dir, "docker", name)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.write(map[string]string{"docker/config.json": "a token"}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"config.json.new", "config.json"} {
			if text, err := os.ReadFile(filepath.Join(home, name)); err != nil || string(text) != "the user's" {
				t.Errorf("the user's %s is %q, %v", name, text, err)
			}
		}
		at := filepath.Join(dir, "docker", "config.json")
		info, err := os.Lstat(at)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v, want a file with the rights 0600", info.Mode(), err)
		}
		if text, err := os.ReadFile(at); err != nil || string(text) != "a token" {
			t.Errorf("%q, %v", text, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// TestShortLivesAreNotRenewedWithoutRest: a gateway that gives tokens which end at once is not asked without end.
func TestShortLivesAreNotRenewedWithoutRest(t *testing.T) {
	w := newWorld(t, "curl", "read line")
	w.gate.life = 1
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.trip.Stdin = stdin
	waits := 0
	w.trip.After = func(d time.Duration) <-chan time.Time {
		if d < soonest {
			t.Errorf("the next renewal is after %s, want %s or more", d, soonest)
		}
		c := make(chan time.Time, 1)
		if waits++; waits == 5 {
			_ = feed.Close()
			return c
		}
		c <- time.Now()
		return c
	}
	if code, err := w.run(); err != nil || code != 1 || waits != 5 {
		t.Errorf("%d %v, %d waits", code, err, waits)
	}
}
