package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// neighbour is what a shared store says when other gateways use it too: asked gives the holder of a lease, each time it is asked for.
type neighbour struct {
	store.Store
	asked func(n int, holder string) (string, error)

	mu       sync.Mutex
	n        int
	keys     map[string]bool
	released []string
}

// Lease implements store.Leaser.
func (n *neighbour) Lease(_ context.Context, key, holder string, life time.Duration) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if life != 30*time.Second {
		return "", errStore
	}
	if n.n++; n.keys == nil {
		n.keys = map[string]bool{}
	}
	n.keys[key] = true
	return n.asked(n.n, holder)
}

// Release implements store.Leaser.
func (n *neighbour) Release(_ context.Context, key, holder string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.released = append(n.released, key+" "+holder)
	return nil
}

// TestOnceAmongGateways: an upload waits for no other gateway's of the same file: it is refused, when it comes second, and when its turn was
// lost while it flowed.
func TestOnceAmongGateways(t *testing.T) {
	for _, tc := range []struct {
		name     string
		asked    func(n int, holder string) (string, error)
		status   int // of the registry's answer to the upload; 0: 200
		want     model.Code
		heads    int // how often the registry is asked whether something is there
		released bool
	}{
		{name: "free", asked: func(_ int, holder string) (string, error) { return holder, nil }, heads: 1, released: true},
		{name: "free, and the registry refuses", asked: func(_ int, holder string) (string, error) { return holder, nil }, status: http.StatusBadRequest, heads: 1, released: true},
		{name: "another's", asked: func(int, string) (string, error) { return "another", nil }, want: model.CodeAlreadyExists},
		{name: "not to be told", asked: func(int, string) (string, error) { return "", errStore }, want: model.CodeStoreUnavailable},
		{name: "lost meanwhile", asked: func(n int, holder string) (string, error) {
			if n > 1 {
				return "another", nil
			}
			return holder, nil
		}, want: model.CodeAlreadyExists, heads: 1, released: true},
		{name: "not to be told before the end", asked: func(n int, holder string) (string, error) {
			if n > 1 {
				return "", errStore
			}
			return holder, nil
		}, want: model.CodeStoreUnavailable, heads: 1, released: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var others *neighbour
			h := open(t, once, func(_ *gateway.Registry, c *gateway.Config) {
				others = &neighbour{Store: c.Store, asked: tc.asked}
				c.Store = others
			})
			h.policies.set(grantWidget)
			heads := 0
			h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodHead:
					heads++
					http.NotFound(w, r)
				case tc.status != 0:
					w.WriteHeader(tc.status)
				default:
					h.upstream.keep(w, r)
				}
			})
			a := h.publish(upload{token: h.identity()})
			switch {
			case tc.want != "":
				h.refused(a, tc.want.Info().Status, tc.want)
			case tc.status == 0 && a.status != http.StatusOK, tc.status != 0 && a.status != tc.status:
				t.Errorf("got %d %s\n%s", a.status, a.body, h.log)
			}
			if heads != tc.heads {
				t.Errorf("the registry was asked %d times, expected %d", heads, tc.heads)
			}
			last := model.EventDecision
			if tc.want == "" {
				last = model.EventOutcome // which is written once all has been given back
			}
			event := h.audit.of(t, last).ID
			others.mu.Lock()
			defer others.mu.Unlock()
			if got := len(others.released) == 1 && strings.HasSuffix(others.released[0], " "+event); got != tc.released || len(others.keys) != 1 {
				t.Errorf("released %v, expected %t; leases of %v, expected one", others.released, tc.released, others.keys)
			}
		})
	}
}
