package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/trustpub/trustpub/internal/audit"
)

// publishWith starts Caddy, sends an upload with a password of the registry, stops Caddy, and returns the fingerprints that
// the audit has by then.
func (r *rig) publishWith(password string) []string {
	r.t.Helper()
	r.mustLoad(r.caddyfile("", "mode observe", ""))
	r.doAs("ci", password, http.MethodPost, "/root/prod/", "x")
	if err := caddy.Stop(); err != nil { // writes what waits
		r.t.Fatal(err)
	}
	r.settle()
	var prints []string
	for _, line := range strings.Split(r.read("audit.jsonl"), "\n") {
		m := regexp.MustCompile(`"foreign_user":"ci","foreign_fingerprint":"([0-9a-f]{16})"`).FindStringSubmatch(line)
		if m != nil && strings.Contains(line, `"kind":"decision"`) {
			prints = append(prints, m[1])
		}
	}
	return prints
}

// TestFingerprintsOfPasswords: the audit tells old passwords apart, in the same way after a restart, and SecretsStayInside.
func TestFingerprintsOfPasswords(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	r.publishWith("canary-one")
	r.publishWith("canary-two")
	got := r.publishWith("canary-one")
	if len(got) != 3 || got[0] != got[2] || got[0] == got[1] {
		t.Errorf("fingerprints %v, expected the first and the third to be one, and the second another", got)
	}
	for _, name := range []string{"audit.jsonl", "caddy.log", "access.log"} {
		if strings.Contains(r.read(name), "canary") {
			t.Errorf("%s shows the password", name)
		}
	}
}

// A key that cannot be read costs the names and nothing else.
func TestFingerprintsWithoutKey(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	path := filepath.Join("storage", audit.FingerprintKeyAt)
	r.write(path, "no key")
	if got := r.publishWith("canary"); got != nil {
		t.Errorf("fingerprints %v without a key", got)
	}
	if text := r.read("audit.jsonl"); !strings.Contains(text, `"credential":"foreign"`) {
		t.Errorf("the publish is not on record:\n%s", text)
	}
	if err := os.Remove(filepath.Join(r.dir, path)); err != nil {
		t.Fatal(err)
	}
	if got := r.publishWith("canary"); len(got) != 1 {
		t.Errorf("fingerprints %v with a new key, expected one", got)
	}
}
