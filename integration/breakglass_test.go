package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// recipe runs the n-th shell block of docs/emergency.md in a folder and returns what it prints.
func recipe(t *testing.T, dir string, n int, env ...string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/emergency.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) <= n {
		t.Fatalf("docs/emergency.md has %d shell blocks, expected more than %d", len(blocks), n)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(blocks[n][1])
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the recipe failed (it needs sh, openssl and the coreutils): %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestBreakGlass: the page's own commands make keys and a token by which, for a short time, one package is published.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recipe(t, dir, 0)
	now := time.Now().UTC()
	policy := func(from, to time.Time) string {
		return `policies:
  - name: break-glass-widget
    registry: internal-pypi
    packages: [acme-widget]
    issuer: break-glass
    publisher:
      oidc:
        subject: break-glass:incident-12
    not_before: ` + from.Format(time.RFC3339) + `
    not_after: ` + to.Format(time.RFC3339) + "\n"
	}
	issuer := withIssuer("issuer oidc https://break-glass.example.com {", "name break-glass",
		"keys "+filepath.Join(dir, "break-glass-keys.json"), "break_glass", "}")
	r := newRig(t, "devpi", issuer, withPolicy("widget.yaml", policy(now.Add(-time.Minute), now.Add(30*time.Minute))))
	token := func() string { return recipe(t, dir, 1, "AUDIENCE="+r.site.Host()) }
	w := newWheel(t, "acme-widget", "1.0")
	if got := r.upload(t, bearer(token()), w.form()); got.Status != 200 {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	refused(t, r.upload(t, bearer(token()), newWheel(t, "acme-gadget", "1.0").form()), model.CodeNoMatchingPolicy.Info().Status, model.CodeNoMatchingPolicy)
	r.holds(t, w)
	r.await(t, "decision with its mark", func(e model.Event) bool {
		return e.Kind == model.EventDecision && e.Decision == "allow" && e.Issuer == "break-glass" && e.BreakGlass
	})
	late := newRig(t, "devpi", issuer, withPolicy("widget.yaml", policy(now.Add(-time.Hour), now.Add(-time.Minute))))
	expired := recipe(t, dir, 1, "AUDIENCE="+late.site.Host())
	refused(t, late.upload(t, bearer(expired), newWheel(t, "acme-widget", "1.1").form()), model.CodeNoMatchingPolicy.Info().Status, model.CodeNoMatchingPolicy)
	late.holds(t)
}
