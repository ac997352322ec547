package gateway_test

import (
	"net/http"
	"testing"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// sharing is a verifier of issuers whose tokens many jobs read.
type sharing struct{ gateway.Verifier }

func (sharing) Shared(string) bool { return true }

func shared(_ *gateway.Registry, cfg *gateway.Config) { cfg.Verifier = sharing{cfg.Verifier} }

func TestSharedTokenIsNeverUsedDirectly(t *testing.T) {
	h := open(t, shared)
	h.refused(h.publish(upload{token: h.identity()}), http.StatusUnauthorized, model.CodeDirectOff)
}

// TestInvariantNoReplayOfSharedTokens: each job may exchange the token, and each release is for one of them.
func TestInvariantNoReplayOfSharedTokens(t *testing.T) {
	h := open(t, shared)
	identity := h.identity()
	one, a := h.exchange(identity)
	if a.status != http.StatusOK {
		t.Fatalf("the first exchange: %d %s", a.status, a.body)
	}
	two, a := h.exchange(identity)
	if a.status != http.StatusOK {
		t.Fatalf("the second exchange: %d %s", a.status, a.body)
	}
	for _, step := range []struct {
		name, version, token string
		status               int
	}{
		{"the first job's release", "1.0", one, http.StatusOK},
		{"a further file of it", "1.0", one, http.StatusOK},
		{"the same release by another job", "1.0", two, http.StatusUnauthorized},
		{"another release by that job", "1.1", two, http.StatusOK},
		{"which the first can't take over", "1.1", one, http.StatusUnauthorized},
	} {
		if a := h.publish(upload{name: "acme-widget", version: step.version, token: step.token}); a.status != step.status {
			t.Errorf("%s: got %d %s, expected %d", step.name, a.status, a.body, step.status)
		}
	}
	if got := len(h.upstream.stored()); got != 3 {
		t.Errorf("the registry stored %d uploads, expected 3", got)
	}
}
