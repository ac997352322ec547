package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/internal/model"
)

// withSite changes the site itself.
func withSite(change func(*gateway.Site)) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { change(&c.Sites[0]) }
}

// TestRegistryComesBack: an upload that found no registry burned nothing: the same token publishes the same file once it is there.
func TestRegistryComesBack(t *testing.T) {
	t.Parallel()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", itoa(port))
	r := startRig(t, sink(t), withUpstream(addr))
	w, token := newWheel(t, "acme-widget", "1.0"), r.identity(nil)
	for range 2 {
		refused(t, r.upload(t, bearer(token), w.form()), http.StatusBadGateway, model.CodeUpstreamUnavailable)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	ok(t, r.upload(t, bearer(token), w.form()))
	replayed(t, r.upload(t, bearer(token), newWheel(t, "acme-widget", "1.1").form()))
}

// TestSlowRegistry: a registry that takes an upload and then thinks is given up after the time that the operator set, once; one that is
// slow and answers in time is waited for.
func TestSlowRegistry(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 8)
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	addr := misbehaving(t, func(conn net.Conn, q *http.Request) {
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return
		}
		asked <- q.Method
		<-stuck
	})
	r := startRig(t, sink(t), withUpstream(addr), withSite(func(s *gateway.Site) { s.Transport = []string{"response_header_timeout 1s"} }))
	began := time.Now()
	a := r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget", "1.0").form())
	refused(t, a, http.StatusGatewayTimeout, model.CodeUpstreamTimeout)
	if took := time.Since(began); took < time.Second || took > awaitLimit {
		t.Errorf("it took %s, expected a second and the machine's own time", took)
	}
	if got := len(asked); got != 1 {
		t.Errorf("the registry was asked %d times, expected once: an upload is not sent again", got)
	}
	r.await(t, "outcome of the upload", func(e model.Event) bool {
		return e.Kind == model.EventOutcome && strings.Contains(a.Body, e.ID) && e.Result != "stored" && e.Code == model.CodeUpstreamTimeout
	})
}

// TestExpect: a client that waits to be asked for its body is refused before it sends one, and is asked only for what may be published.
func TestExpect(t *testing.T) {
	t.Parallel()
	r := startRig(t, sink(t))
	body := newWheel(t, "acme-widget", "1.0").form().Bytes()
	ask := func(token string) *connection {
		t.Helper()
		conn := r.dial(t)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			r.site.Registry.Path, r.site.Host(), client.Form{}.ContentType(), token, len(body))
		return conn
	}
	t.Run("refused", func(t *testing.T) {
		for name, token := range map[string]string{"a password": "hunter2", "another issuer's token": newIssuer(t).Token(r.site.Host(), nil), "a forged one": "tpub_" + strings.Repeat("a", 60)} {
			line, err := ask(token).in.ReadString('\n')
			if err != nil || strings.Contains(line, "100") || !strings.HasPrefix(line, "HTTP/1.1 4") {
				t.Errorf("%s: the first line is %q, %v, expected a refusal and no 100", name, line, err)
			}
		}
	})
	t.Run("asked for", func(t *testing.T) {
		conn := ask(r.identity(nil))
		line, err := conn.in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("the first line is %q, %v, expected 100", line, err)
		}
		if _, err := conn.in.ReadString('\n'); err != nil { // the empty line behind it
			t.Fatal(err)
		}
		conn.write(string(body))
		ok(t, conn.answer())
	})
}

// TestUnmatchedRoute: what no site and no registry has is refused, in no case a success.
func TestUnmatchedRoute(t *testing.T) {
	t.Parallel()
	r := startRig(t, sink(t), withSite(func(s *gateway.Site) { s.CatchAll = true }))
	body := newWheel(t, "acme-widget", "1.0").form().Bytes()
	token := r.identity(nil)
	for name, c := range map[string]struct{ host, path string }{
		"another host":    {"elsewhere.example.com", r.site.Registry.Path},
		"no registry":     {r.site.Host(), "/another/index/"},
		"the root":        {r.site.Host(), "/"},
		"beside the path": {r.site.Host(), strings.TrimSuffix(r.site.Registry.Path, "/") + "x/"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := r.dial(t)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
				c.path, c.host, client.Form{}.ContentType(), token, len(body))
			_, _ = conn.Conn.Write(body) // a refusal need not wait for it
			if a := conn.answer(); a.Status < 400 || a.Status > 499 {
				t.Errorf("got %d, expected a refusal\n%s", a.Status, a.Body)
			}
		})
	}
	ok(t, r.upload(t, bearer(token), newWheel(t, "acme-widget", "1.0").form()))
}
