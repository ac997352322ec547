package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// kept is a source with one credential for all uploads.
type kept struct {
	*lease.Cache
	account     string
	made, ended *int
}

func (s *kept) Kept() []credential.Kept {
	return []credential.Kept{s.Cache.Kept("kept", s.account)}
}

func (s *kept) Issue(ctx context.Context, _ model.Target, _ *model.Identity) (model.Credential, error) {
	return s.Get(ctx, "all", func(context.Context) (model.Credential, error) {
		*s.made++
		c := model.Bearer(fmt.Sprintf("credential-%d", *s.made))
		c.Expiry = time.Now().Add(time.Hour)
		c.Revoke = func(context.Context) error { *s.ended++; return nil }
		return c, nil
	})
}

// TestInvariantReloadLosesNothingKeptBySources: a credential that serves many uploads outlives the configuration under which it was
// made, another account has its own, and each ends with the last configuration that uses it.
func TestInvariantReloadLosesNothingKeptBySources(t *testing.T) {
	var made, ended int
	configure := func(account string) (credential.Source, *leases) {
		t.Helper()
		source := &kept{lease.New(lease.Options{Logger: slog.New(slog.DiscardHandler)}), account, &made, &ended}
		h := &Handler{Registries: []Registry{{resolved: gateway.Registry{Source: source}}}}
		l := new(leases)
		if err := h.keep(l); err != nil {
			t.Fatal(err)
		}
		return source, l
	}
	issue := func(source credential.Source, want string) {
		t.Helper()
		c, err := source.Issue(t.Context(), model.Target{}, nil)
		if err != nil || c.Header.Get("Authorization") != "Bearer "+want {
			t.Errorf("got %v, %v, expected %s", c.Header, err, want)
		}
	}
	release := func(l *leases, want int) {
		t.Helper()
		if err := l.releaseAll(); err != nil {
			t.Fatal(err)
		}
		if ended != want {
			t.Errorf("got %d revoked, expected %d", ended, want)
		}
	}
	first, one := configure("a")
	issue(first, "credential-1")
	second, two := configure("a")
	other, three := configure("b")
	release(one, 0)
	issue(second, "credential-1")
	issue(first, "credential-1") // of a request that is still under way
	issue(other, "credential-2")
	release(two, 1)
	release(three, 2)
	if n := uses("credential/"); n != 0 {
		t.Errorf("%d things are left", n)
	}
}
