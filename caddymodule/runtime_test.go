package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// part finds the object of a configuration that fits, wherever it is.
func part(v any, fits func(map[string]any) bool) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		if fits(v) {
			return v
		}
		for _, inner := range v {
			if found := part(inner, fits); found != nil {
				return found
			}
		}
	case []any:
		for _, inner := range v {
			if found := part(inner, fits); found != nil {
				return found
			}
		}
	}
	return nil
}

func isRegistry(m map[string]any) bool   { return m["public_url"] != nil }
func isCredential(m map[string]any) bool { return m["module"] == "static" }
func isBasic(m map[string]any) bool      { return m["password"] != nil }
func isApps(m map[string]any) bool       { return m[appName] != nil && m["http"] != nil }
func isApp(m map[string]any) bool        { return m["policies"] != nil }

// Errors that only show when a configuration is loaded, whichever way it was written: edits of a good Caddyfile, and of the
// JSON that a good one is adapted to.
func TestLoadErrors(t *testing.T) {
	second := func(registry string) string {
		return "respond /x 200\n}\nhttp://127.0.0.1:1 {\ntrusted_publishing {\n" + registry + " {\ncredential static {\nbearer {env.HOME}\n}\n}\n}\n"
	}
	set := func(fits func(map[string]any) bool, key string, value any) func(any) {
		return func(cfg any) { part(cfg, fits)[key] = value }
	}
	for _, c := range []struct {
		name string
		edit func(r *rig) string
		json func(cfg any)
		want string
	}{
		{name: "no global option", want: "the global option trusted_publishing is missing", json: func(cfg any) { delete(part(cfg, isApps), appName) }},
		{name: "no policies", want: "no policies are configured", json: func(cfg any) { delete(part(cfg, isApp), "policies") }},
		{name: "policies beyond their bounds", want: "is beyond the bounds of", json: func(cfg any) {
			app := part(cfg, isApp)
			app["policy_bounds"] = []any{map[string]any{"path": app["policies"].([]any)[0], "packages": []any{"other-*"}}}
		}},
		{name: "bounds of nothing", want: "bounds of a: nothing is bounded", json: set(isApp, "policy_bounds", []any{map[string]any{"path": "a"}})},
		{name: "no issuers", want: "no issuer is configured", json: func(cfg any) { delete(part(cfg, isApp), "issuers") }},
		{
			name: "issuer twice", want: `issuer "github" is configured twice`,
			edit: func(r *rig) string { return r.caddyfile("issuer github", "", "") },
		},
		{
			name: "unknown provider", want: "issuer nobody",
			edit: func(r *rig) string { return r.caddyfile("issuer nobody https://ci.example.com", "", "") },
		},
		{
			name: "token lifetime too long", want: "token_lifetime is 2h0m0s, expected 1m to 1h",
			edit: func(r *rig) string { return r.caddyfile("token_lifetime 2h", "", "") },
		},
		{
			name: "token lifetime too short", want: "token_lifetime is 5s, expected 1m to 1h",
			edit: func(r *rig) string { return r.caddyfile("token_lifetime 5s", "", "") },
		},
		{name: "token key in JSON", want: "token_key: a secret must be a placeholder", json: set(isApp, "token_key", "hunter2")},
		{
			name: "the same sink twice", want: "audit file: the same sink is configured twice",
			edit: func(r *rig) string { return r.caddyfile("audit file ./audit.jsonl", "", "") },
		},
		{
			name: "bad sink setting", want: "fsync",
			edit: func(r *rig) string { return r.caddyfile("audit file ./b.jsonl {\nfsync sometimes\n}", "", "") },
		},
		{
			name: "bad store setting", want: "store local",
			edit: func(r *rig) string { return r.caddyfile("store local ../replay.db", "", "") },
		},
		{
			name: "nodes with the default store", want: "nodes is 2, and store local is seen by one gateway only, so that a token could be used once at each: write \"store redis HOST:PORT\"",
			edit: func(r *rig) string { return r.caddyfile("nodes 2", "", "") },
		},
		{
			name: "nodes with the memory store", want: "nodes is 3, and store memory is seen by one gateway only",
			edit: func(r *rig) string { return r.caddyfile("nodes 3\nstore memory", "", "") },
		},
		{
			name: "token key and signing key", want: "both token_key and signing_key are set, expected one",
			edit: func(r *rig) string { return r.caddyfile("token_key {env.HOME}\nsigning_key {env.HOME}", "", "") },
		},
		{name: "limits in JSON", want: `limits: spools: got "-1", expected a whole number`, json: set(isApp, "limits", map[string]any{"spools": "-1"})},
		{name: "signing key in JSON", want: "signing_key: a secret must be a placeholder", json: set(isApp, "signing_key", []any{"hunter2"})},
		{name: "nodes in JSON", want: "nodes is 6379, expected 1 to 1000", json: set(isApp, "nodes", 6379)},
		{
			name: "store redis without an address", want: "store redis: no address is given",
			edit: func(r *rig) string { return r.caddyfile("store redis", "", "") },
		},
		{
			name: "registry name with two meanings", want: `registry "internal-pypi" is declared twice with different settings`,
			edit: func(r *rig) string {
				return r.caddyfile("", "", second("registry internal-pypi pypi https://other.example.com/"))
			},
		},
		{
			name: "two registries with one URL", want: "have the same public URL",
			edit: func(r *rig) string {
				return r.caddyfile("", "", second("registry other pypi http://"+r.addr+"/root/prod/"))
			},
		},
		{
			name: "registry twice in one site", want: "every registry needs a name of its own",
			edit: func(r *rig) string {
				return r.caddyfile("", "}\nregistry internal-pypi pypi https://other.example.com/ {\ncredential static {\nbearer {env.HOME}\n}", "")
			},
		},
		{name: "secret as a literal in JSON", want: "basic.password: a secret must be a placeholder", json: set(isBasic, "password", "hunter2")},
		{name: "unknown field of a part in JSON", want: `unknown field "paswort"`, json: set(isBasic, "paswort", "{env.X}")},
		{name: "unknown part in JSON", want: "trusted_publishing.credentials.kerberos", json: set(isCredential, "module", "kerberos")},
		{name: "no credential in JSON", want: "no credential is configured", json: func(cfg any) { delete(part(cfg, isRegistry), "credential") }},
		{name: "public URL in JSON", want: "is plain http", json: set(isRegistry, "public_url", "http://10.0.0.1/")},
		{name: "name in JSON", want: "a registry's name has", json: set(isRegistry, "name", "Internal PyPI")},
		{name: "ecosystem in JSON", want: `unknown ecosystem "conda"`, json: set(isRegistry, "ecosystem", "conda")},
		{name: "mode in JSON", want: `mode is "strict"`, json: set(isRegistry, "mode", "strict")},
		{name: "body in JSON", want: `body is "buffered"`, json: set(isRegistry, "body", "buffered")},
		{name: "spool limit in JSON", want: "spool_limit is -1", json: set(isRegistry, "spool_limit", -1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, answer(http.StatusOK))
			caddyfile := r.caddyfile("", "", "")
			if c.edit != nil {
				caddyfile = c.edit(r)
			}
			out, err := r.adapt(caddyfile)
			if err != nil {
				t.Fatalf("adapt: %v", err)
			}
			if c.json != nil {
				var cfg any
				if err := json.Unmarshal(out, &cfg); err != nil {
					t.Fatal(err)
				}
				c.json(cfg)
				if out, err = json.Marshal(cfg); err != nil {
					t.Fatal(err)
				}
			}
			err = caddy.Load(out, true)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, expected one with %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

// The same site on two ports is two copies of one handler: one registry, not a conflict.
func TestOneRegistryOnTwoPorts(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	caddyfile := strings.Replace(r.caddyfile("", "", ""), "\nhttp://"+r.addr+" {", "\nhttp://"+r.addr+", http://127.0.0.1:0 {", 1)
	if err := r.load(caddyfile); err != nil {
		t.Error(err)
	}
}

// A denial that the gateway writes itself, with the sentence as reason phrase, still has its status in the access log and in
// the metrics.
func TestDenialIsRecorded(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	r.mustLoad(r.caddyfile("", "", ""))
	resp, _ := r.do(http.MethodPost, "/elsewhere", "x")
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Status, "unsupported_operation") {
		t.Fatalf("got %q, expected 403 with a sentence", resp.Status)
	}
	const seen = `caddy_http_request_duration_seconds_count{code="403",handler="subroute",method="POST",server="srv0"} 1`
	_, metrics := r.do(http.MethodGet, "/metrics", "")
	// The client has its answer before the server has counted it.
	for deadline := time.Now().Add(patience); !strings.Contains(metrics, seen) && time.Now().Before(deadline); {
		_, metrics = r.do(http.MethodGet, "/metrics", "")
	}
	for _, want := range []string{
		seen,
		`trusted_publishing_requests_total{code="unsupported_operation"`,
		`trusted_publishing_policies 1`,
		`trusted_publishing_issuer_keys{issuer="github"}`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.await("access.log", `"status":403`, 1)
	if log := r.read("caddy.log"); strings.Contains(log, "superfluous") || strings.Contains(log, "hijacked") {
		t.Errorf("the log has noise of the server: %s", log)
	}
}

// Counters go on over a reload, and are there after it.
func TestMetricsSurviveReload(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	r.mustLoad(r.caddyfile("", "", ""))
	c := countersFor("internal-pypi")
	requests := c.requests.Load()
	r.do(http.MethodGet, "/root/prod/x", "")
	r.mustLoad(r.caddyfile("", "mode observe", ""))
	r.do(http.MethodGet, "/root/prod/x", "")
	_, metrics := r.do(http.MethodGet, "/metrics", "")
	if !strings.Contains(metrics, `trusted_publishing_requests_total{code="",credential="none"`) {
		t.Errorf("the counters are gone:\n%s", metrics)
	}
	// The client has its answer before the gateway has counted it.
	for deadline := time.Now().Add(patience); c.requests.Load()-requests < 2 && time.Now().Before(deadline); {
		<-time.After(5 * time.Millisecond)
	}
	if got := c.requests.Load() - requests; got != 2 {
		t.Errorf("the registry counted %d requests over the reload, expected 2", got)
	}
}

func status(t *testing.T) Status {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := (adminAPI{}).Routes()[0].Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, statusPath, nil)); err != nil {
		t.Fatal(err)
	}
	var s Status
	if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	return s
}

func TestStatus(t *testing.T) {
	if s := status(t); s.Running {
		t.Errorf("running before any configuration: %+v", s)
	}
	r := newRig(t, answer(http.StatusOK))
	r.mustLoad(r.caddyfile("", "mode claimed", ""))
	s := status(t)
	if !s.Running || len(s.Issuers) != 1 || s.Issuers[0].Name != "github" || len(s.Audit) != 1 || s.Store.Module != "local" || s.Store.Error != "" {
		t.Errorf("status is %+v", s)
	}
	if s.Policies.Count != 1 || s.Policies.Hash == "" || s.Policies.LastError != "" || s.Policies.LastLoad.IsZero() {
		t.Errorf("policies are %+v", s.Policies)
	}
	if reg := s.Registries["internal-pypi"]; reg.Mode != "claimed" || reg.Ecosystem != "pypi" || reg.Body != "chunked" || reg.PublicURL != "http://"+r.addr+"/root/prod/" {
		t.Errorf("registry is %+v", reg)
	}
	rec := httptest.NewRecorder()
	if err := serveStatus(rec, httptest.NewRequest(http.MethodPost, statusPath, nil)); err == nil {
		t.Error("POST was accepted")
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if s := status(t); s.Running {
		t.Errorf("running after the end: %+v", s)
	}
}

// Before the app has started there is nothing to judge with.
func TestNotStarted(t *testing.T) {
	rec := httptest.NewRecorder()
	err := new(Handler).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil), nil)
	herr, ok := err.(caddyhttp.HandlerError)
	if !ok || herr.StatusCode != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("got %v with %v, expected 503 with Retry-After", err, rec.Header())
	}
}
