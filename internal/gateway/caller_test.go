package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// questions are what an issuer is asked, and what it answers in the place of its keys.
type questions struct {
	*issuer.Server
	mu    sync.Mutex
	asked []string
	keys  func(keys string) (media, answer string)
}

func newQuestions(t *testing.T) *questions {
	t.Helper()
	q := &questions{}
	var err error
	if q.Server, err = issuer.Start(issuer.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	q.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		line := r.Method + " " + r.Host + r.URL.RequestURI()
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			line += fmt.Sprintf(" %s=%q", name, r.Header[name])
		}
		q.asked = append(q.asked, line)
		if q.keys == nil || strings.Contains(r.URL.Path, "well-known/openid-configuration") {
			return false
		}
		media, answer := q.keys(string(q.JWKS()))
		w.Header().Set("Content-Type", media)
		_, _ = w.Write([]byte(answer))
		return true
	})
	return q
}

// TestAdvisoryCallersShapeNoQuestion: whoever shows a token has no say in what is asked about it. Vault asked a cloud's API with headers of the caller's, and
// believed whatever of the answer looked right.
func TestAdvisoryCallersShapeNoQuestion(t *testing.T) {
	ask := func(header http.Header, body map[string]any, query string, overrides map[string]any) ([]string, answer) {
		q := newQuestions(t)
		h := openWith(t, q.Server)
		body["token"] = h.identity(overrides)
		text, _ := json.Marshal(body)
		r, _ := http.NewRequest(http.MethodPost, h.front.URL+"/_/oidc/mint-token"+query, bytes.NewReader(text))
		r.Header = header
		a := h.do(r)
		q.mu.Lock()
		defer q.mu.Unlock()
		for i := range q.asked { // each issuer has an address of its own
			q.asked[i] = strings.ReplaceAll(q.asked[i], strings.TrimPrefix(q.URL(), "http://"), "ISSUER")
		}
		return q.asked, a
	}
	want, a := ask(http.Header{}, map[string]any{}, "", nil)
	if a.status != http.StatusOK || len(want) != 2 {
		t.Fatalf("%d %s, asked %v", a.status, a.body, want)
	}
	hostile := http.Header{
		"Accept": {"application/xml"}, "Accept-Encoding": {"x"}, "Cookie": {"a=b"}, "User-Agent": {"evil"}, "X-Http-Method-Override": {"POST"}, "Range": {"bytes=0-1"},
		"X-Forwarded-Host": {"evil.example"}, "X-Amz-Target": {"GetCallerIdentity"}, "Forwarded": {"host=evil.example"}, "If-None-Match": {"*"}, "Referer": {"https://evil.example/"},
	}
	got, _ := ask(hostile, map[string]any{}, "", map[string]any{
		"iam_http_request_method": "POST", "iam_request_url": "https://evil.example/", "iam_request_headers": map[string]any{"Host": "evil.example"}, "jwks_uri": "https://evil.example/",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a caller changed what the issuer is asked (-want +got):\n%s", diff)
	}
	got, _ = ask(http.Header{}, map[string]any{"iam_request_url": "https://evil.example/", "issuer": "https://evil.example/"}, "?issuer=https://evil.example/", nil)
	if len(got) != 0 && cmp.Diff(want, got) != "" {
		t.Errorf("a caller changed what the issuer is asked: %v", got)
	}
}

// TestAdvisoryAnswersOfAnotherForm: keys are believed in the one form that they have, not wherever they can be found in an answer.
func TestAdvisoryAnswersOfAnotherForm(t *testing.T) {
	for name, tc := range map[string]struct {
		keys func(keys string) (media, answer string)
		ok   bool
	}{
		"as they are":           {func(k string) (string, string) { return "application/json", k }, true},
		"in XML":                {func(k string) (string, string) { return "text/xml", "<ErrorResponse>" + k + "</ErrorResponse>" }, false},
		"in a page":             {func(k string) (string, string) { return "text/html", "<html><body>" + k }, false},
		"in a text":             {func(k string) (string, string) { b, _ := json.Marshal(k); return "application/json", string(b) }, false},
		"in another answer":     {func(k string) (string, string) { return "application/json", `{"GetCallerIdentityResponse":` + k + `}` }, false},
		"in a list":             {func(k string) (string, string) { return "application/json", "[" + k + "]" }, false},
		"behind another answer": {func(k string) (string, string) { return "application/json", `{"keys":[]}` + k }, false},
		"twice":                 {func(k string) (string, string) { return "application/json", k + k }, false},
		"as one of two members": {func(k string) (string, string) { return "application/json", `{"keys":[],` + strings.TrimPrefix(k, "{") }, false},
		"in another case":       {func(k string) (string, string) { return "application/json", strings.Replace(k, `"keys"`, `"KEYS"`, 1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQuestions(t)
			q.keys = tc.keys
			h := openWith(t, q.Server)
			token, a := h.exchange(h.identity())
			if (token != "") != tc.ok {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if !tc.ok && !strings.Contains(a.body, string(model.CodeIssuerUnavailable)) {
				t.Errorf("got %d %s, expected %s", a.status, a.body, model.CodeIssuerUnavailable)
			}
		})
	}
}

// TestAdvisoryHostsOfMixedCase: a registry's host is the same in every spelling that reaches it. Authelia's rules for a host missed one that was written in
// another case.
func TestAdvisoryHostsOfMixedCase(t *testing.T) {
	h := open(t, func(reg *gateway.Registry, _ *gateway.Config) {
		public := *reg.Public
		public.Host = "packages.a.example.com"
		reg.Public = &public
	})
	for _, host := range []string{
		"packages.a.example.com", "packages.A.example.com", "PACKAGES.a.example.com", "packages.a.Example.Com", "packages.a.example.com:80", "PACKAGES.A.EXAMPLE.COM:80",
		"packages.a.example.com.", "Packages.a.example.com.:80",
	} {
		for _, credential := range []string{"Authorization: Basic dXNlcjpwYXNzd29yZA==", "X-Nothing: at all"} {
			text := strings.Replace(h.rawUpload(h.registry.Public.Path, credential), "Host: "+h.registry.Public.Host, "Host: "+host, 1)
			a := h.say(text)
			known := slices.ContainsFunc([]model.Code{model.CodeTrustedPublishingOnly, model.CodeNoCredential, model.CodeUnknownHost}, func(code model.Code) bool {
				return strings.Contains(a.body, string(code))
			})
			if a.status/100 != 4 || !known || len(h.upstream.stored()) != 0 {
				t.Errorf("%s with %s: got %d %s, and the registry has %d uploads", host, credential, a.status, a.body, len(h.upstream.stored()))
			}
		}
	}
}
