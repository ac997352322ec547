package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/trustpub/trustpub/internal/audit"
)

// uses counts the users of every pooled thing whose key begins with prefix.
func uses(prefix string) int {
	total := 0
	shared.Range(func(key, _ any) bool {
		if k := key.(string); strings.HasPrefix(k, prefix) {
			n, _ := shared.References(key)
			total += n
		}
		return true
	})
	return total
}

// A reload in the middle of a request: the request ends well, the claims, the issuers' keys, the policies and the audit's
// chain go on, and nothing is left behind.
func TestInvariantReloadLosesNothing(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/slow") {
			close(arrived)
			<-proceed
		}
		_, _ = w.Write([]byte("from the registry"))
	})
	r.mustLoad(r.caddyfile("", "", ""))
	before := active.Load()
	old := before.running.Load()
	until := time.Now().Add(time.Hour)
	if holder, err := old.store.Claim(context.Background(), "replay-key", "first", until); err != nil || holder != "first" {
		t.Fatalf("claim: %q, %v", holder, err)
	}
	done := make(chan string)
	go func() {
		resp, err := http.Get("http://" + r.addr + "/root/prod/slow")
		if err != nil {
			done <- err.Error()
			return
		}
		defer resp.Body.Close()
		done <- resp.Status
	}()
	select {
	case <-arrived:
	case got := <-done:
		t.Fatalf("the request never reached the registry: %s", got)
	}

	r.mustLoad(r.caddyfile("", "mode claimed", ""))
	now := active.Load()
	fresh := now.running.Load()
	if now == before || fresh.store != old.store || fresh.issuers[0] != old.issuers[0] || fresh.policies != old.policies {
		t.Error("the new configuration must share the store, the issuers and the policies with the old one")
	}
	for _, prefix := range []string{"store/", "audit/", "issuer/", "policies/"} {
		if n := uses(prefix); n != 2 {
			t.Errorf("%s has %d users while a request runs in the old configuration, expected 2", prefix, n)
		}
	}
	if _, err := old.store.Revoked(context.Background(), "x"); err != nil {
		t.Errorf("the store was closed under a running request: %v", err)
	}
	close(proceed)
	if got := <-done; got != "200 OK" {
		t.Errorf("the request in flight ended with %s", got)
	}
	r.settle()
	for _, prefix := range []string{"store/", "audit/", "issuer/", "policies/"} {
		if n := uses(prefix); n != 1 {
			t.Errorf("%s has %d users after the old configuration has ended, expected 1", prefix, n)
		}
	}
	if holder, err := fresh.store.Claim(context.Background(), "replay-key", "second", until); err != nil || holder != "first" {
		t.Errorf("the claim is held by %q after the reload, expected first (error %v)", holder, err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if n := uses(""); n != 0 {
		t.Errorf("%d leases are left after the end", n)
	}
	r.checkAudit(2)
}

// checkAudit verifies the chain and counts the configurations that it tells of.
func (r *rig) checkAudit(configs int) {
	r.t.Helper()
	f, err := os.Open(filepath.Join(r.dir, "audit.jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if err := audit.Verify(f); err != nil {
		r.t.Errorf("audit chain: %v", err)
	}
	if got := strings.Count(r.read("audit.jsonl"), `"kind":"config"`); got != configs {
		r.t.Errorf("the audit tells of %d configurations, expected %d", got, configs)
	}
}

// Two configurations that share one sink but not the other must write one chain into the file that both use.
func TestReloadWithAnotherSinkKeepsTheChain(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	for _, global := range []string{"", "audit log", "audit file ./second.jsonl", ""} {
		r.mustLoad(r.caddyfile(global, "", ""))
		if resp, _ := r.do(http.MethodPost, "/elsewhere", "x"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("got %s, expected a denial", resp.Status)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.checkAudit(4)
}

// What cannot be opened fails the start; the configuration that ran goes on, and what was opened is given back.
func TestFailedStartGivesAllBack(t *testing.T) {
	for _, c := range []struct{ name, global, want string }{
		{"store", "store local DIR/policies", "store local"},
		{"audit", "audit file DIR/policies", "audit file"},
		{"policies", "policies DIR/broken.yaml", "broken.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, answer(http.StatusOK))
			r.write("broken.yaml", "policies: [")
			r.mustLoad(r.caddyfile("", "", ""))
			running, leased := active.Load(), uses("")
			err := r.load(r.caddyfile(strings.ReplaceAll(c.global, "DIR", r.dir), "", ""))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, expected one that names %s", err, c.want)
			}
			r.settle()
			if active.Load() != running || uses("") != leased {
				t.Errorf("a failed start left %d leases, expected %d, and another configuration: %t", uses(""), leased, active.Load() != running)
			}
			if resp, _ := r.do(http.MethodGet, "/root/prod/x", ""); resp.StatusCode != http.StatusOK {
				t.Errorf("the configuration that ran before answers %s", resp.Status)
			}
		})
	}
}

// "caddy validate" must leave no trace.
func TestProvisionHasNoSideEffects(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	out, err := r.adapt(strings.ReplaceAll(r.caddyfile("", "", ""), "output file", "output discard #"))
	if err != nil {
		t.Fatal(err)
	}
	var cfg caddy.Config
	if err := json.Unmarshal(out, &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&cfg); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "policies", "secret", "keys.json":
		case "storage": // Caddy's own
			if _, err := os.Stat(filepath.Join(r.dir, "storage", appName)); err == nil {
				t.Error("validation made the data folder")
			}
		default:
			t.Errorf("validation made %s", e.Name())
		}
	}
	if n := uses(""); n != 0 {
		t.Errorf("validation took %d leases", n)
	}
}
