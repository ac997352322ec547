package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/model"
)

// loginRig is a gateway that logs in to a Verdaccio of its own.
func loginRig(t *testing.T, lines ...string) (*rig, *registry.Verdaccio) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	server, err := registry.StartVerdaccio(t.Context(), t.TempDir(), lines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.Credential = server.Login
	return startRig(t, server.Registry, withEcosystem("npm"), withPolicy("widget.yaml", npmPolicy)), server
}

// logins counts those that Verdaccio has seen, but for the one with which the test has made the user.
func logins(v *registry.Verdaccio) int {
	count := 0
	for line := range strings.Lines(v.Log()) {
		if strings.Contains(line, "org.couchdb.user:") && strings.Contains(line, "201") {
			count++
		}
	}
	return count - 1
}

// publishNPM sends the document that npm sends.
func (r *rig) publishNPM(t *testing.T, token, version string) answer {
	t.Helper()
	return r.send(t, http.MethodPut, "/@acme%2fwidget", with(bearer(token), "Content-Type", "application/json"), []byte(npmDocument("@acme/widget", version, []byte("archive "+version))))
}

// TestVerdaccioLogin: npm publishes by trusted publishing with one login for all uploads, which outlives a reload.
func TestVerdaccioLogin(t *testing.T) {
	t.Parallel()
	r, server := loginRig(t)
	for _, version := range []string{"1.0.0", "1.1.0"} {
		got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", "@acme/widget", version)
		if err != nil || got.Code != 0 {
			t.Fatalf("npm: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
	}
	if err := r.gw.Reload(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	if a := r.publishNPM(t, r.identity(nil), "1.2.0"); a.Status != http.StatusCreated {
		t.Errorf("after a reload: %d %s", a.Status, a.Body)
	}
	if got := logins(server); got != 1 {
		t.Errorf("got %d logins for three uploads and a reload, expected 1\n%s", got, tail(server.Log(), 20))
	}
	r.unchanged(t, func() {
		refused(t, r.publishNPM(t, r.identity(otherRepository), "2.0.0"), http.StatusForbidden, model.CodeNoMatchingPolicy)
		got, err := r.home(nil).NPM(t.Context(), r.site.Public(), server.Password, "@acme/widget", "2.0.0")
		if err != nil || got.Code == 0 || !strings.Contains(got.Output, string(model.CodeTrustedPublishingOnly)) {
			t.Errorf("a stolen token: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
	})
}

// TestVerdaccioRenews: a token that lives for seconds is replaced before it ends, so that no upload is refused; one of a Verdaccio that is
// gone ends, and the denial says when to come back.
func TestVerdaccioRenews(t *testing.T) {
	t.Parallel()
	r, server := loginRig(t, "security:", "  api:", "    jwt:", "      sign: {expiresIn: 4s}")
	if a := r.publishNPM(t, r.identity(nil), "1.0.0"); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	token := r.identity(nil)
	deadline := time.Now().Add(awaitLimit)
	for reads := 0; logins(server) < 3; reads++ {
		if a := r.send(t, http.MethodGet, "/@acme%2fwidget", bearer(token), nil); a.Status != http.StatusOK {
			t.Fatalf("read %d: %d %s", reads, a.Status, a.Body)
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d logins in %s, expected 3", logins(server), awaitLimit)
		}
	}
	if a := r.publishNPM(t, r.identity(nil), "1.1.0"); a.Status != http.StatusCreated {
		t.Errorf("after two renewals: %d %s", a.Status, a.Body)
	}
	server.Stop()
	var a answer
	for a.Status != http.StatusServiceUnavailable {
		if a = r.publishNPM(t, r.identity(nil), "1.2.0"); time.Now().After(deadline) {
			t.Fatalf("got %d %s, expected credential_unavailable once the token has ended", a.Status, a.Body)
		}
	}
	refused(t, a, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
	if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "try again in") {
		t.Errorf("got Retry-After %q and %s, expected when to come back", a.Header.Get("Retry-After"), a.Body)
	}
}
