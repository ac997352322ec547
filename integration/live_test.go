package integration

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests of registries that can't be installed run against a server that keeps the registry's contract, or by environment variables
// against a live one; this is what the latter share.

// bridge gives the address of what carries plain HTTP on to a live registry, since the gateway's site speaks it with its registry.
func bridge(t *testing.T, live string) string {
	t.Helper()
	target, err := url.Parse(live)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }})
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// pairs reads the keys of repositories, as in "pypi=py,maven=libs".
func pairs(text string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		kind, key, _ := strings.Cut(pair, "=")
		out[kind] = key
	}
	return out
}

// secretFile is the placeholder of a secret for the gateway.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "{file." + path + "}"
}
