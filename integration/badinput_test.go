package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// TestBadUploads sends what no client sends, one broken thing at a time, to the real devpi: each is refused with its code,
// audited, and the index holds nothing.
func TestBadUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t, "devpi")
	w := bigWheel(t, "acme-widget", "1.0", 4<<10)
	for _, tc := range []struct {
		name   string
		form   client.Form
		body   func([]byte) []byte
		header http.Header
		code   model.Code
	}{
		{name: "without its closing boundary", body: cutLast("\r\n--"), code: model.CodeTruncated},
		{name: "cut in the closing boundary", body: cutLast("--\r\n"), code: model.CodeTruncated},
		{name: "cut in the file", body: func(b []byte) []byte { return b[:len(b)-900] }, code: model.CodeTruncated},
		{name: "cut in the fields", body: func(b []byte) []byte { return b[:200] }, code: model.CodeTruncated},
		{name: "empty", body: func([]byte) []byte { return nil }, code: model.CodeTruncated},
		{name: "an oversized field", form: w.form().Before("content", "summary", strings.Repeat("x", 1<<20)), code: model.CodeTooLarge},
		{name: "an oversized description", form: w.form().Before("content", "description", strings.Repeat("x", 5<<20)), code: model.CodeTooLarge},
		{name: "a second name", form: w.form().Before("content", "name", "other-project"), code: model.CodeDuplicateField},
		{name: "the same name twice", form: w.form().Before("content", "name", "acme-widget"), code: model.CodeDuplicateField},
		{name: "a second version", form: w.form().Before("content", "version", "9.9"), code: model.CodeDuplicateField},
		{name: "a second action", form: w.form().Before("content", ":action", "file_upload"), code: model.CodeDuplicateField},
		{name: "a second file", form: append(w.form(), w.form()[len(w.form())-1]), code: model.CodeDuplicateField},
		{name: "the name after the file", form: w.form().Last("name"), code: model.CodeFieldOrder},
		{name: "the action after the file", form: w.form().Last(":action"), code: model.CodeFieldOrder},
		{name: "another name than the file's", form: w.form().With("name", "acme"), code: model.CodePackageMismatch},
		{name: "another version than the file's", form: w.form().With("version", "1.0.1"), code: model.CodePackageMismatch},
		{name: "another digest", form: w.form().With("sha256_digest", strings.Repeat("a", 64)), code: model.CodeDigestMismatch},
		{name: "another action", form: w.form().With(":action", "submit"), code: model.CodeUnsupportedOperation},
		{name: "compressed", body: zipped, header: http.Header{"Content-Encoding": {"gzip"}}, code: model.CodeContentEncoding},
		{name: "said to be compressed", header: http.Header{"Content-Encoding": {"br"}}, code: model.CodeContentEncoding},
		{name: "another content type", header: http.Header{"Content-Type": {"application/json"}}, code: model.CodeUnsupportedOperation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form := tc.form
			if form == nil {
				form = w.form()
			}
			body := form.Bytes()
			if tc.body != nil {
				body = tc.body(body)
			}
			header := bearer(r.identity(nil))
			header.Set("Content-Type", form.ContentType())
			for k, v := range tc.header {
				header[k] = v
			}
			a := r.send(t, http.MethodPost, r.site.Registry.Path, header, body)
			refused(t, a, tc.code.Info().Status, tc.code)
			audited(t, r, a, tc.code)
			r.holds(t)
		})
	}
}

// audited fails the test unless the audit has the denial that the client was told of.
func audited(t *testing.T, r *rig, a answer, code model.Code) {
	t.Helper()
	e := r.await(t, "decision of the denial", func(e model.Event) bool {
		return e.Kind == model.EventDecision && strings.Contains(a.Body, e.ID)
	})
	if e.Decision != "deny" || e.Code != code {
		t.Errorf("the audit says %q %q, expected deny %q", e.Decision, e.Code, code)
	}
}

func cutLast(mark string) func([]byte) []byte {
	return func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte(mark))] }
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // into memory: never fails
	_ = z.Close()
	return out.Bytes()
}

// TestBadTokens sends a good upload with tokens that are not: wrongly addressed, expired, forged, of nobody's issuer.
func TestBadTokens(t *testing.T) {
	t.Parallel()
	stranger, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	disabled, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disabled.Close() })
	r := newRig(t, "devpi", withIssuer(issuerLine(shared.issuer.URL())+" {\n\tname dev\n}",
		issuerLine(disabled.URL())+" {\n\tname off\n\tdisabled\n}"), withPolicy("widget.yaml", widgetPolicyOf("dev")))
	long := time.Now().Add(-2 * time.Hour).Unix()
	for _, tc := range []struct {
		name, token string
		code        model.Code
	}{
		{"for another audience", shared.issuer.Token("https://elsewhere.example.com", nil), model.CodeWrongAudience},
		{"for a public service", shared.issuer.Token("sigstore", nil), model.CodeWrongAudience},
		{"for the host without its port", shared.issuer.Token("localhost", nil), model.CodeWrongAudience},
		{"without an audience", r.identity(map[string]any{"aud": nil}), model.CodeMissingClaim},
		{"for two audiences", r.identity(map[string]any{"aud": []string{r.site.Host(), "sigstore"}}), model.CodeWrongAudience},
		{"expired", r.identity(map[string]any{"iat": long, "nbf": long, "exp": long + 300}), model.CodeExpired},
		{"not valid yet", r.identity(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), model.CodeNotYetValid},
		{"older than its issuer's tokens may be", r.identity(map[string]any{"iat": long, "nbf": long, "exp": time.Now().Add(time.Hour).Unix()}), model.CodeExpired},
		{"forged by a stranger", r.forged(stranger), model.CodeInvalidToken},
		{"with another payload", edited(t, r.identity(otherRepository)), model.CodeInvalidToken},
		{"of a disabled issuer", disabled.Token(r.site.Host(), nil), model.CodeUnknownIssuer},
		{"of an issuer that nobody configured", stranger.Token(r.site.Host(), nil), model.CodeTrustedPublishingOnly},
		{"a publish token that nobody minted", "tpub_" + strings.Repeat("a", 80), model.CodeInvalidToken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := r.upload(t, bearer(tc.token), newWheel(t, "acme-widget", "1.0").form())
			refused(t, a, tc.code.Info().Status, tc.code)
			audited(t, r, a, tc.code)
			r.holds(t)
		})
	}
	w := newWheel(t, "acme-widget", "1.0")
	if a := r.upload(t, bearer(r.identity(nil)), w.form()); a.Status != http.StatusOK {
		t.Errorf("a good token after all the bad ones: %d %s", a.Status, a.Body)
	}
	r.holds(t, w)
}

// widgetPolicyOf is the widget policy for one of several issuers.
func widgetPolicyOf(issuer string) string {
	return strings.Replace(widgetPolicy, "    registry:", "    issuer: "+issuer+"\n    registry:", 1)
}

// forged is a token that names our issuer and is signed with a stranger's key.
func (r *rig) forged(stranger *issuer.Server) string {
	payload, err := json.Marshal(shared.issuer.Claims(r.site.Host(), nil))
	if err != nil {
		r.t.Fatal(err)
	}
	return stranger.Sign("RS256", map[string]any{"alg": "RS256", "kid": shared.issuer.KeyID("RS256"), "typ": "JWT"}, payload)
}

// edited gives a token the payload of the granted repository and leaves its signature.
func edited(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	payload = bytes.ReplaceAll(payload, []byte("acme/gadget"), []byte("acme/widget"))
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
}

// TestRegistryDown puts nothing behind the gateway.
func TestRegistryDown(t *testing.T) {
	t.Parallel()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "pypiserver", withUpstream(net.JoinHostPort("127.0.0.1", itoa(port))))
	got := twineIdentity(t, r, try{wheel: newWheel(t, "acme-widget", "1.0")})
	golden(t, "twine-identity-registry-down", got)
	a := r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget", "1.0").form())
	refused(t, a, http.StatusBadGateway, model.CodeUpstreamUnavailable)
	if !strings.Contains(a.Reason, string(model.CodeUpstreamUnavailable)) {
		t.Errorf("reason phrase %q, expected the denial's sentence", a.Reason)
	}
	audited(t, r, a, model.CodeUpstreamUnavailable)
}

// TestIssuerDown starts a gateway whose issuer does not answer: publishing fails with a time to come back, reads work, and once
// the issuer is there so does publishing.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	late, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { late.Close() })
	late.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return true
	})
	r := newRig(t, "pypiserver", withIssuer(issuerLine(late.URL())))
	w := newWheel(t, "acme-widget", "1.0")
	token := late.Token(r.site.Host(), nil)
	a := r.upload(t, bearer(token), w.form())
	refused(t, a, http.StatusServiceUnavailable, model.CodeIssuerUnavailable)
	if a.Header.Get("Retry-After") == "" {
		t.Error("a 503 without Retry-After")
	}
	if !strings.Contains(a.Reason, string(model.CodeIssuerUnavailable)) {
		t.Errorf("reason phrase %q, expected the denial's sentence", a.Reason)
	}
	audited(t, r, a, model.CodeIssuerUnavailable)
	if read := r.send(t, http.MethodGet, "/simple/", nil, nil); read.Status != http.StatusOK {
		t.Errorf("a read without an issuer: %d %s", read.Status, read.Body)
	}
	r.holds(t)
	late.Intercept(nil)
	r.eventually(t, "the issuer is back", func() bool {
		return r.upload(t, bearer(token), w.form()).Status == http.StatusOK
	})
	r.holds(t, w)
}
