package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// The tests below bear the names of classes of advisories about other proxies; docs/advisories.md says which.

// say sends bytes as they are and reads one answer.
func (h *house) say(text string) answer {
	h.t.Helper()
	conn, in := h.raw()
	_, _ = io.WriteString(conn, text) // the server may hang up in the middle
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		h.t.Fatalf("no answer to %.80q: %v", text, err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, body: string(b), header: resp.Header}
}

// rawUpload is a publish without a credential, with further header lines.
func (h *house) rawUpload(target string, lines ...string) string {
	h.t.Helper()
	body, contentType := form(h.t, "acme-widget", "1.0")
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n",
		target, h.registry.Public.Host, contentType, len(body))
	for _, line := range lines {
		head += line + "\r\n"
	}
	return head + "\r\n" + string(body)
}

// TestAdvisoryHeadersThatSkipTheDecision: no header but the credential's own takes part in the decision: neither a health check's
// name, nor what a proxy in front says of the path, the method or the user.
func TestAdvisoryHeadersThatSkipTheDecision(t *testing.T) {
	h := open(t)
	path := h.registry.Public.Path
	for _, lines := range [][]string{
		{"User-Agent: GoogleHC/1.0"},
		{"User-Agent: kube-probe/1.32"},
		{"X-Forwarded-Uri: /+login", "X-Forwarded-Method: GET"},
		{"X-Original-Url: /+login"},
		{"X-Original-Uri: /+login", "X-Original-Method: GET"},
		{"X-Rewrite-Url: /elsewhere"},
		{"X-Http-Method-Override: GET"},
		{"X-Method-Override: GET", "X-Http-Method: GET"},
		{"X-Forwarded-Proto: https", "X-Forwarded-Host: elsewhere.example.com", "X-Forwarded-Prefix: /x"},
		{"X-Forwarded-User: acme", "X-Auth-Request-User: acme", "Remote-User: acme", "X-Remote-User: acme", "X-Webauth-User: acme"},
		{"X-Middleware-Subrequest: middleware", "X-Forwarded-Client-Cert: By=x"},
		{"X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1"},
	} {
		h.refused(h.say(h.rawUpload(path, lines...)), http.StatusUnauthorized, model.CodeNoCredential)
	}
}

// TestAdvisoryHeadersOfAnotherUser: what names a user, an address or a method to a registry never comes from a client, in no spelling
// that some server folds onto it, with reads and with publishes.
func TestAdvisoryHeadersOfAnotherUser(t *testing.T) {
	h := open(t)
	var seen []string
	h.upstream.behave(func(_ http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if folded := strings.ToLower(strings.Map(func(c rune) rune {
				if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
					return c
				}
				return '-'
			}, name)); slices.Contains([]string{
				"remote-user", "x-remote-user", "x-webauth-user", "x-forwarded-user", "x-outside-url", "x-forwarded-host", "x-original-url", "x-rewrite-url",
				"x-http-method-override", "x-original-method", "x-forwarded-method", "x-sendfile-type", "x-accel-mapping", "x-middleware-subrequest", "x-forwarded-email", "x-auth-request-email", "x-script-name", "proxy", "forwarded",
			}, folded) {
				seen = append(seen, r.Method+" "+name)
			}
		}
	})
	lines := []string{
		"Remote-User: root", "Remote_User: root", "X_Remote_User: root", "X-Remote_User: root", "X.Remote.User: root", "X!Remote!User: root", "X~Remote~User: root",
		"x-webauth-user: root", "X-FORWARDED-USER: root", "X-Outside-Url: https://elsewhere.example.com", "X_Outside_Url: x", "X-Forwarded-Host: elsewhere.example.com",
		"X-Original-Url: /x", "X-Rewrite-Url: /x", "X-Http-Method-Override: DELETE", "X-Forwarded-Email: a@example.com", "X-Auth-Request-Email: a@example.com",
		"X-Script-Name: /x", "Forwarded: host=elsewhere.example.com", "Proxy: http://elsewhere.example.com", "X-Sendfile-Type: X-Accel-Redirect", "X-Accel-Mapping: /=/x",
		"X-Middleware-Subrequest: middleware", "X-Original-Method: DELETE", "X-Forwarded-Method: DELETE",
	}
	h.say("GET " + h.registry.Public.Path + "+simple/acme-widget/ HTTP/1.1\r\nHost: " + h.registry.Public.Host + "\r\nConnection: close\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")
	if a := h.say(h.rawUpload(h.registry.Public.Path, append(lines, "Authorization: Bearer "+h.identity())...)); a.status != http.StatusOK {
		t.Fatalf("the publish: %d %s", a.status, a.body)
	}
	if len(seen) > 0 {
		t.Errorf("the registry saw %v", seen)
	}
}

// TestAdvisoryConnectionStripsHeaders: a client can't have our credential, or the headers of a judged request, taken out on the way.
func TestAdvisoryConnectionStripsHeaders(t *testing.T) {
	h := open(t)
	token := "Authorization: Bearer " + h.identity()
	for _, named := range []string{"Authorization", "close, Content-Type", "X-Forwarded-For", "close, content-type, x"} {
		text := strings.Replace(h.rawUpload(h.registry.Public.Path, token), "Connection: close", "Connection: "+named, 1)
		h.refused(h.say(text), http.StatusBadRequest, model.CodeUnsupportedFraming)
	}
	var got string
	h.upstream.behave(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Connection") + r.Header.Get("Authorization")
	})
	r, _ := http.NewRequest(http.MethodGet, h.registry.Public.JoinPath("+simple/acme-widget/").String(), nil)
	r.Header = http.Header{"Connection": {"authorization"}, "Authorization": {"Bearer " + h.identity()}}
	if a := h.do(r); a.status != http.StatusOK || !strings.HasPrefix(got, "Basic ") {
		t.Errorf("a read: %d, and the registry saw %q", a.status, got)
	}
}

// TestAdvisoryPathsReadInTwoWays: fragments, dot segments, doubled and encoded separators, overlong and foreign characters, backslashes, and
// spellings in another case are refused, not normalised.
func TestAdvisoryPathsReadInTwoWays(t *testing.T) {
	h := open(t)
	path := h.registry.Public.Path
	top, rest, _ := strings.Cut(strings.Trim(path, "/"), "/")
	for name, target := range map[string]string{
		"a fragment":                    "/+login#" + path,
		"a fragment behind":             path + "#/../",
		"dot segments":                  "/x/.." + path,
		"a dot segment":                 "/." + path,
		"encoded dots":                  "/x/%2e%2e" + path,
		"half encoded dots":             "/x/.%2E" + path,
		"dots and a parameter":          "/x/..;" + path,
		"a parameter":                   "/" + top + ";x/" + rest + "/",
		"doubled slashes":               "/" + path,
		"a doubled slash inside":        strings.Replace(path, "/"+rest, "//"+rest, 1),
		"an encoded slash":              "/" + top + "%2f" + rest + "/",
		"an encoded slash in capitals":  "/" + top + "%2F" + rest + "/",
		"a slash that is encoded twice": "/" + top + "%252f" + rest + "/",
		"an overlong slash":             "/" + top + "%c0%af" + rest + "/",
		"a full width slash":            "/" + top + "%ef%bc%8f" + rest + "/",
		"a backslash":                   "/" + top + `\` + rest + "/",
		"an encoded backslash":          "/" + top + "%5c" + rest + "/",
		"an encoded letter":             strings.Replace(path, "o", "%6f", 1),
		"an encoded letter, otherwise":  strings.Replace(path, "o", "%6F", 1),
		"another case":                  strings.ToUpper(path),
		"a null byte":                   "/" + top + "%00/" + rest + "/",
		"a line break":                  "/" + top + "%0d%0a/" + rest + "/",
		"a tab":                         "/" + top + "\t/" + rest + "/",
		"another host":                  "http://elsewhere.example.com" + path,
		"the host once more":            "http://" + h.registry.Public.Host + path,
		"two slashes and a host":        "//elsewhere.example.com" + path,
	} {
		a := h.say(h.rawUpload(target, "Authorization: Bearer "+h.identity()))
		if a.status != http.StatusBadRequest && a.status != http.StatusMisdirectedRequest || len(h.upstream.stored()) != 0 {
			t.Errorf("%s, %s: %d %s, and the registry has %d uploads", name, target, a.status, a.body, len(h.upstream.stored()))
		}
	}
}

// TestAdvisoryQueryIsNoPath: what stands in a query belongs to no rule of paths.
func TestAdvisoryQueryIsNoPath(t *testing.T) {
	h := open(t)
	path := h.registry.Public.Path
	for _, target := range []string{"/+login?" + path, "/elsewhere?x=" + path + "+simple/"} {
		h.refused(h.say(h.rawUpload(target)), http.StatusForbidden, model.CodeUnsupportedOperation)
	}
	h.refused(h.say(h.rawUpload(path+"?/+login")), http.StatusUnauthorized, model.CodeNoCredential)
	h.refused(h.say(h.rawUpload(path+"?:action=doc_upload", "Authorization: Bearer "+h.identity())), http.StatusBadRequest, model.CodeMalformedUpload)
}

// TestAdvisoryManyHostsInAnyCase: more than a hundred hosts are compared as few are, whatever the case.
func TestAdvisoryManyHostsInAnyCase(t *testing.T) {
	h := open(t, func(own *gateway.Registry, cfg *gateway.Config) {
		for i := range 150 {
			more := *own
			public := *own.Public
			more.Name, public.Host = fmt.Sprint("more-", i), fmt.Sprintf("h%d.example.com", i)
			more.Public = &public
			cfg.Registries = append(cfg.Registries, more)
		}
	})
	for _, host := range []string{"h149.example.com", "H149.Example.COM", "h149.EXAMPLE.com:80"} {
		text := strings.Replace(h.rawUpload(h.registry.Public.Path, "Authorization: Basic dXNlcjpwYXNzd29yZA=="), "Host: "+h.registry.Public.Host, "Host: "+host, 1)
		h.refused(h.say(text), http.StatusForbidden, model.CodeTrustedPublishingOnly)
	}
	text := strings.Replace(h.rawUpload(h.registry.Public.Path), "Host: "+h.registry.Public.Host, "Host: h150.example.com", 1)
	h.refused(h.say(text), http.StatusMisdirectedRequest, model.CodeUnknownHost)
}

// TestAdvisoryEscapesInAnotherCase: a public URL with an escaped character is no other one when the escape is spelled otherwise.
func TestAdvisoryEscapesInAnotherCase(t *testing.T) {
	h := open(t, func(reg *gateway.Registry, _ *gateway.Config) {
		public := *reg.Public
		public.Path, public.RawPath = "/team a+b/", "/team%20a%2Bb/"
		reg.Public = &public
	})
	for _, target := range []string{"/team%20a%2bb/", "/team%20a+b/", "/Team%20a%2Bb/"} {
		h.refused(h.say(h.rawUpload(target)), http.StatusBadRequest, model.CodeAmbiguousPath)
	}
	h.refused(h.say(h.rawUpload("/team%20a%2Bb/")), http.StatusUnauthorized, model.CodeNoCredential)
}

// TestAdvisoryLargeExchange: a stranger can't make an exchange read more than a token has.
func TestAdvisoryLargeExchange(t *testing.T) {
	h := open(t)
	read := 0
	body := io.MultiReader(strings.NewReader(`{"token":"`), endless{&read})
	r := httptest.NewRequest(http.MethodPost, h.front.URL+"/_/oidc/mint-token", body)
	r.RequestURI, r.ContentLength = "/_/oidc/mint-token", -1
	r.URL.Scheme, r.URL.Host = "", ""
	w := httptest.NewRecorder()
	h.front.Config.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	// What is read after the answer is for the client's sake, and thrown away.
	if read > 9<<20 {
		t.Errorf("%d bytes were read", read)
	}
}

// endless is a body without an end.
type endless struct{ read *int }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	*e.read += len(p)
	return len(p), nil
}

// TestAdvisoryBareLineFeeds: a line that ends without a carriage return ends nothing: neither a chunk's size, nor a header, nor a part of a
// form.
func TestAdvisoryBareLineFeeds(t *testing.T) {
	h := open(t)
	body, contentType := form(t, "acme-widget", "1.0")
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: %s\r\n", h.registry.Public.Path, h.registry.Public.Host, contentType)
	for name, text := range map[string]string{
		"of a chunk's size": "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\n%s\r\n0\r\n\r\n", len(body), body),
		"of an extension":   "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;a\n%s\r\n0\r\n\r\n", len(body), body),
		"of a chunk":        "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\n0\r\n\r\n", len(body), body),
		"of a form": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(strings.ReplaceAll(string(body), "form-data; name=\"name\"\r\n", "form-data; name=\"name\"\n")),
			strings.ReplaceAll(string(body), "form-data; name=\"name\"\r\n", "form-data; name=\"name\"\n")),
	} {
		if a := h.say(head + "Authorization: Bearer " + h.identity() + "\r\n" + text); a.status != http.StatusBadRequest || len(h.upstream.stored()) != 0 {
			t.Errorf("%s: %d %s, and the registry has %d uploads", name, a.status, a.body, len(h.upstream.stored()))
		}
	}
}

// TestAdvisoryFormsWithoutEnd: forms of many parts, of large headers and of large fields cost no more than their limits.
func TestAdvisoryFormsWithoutEnd(t *testing.T) {
	h := open(t)
	field := func(name, value string) string {
		return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for name, body := range map[string]string{
		"many parts":      strings.Repeat(field("classifiers", "x"), 20_000),
		"a large header":  "--B\r\nContent-Disposition: form-data; name=\"name\"" + strings.Repeat("; a=b", 1<<20),
		"a large field":   field("summary", strings.Repeat("x", 4<<20)),
		"many large ones": strings.Repeat(field("classifiers", strings.Repeat("x", 200<<10)), 60),
		"headers alone":   "--B\r\n" + strings.Repeat("X: y\r\n", 1<<20),
		"a large name":    field(strings.Repeat("x", 1<<20), "x"),
	} {
		r, err := http.NewRequest(http.MethodPost, h.registry.Public.String(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
		r.SetBasicAuth("__token__", h.identity())
		if a := h.do(r); a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusBadRequest || len(h.upstream.stored()) != 0 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// TestAdvisoryTwoCredentials: of two credentials, or two hosts, none is chosen.
func TestAdvisoryTwoCredentials(t *testing.T) {
	h := open(t)
	token := "Bearer " + h.identity()
	for _, lines := range [][]string{
		{"Authorization: " + token, "Authorization: Basic dXNlcjpwYXNzd29yZA=="},
		{"Authorization: Basic dXNlcjpwYXNzd29yZA==", "authorization: " + token},
		{"Authorization: " + token, "X-Devpi-Auth: dXNlcjpwYXNzd29yZA=="},
		{"X-Api-Key: x", "Authorization: " + token},
	} {
		h.refused(h.say(h.rawUpload(h.registry.Public.Path, lines...)), http.StatusBadRequest, model.CodeMultipleCredentials)
	}
	h.refused(h.say(h.rawUpload(h.registry.Public.Path+"?token=x", "Authorization: "+token)), http.StatusBadRequest, model.CodeMultipleCredentials)
	if a := h.say(h.rawUpload(h.registry.Public.Path, "Authorization: "+token, "Host: elsewhere.example.com")); a.status != http.StatusBadRequest || len(h.upstream.stored()) != 0 {
		t.Errorf("two hosts: %d %s", a.status, a.body)
	}
}
