package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/generic"
	"github.com/trustpub/trustpub/internal/ecosystem/maven"
	"github.com/trustpub/trustpub/internal/ecosystem/oci"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	wellKnown = "/.well-known/trusted-publishing"
	// grantAll lets the default job publish something to each registry of allEcosystems.
	grantAll = grantWidget + `  - name: jars
    registry: internal-maven
    packages: ["com.example:widget"]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
  - name: files
    registry: internal-files
    packages: [widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
  - name: images
    registry: internal-oci
    packages: [acme/widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
`
)

// allEcosystems puts registries without an exchange of their own beside the Python one, one of them at the host's root.
func allEcosystems(t *testing.T) option {
	return func(own *gateway.Registry, cfg *gateway.Config) {
		policies, ok := cfg.Policies.(*policySwitch)
		if !ok {
			t.Fatalf("policies are a %T", cfg.Policies)
		}
		policies.beside = map[string]string{}
		for _, r := range []struct {
			name, path, layout string
			kind               ecosystem.Kind
		}{
			{"internal-maven", "/maven/", "", maven.Kind},
			{"internal-files", "/", "/files/{package}/{version}/{file}", generic.Kind},
			{"internal-oci", "/v2/", "", oci.Kind},
		} {
			public := &url.URL{Scheme: own.Public.Scheme, Host: own.Public.Host, Path: r.path}
			eco, err := r.kind.New(ecosystem.Settings{Registry: r.name, Public: public, Layout: r.layout})
			if err != nil {
				t.Fatal(err)
			}
			policies.beside[r.name] = r.kind.Name
			cfg.Registries = append(cfg.Registries, gateway.Registry{
				Name: r.name, Protocol: r.kind.Name, Ecosystem: eco, Public: public, Source: own.Source,
				Audiences: gateway.DefaultAudiences(r.kind.Name, public),
			})
		}
		policies.set(grantAll)
	}
}

// post sends a document to an endpoint of the neutral exchange.
func (h *house) post(path string, document any) answer {
	h.t.Helper()
	body, ok := document.(string)
	if !ok {
		b, err := json.Marshal(document)
		if err != nil {
			h.t.Fatal(err)
		}
		body = string(b)
	}
	r, err := http.NewRequest(http.MethodPost, h.front.URL+wellKnown+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.do(r)
}

// neutralToken is an exchange that has to work.
func (h *house) neutralToken(registry string) string {
	h.t.Helper()
	in := map[string]string{"token": h.identity()}
	if registry != "" {
		in["registry"] = registry
	}
	a := h.post("/exchange", in)
	var out struct{ Token string }
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusOK || !strings.HasPrefix(out.Token, "tpub_") {
		h.t.Fatalf("the exchange: %d %s (%v)\n%s", a.status, a.body, err, h.log)
	}
	return out.Token
}

func TestDiscoveryListsEveryRegistryOfTheHost(t *testing.T) {
	h := open(t, allEcosystems(t))
	r, _ := http.NewRequest(http.MethodGet, h.front.URL+wellKnown, nil)
	a := h.do(r)
	host := strings.TrimPrefix(h.front.URL, "http://")
	one := func(name, eco, path string) map[string]any {
		return map[string]any{
			"name": name, "ecosystem": eco, "url": h.front.URL + path, "audience": host,
			"exchange": h.front.URL + wellKnown + "/exchange", "revoke": h.front.URL + wellKnown + "/revoke",
		}
	}
	want := map[string]any{"version": 1.0, "registries": []any{
		one("internal-pypi", "pypi", h.registry.Public.Path), one("internal-maven", "maven", "/maven/"),
		one("internal-files", "generic", "/"), one("internal-oci", "oci", "/v2/"),
	}}
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := a.header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control is %q", got)
	}
	if len(h.audit.events) != 0 {
		t.Error("a discovery is in the audit")
	}
	r.Method = http.MethodHead
	if a := h.do(r); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
}

// TestNeutralExchangePublishes: one token of one exchange works in every ecosystem, as each client carries it.
func TestNeutralExchangePublishes(t *testing.T) {
	h := open(t, allEcosystems(t))
	token := h.neutralToken("")
	if a := h.publish(upload{token: token}); a.status != http.StatusOK {
		t.Fatalf("pypi: %d %s", a.status, a.body)
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+token))
	const pom = `<project><modelVersion>4.0.0</modelVersion><groupId>com.example</groupId><artifactId>widget</artifactId><version>1.0</version></project>`
	for _, tc := range []struct{ method, path, authorization, body string }{
		{http.MethodPut, "/maven/com/example/widget/1.0/widget-1.0.pom", basic, pom},
		{http.MethodPut, "/maven/com/example/widget/1.0/widget-1.0.jar", "Bearer " + token, "a jar"},
		{http.MethodPut, "/files/widget/1.0/widget.tar.gz", basic, "a file"},
		{http.MethodPut, "/files/widget/1.0/widget.txt", "Bearer " + token, "another"},
		{http.MethodPost, "/v2/acme/widget/blobs/uploads/", "Bearer " + token, ""},
	} {
		h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				http.NotFound(w, r)
				return
			}
			h.upstream.keep(w, r)
		})
		before := len(h.upstream.stored())
		r, _ := http.NewRequest(tc.method, h.front.URL+tc.path, strings.NewReader(tc.body))
		r.Header.Set("Authorization", tc.authorization)
		if a := h.do(r); a.status/100 != 2 || len(h.upstream.stored()) != before+1 {
			t.Errorf("%s: %d %s\n%s", tc.path, a.status, a.body, h.log)
		}
	}
	e := h.audit.of(t, model.EventExchange)
	if diff := cmp.Diff([]string{"internal-pypi", "internal-maven", "internal-files", "internal-oci"}, e.Registries); diff != "" || e.PublishToken == "" || e.Operation != "exchange" {
		t.Errorf("the audit has %+v\n%s", e, diff)
	}
}

// TestNeutralExchangeAnswers is the whole answer, and the scope that a named registry gives.
func TestNeutralExchangeAnswers(t *testing.T) {
	h := open(t, allEcosystems(t))
	a := h.post("/exchange", map[string]string{"token": h.identity(), "registry": "internal-maven"})
	var got struct {
		Token      string    `json:"token"`
		ExpiresAt  time.Time `json:"expires_at"`
		ExpiresIn  int       `json:"expires_in"`
		Registries []string  `json:"registries"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	left := time.Until(got.ExpiresAt)
	if left < 14*time.Minute || left > 15*time.Minute || got.ExpiresIn < 14*60 || got.ExpiresIn > 15*60 {
		t.Errorf("it expires in %s, and says %d seconds", left, got.ExpiresIn)
	}
	if diff := cmp.Diff([]string{"internal-maven"}, got.Registries); diff != "" {
		t.Error(diff)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	h.refused(h.publish(upload{token: got.Token}), http.StatusForbidden, model.CodeOutOfScope)
}

// TestNeutralExchangeRefusals: every rule of an exchange holds at this one, and nothing refused burns the identity token.
func TestNeutralExchangeRefusals(t *testing.T) {
	for _, tc := range []struct {
		name   string
		send   func(*house) answer
		status int
		code   model.Code
	}{
		{"no JSON", func(h *house) answer { return h.post("/exchange", "token="+h.identity()) }, 400, model.CodeBadRequest},
		{"no token", func(h *house) answer { return h.post("/exchange", "{}") }, 400, model.CodeBadRequest},
		{"a name twice", func(h *house) answer {
			return h.post("/exchange", fmt.Sprintf(`{"token":"x","token":%q}`, h.identity()))
		}, 400, model.CodeBadRequest},
		{"an unknown name", func(h *house) answer {
			return h.post("/exchange", map[string]string{"token": h.identity(), "package": "x"})
		}, 400, model.CodeBadRequest},
		{"spaces", func(h *house) answer { return h.post("/exchange", map[string]string{"token": " " + h.identity()}) }, 400, model.CodeBadRequest},
		{"too long", func(h *house) answer {
			return h.post("/exchange", map[string]string{"token": strings.Repeat("x", 70_000)})
		}, 413, model.CodeTooLarge},
		{"another registry", func(h *house) answer {
			return h.post("/exchange", map[string]string{"token": h.identity(), "registry": "elsewhere"})
		}, 404, model.CodeNotFound},
		{"a password", func(h *house) answer { return h.post("/exchange", map[string]string{"token": "hunter2"}) }, 401, model.CodeInvalidToken},
		{"a publish token", func(h *house) answer { return h.post("/exchange", map[string]string{"token": h.neutralToken("")}) }, 401, model.CodeInvalidToken},
		{"another audience", func(h *house) answer {
			return h.post("/exchange", map[string]string{"token": h.issuer.Token("elsewhere.example.com", nil)})
		}, 401, model.CodeWrongAudience},
		{"another repository", func(h *house) answer {
			return h.post("/exchange", map[string]string{"token": h.identity(map[string]any{"repository": "acme/other"})})
		}, 403, model.CodeNoMatchingPolicy},
		{"a stopped issuer", func(h *house) answer {
			h.stop(model.SwitchIssuer, "github")
			return h.post("/exchange", map[string]string{"token": h.identity()})
		}, 403, model.CodeDeniedByOperator},
		{"a frozen registry", func(h *house) answer {
			h.stop(model.SwitchRegistry, "internal-maven")
			return h.post("/exchange", map[string]string{"token": h.identity(), "registry": "internal-maven"})
		}, 403, model.CodeDeniedByOperator},
		{"GET of the exchange", func(h *house) answer {
			r, _ := http.NewRequest(http.MethodGet, h.front.URL+wellKnown+"/exchange", nil)
			return h.do(r)
		}, 404, model.CodeUnsupportedOperation},
		{"POST of the discovery", func(h *house) answer { return h.post("", "{}") }, 404, model.CodeUnsupportedOperation},
		{"revocation of one registry", func(h *house) answer {
			return h.post("/revoke", map[string]string{"token": h.neutralToken(""), "registry": "internal-maven"})
		}, 400, model.CodeBadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t, allEcosystems(t))
			a := tc.send(h)
			var got struct{ Code, Title, Detail, Event string }
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Title == "" || got.Detail == "" || got.Event == "" {
				t.Fatalf("no problem+json: %v\n%s", err, a.body)
			}
			if got.Code != string(tc.code) || tc.code != model.CodeUnsupportedOperation && a.status != tc.status || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %s, want %d %s\n%s", a.status, got.Code, tc.status, tc.code, a.body)
			}
			if (a.status == http.StatusUnauthorized) != (a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%d with the challenge %q", a.status, a.header.Get("WWW-Authenticate"))
			}
			h.secretFree(answer{reason: a.reason, body: a.body, header: a.header})
		})
	}
}

// TestInvariantNoReplayOfNeutralExchanges: an identity token is good for one exchange, wherever that is, or for direct use; what
// fails for a reason of the gateway's own does not use it up.
func TestInvariantNoReplayOfNeutralExchanges(t *testing.T) {
	exchange := func(h *house, token string) answer { return h.post("/exchange", map[string]string{"token": token}) }
	native := func(h *house, token string) answer { _, a := h.exchange(token); return a }
	direct := func(h *house, token string) answer { return h.publish(upload{token: token}) }
	for name, steps := range map[string][2]func(*house, string) answer{
		"twice":                      {exchange, exchange},
		"then as uv asks":            {exchange, native},
		"after uv":                   {native, exchange},
		"then directly":              {exchange, direct},
		"after it was sent directly": {direct, exchange},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, allEcosystems(t))
			token := h.identity()
			if a := steps[0](h, token); a.status != http.StatusOK {
				t.Fatalf("the first use: %d %s", a.status, a.body)
			}
			if a := steps[1](h, token); a.status/100 != 4 || !strings.Contains(a.body, string(model.CodeReplayed)) && !strings.Contains(a.body, "reuse") {
				t.Errorf("the second use: %d %s", a.status, a.body)
			}
		})
	}
	t.Run("after an audit that was down", func(t *testing.T) {
		h := open(t, allEcosystems(t))
		token := h.identity()
		h.audit.broken = true
		if a := exchange(h, token); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, string(model.CodeAuditUnavailable)) {
			t.Fatalf("%d %s", a.status, a.body)
		}
		h.audit.broken = false
		if a := exchange(h, token); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("while the store is down", func(t *testing.T) {
		h := open(t, allEcosystems(t))
		h.store.broken.Store(true)
		if a := exchange(h, h.identity()); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, string(model.CodeStoreUnavailable)) {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func TestNeutralRevocation(t *testing.T) {
	h := open(t, allEcosystems(t))
	token := h.neutralToken("")
	for _, revoked := range []string{token, token, "unknown"} { // again, and of none: both are no error
		if a := h.post("/revoke", map[string]string{"token": revoked}); a.status != http.StatusNoContent || a.body != "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	h.refused(h.publish(upload{token: token}), http.StatusUnauthorized, model.CodeRevoked)
}

// TestRealmTakesPublishTokens: container clients have one password for all that they ask for, so the realm gives a publish token
// back; it can do no more than before, and ends with it.
func TestRealmTakesPublishTokens(t *testing.T) {
	h := open(t, allEcosystems(t))
	ask := func(token string) (string, answer) {
		r, _ := http.NewRequest(http.MethodGet, h.front.URL+"/v2/token?service=x&scope=repository:acme/widget:pull,push", nil)
		r.SetBasicAuth("oidc", token)
		a := h.do(r)
		var out struct{ Token string }
		_ = json.Unmarshal([]byte(a.body), &out)
		return out.Token, a
	}
	token := h.neutralToken("internal-oci")
	got, a := ask(token)
	if got != token || a.status != http.StatusOK {
		t.Fatalf("%d %s\n%s", a.status, a.body, h.log)
	}
	if _, a := ask(h.neutralToken("internal-maven")); a.status != http.StatusUnauthorized || !strings.Contains(a.body, string(model.CodeOutOfScope)) {
		t.Errorf("a token of another registry: %d %s", a.status, a.body)
	}
	if a := h.post("/revoke", map[string]string{"token": token}); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, a := ask(token); a.status != http.StatusUnauthorized || !strings.Contains(a.body, string(model.CodeRevoked)) {
		t.Errorf("a revoked token: %d %s", a.status, a.body)
	}
}
