package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/demo/wheel"
)

// benchSites are a gateway and a plain reverse proxy of one Caddy in front of one upstream.
const benchSites = `{
	admin off
	persist_config off
	auto_https off
	storage file_system %[1]s/storage
	log {
		output discard
	}
	trusted_publishing {
		policies %[1]s/policies.yaml
		issuer github %[2]s
		store memory
		audit file %[1]s/audit.jsonl {
			fsync never
		}
	}
}
http://%[3]s {
	trusted_publishing {
%[6]s	}
	reverse_proxy %[5]s
}
http://%[4]s {
	reverse_proxy %[5]s
}
`

// benchRegistry is one registry of the gateway.
const benchRegistry = `		registry %s %s http://%s%s {
			credential static {
				basic publisher {file.%s/secret}
			}
		}
`

// startSites runs the sites with registries, each as NAME, ECOSYSTEM and PATH.
func startSites(b *testing.B, policies string, registries [][3]string) (iss *issuer.Server, gatewayAddr, plainAddr string) {
	b.Helper()
	iss, err := issuer.Start(issuer.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = iss.Close() })
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(upstream.Close)
	gatewayAddr, plainAddr = freeAddr(b), freeAddr(b)
	dir := b.TempDir()
	for name, content := range map[string]string{"policies.yaml": policies, "secret": "registry-password\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var lines strings.Builder
	for _, r := range registries {
		fmt.Fprintf(&lines, benchRegistry, r[0], r[1], gatewayAddr, r[2], dir)
	}
	text := fmt.Sprintf(benchSites, dir, iss.URL(), gatewayAddr, plainAddr, strings.TrimPrefix(upstream.URL, "http://"), lines.String())
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": filepath.Join(dir, "Caddyfile")})
	if err != nil {
		b.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = caddy.Stop() })
	return iss, gatewayAddr, plainAddr
}

// BenchmarkHandler compares one whole request through the handler, with a token that was seen before, with the same request
// through a plain reverse proxy. Allocations count the upstream's too, which are the same on both sides.
func BenchmarkHandler(b *testing.B) {
	iss, gatewayAddr, plainAddr := startSites(b, testPolicy, [][3]string{{"internal-pypi", "pypi", "/root/prod/"}})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	servers := map[string]http.Handler{}
	for _, server := range app.(*caddyhttp.App).Servers {
		servers[strings.TrimPrefix(server.Listen[0], "tcp/")] = server
	}
	file, err := wheel.Release{Name: "acme-widget", Version: "1.0"}.Wheel()
	if err != nil {
		b.Fatal(err)
	}
	contentType, form := file.Form()
	// The memory store takes no token of the second in which it was made.
	token := iss.Token(gatewayAddr, map[string]any{"iat": time.Now().Add(2 * time.Second).Unix()})
	for _, side := range []struct{ name, addr string }{{"plain", plainAddr}, {"gateway", gatewayAddr}} {
		_, port, _ := net.SplitHostPort(side.addr)
		handler := servers[":"+port]
		request := func(method, path, kind string, body []byte) {
			r := httptest.NewRequest(method, path, bytes.NewReader(body))
			if body == nil {
				r = httptest.NewRequest(method, path, nil)
			}
			r.Host = side.addr
			r.Header.Set("User-Agent", "bench")
			if kind != "" {
				r.Header.Set("Content-Type", kind)
			}
			r.SetBasicAuth("__token__", token)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
		b.Run("read/"+side.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request(http.MethodGet, "/root/prod/+simple/acme-widget/", "", nil)
			}
		})
		b.Run("upload/"+side.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request(http.MethodPost, "/root/prod/", contentType, form)
			}
		})
	}
}

func freeAddr(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
