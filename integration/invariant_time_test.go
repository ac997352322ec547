package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// replayed fails the test unless the answer says that the token was used before.
func replayed(t *testing.T, a answer) {
	t.Helper()
	if a.Status/100 != 4 || !strings.Contains(a.Body, string(model.CodeReplayed)) {
		t.Errorf("got %d, expected a denial with code %s\n%s", a.Status, model.CodeReplayed, a.Body)
	}
}

// ok fails the test unless the upload was taken.
func ok(t testing.TB, a answer) {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("got %d, expected 200\n%s", a.Status, a.Body)
	}
}

// TestInvariantNoReplay uses identity tokens twice: for two releases, for an exchange and a release, across a restart and a
// power cut, and by many clients at once.
func TestInvariantNoReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t, "devpi")
	stored := []artifact{newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "2.0")}
	direct, before, exchanged := r.identity(nil), r.identity(nil), r.identity(nil)
	ok(t, r.upload(t, bearer(direct), stored[0].form()))
	ok(t, r.upload(t, bearer(before), stored[1].form()))
	if token, a := r.exchange(t, exchanged); token == "" {
		t.Fatalf("the exchange failed: %d %s", a.Status, a.Body)
	}
	again := func(t *testing.T) {
		t.Helper()
		replayed(t, r.upload(t, bearer(direct), newWheel(t, "acme-widget", "1.1").form()))
		replayed(t, r.upload(t, bearer(direct), newWheel(t, "acme-widget", "1.0").form())) // the same file name, other bytes
		replayed(t, r.upload(t, bearer(exchanged), newWheel(t, "acme-widget", "1.1").form()))
		for _, token := range []string{direct, before, exchanged} {
			_, a := r.exchange(t, token)
			replayed(t, a)
		}
		ok(t, r.upload(t, bearer(direct), stored[0].form())) // the very same file is not a second use
		r.holds(t, stored...)
	}
	t.Run("at once", again)
	r.gw.Stop()
	if err := r.gw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("after a restart", again)
	r.gw.Kill()
	if err := r.gw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("after a power cut", again)
	t.Run("by many at once", func(t *testing.T) {
		token := r.identity(nil)
		var wins []artifact
		var mu sync.Mutex
		var wg sync.WaitGroup
		for n := range 12 {
			w := newWheel(t, "acme-widget", "3."+itoa(n))
			wg.Go(func() {
				if a := r.upload(t, bearer(token), w.form()); a.Status == http.StatusOK {
					mu.Lock()
					defer mu.Unlock()
					wins = append(wins, w)
				}
			})
		}
		wg.Wait()
		if len(wins) != 1 {
			t.Errorf("%d releases were published with one token, expected 1", len(wins))
		}
		r.holds(t, append(stored, wins...)...)
	})
}

// TestInvariantReloadLosesNothing reloads the configuration between and in the middle of everything that has to last.
func TestInvariantReloadLosesNothing(t *testing.T) {
	t.Parallel()
	own, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	reg := newRegistry(t, "devpi")
	p := newTap(t, reg.Addr)
	r := startRig(t, reg, withUpstream(p.Addr()), withIssuer(issuerLine(own.URL())))
	identity := func() string { return own.Token(r.site.Host(), nil) }
	exchange := func() string {
		token, a := r.exchange(t, identity())
		if token == "" {
			t.Fatalf("the exchange failed: %d %s", a.Status, a.Body)
		}
		return token
	}
	used, minted, burned := identity(), exchange(), exchange()
	stored := []artifact{newWheel(t, "acme-widget", "1.0")}
	ok(t, r.upload(t, bearer(used), stored[0].form()))
	r.burn(t, burned)

	slow := bigWheel(t, "acme-widget", "2.0", 400<<10)
	body := slow.form().Bytes()
	conn := r.dial(t)
	conn.begin(r, byLength, bearer(identity()), len(body))
	sent := p.Sent()
	conn.send(body[:len(body)/2])
	flowing(t, p, sent+len(body)/4)

	fetches := own.KeyFetches()
	own.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return true
	})
	for _, lifetime := range []string{"token_lifetime 10m", "token_lifetime 12m"} { // a change, so that it is a real reload
		config := r.config
		config.Global = []string{lifetime}
		if err := r.gw.Reload(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}

	conn.send(body[len(body)/2:])
	conn.end()
	ok(t, conn.answer())
	stored = append(stored, slow)
	r.holds(t, stored...)

	replayed(t, r.upload(t, bearer(used), newWheel(t, "acme-widget", "1.1").form()))
	refused(t, r.upload(t, bearer(burned), newWheel(t, "acme-widget", "1.2").form()), http.StatusUnauthorized, model.CodeRevoked)
	after := newWheel(t, "acme-widget", "3.0")
	ok(t, r.upload(t, bearer(minted), after.form()))
	direct := newWheel(t, "acme-widget", "3.1")
	ok(t, r.upload(t, bearer(identity()), direct.form())) // its issuer is down: the keys have lasted
	if got := own.KeyFetches(); got != fetches {
		t.Errorf("the key set was fetched %d more times, expected none: it should have lasted", got-fetches)
	}
	r.holds(t, append(stored, after, direct)...)
	if out, err := r.gw.Command(t.Context(), "trustpub", "audit", "verify", filepath.Join(r.gw.Dir, "audit.jsonl")); err != nil {
		t.Errorf("the audit's chain did not last: %v\n%s", err, out)
	}
}

// burn revokes a publish token as uv does.
func (r *rig) burn(t *testing.T, token string) {
	t.Helper()
	a := r.send(t, http.MethodPost, "/_/oidc/burn-token", http.Header{"Content-Type": {"application/json"}}, []byte(`{"token":"`+token+`"}`))
	if a.Status/100 != 2 {
		t.Fatalf("burn-token: %d %s", a.Status, a.Body)
	}
}

// gadgetPolicy is a second file with another grant.
const gadgetPolicy = `policies:
  - name: gadget-release
    registry: internal-pypi
    packages: [acme-gadget]
    publisher:
      github:
        repository: acme/gadget
        repository_owner_id: "222"
        workflow: release.yml
`

// TestInvariantPoliciesOfNow edits and removes policies while tokens are out and uploads under way.
func TestInvariantPoliciesOfNow(t *testing.T) {
	t.Parallel()
	reg := newRegistry(t, "devpi")
	p := newTap(t, reg.Addr)
	r := startRig(t, reg, withUpstream(p.Addr()), withPolicy("gadget.yaml", gadgetPolicy))
	minted := r.mint(t, nil)

	t.Run("a broken edit changes nothing and is reported", func(t *testing.T) {
		if err := r.gw.WritePolicy("gadget.yaml", gadgetPolicy+"    packges: [typo]\n"); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, "the status reports the edit", func() bool {
			status, err := r.gw.Admin(t.Context(), "/trusted_publishing/status")
			return err == nil && strings.Contains(status, "packges") && strings.Contains(status, "gadget.yaml:")
		})
		r.await(t, "load of the policies with its error", func(e model.Event) bool {
			return e.Kind == model.EventPolicies && strings.Contains(strings.Join(values(e.Detail), " "), "packges")
		})
		w := newWheel(t, "acme-gadget", "1.0")
		ok(t, r.upload(t, bearer(r.identity(otherRepository)), w.form()))
		r.holds(t, w)
	})
	t.Run("a removal elsewhere acts all the same, on minted tokens and on an upload under way", func(t *testing.T) {
		before := r.files()
		body := bigWheel(t, "acme-widget", "2.0", 400<<10).form().Bytes()
		conn := r.dial(t)
		conn.begin(r, byLength, bearer(r.identity(nil)), len(body))
		sent := p.Sent()
		conn.send(body[:len(body)/2])
		flowing(t, p, sent+len(body)/4)

		if err := r.gw.RemovePolicy("widget.yaml"); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, "the removal acts", func() bool {
			_, a := r.exchange(t, r.identity(nil))
			return a.Status/100 == 4
		})
		refused(t, r.upload(t, bearer(minted), newWheel(t, "acme-widget", "2.1").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		conn.send(body[len(body)/2:])
		conn.end()
		refused(t, conn.answer(), http.StatusForbidden, model.CodePolicyChanged)
		r.await(t, "end of the upload under way", func(e model.Event) bool { return e.Code == model.CodePolicyChanged })
		if after := r.files(); len(after) != len(before) {
			t.Errorf("the registry holds %v, expected %v", after, before)
		}
	})
	t.Run("a repaired file acts again", func(t *testing.T) {
		if err := r.gw.WritePolicy("widget.yaml", widgetPolicy); err != nil {
			t.Fatal(err)
		}
		w := newWheel(t, "acme-widget", "3.0")
		r.eventually(t, "the policy is back", func() bool {
			return r.upload(t, bearer(minted), w.form()).Status == http.StatusOK
		})
	})
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
