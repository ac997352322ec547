package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// stop sets a switch.
func (h *house) stop(kind model.SwitchKind, value string) {
	h.t.Helper()
	if err := h.switches.Set(h.t.Context(), model.Switch{Kind: kind, Value: value, Reason: "incident 12", By: "alice"}); err != nil {
		h.t.Fatal(err)
	}
}

// TestSwitchesBeatEveryAllow: identity tokens, publish tokens that are out already, and exchanges.
func TestSwitchesBeatEveryAllow(t *testing.T) {
	for _, tc := range []struct {
		kind  model.SwitchKind
		value string
		// exchange is false where a switch is looked at only when the upload names what it stops.
		exchange bool
	}{
		{model.SwitchIssuer, "github", true},
		{model.SwitchRepository, "111", true},
		{model.SwitchRun, "9", true},
		{model.SwitchRegistry, "internal-pypi", true},
		{model.SwitchPackage, "internal-pypi/acme-widget", false},
		{model.SwitchPolicy, "widget-release", false},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			h := open(t)
			ids := map[string]any{"repository_id": "111", "run_id": "9"}
			minted, a := h.exchange(h.identity(ids))
			if a.status != http.StatusOK {
				t.Fatalf("exchange before: %d %s", a.status, a.body)
			}
			h.stop(tc.kind, tc.value)
			h.refused(h.publish(upload{token: h.identity(ids)}), http.StatusForbidden, model.CodeDeniedByOperator)
			h.refused(h.publish(upload{token: minted}), http.StatusForbidden, model.CodeDeniedByOperator)
			_, a = h.exchange(h.identity(ids))
			if refused := strings.Contains(a.body, string(model.CodeDeniedByOperator)) || strings.Contains(a.reason, string(model.CodeDeniedByOperator)); refused != tc.exchange {
				t.Errorf("exchange: %d %s %s, want refused %t", a.status, a.reason, a.body, tc.exchange)
			}
		})
	}
}

// TestSwitchFreezesForeignCredentials: a frozen package takes no password either, where others may still use theirs.
func TestSwitchFreezesForeignCredentials(t *testing.T) {
	h := open(t, func(r *gateway.Registry, _ *gateway.Config) { r.Mode = gateway.ModeClaimed })
	h.stop(model.SwitchPackage, "internal-pypi/acme-old")
	old := h.request(upload{name: "acme-old", version: "1.0"})
	old.SetBasicAuth("publisher", "hunter22")
	h.refused(h.do(old), http.StatusForbidden, model.CodeDeniedByOperator)
	other := h.request(upload{name: "acme-other", version: "1.0"})
	other.SetBasicAuth("publisher", "hunter22")
	if a := h.do(other); a.status != http.StatusOK {
		t.Errorf("another package: %d %s", a.status, a.body)
	}
}
