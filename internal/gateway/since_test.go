package gateway_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// forgetful is a store whose server loses all it knows just before a claim is made, and says so by Since.
type forgetful struct {
	store.Store
	next  atomic.Bool
	since atomic.Pointer[time.Time]
}

func (f *forgetful) Claim(ctx context.Context, key, holder string, until time.Time) (string, error) {
	if f.next.CompareAndSwap(true, false) {
		f.forget()
		return holder, nil
	}
	return f.Store.Claim(ctx, key, holder, until)
}

// forget is what a restart does: nothing from before now is known.
func (f *forgetful) forget() {
	later := time.Now().Add(time.Second) // a token that was issued this very second is from before
	f.since.Store(&later)
}

func (f *forgetful) Since() time.Time {
	if since := f.since.Load(); since != nil {
		return *since
	}
	return f.Store.Since()
}

// TestReadsGoOnWithoutTheStore: a token of ours reads on while the store is away, and publishes nothing; what an operator has stopped stays
// stopped.
func TestReadsGoOnWithoutTheStore(t *testing.T) {
	h := open(t)
	token, a := h.exchange(h.identity())
	if token == "" {
		t.Fatalf("the exchange: %d %s", a.status, a.body)
	}
	read := func() answer {
		r, _ := http.NewRequest(http.MethodGet, h.registry.Public.String()+"+simple/acme-widget/", nil)
		r.SetBasicAuth("__token__", token)
		return h.do(r)
	}
	h.store.broken.Store(true)
	if a := read(); a.status != http.StatusOK {
		t.Errorf("a read without the store: %d %s", a.status, a.body)
	}
	h.refused(h.publish(upload{token: token}), http.StatusServiceUnavailable, model.CodeStoreUnavailable)
	h.store.broken.Store(false)
	h.stop(model.SwitchIssuer, "github")
	h.store.broken.Store(true)
	h.refused(read(), http.StatusForbidden, model.CodeDeniedByOperator)
}

// TestInvariantNoReplayByAForgetfulStore: a store that has forgotten lets no token in from before, also where it finds out
// while the claim is made, which is after the gateway has looked.
func TestInvariantNoReplayByAForgetfulStore(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		use    func(*house) answer
	}{
		{"an identity token", http.StatusUnauthorized, func(h *house) answer { return h.publish(upload{token: h.identity()}) }},
		{"an exchange", http.StatusUnprocessableEntity, func(h *house) answer { _, a := h.exchange(h.identity()); return a }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f *forgetful
			h := open(t, func(_ *gateway.Registry, cfg *gateway.Config) {
				f = &forgetful{Store: cfg.Store}
				cfg.Store = f
			})
			f.next.Store(true)
			h.refused(c.use(h), c.status, model.CodeIssuedBeforeStart)
			if got := len(h.upstream.stored()); got != 0 {
				t.Errorf("the registry stored %d uploads", got)
			}
		})
	}
	t.Run("a publish token, of which a revocation may be forgotten", func(t *testing.T) {
		var f *forgetful
		h := open(t, func(_ *gateway.Registry, cfg *gateway.Config) {
			f = &forgetful{Store: cfg.Store}
			cfg.Store = f
		})
		token, a := h.exchange(h.identity())
		if token == "" {
			t.Fatalf("the exchange: %d %s", a.status, a.body)
		}
		f.forget()
		h.refused(h.publish(upload{token: token}), http.StatusUnauthorized, model.CodeIssuedBeforeStart)
	})
}
