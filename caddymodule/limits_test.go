package caddymodule

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/limit"
)

// forge sends a forged token, with a header that says from where it comes, and returns the status.
func (r *rig) forge(forwardedFor string) int {
	r.t.Helper()
	header := http.Header{}
	if forwardedFor != "" {
		header.Set("X-Forwarded-For", forwardedFor)
	}
	resp, _ := r.doWith("__token__", "tpub_eyJhbGciOiJFZERTQSJ9.e30.c2ln", header, http.MethodGet, "/root/prod/simple/", "")
	return resp.StatusCode
}

const twoFailures = "limits {\nfailures_per_client 2/1h\n}"

// TestInvariantReloadLosesNothingOfLimits: a reload is no fresh budget, with the same limits or others; refusals are counted.
func TestInvariantReloadLosesNothingOfLimits(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	r.mustLoad(r.caddyfile(twoFailures, "", ""))
	// The counters are the process's, which may have run this test before.
	const counter = `trusted_publishing_limited_total{limit="failures_per_client"} `
	_, metrics := r.do(http.MethodGet, "/metrics", "")
	_, rest, _ := strings.Cut(metrics, counter)
	line, _, _ := strings.Cut(rest, "\n")
	before, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{401, 401, 429} {
		if got := r.forge(""); got != want {
			t.Errorf("attempt %d: got %d, expected %d", i+1, got, want)
		}
	}
	for _, global := range []string{twoFailures + "\ntoken_lifetime 10m", "limits {\nfailures_per_client 100/24h\n}"} {
		r.mustLoad(r.caddyfile(global, "", ""))
		r.settle()
		if got := r.forge(""); got != 429 {
			t.Errorf("after a reload with %q: got %d, expected 429", global, got)
		}
	}
	_, metrics = r.do(http.MethodGet, "/metrics", "")
	for _, want := range []string{
		counter + strconv.Itoa(before+3), `trusted_publishing_limited_total{limit="spool_disk"} 0`,
		"trusted_publishing_spools 0", "trusted_publishing_spool_bytes 0",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	r.mustLoad(r.caddyfile("limits {\nfailures_per_client off\n}", "", ""))
	if got := r.forge(""); got != 401 {
		t.Errorf("without the limit: got %d, expected 401", got)
	}
}

// TestLimitsGoByTheClientThatCaddySees: X-Forwarded-For says nothing, unless Caddy trusts the proxy that sent it.
func TestLimitsGoByTheClientThatCaddySees(t *testing.T) {
	for _, tc := range []struct {
		name, global string
		want         []int
	}{
		{"no proxy is trusted", "", []int{401, 401, 429, 429}},
		{"a proxy that is trusted", "servers {\ntrusted_proxies static 127.0.0.1/32\n}\n", []int{401, 401, 401, 401}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, answer(http.StatusOK))
			r.mustLoad(strings.Replace(r.caddyfile(twoFailures, "", ""), "admin off\n", "admin off\n"+tc.global, 1))
			var got []int
			for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
				got = append(got, r.forge(from))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimitSettings(t *testing.T) {
	all := Limits{
		ExchangesPerClient: "1/1s", ExchangesPerIssuer: "2/1m", FailuresPerClient: "3/1h", RefusalsPerClient: "5/1h", Refusals: "6/1h", Spools: "4", SpoolDisk: "5GB", SpoolFree: "6MiB", SpoolShare: "7%",
		BodyIdle: "7s", BodyRate: "8KiB",
	}
	none := Limits{ExchangesPerClient: off, ExchangesPerIssuer: off, FailuresPerClient: off, RefusalsPerClient: off, Refusals: off, Spools: off, SpoolDisk: off, SpoolFree: off, SpoolShare: off, BodyIdle: off, BodyRate: off}
	for _, tc := range []struct {
		name string
		in   Limits
		want settings
	}{
		{"the usual", Limits{}, defaultLimits},
		{"all", all, settings{Settings: limit.Settings{
			ExchangesPerClient: limit.Rate{Count: 1, Per: time.Second}, ExchangesPerIssuer: limit.Rate{Count: 2, Per: time.Minute},
			FailuresPerClient: limit.Rate{Count: 3, Per: time.Hour}, RefusalsPerClient: limit.Rate{Count: 5, Per: time.Hour}, Refusals: limit.Rate{Count: 6, Per: time.Hour}, Spools: 4, SpoolDisk: 5e9, SpoolFree: 6 << 20, SpoolShare: 7,
		}, bodyIdle: 7 * time.Second, bodyRate: 8 << 10}},
		{"none", none, settings{}},
	} {
		got, err := tc.in.settings()
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(settings{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
	for _, bad := range []Limits{{ExchangesPerClient: "x"}, {ExchangesPerIssuer: "0/1m"}, {FailuresPerClient: "5"}, {RefusalsPerClient: "5"}, {Refusals: "x"}, {Spools: "-1"}, {SpoolDisk: "much"}, {SpoolFree: "0"}, {SpoolShare: "7"}, {SpoolShare: "101%"}, {BodyIdle: "1ms"}, {BodyRate: "fast"}} {
		if got, err := bad.settings(); err == nil || !strings.HasPrefix(err.Error(), "limits: ") {
			t.Errorf("%+v: got %+v, %v, expected an error that names the limit", bad, got, err)
		}
	}
	names := make([]string, 0, len(limit.Names()))
	for _, name := range limit.Names() {
		names = append(names, string(name))
	}
	got := map[string]bool{}
	for _, name := range limitNames() {
		got[name] = true
	}
	for _, name := range names {
		if !got[name] {
			t.Errorf("the limit %s has no setting of its name", name)
		}
	}
}
