package caddymodule

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestAdvisoryPlaceholdersOfClients: what a client sends is text: a placeholder of Caddy's in a path, a query, a header, a name or a body is
// never filled in, neither in an answer, nor on the way to the registry, nor in a log. docs/advisories.md says which advisories it is about.
func TestAdvisoryPlaceholdersOfClients(t *testing.T) {
	const secret = "canary-in-the-environment"
	t.Setenv("TRUSTPUB_TEST_CANARY", secret)
	var seen strings.Builder
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		_ = req.Header.Write(&seen)
		_, _ = io.WriteString(&seen, req.RequestURI)
		_, _ = io.Copy(&seen, req.Body)
	})
	r.mustLoad(r.caddyfile("", "mode observe", ""))
	file, prod := r.dir+"/secret", "/root"+"/prod/"
	for _, text := range []string{"{env.TRUSTPUB_TEST_CANARY}", "{file." + file + "}", "{{env.TRUSTPUB_TEST_CANARY}}", "{http.request.header.X-Two}", "{$TRUSTPUB_TEST_CANARY}"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			for _, target := range []string{prod + url.PathEscape(text), prod + "?x=" + url.QueryEscape(text), "/elsewhere/" + url.PathEscape(text), "/_/oidc/" + url.PathEscape(text)} {
				req, err := http.NewRequest(method, "http://"+r.addr+target, strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if method == http.MethodGet {
					req.Body, req.ContentLength = nil, 0
				}
				req.Header = http.Header{"X-One": {text}, "X-Two": {"{env.TRUSTPUB_TEST_CANARY}"}, "User-Agent": {text}, "Content-Type": {text}, "Accept": {text}}
				req.SetBasicAuth(text, text)
				req.Close = true
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Header.Write(&seen)
				_, _ = io.Copy(&seen, resp.Body)
				_ = resp.Body.Close()
				seen.WriteString(resp.Status)
			}
		}
	}
	all := seen.String() + r.read("access.log") + r.read("audit.jsonl") + r.read("caddy.log")
	for _, leak := range []string{secret, "registry-password"} {
		if strings.Contains(all, leak) {
			t.Errorf("%q was filled in", leak)
		}
	}
	if !strings.Contains(all, "{env.TRUSTPUB_TEST_CANARY}") {
		t.Error("the text itself is nowhere, so that nothing was tried")
	}
}
