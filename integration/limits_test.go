package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// withLimits sets limits.
func withLimits(lines ...string) option {
	return withGlobal("limits {\n\t" + strings.Join(lines, "\n\t") + "\n}")
}

// limited fails the test unless the answer is the refusal of a limit.
func limited(t *testing.T, a answer, status int, code model.Code) {
	t.Helper()
	if a.Status != status || !strings.Contains(a.Body, string(code)) || status != http.StatusRequestTimeout && a.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %q %s, expected %d %s with Retry-After", a.Status, a.Header, a.Body, status, code)
	}
}

// counted fails the test unless the metrics have that many refusals of a limit.
func (r *rig) counted(t *testing.T, limit string, want int) {
	t.Helper()
	line := fmt.Sprintf("trusted_publishing_limited_total{limit=%q} %d\n", limit, want)
	metrics, err := r.gw.Admin(t.Context(), "/metrics")
	if err != nil || !strings.Contains(metrics, line) {
		t.Errorf("the metrics lack %q, %v", line, err)
	}
}

// denials are the decisions of the audit with that code, once the outcome of one is there.
func (r *rig) denials(t *testing.T, code model.Code) int {
	t.Helper()
	r.await(t, "outcome of a refusal", func(e model.Event) bool { return e.Kind == model.EventOutcome && e.Code == code })
	events, err := r.gw.Audit()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if e.Kind == model.EventDecision && e.Code == code {
			n++
		}
	}
	return n
}

// TestFloods: exchanges and forged tokens of one address end at their limit, also over a reload; what needs neither goes on, the audit has
// one line for many refusals, and the metrics count each.
func TestFloods(t *testing.T) {
	t.Parallel()
	t.Run("exchanges", func(t *testing.T) {
		r := startRig(t, sink(t), withLimits("exchanges_per_client 3/1h"))
		publish := r.mint(t, nil)
		r.mint(t, nil)
		r.mint(t, nil)
		token := r.identity(nil)
		for range 4 {
			_, a := r.exchange(t, token)
			limited(t, a, http.StatusTooManyRequests, model.CodeRateLimited)
		}
		if err := r.gw.Reload(t.Context(), r.config); err != nil {
			t.Fatal(err)
		}
		_, a := r.exchange(t, token)
		limited(t, a, http.StatusTooManyRequests, model.CodeRateLimited)
		r.counted(t, "exchanges_per_client", 5)
		if n := r.denials(t, model.CodeRateLimited); n != 1 {
			t.Errorf("the audit has %d refusals, expected one for all", n)
		}
		ok(t, r.upload(t, bearer(publish), newWheel(t, "acme-widget", "1.0").form()))
		ok(t, r.upload(t, bearer(token), newWheel(t, "acme-widget", "1.1").form()))
	})
	t.Run("exchanges of an issuer", func(t *testing.T) {
		r := startRig(t, sink(t), withLimits("exchanges_per_issuer 1/1h"))
		for range 3 { // strangers use nothing up
			if _, a := r.exchange(t, r.identity(foreignRepository)); a.Status == http.StatusTooManyRequests {
				t.Errorf("a stranger: %d %s", a.Status, a.Body)
			}
		}
		r.mint(t, nil)
		_, a := r.exchange(t, r.identity(nil))
		limited(t, a, http.StatusTooManyRequests, model.CodeRateLimited)
		r.counted(t, "exchanges_per_issuer", 1)
	})
	t.Run("refusals of nobody", func(t *testing.T) {
		r := startRig(t, sink(t), withLimits("refusals_per_client 3/1h"))
		form := newWheel(t, "acme-widget", "1.0").form()
		for range 20 {
			refused(t, r.upload(t, http.Header{}, form), http.StatusUnauthorized, model.CodeNoCredential)
		}
		if n := r.denials(t, model.CodeNoCredential); n > 5 { // one a minute more
			t.Errorf("the audit has %d refusals, expected three and one that says that there are more", n)
		}
		config := r.config
		config.Global = []string{"limits {\n\trefusals_per_client off\n}"}
		if err := r.gw.Reload(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		refused(t, r.upload(t, http.Header{}, form), http.StatusUnauthorized, model.CodeNoCredential)
		r.await(t, "refusal with the count of those that are missing", func(e model.Event) bool {
			return e.Kind == model.EventDecision && e.Code == model.CodeNoCredential && e.Detail["unrecorded"] != ""
		})
		ok(t, r.upload(t, bearer(r.identity(nil)), form))
		if out, err := r.gw.Command(t.Context(), "trustpub", "audit", "verify", filepath.Join(r.gw.Dir, "audit.jsonl")); err != nil {
			t.Errorf("the audit's chain: %v\n%s", err, out)
		}
	})
	t.Run("forged tokens", func(t *testing.T) {
		r := startRig(t, sink(t), withLimits("failures_per_client 3/1h"))
		form := newWheel(t, "acme-widget", "1.0").form()
		good := r.identity(nil)
		ok(t, r.upload(t, bearer(good), form))
		for range 3 {
			refused(t, r.upload(t, bearer("tpub_"+strings.Repeat("a", 60)), form), http.StatusUnauthorized, model.CodeInvalidToken)
		}
		for range 2 {
			limited(t, r.upload(t, bearer("tpub_"+strings.Repeat("a", 60)), form), http.StatusTooManyRequests, model.CodeRateLimited)
		}
		if a := r.send(t, http.MethodGet, r.site.Registry.Path, nil, nil); a.Status != http.StatusOK {
			t.Errorf("a read without a token: %d %s", a.Status, a.Body)
		}
		r.counted(t, "failures_per_client", 2)
		config := r.config
		config.Global = nil // with the limits that are usual
		if err := r.gw.Reload(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, "the new limits give back faster", func() bool { return r.upload(t, bearer(good), form).Status == http.StatusOK })
	})
}

// TestFullSpool: an upload for which the spool has no room is refused, nothing of it reaches the registry, nothing stays on the disk, and
// smaller ones go on.
func TestFullSpool(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ line, limit string }{
		"quota":          {"spool_disk 256KiB\n\tspool_share off", "spool_disk"},
		"free disk":      {"spool_free 1EiB", "spool_free"},
		"spools at once": {"spools 1", "spools"},
		"share":          {"spools 2\n\tspool_share 50%", "spool_share"},
	} {
		t.Run(name, func(t *testing.T) {
			reg := sink(t)
			p := newTap(t, reg.Addr)
			r := startRig(t, reg, withUpstream(p.Addr()), withLines("body spool"), withLimits(tc.line))
			large := bigWheel(t, "acme-widget", "1.0", 1<<20)
			held := tc.limit == "spools" || tc.limit == "spool_share"
			if held {
				conn := r.dial(t)
				body := large.form().Bytes()
				conn.begin(r, byLength, bearer(r.identity(nil)), len(body))
				conn.send(body[:len(body)/2])
				r.eventually(t, "one is spooled", func() bool {
					metrics, err := r.gw.Admin(t.Context(), "/metrics")
					return err == nil && strings.Contains(metrics, "trusted_publishing_spools 1\n")
				})
			}
			limited(t, r.upload(t, bearer(r.identity(nil)), large.form()), http.StatusServiceUnavailable, model.CodeSpoolFull)
			if n := p.Sent(); n != 0 {
				t.Errorf("%d bytes reached the registry", n)
			}
			r.counted(t, tc.limit, 1)
			if n := r.denials(t, model.CodeSpoolFull); n != 1 {
				t.Errorf("the audit has %d refusals, expected one", n)
			}
			if left, err := filepath.Glob(filepath.Join(r.gw.Dir, "home", "trustpub-spool-*")); err != nil || len(left) > 0 {
				t.Errorf("the spool holds %v, %v", left, err)
			}
			if tc.limit == "spool_share" { // another publisher has a share of its own
				refused(t, r.upload(t, bearer(r.identity(foreignRepository)), large.form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
			}
			if !held {
				ok(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget", "1.1").form()))
			}
		})
	}
}
