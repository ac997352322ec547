package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

func mode(m gateway.Mode) option {
	return func(r *gateway.Registry, _ *gateway.Config) { r.Mode = m }
}

// widgetFile and freeFile are packages that a policy claims, and that none does.
const (
	claimedPackage = "acme-widget"
	freePackage    = "free-project"
)

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode     gateway.Mode
		own      bool
		pkg      string
		edit     func([]byte) []byte
		status   int
		code     model.Code
		decision string
	}{
		{mode: gateway.ModeEnforce, own: true, pkg: claimedPackage, status: 200, decision: "allow"},
		{mode: gateway.ModeEnforce, own: true, pkg: freePackage, status: 403, code: model.CodeNoMatchingPolicy, decision: "deny"},
		{mode: gateway.ModeEnforce, pkg: claimedPackage, status: 403, code: model.CodeTrustedPublishingOnly, decision: "deny"},
		{mode: gateway.ModeEnforce, pkg: freePackage, status: 403, code: model.CodeTrustedPublishingOnly, decision: "deny"},
		{mode: gateway.ModeClaimed, own: true, pkg: claimedPackage, status: 200, decision: "allow"},
		{mode: gateway.ModeClaimed, own: true, pkg: freePackage, status: 403, code: model.CodeNoMatchingPolicy, decision: "deny"},
		{mode: gateway.ModeClaimed, pkg: claimedPackage, status: 403, code: model.CodeTrustedPublishingOnly, decision: "deny"},
		{mode: gateway.ModeClaimed, pkg: freePackage, status: 200, decision: "allow"},
		{mode: gateway.ModeClaimed, pkg: freePackage, edit: cutBoundary, status: 400, code: model.CodeTruncated, decision: "deny"},
		{mode: gateway.ModeObserve, own: true, pkg: claimedPackage, status: 200, decision: "allow"},
		{mode: gateway.ModeObserve, own: true, pkg: freePackage, status: 403, code: model.CodeNoMatchingPolicy, decision: "deny"},
		{mode: gateway.ModeObserve, pkg: claimedPackage, status: 200, decision: "would_deny"},
		{mode: gateway.ModeObserve, pkg: freePackage, edit: cutBoundary, status: 200, decision: "would_deny"},
	} {
		name := string(tc.mode) + "/foreign/" + tc.pkg
		if tc.own {
			name = string(tc.mode) + "/own/" + tc.pkg
		}
		if tc.edit != nil {
			name += "/cut"
		}
		t.Run(name, func(t *testing.T) {
			h := open(t, mode(tc.mode))
			u := upload{name: tc.pkg, version: "1.0", token: "hunter2", edit: tc.edit}
			if tc.own {
				u.token = h.identity()
			}
			a := h.publish(u)
			if tc.code != "" {
				h.refused(a, tc.status, tc.code)
			} else if a.status != tc.status || len(h.upstream.stored()) != 1 {
				t.Fatalf("%d %s, %d stored\n%s", a.status, a.body, len(h.upstream.stored()), h.log)
			}
			e := h.audit.of(t, model.EventDecision)
			if e.Decision != tc.decision || e.Mode != string(tc.mode) {
				t.Errorf("decision %+v", e)
			}
			if tc.status == 200 && !tc.own {
				if got := h.upstream.stored()[0].header.Get("Authorization"); got != "Basic X190b2tlbl9fOmh1bnRlcjI=" {
					t.Errorf("the registry got %q instead of the client's own credential", got)
				}
			}
		})
	}
}

func cutBoundary(b []byte) []byte { return b[:strings.LastIndex(string(b), "\r\n--")] }

func TestIdentityBesideAPassword(t *testing.T) {
	for _, m := range []gateway.Mode{gateway.ModeClaimed, gateway.ModeObserve} {
		for _, tc := range []struct{ pkg, want string }{{claimedPackage, "would_allow"}, {freePackage, "would_deny"}} {
			if m == gateway.ModeClaimed && tc.pkg == claimedPackage {
				continue // refused there, whatever stands beside the password
			}
			t.Run(string(m)+"/"+tc.pkg, func(t *testing.T) {
				h := open(t, mode(m))
				a := h.publish(upload{name: tc.pkg, version: "1.0", token: "hunter2", header: http.Header{"X-Trustpub-Identity": {h.identity()}}})
				if a.status != 200 || h.upstream.stored()[0].header.Get("X-Trustpub-Identity") != "" {
					t.Fatalf("%d %s", a.status, a.body)
				}
				if e := h.audit.of(t, model.EventDecision); e.Decision != tc.want || e.Run["repository"] != "acme/widget" || e.Provider != "github" || e.Credential != "foreign" {
					t.Errorf("%+v", e)
				}
				h.secretFree(a)
			})
		}
	}
	t.Run("it grants nothing", func(t *testing.T) {
		h := open(t)
		h.refused(h.publish(upload{token: "hunter2", header: http.Header{"X-Trustpub-Identity": {h.identity()}}}), 403, model.CodeTrustedPublishingOnly)
	})
	t.Run("a broken one is refused in claimed mode", func(t *testing.T) {
		h := open(t, mode(gateway.ModeClaimed))
		h.refused(h.publish(upload{name: freePackage, version: "1.0", token: "hunter2", header: http.Header{"X-Trustpub-Identity": {"x"}}}), 400, model.CodeIdentityHeaderMisplace)
	})
}

// TestInvariantTrustedPublishingOnly: in enforce mode no other credential publishes, whatever carries it.
func TestInvariantTrustedPublishingOnly(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"Basic":         func(r *http.Request) { r.SetBasicAuth("publisher", registryPassword) },
		"Bearer":        func(r *http.Request) { r.Header.Set("Authorization", "Bearer devpi-abc") },
		"X-Devpi-Auth":  func(r *http.Request) { r.Header.Set("X-Devpi-Auth", "cHVibGlzaGVyOng=") },
		"query":         func(r *http.Request) { r.URL.RawQuery = "token=abc" },
		"cookie":        func(r *http.Request) { r.Header.Set("Cookie", "session=abc") },
		"trusted user":  func(r *http.Request) { r.Header.Set("X-Remote-User", "root") },
		"upgrade":       func(r *http.Request) { r.Header.Set("Connection", "Upgrade"); r.Header.Set("Upgrade", "h2c") },
		"override":      func(r *http.Request) { r.Method = "PUT"; r.Header.Set("X-HTTP-Method-Override", "POST") },
		"remove a file": func(r *http.Request) { r.Method = "DELETE" },
		"push to index": func(r *http.Request) { r.Header.Set("Content-Type", "application/json"); r.URL.Path = "/root/prod" },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			r := h.request(upload{})
			change(r)
			a := h.do(r)
			if a.status < 400 || len(h.upstream.stored()) != 0 {
				t.Errorf("%d %s, %d stored", a.status, a.body, len(h.upstream.stored()))
			}
		})
	}
}

func TestReads(t *testing.T) {
	for _, tc := range []struct {
		name, path, token string
		status            int
		want              string
	}{
		{name: "anonymous", path: "/root/prod/+simple/acme-widget/", status: 200, want: "auth=false"},
		{name: "with a password", path: "/root/prod/+simple/acme-widget/", token: "hunter2", status: 200, want: "auth=true"},
		{name: "ours, covered by the policy", path: "/root/prod/+simple/acme-widget/", token: "own", status: 200, want: "auth=true"},
		{name: "ours, another package", path: "/root/prod/+simple/other/", token: "own", status: 403},
		{name: "ours, no package named", path: "/root/prod/+simple/", token: "own", status: 200, want: "auth=false"},
		{name: "ours, a bad one", path: "/root/prod/+simple/acme-widget/", token: "tpub_bad", status: 401},
		{name: "outside", path: "/+api", status: 200, want: "auth=false"},
		{name: "outside with ours", path: "/+api", token: "own", status: 200, want: "auth=false"},
		{name: "outside with a password", path: "/+api", token: "hunter2", status: 200, want: "auth=true"},
		{name: "outside with a bad one of ours", path: "/+api", token: "tpub_bad", status: 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t)
			r, _ := http.NewRequest(http.MethodGet, h.front.URL+tc.path, nil)
			r.Header.Set("X-Outside-URL", "http://evil.example")
			switch tc.token {
			case "":
			case "own":
				r.SetBasicAuth("__token__", h.identity())
			default:
				r.SetBasicAuth("__token__", tc.token)
			}
			a := h.do(r)
			if a.status != tc.status || !strings.Contains(a.body, tc.want) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

func TestPassthrough(t *testing.T) {
	h := open(t, func(_ *gateway.Registry, c *gateway.Config) {
		c.Passthrough = []gateway.Passthrough{{Method: "POST", Prefix: "/+login"}, {Method: "PUT", Prefix: "/users/"}}
	})
	for _, tc := range []struct {
		method, path string
		own          bool
		passes       bool
	}{
		{method: "POST", path: "/+login", passes: true},
		{method: "PUT", path: "/users/a", passes: true},
		{method: "PUT", path: "/users", passes: true},
		{method: "POST", path: "/+login/more"},
		{method: "DELETE", path: "/users/a"},
		{method: "POST", path: "/+login", own: true},
		{method: "POST", path: "/other"},
	} {
		r, _ := http.NewRequest(tc.method, h.front.URL+tc.path, strings.NewReader(`{}`))
		if tc.own {
			r.SetBasicAuth("x", h.identity())
		}
		before := len(h.upstream.stored())
		a := h.do(r)
		if passed := len(h.upstream.stored()) > before; passed != tc.passes || passed != (a.status == 200) {
			t.Errorf("%s %s own=%v: %d %s", tc.method, tc.path, tc.own, a.status, a.body)
		}
	}
}

func TestUnknownHost(t *testing.T) {
	h := open(t)
	r := h.request(upload{token: h.identity()})
	r.Host = "evil.example.com"
	h.refused(h.do(r), http.StatusMisdirectedRequest, model.CodeUnknownHost)
}

func TestDirectOff(t *testing.T) {
	h := open(t, func(r *gateway.Registry, _ *gateway.Config) { r.DirectOff = true })
	h.refused(h.publish(upload{token: h.identity()}), 401, model.CodeDirectOff)
	token, _ := h.exchange(h.identity())
	if a := h.publish(upload{token: token}); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
