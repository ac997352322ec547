package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trustpub/trustpub/internal/demo/pypi"
)

// leftovers are the demo's folders below the system's folder for temporary files, which each test has for itself.
func leftovers(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

var volatile = regexp.MustCompile(`127\.0\.0\.1:\d+|localhost:\d+|[0-9.]+m?s\b|sha256 [0-9a-f]+|\d+ bytes|\d+ lines`)

func TestCheck(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	err := Run(t.Context(), Options{Out: &out, Check: true, StartGateway: startPlain(t), Explain: explainPlainly})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	want := `ok   start (issuer http://~, registry ~, gateway https://~/team/prod/)
ok   audience (~: the gateway's answer to /_/oidc/audience, where uv asks)
ok   identity token (a job of acme/widget, workflow release.yml, environment release)
ok   exchange (identity token for a publish token of 15 minutes)
ok   publish acme-widget 1.0.0 (acme_widget-1.0.0-py3-none-any.whl, ~, ~, the publish token being the password of __token__)
ok   read it back (the simple page lists the wheel, which downloads unchanged)
ok   revoke (the publish token, as uv does after each run)
ok   refuse another repository (no_matching_policy: the same workflow in mallory/widget)
ok   refuse another package (no_matching_policy: acme-gadget, which no policy gives to acme/widget)
ok   refuse a replayed identity token (replayed: the token of the publish above, once more)
ok   refuse an edited file (digest_mismatch: one byte of acme-widget 1.1.0 changed on the way)
ok   refuse a stolen password (trusted_publishing_only: the registry's own, sent to the gateway)
ok   refuse a revoked publish token (revoked: the one of the publish above)
ok   registry unchanged (it holds acme_widget-1.0.0-py3-none-any.whl and nothing of the refused ones)
ok   a broken edit changes nothing (workflw is no field: it is reported, and by the last good version 1.1.0 is published)
ok   an edit acts (no_matching_policy: environment: production, and the job's is release)
ok   explain the refusal (trustpub policy explain, from the token and the policy files alone)
ok   the first policy again (the release job is welcome again, and publishes 1.2.0)
ok   audit (~, every decision and its outcome)
ok   done (19 steps in ~)
`
	if diff := cmp.Diff(want, volatile.ReplaceAllString(out.String(), "~")); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if left := leftovers(t); len(left) > 0 {
		t.Errorf("the demo left %v behind", left)
	}
}

// syncWriter tells when a text has been written.
type syncWriter struct {
	mu   sync.Mutex
	b    bytes.Buffer
	text string
	seen chan struct{}
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if w.text != "" && strings.Contains(w.b.String(), w.text) {
		w.text = ""
		close(w.seen)
	}
	return len(p), nil
}

func TestStaysUpUntilInterrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w := &syncWriter{text: "Ctrl-C stops everything", seen: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, Options{Out: w, StartGateway: startPlain(t), Explain: explainPlainly}) }()
	select {
	case <-w.seen:
		if len(leftovers(t)) != 1 {
			t.Errorf("got %v while it stays up, expected the one folder", leftovers(t))
		}
		cancel()
	case err := <-done:
		t.Fatalf("it ended by itself: %v\n%s", err, w.b.String())
	}
	if err := <-done; err != nil {
		t.Errorf("interrupted: %v", err)
	}
	for _, text := range []string{
		"uv publish --trusted-publishing always --publish-url https://localhost:", "twine upload", "curl -sSi", "SSL_CERT_FILE=", "REQUESTS_CA_BUNDLE=",
		"Server message: ", "ERROR    HTTPError: 403 Forbidden from https://localhost:", "Response: {", `"kind":"decision"`, "widget.yaml", "Caddyfile",
	} {
		if !strings.Contains(w.b.String(), text) {
			t.Errorf("the story lacks %q:\n%s", text, w.b.String())
		}
	}
	if left := leftovers(t); len(left) > 0 {
		t.Errorf("the demo left %v behind", left)
	}
}

func TestStartFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Setenv("TMPDIR", t.TempDir())
	calls := 0
	err := Run(t.Context(), Options{Out: new(bytes.Buffer), Check: true, Explain: explainPlainly, StartGateway: func(context.Context, string) (Gateway, error) {
		calls++
		return nil, errors.New("no such directive")
	}})
	if err == nil || !strings.Contains(err.Error(), "no such directive") || calls != 1 {
		t.Errorf("got %v after %d starts, expected the gateway's error at once", err, calls)
	}
	if left := leftovers(t); len(left) > 0 {
		t.Errorf("the demo left %v behind", left)
	}
}

// A port that another program took in the meantime is no reason to give up.
func TestTakenPortIsTriedAgain(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	calls := 0
	start := startPlain(t)
	err := Run(t.Context(), Options{Out: new(bytes.Buffer), Check: true, Explain: explainPlainly, StartGateway: func(ctx context.Context, path string) (Gateway, error) {
		if calls++; calls < portAttempts {
			return nil, &os.SyscallError{Syscall: "bind", Err: syscall.EADDRINUSE}
		}
		return start(ctx, path)
	}})
	if err != nil || calls != portAttempts {
		t.Errorf("got %v after %d starts, expected success after %d", err, calls, portAttempts)
	}
}

// A step that does not go as it should fails the check and shows why.
func TestFailedStep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	start := startPlain(t)
	err := Run(t.Context(), Options{Out: &out, Check: true, Explain: explainPlainly, StartGateway: func(ctx context.Context, path string) (Gateway, error) {
		l := layoutOf(strings.TrimSuffix(path, "/Caddyfile"))
		if err := os.WriteFile(l.policy, []byte(strings.Replace(policyOf(&pypi.Script), "[acme-widget]", "[acme-gizmo]", 1)), 0o644); err != nil {
			return nil, err
		}
		if err := os.WriteFile(l.log, []byte("the last line\n"), 0o600); err != nil {
			return nil, err
		}
		return start(ctx, path)
	}})
	if err == nil || !strings.Contains(out.String(), "FAIL publish acme-widget 1.0.0: ") || !strings.Contains(out.String(), "no_matching_policy") ||
		!strings.Contains(out.String(), "gateway's log: the last line") {
		t.Errorf("got %v, expected the failed step:\n%s", err, out.String())
	}
}

func TestCaddyfileKeepsToItsFolder(t *testing.T) {
	l := layoutOf("/tmp/some where")
	text := caddyfile(l, &pypi.Script, 2020, 8443, "http://127.0.0.1:1", "127.0.0.1:2")
	for _, want := range []string{
		"admin 127.0.0.1:2020", "persist_config off", `storage file_system "/tmp/some where/storage"`, "storage_clean_interval off",
		"auto_https off", "skip_install_trust", "default_bind 127.0.0.1", "https://localhost:8443 {", "handle /team/prod/* {", "respond 404",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the Caddyfile lacks %q:\n%s", want, text)
		}
	}
}

func TestRunNeedsItsOptions(t *testing.T) {
	if err := Run(t.Context(), Options{}); err == nil {
		t.Error("got no error without options")
	}
}
