package integration

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// password is the header of a stored password.
func (r *rig) password() http.Header {
	pair := base64.StdEncoding.EncodeToString([]byte(r.reg.User + ":" + r.reg.Password))
	return http.Header{"Authorization": {"Basic " + pair}}
}

// TestModes runs the three modes with own and with foreign credentials, on packages that a policy claims and on others.
func TestModes(t *testing.T) {
	t.Parallel()
	type attempt struct {
		name     string
		pkg      string
		own      bool
		edited   bool
		beside   bool
		code     model.Code // empty: it passes
		decision string
	}
	for _, mode := range []struct {
		name     string
		attempts []attempt
	}{
		{"enforce", []attempt{
			{name: "own", pkg: "acme-widget", own: true, decision: "allow"},
			{name: "own, not granted", pkg: "free-project", own: true, code: model.CodeNoMatchingPolicy, decision: "deny"},
			{name: "foreign, claimed", pkg: "acme-widget", code: model.CodeTrustedPublishingOnly, decision: "deny"},
			{name: "foreign, unclaimed", pkg: "free-project", code: model.CodeTrustedPublishingOnly, decision: "deny"},
			{name: "foreign, an identity beside it", pkg: "acme-widget", beside: true, code: model.CodeTrustedPublishingOnly, decision: "deny"},
		}},
		{"claimed", []attempt{
			{name: "own", pkg: "acme-widget", own: true, decision: "allow"},
			{name: "own, not granted", pkg: "free-project", own: true, code: model.CodeNoMatchingPolicy, decision: "deny"},
			{name: "foreign, claimed", pkg: "acme-widget", code: model.CodeTrustedPublishingOnly, decision: "deny"},
			{name: "foreign, claimed under another spelling", pkg: "Acme.Widget", code: model.CodeTrustedPublishingOnly, decision: "deny"},
			{name: "foreign, unclaimed", pkg: "free-project", decision: "allow"},
			{name: "foreign, unclaimed, edited", pkg: "free-edited", edited: true, code: model.CodeDigestMismatch, decision: "deny"},
			{name: "foreign, an identity beside it", pkg: "free-beside", beside: true, decision: "would_deny"},
		}},
		{"observe", []attempt{
			{name: "own", pkg: "acme-widget", own: true, decision: "allow"},
			{name: "own, not granted", pkg: "free-project", own: true, code: model.CodeNoMatchingPolicy, decision: "deny"},
			{name: "foreign, claimed", pkg: "acme-widget", decision: "would_deny"},
			{name: "foreign, unclaimed", pkg: "free-project", decision: "would_deny"},
			{name: "foreign, edited", pkg: "free-edited", edited: true, decision: "would_deny"},
			{name: "foreign, a granted identity beside it", pkg: "acme-widget", beside: true, decision: "would_allow"},
		}},
	} {
		for _, kind := range kinds {
			t.Run(mode.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, kind, withMode(mode.name))
				var stored []artifact
				for n, a := range mode.attempts {
					t.Run(a.name, func(t *testing.T) {
						w := newWheel(t, a.pkg, "1."+string(rune('0'+n)))
						header := r.password()
						if a.own {
							header = bearer(r.identity(nil))
						}
						if a.beside {
							header.Set("X-Trustpub-Identity", r.identity(nil))
						}
						form := w.form()
						if a.edited {
							form = form.With("sha256_digest", strings.Repeat("0", 64))
						}
						got := r.upload(t, header, form)
						if a.code != "" {
							refused(t, got, a.code.Info().Status, a.code)
						} else {
							if got.Status != http.StatusOK {
								t.Errorf("got %d, expected 200\n%s", got.Status, got.Body)
							}
							stored = append(stored, w)
						}
						r.holds(t, stored...)
						e := r.await(t, "decision", func(e model.Event) bool {
							return e.Kind == model.EventDecision && (strings.Contains(got.Body, e.ID) || e.Target != nil && e.Target.File == w.file)
						})
						if e.Mode != mode.name || e.Decision != a.decision || e.Code != a.code && a.decision == "deny" {
							t.Errorf("the audit says %q %q in mode %q, expected %q %q in %q", e.Decision, e.Code, e.Mode, a.decision, a.code, mode.name)
						}
					})
				}
			})
		}
	}
}
