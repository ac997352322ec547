package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store/memory"
)

func TestDirectPublish(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		h := open(t)
		u := upload{name: "acme-widget", version: "1.0", token: h.identity(), chunked: chunked}
		r := h.request(u)
		r.Header.Set("X-Outside-URL", "http://evil.example")
		r.Header.Set("Cookie", "session=1")
		r.Header.Set("X-Devpi-Serial", "1")
		a := h.do(r)
		if a.status != http.StatusOK {
			t.Fatalf("chunked %v: %d %s\n%s", chunked, a.status, a.body, h.log)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Error("the answer may be cached")
		}
		stored := h.upstream.stored()
		if len(stored) != 1 || !bytes.Contains(stored[0].body, []byte("acme_widget-1.0")) {
			t.Fatalf("stored %d uploads", len(stored))
		}
		got := stored[0].header
		got.Del("Content-Type")
		want := http.Header{
			"Authorization":   {"Basic cHVibGlzaGVyOmNhbmFyeS1yZWdpc3RyeS1wYXNzd29yZA=="},
			"Accept-Encoding": {"identity"}, "User-Agent": {"Go-http-client/1.1"},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreMapEntries(func(k string, _ []string) bool { return k == "X-Forwarded-For" })); diff != "" {
			t.Error(diff)
		}
		decision, outcome := h.audit.of(t, model.EventDecision), h.audit.of(t, model.EventOutcome)
		if decision.Decision != "allow" || decision.Policy != "widget-release" || decision.SHA256 == "" || decision.Size == 0 ||
			decision.Target.Package != "acme-widget" || decision.Credential != "identity_token" || decision.IdentitySHA256 == "" ||
			decision.Run["repository"] != "acme/widget" {
			t.Errorf("decision %+v", decision)
		}
		if outcome.ID != decision.ID || outcome.Result != "stored" || outcome.UpstreamStatus != 200 || outcome.Status != 200 {
			t.Errorf("outcome %+v", outcome)
		}
		h.secretFree(a)
	}
}

func TestExchangePublishBurn(t *testing.T) {
	h := open(t)
	token, a := h.exchange(h.identity())
	if a.status != http.StatusOK || !strings.HasPrefix(token, "tpub_") {
		t.Fatalf("exchange: %d %s\n%s", a.status, a.body, h.log)
	}
	for _, version := range []string{"1.0", "1.1"} {
		if a := h.publish(upload{name: "acme-widget", version: version, token: token}); a.status != http.StatusOK {
			t.Fatalf("publish %s: %d %s\n%s", version, a.status, a.body, h.log)
		}
	}
	r, _ := http.NewRequest(http.MethodPost, h.front.URL+"/_/oidc/burn-token", strings.NewReader(fmt.Sprintf(`{"token":%q}`, token)))
	for range 2 {
		r.Body, r.GetBody = nil, nil
		again, _ := http.NewRequest(http.MethodPost, r.URL.String(), strings.NewReader(fmt.Sprintf(`{"token":%q}`, token)))
		if a := h.do(again); a.status/100 != 2 {
			t.Fatalf("burn: %d %s", a.status, a.body)
		}
	}
	a = h.publish(upload{name: "acme-widget", version: "1.2", token: token})
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, string(model.CodeRevoked)) || len(h.upstream.stored()) != 2 {
		t.Errorf("a burned token: %d %s, %d stored", a.status, a.body, len(h.upstream.stored()))
	}
}

// TestInvariantNoReplay: an identity token is good for one exchange or one release, and never for both.
func TestInvariantNoReplay(t *testing.T) {
	ok := func(t *testing.T, a answer) {
		t.Helper()
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	replayed := func(t *testing.T, a answer) {
		t.Helper()
		if a.status/100 != 4 || !strings.Contains(a.body, "replayed") && !strings.Contains(a.body, "reuse") {
			t.Fatalf("not refused as replayed: %d %s", a.status, a.body)
		}
	}
	widget := func(version, token string) upload { return upload{name: "acme-widget", version: version, token: token} }
	for name, run := range map[string]func(*testing.T, *house, string){
		"direct, another release": func(t *testing.T, h *house, token string) {
			ok(t, h.publish(widget("1.0", token)))
			replayed(t, h.publish(widget("1.1", token)))
		},
		"direct, the same file again": func(t *testing.T, h *house, token string) {
			body, contentType := form(t, "acme-widget", "1.0")
			same := upload{token: token, header: http.Header{"Content-Type": {contentType}}, edit: func([]byte) []byte { return body }}
			ok(t, h.publish(same))
			ok(t, h.publish(same))
		},
		"exchanged twice": func(t *testing.T, h *house, token string) {
			_, a := h.exchange(token)
			ok(t, a)
			_, a = h.exchange(token)
			replayed(t, a)
		},
		"exchanged, then direct": func(t *testing.T, h *house, token string) {
			_, a := h.exchange(token)
			ok(t, a)
			replayed(t, h.publish(widget("1.0", token)))
		},
		"direct, then exchanged": func(t *testing.T, h *house, token string) {
			ok(t, h.publish(widget("1.0", token)))
			_, a := h.exchange(token)
			replayed(t, a)
		},
		"a refused token is not burned": func(t *testing.T, h *house, token string) {
			if a := h.publish(upload{name: "other-project", version: "1.0", token: token}); a.status != http.StatusForbidden {
				t.Fatalf("%d %s", a.status, a.body)
			}
			ok(t, h.publish(widget("1.0", token)))
		},
		"the same name with other bytes": func(t *testing.T, h *house, token string) {
			ok(t, h.publish(widget("1.0", token)))
			other := widget("1.0", token)
			other.edit = func(b []byte) []byte {
				// Another comment field changes nothing of the file; another byte of the archive does, with its digest left out.
				b = bytes.Replace(b, []byte("sha256_digest"), []byte("ignored_field"), 1)
				at := bytes.LastIndex(b, []byte("\r\n--"))
				return append(append(append([]byte{}, b[:at]...), 'x'), b[at:]...)
			}
			replayed(t, h.publish(other))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			run(t, h, h.identity())
		})
	}
}

func TestRefusedIdentities(t *testing.T) {
	for _, tc := range []struct {
		name   string
		claims map[string]any
		token  func(*house) string
		status int
		code   model.Code
	}{
		{name: "another repository", claims: map[string]any{"repository": "acme/other"}, status: 403, code: model.CodeNoMatchingPolicy},
		{name: "another owner id", claims: map[string]any{"repository_owner_id": "999"}, status: 403, code: model.CodeNoMatchingPolicy},
		{name: "expired", claims: map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "nbf": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-50 * time.Minute).Unix()}, status: 401, code: model.CodeExpired},
		{name: "another audience", token: func(h *house) string { return h.issuer.Token("https://other.example.com", nil) }, status: 401, code: model.CodeWrongAudience},
		{name: "no credential", token: func(*house) string { return "" }, status: 401, code: model.CodeNoCredential},
		{name: "a password", token: func(*house) string { return "hunter2" }, status: 403, code: model.CodeTrustedPublishingOnly},
		{name: "a token of an unknown issuer", token: func(*house) string {
			return "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9.c2ln"
		}, status: 403, code: model.CodeTrustedPublishingOnly},
		{name: "a forged publish token", token: func(*house) string { return "tpub_forged" }, status: 401, code: model.CodeInvalidToken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t)
			token := h.identity(tc.claims)
			if tc.token != nil {
				token = tc.token(h)
			}
			a := h.publish(upload{token: token})
			h.refused(a, tc.status, tc.code)
			if !strings.Contains(a.reason, string(tc.code)) {
				t.Errorf("reason phrase %q", a.reason)
			}
			if e := h.audit.of(t, model.EventDecision); e.Decision != "deny" || e.Code != tc.code || !strings.Contains(a.body, e.ID) {
				t.Errorf("audit %+v", e)
			}
		})
	}
}

// TestInvariantJudgedBytesAreForwardedBytes: what the registry gets is, byte for byte, what was judged, or nothing whole.
func TestInvariantJudgedBytesAreForwardedBytes(t *testing.T) {
	for _, mode := range []gateway.BodyMode{gateway.BodyChunked, gateway.BodyAsSent, gateway.BodySpooled} {
		for _, tc := range []struct {
			name string
			edit func([]byte) []byte
			code model.Code
		}{
			{name: "whole"},
			{name: "a changed file", code: model.CodeDigestMismatch, edit: func(b []byte) []byte {
				return bytes.Replace(b, []byte("PK\x03\x04"), []byte("PK\x03\x05"), 1)
			}},
			{name: "no closing boundary", code: model.CodeTruncated, edit: func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("\r\n--"))] }},
			{name: "a second name", code: model.CodeDuplicateField, edit: func(b []byte) []byte {
				return bytes.Replace(b, []byte("\r\nContent-Disposition: form-data; name=\"filetype\"\r\n\r\nbdist_wheel"),
					[]byte("\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nother-project"), 1)
			}},
			{name: "another name than the file's", code: model.CodePackageMismatch, edit: func(b []byte) []byte {
				return bytes.Replace(b, []byte("acme_widget-1.0"), []byte("evil_widget-1.0"), 1)
			}},
			{name: "another action", code: model.CodeUnsupportedOperation, edit: func(b []byte) []byte {
				return bytes.Replace(b, []byte("file_upload"), []byte("remove_pkg"), 1)
			}},
		} {
			t.Run(string(mode)+"/"+tc.name, func(t *testing.T) {
				h := open(t, func(r *gateway.Registry, _ *gateway.Config) { r.Body = mode })
				var sent []byte
				a := h.publish(upload{token: h.identity(), edit: func(b []byte) []byte {
					if tc.edit != nil {
						b = tc.edit(b)
					}
					sent = b
					return b
				}})
				if tc.code != "" {
					h.refused(a, tc.code.Info().Status, tc.code)
					return
				}
				stored := h.upstream.stored()
				if a.status != 200 || len(stored) != 1 || !bytes.Equal(stored[0].body, sent) {
					t.Errorf("%d %s: %d stored", a.status, a.body, len(stored))
				}
			})
		}
	}
}

func TestUploadsThatCannotBeJudged(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header http.Header
		path   string
		status int
		code   model.Code
	}{
		{name: "compressed", header: http.Header{"Content-Encoding": {"gzip"}}, code: model.CodeContentEncoding},
		{name: "a part of a range", header: http.Header{"Content-Range": {"bytes 0-1/2"}}, code: model.CodeUnsupportedFraming},
		{name: "an unknown path", path: "/root/prod/acme-widget/1.0", code: model.CodeUnsupportedOperation},
		{name: "outside the registry", path: "/+login", code: model.CodeUnsupportedOperation},
		{name: "another spelling of the registry", path: "/Root/prod/", code: model.CodeAmbiguousPath},
		{name: "a doubled slash", path: "/root//prod/", code: model.CodeAmbiguousPath},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t)
			h.refused(h.publish(upload{token: h.identity(), header: tc.header, path: tc.path}), tc.code.Info().Status, tc.code)
		})
	}
}

// meanwhile sends most of an upload, lets something happen once the registry has begun to read it, sends the rest, and
// checks the denial.
func (h *house) meanwhile(happens func(), code model.Code) {
	h.t.Helper()
	body, contentType := longForm(h.t, "acme-widget", "1.0") // a small one leaves at once
	arrived := make(chan struct{})
	h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
		var first [1]byte
		_, _ = r.Body.Read(first[:])
		close(arrived)
		h.upstream.keep(w, r)
	})
	conn, in := h.raw()
	fmt.Fprintf(conn, "POST /root/prod/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		h.registry.Public.Host, h.identity(), contentType, len(body))
	_, _ = conn.Write(body[:len(body)-100])
	<-arrived
	happens()
	_, _ = conn.Write(body[len(body)-100:])
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Status, string(code)) || len(h.upstream.stored()) != 0 {
		h.t.Errorf("%s, %d stored, want 403 %s and nothing", resp.Status, len(h.upstream.stored()), code)
	}
}

// TestInvariantPoliciesOfNow: a grant that is removed stops tokens already out, and uploads under way.
func TestInvariantPoliciesOfNow(t *testing.T) {
	const grantOther = `policies:
  - name: other
    registry: internal-pypi
    packages: [other]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
`
	t.Run("a minted token", func(t *testing.T) {
		h := open(t)
		token, _ := h.exchange(h.identity())
		h.policies.set(grantOther)
		h.refused(h.publish(upload{token: token}), 403, model.CodeNoMatchingPolicy)
	})
	t.Run("an upload under way", func(t *testing.T) {
		h := open(t)
		h.meanwhile(func() { h.policies.set(grantOther) }, model.CodePolicyChanged)
	})
	t.Run("an upload under way, by a switch", func(t *testing.T) {
		h := open(t)
		h.meanwhile(func() { h.stop(model.SwitchPackage, "internal-pypi/acme-widget") }, model.CodeDeniedByOperator)
	})
}

// TestInvariantDenyByDefault: where the store, the audit, the issuer or the credential cannot be had, nothing is published.
func TestInvariantDenyByDefault(t *testing.T) {
	for _, tc := range []struct {
		name   string
		breaks func(*house)
		code   model.Code
	}{
		{"the store is down", func(h *house) { h.store.broken.Store(true) }, model.CodeStoreUnavailable},
		{"the audit is down", func(h *house) { h.audit.broken = true }, model.CodeAuditUnavailable},
		{"the registry is down", func(h *house) { h.upstream.away(h.t) }, model.CodeUpstreamUnavailable},
		{"the secret is missing", func(h *house) { h.t.Setenv("TRUSTPUB_TEST_PASSWORD", "") }, model.CodeCredentialUnavailable},
		{"the issuer is down", func(h *house) { _ = h.issuer.Close() }, model.CodeIssuerUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			iss, err := issuer.Start(issuer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = iss.Close() })
			h := openWith(t, iss)
			token := h.identity()
			tc.breaks(h)
			a := h.publish(upload{token: token})
			h.refused(a, tc.code.Info().Status, tc.code)
			if a.status == http.StatusServiceUnavailable && tc.code == model.CodeIssuerUnavailable && a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

// TestExchangeThatFailsBurnsNothing: the identity token is still good once the part that failed works again.
func TestExchangeThatFailsBurnsNothing(t *testing.T) {
	h := open(t)
	token := h.identity()
	h.audit.broken = true
	if _, a := h.exchange(token); a.status != http.StatusServiceUnavailable {
		t.Fatalf("with a broken audit: got %d %s, expected 503", a.status, a.body)
	}
	h.audit.broken = false
	if _, a := h.exchange(token); a.status != http.StatusOK {
		t.Errorf("once it works again: got %d %s, expected 200", a.status, a.body)
	}
}

// TestInvariantNoReplayAcrossClockJumps lets the clock jump ahead, past the end of a used token, and back.
func TestInvariantNoReplayAcrossClockJumps(t *testing.T) {
	var jump atomic.Int64
	h := open(t, func(_ *gateway.Registry, c *gateway.Config) {
		c.Store = memory.New(func() time.Time { return time.Now().Add(-time.Minute + time.Duration(jump.Load())) })
	})
	used := h.identity()
	if a := h.publish(upload{token: used}); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	jump.Store(int64(45 * time.Minute))
	for n := range 20 { // other uploads make the store forget what has ended
		if a := h.publish(upload{name: "acme-widget", version: fmt.Sprintf("2.%d", n), token: h.identity()}); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	jump.Store(0)
	if a := h.publish(upload{name: "acme-widget", version: "3.0", token: used}); !strings.Contains(a.body, string(model.CodeReplayed)) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
