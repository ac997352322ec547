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
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
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
	%[5]s
}
http://%[4]s {
	%[5]s
}
`

// benchRegistry is one registry of the gateway.
const benchRegistry = `		registry %s %s http://%s%s {
			credential static {
				basic publisher {file.%s/secret}
			}
		}
`

// benchSink answers in the place of a reverse proxy and its registry, so that what is measured is the gateway alone.
type benchSink struct{}

func init() {
	caddy.RegisterModule(benchSink{})
	httpcaddyfile.RegisterHandlerDirective("bench_sink", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return benchSink{}, nil })
	httpcaddyfile.RegisterDirectiveOrder("bench_sink", httpcaddyfile.After, "reverse_proxy")
}

func (benchSink) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_sink", New: func() caddy.Module { return new(benchSink) }}
}

func (benchSink) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	_, err := io.WriteString(w, "stored\n")
	return err
}

// startSites runs the sites with registries, each as NAME, ECOSYSTEM and PATH, in front of an upstream, or of a sink in its place.
func startSites(b *testing.B, policies string, registries [][3]string, alone bool) (iss *issuer.Server, gatewayAddr, plainAddr string) {
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
		// A file that was just written is read again at each use.
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	var lines strings.Builder
	for _, r := range registries {
		fmt.Fprintf(&lines, benchRegistry, r[0], r[1], gatewayAddr, r[2], dir)
	}
	behind := "reverse_proxy " + strings.TrimPrefix(upstream.URL, "http://")
	if alone {
		behind = "bench_sink"
	}
	text := fmt.Sprintf(benchSites, dir, iss.URL(), gatewayAddr, plainAddr, behind, lines.String())
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

// BenchmarkHandler compares one whole request through the handler with the same request without it: "alone" in front of nothing,
// "proxy" in front of a reverse proxy and its upstream, whose allocations count too.
func BenchmarkHandler(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchHandler(b, true) })
	b.Run("proxy", func(b *testing.B) { benchHandler(b, false) })
}

// benchHandler sends small requests, with a token that was seen before and with a new one each.
func benchHandler(b *testing.B, alone bool) {
	iss, gatewayAddr, plainAddr := startSites(b, testPolicy, [][3]string{{"internal-pypi", "pypi", "/root/prod/"}}, alone)
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
	newToken := func() string {
		// The memory store takes no token of the second in which it was made.
		return iss.Token(gatewayAddr, map[string]any{"iat": time.Now().Add(2 * time.Second).Unix()})
	}
	token := newToken()
	for _, side := range []struct{ name, addr string }{{"plain", plainAddr}, {"gateway", gatewayAddr}} {
		_, port, _ := net.SplitHostPort(side.addr)
		handler := servers[":"+port]
		request := func(method, path, kind, token string, body []byte) {
			r := httptest.NewRequest(method, path, bytes.NewReader(body))
			if body == nil {
				r = httptest.NewRequest(method, path, nil)
			}
			r.Host = side.addr
			r.Header.Set("User-Agent", "bench")
			if kind != "" {
				r.Header.Set("Content-Type", kind)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
		b.Run("read/"+side.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request(http.MethodGet, "/root/prod/+simple/acme-widget/", "", token, nil)
			}
		})
		b.Run("read-new/"+side.name, func(b *testing.B) {
			b.ReportAllocs()
			tokens := make([]string, 0, b.N)
			for range b.N {
				tokens = append(tokens, newToken())
			}
			b.ResetTimer()
			for i := range b.N {
				request(http.MethodGet, "/root/prod/+simple/acme-widget/", "", tokens[i], nil)
			}
		})
		b.Run("upload/"+side.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request(http.MethodPost, "/root/prod/", contentType, token, form)
			}
		})
	}
}
