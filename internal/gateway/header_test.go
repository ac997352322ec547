package gateway

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

func TestForwardedIsClean(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/root/prod/", strings.NewReader("x"))
	r.Header = http.Header{
		"Connection": {"close, X-Secret", "Authorization"}, "X-Secret": {"s"}, "Authorization": {"Bearer x"}, "Upgrade": {"h2c"},
		"Http2-Settings": {"AAA"}, "Te": {"trailers"}, "X-Outside-Url": {"http://evil.example"}, "X-Forwarded-Host": {"evil.example"},
		"X-Remote-User": {"root"}, "X-Http-Method-Override": {"DELETE"}, "X-Trustpub-Identity": {"jwt"}, "Idempotency-Key": {"1"}, "X_remote_user": {"root"}, "Content_length": {"1"}, "X.Outside.Url": {"x"},
		"X!remote!user": {"root"}, "X~remote~user": {"root"}, "X+remote+user": {"root"}, "X-Gateway-User": {"root"},
		"User-Agent": {"uv/1"}, "X-Forwarded-For": {"10.0.0.1"},
	}
	before := r.Header.Clone()
	g := &Gateway{reserved: []string{"X-Gateway-User"}}
	out := g.forwarded(r)
	want := http.Header{"User-Agent": {"uv/1"}, "X-Forwarded-For": {"10.0.0.1"}}
	if diff := cmp.Diff(want, out.Header); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, r.Header); diff != "" {
		t.Error("the client's own request was changed", diff)
	}
}

// TestInvariantOneCredential: every client copy of an upstream carrier is gone before ours is set, and there is exactly one
// presented credential.
func TestInvariantOneCredential(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/root/prod/?token=t&access_token=a&:action=x&keep=1", strings.NewReader("x"))
	for _, name := range append(credentialHeaders, "X-Eco-Key", "X-Unknown") {
		r.Header.Set(name, "client")
	}
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	g := &Gateway{carriers: append([]string{"X-Eco-Key"}, credentialHeaders...)}
	out := g.forwarded(r)
	g.restrict(out, &Registry{Query: []string{"keep"}}, model.Operation{})
	if diff := cmp.Diff(http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, out.Header); diff != "" {
		t.Error(diff)
	}
	if out.URL.RawQuery != "keep=1" || out.RequestURI != "/root/prod/?keep=1" || r.URL.RawQuery == out.URL.RawQuery {
		t.Errorf("query %q, request URI %q", out.URL.RawQuery, out.RequestURI)
	}
	read := g.forwarded(r)
	g.anonymous(read)
	if diff := cmp.Diff(http.Header{"Content-Type": {"multipart/form-data; boundary=x"}, "X-Unknown": {"client"}}, read.Header); diff != "" {
		t.Error(diff)
	}
	if read.URL.RawQuery != ":action=x&keep=1" {
		t.Errorf("query of a read %q", read.URL.RawQuery)
	}
}

type prefixVerifier struct{ Verifier }

func (prefixVerifier) Ours(raw string) bool { return strings.HasPrefix(raw, "jwt.") }

func (v prefixVerifier) Look(raw string) (model.Sighting, bool) {
	return model.Sighting{Raw: raw}, v.Ours(raw)
}

type prefixTokens struct{ Tokens }

func (prefixTokens) Ours(raw string) bool { return strings.HasPrefix(raw, "tpub_") }

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestPresented(t *testing.T) {
	g := &Gateway{Config: Config{Verifier: prefixVerifier{}, Tokens: prefixTokens{}}, carriers: credentialHeaders}
	pair := strings.TrimPrefix(basic("publisher", "tpub_x"), "Basic ")
	for _, tc := range []struct {
		name   string
		header http.Header
		query  string
		want   presented
		many   bool
		code   model.Code
	}{
		{name: "nothing", want: presented{kind: presentedNone}},
		{name: "publish token as password", header: http.Header{"Authorization": {basic("__token__", "tpub_x")}}, want: presented{kind: presentedPublish, token: "tpub_x", carrier: "Authorization"}},
		{name: "identity token as password", header: http.Header{"Authorization": {basic("any", "jwt.x")}}, want: presented{kind: presentedIdentity, token: "jwt.x", carrier: "Authorization"}},
		{name: "token as user, no password", header: http.Header{"Authorization": {basic("tpub_x", "")}}, want: presented{kind: presentedPublish, token: "tpub_x", carrier: "Authorization"}},
		{name: "token as user beside a password", header: http.Header{"Authorization": {basic("tpub_x", "pw")}}, code: model.CodeMultipleCredentials},
		{name: "tokens in both halves", header: http.Header{"Authorization": {basic("tpub_x", "jwt.x")}}, code: model.CodeMultipleCredentials},
		{name: "Bearer", header: http.Header{"Authorization": {"bearer jwt.x"}}, want: presented{kind: presentedIdentity, token: "jwt.x", carrier: "Authorization"}},
		{name: "raw", header: http.Header{"Authorization": {"tpub_x"}}, want: presented{kind: presentedPublish, token: "tpub_x", carrier: "Authorization"}},
		{name: "another scheme", header: http.Header{"Authorization": {"token tpub_x"}}, want: presented{kind: presentedPublish, token: "tpub_x", carrier: "Authorization"}},
		{name: "password", header: http.Header{"Authorization": {basic("pub", "pw")}}, want: presented{kind: presentedForeign, token: "", carrier: "Authorization"}},
		{name: "two lines", header: http.Header{"Authorization": {basic("a", "b"), "Bearer jwt.x"}}, code: model.CodeMultipleCredentials},
		{name: "ours in the ecosystem's carrier", header: http.Header{"X-Devpi-Auth": {pair}}, want: presented{kind: presentedPublish, token: "tpub_x", carrier: "X-Devpi-Auth"}},
		{name: "ours beside a foreign one", header: http.Header{"X-Devpi-Auth": {"abc"}, "Authorization": {"Bearer jwt.x"}}, code: model.CodeMultipleCredentials},
		{name: "two foreign ones", header: http.Header{"X-Devpi-Auth": {"abc"}, "Authorization": {"Bearer abc"}}, want: presented{kind: presentedForeign, token: "", carrier: "Authorization"}, many: true},
		{name: "one in the query", query: "token=x", want: presented{kind: presentedForeign}},
		{name: "two in the query", query: "token=x&auth=y", want: presented{kind: presentedForeign}, many: true},
		{name: "one in the query beside ours", query: "token=x", header: http.Header{"Authorization": {"Bearer jwt.x"}}, code: model.CodeMultipleCredentials},
		{name: "a cookie is not counted", header: http.Header{"Cookie": {"session=1"}, "Authorization": {"Bearer jwt.x"}}, want: presented{kind: presentedIdentity, token: "jwt.x", carrier: "Authorization"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, _ := url.ParseQuery(tc.query)
			got, many, err := g.presented(tc.header, q)
			if code := denialCode(err); code != tc.code {
				t.Fatalf("got code %q, want %q", code, tc.code)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(presented{})); diff != "" || many != tc.many {
				t.Error(diff, many)
			}
		})
	}
}

func TestKeepQuery(t *testing.T) {
	got := keepQuery("a=1&%74oken=x&b=%20", func(k string) bool { return k != "token" })
	if got != "a=1&b=%20" {
		t.Error(got)
	}
}

// TestUsualReadIsFree: looking for misplaced tokens costs a usual read no memory.
func TestUsualReadIsFree(t *testing.T) {
	g := &Gateway{Config: Config{Verifier: prefixVerifier{}, Tokens: prefixTokens{}}, carriers: credentialHeaders}
	r := httptest.NewRequest(http.MethodGet, "/root/prod/+f/0a1/2b3c4d5e6f708/acme_widget-1.0.0-cp311-cp311-manylinux_2_17_x86_64.whl?x=1", nil)
	r.Header = http.Header{
		"User-Agent":      {`pip/24.0 {"ci":null,"cpu":"x86_64","distro":{"name":"Debian","version":"12.0"},"python":"3.11.2"}`},
		"Accept":          {"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"},
		"Accept-Encoding": {"identity"}, "Authorization": {basic("user", "password")}, "If-None-Match": {`"0a1b2c3d4e5f60718293a4b5c6d7e8f9"`},
	}
	q := r.URL.Query()
	if n := testing.AllocsPerRun(100, func() {
		if err := g.misplaced(r, q); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, expected none", n)
	}
}

func BenchmarkMisplaced(b *testing.B) {
	g := &Gateway{Config: Config{Verifier: prefixVerifier{}, Tokens: prefixTokens{}}, carriers: credentialHeaders}
	r := httptest.NewRequest(http.MethodGet, "/root/prod/+f/0a1/2b3c4d5e6f708/acme_widget-1.0.0-cp311-cp311-manylinux_2_17_x86_64.whl", nil)
	r.Header = http.Header{
		"User-Agent":      {`pip/24.0 {"ci":null,"cpu":"x86_64","distro":{"name":"Debian","version":"12.0"},"python":"3.11.2"}`},
		"Accept-Encoding": {"identity"}, "Authorization": {basic("user", "password")},
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = g.misplaced(r, nil)
	}
}

// TestSecretsInEveryEscape: a registry's error page quotes a password as its template escapes it.
func TestSecretsInEveryEscape(t *testing.T) {
	got := secretsOf(model.Credential{Header: http.Header{"Authorization": {basic("publisher", `p"a<s&s w%rd`)}}})
	want := []string{
		strings.TrimPrefix(basic("publisher", `p"a<s&s w%rd`), "Basic "),
		`p"a<s&s w%rd`, `p\"a<s&s w%rd`, "p&#34;a&lt;s&amp;s w%rd", "p&quot;a&lt;s&amp;s w%rd", "p%22a%3Cs%26s+w%25rd", "p%22a%3Cs&s%20w%25rd",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
