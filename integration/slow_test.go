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
	"github.com/trustpub/trustpub/internal/model"
)

// TestSlowUploads: an upload that stops coming, or trickles, is cut off with a word to its client, and nothing of it is stored; one whose
// registry takes its time is not.
func TestSlowUploads(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines, global []string
		trickle       bool
		limit         string
	}{
		"silent":           {global: []string{"body_idle 1s"}, limit: "body_idle"},
		"silent, spooled":  {global: []string{"body_idle 1s"}, lines: []string{"body spool"}, limit: "body_idle"},
		"a byte at a time": {global: []string{"body_idle 2s", "body_rate 1MiB"}, trickle: true, limit: "body_rate"},
	} {
		for _, f := range framings {
			t.Run(name+", "+string(f), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, "pypiserver", withLines(tc.lines...), withLimits(tc.global...))
				body := newWheel(t, "acme-widget", "1.0").form().Bytes()
				conn := r.dial(t)
				conn.begin(r, f, bearer(r.identity(nil)), len(body))
				conn.send(body[:len(body)/2])
				if tc.trickle {
					stop := make(chan struct{})
					defer close(stop)
					go func() {
						for i := len(body) / 2; i < len(body)-1; i++ {
							select {
							case <-stop:
								return
							case <-time.After(200 * time.Millisecond):
							}
							piece := string(body[i : i+1])
							if f == chunked {
								piece = "1\r\n" + piece + "\r\n"
							}
							if _, err := io.WriteString(conn.Conn, piece); err != nil {
								return
							}
						}
					}()
				}
				refused(t, conn.answer(), http.StatusRequestTimeout, model.CodeTooSlow)
				r.counted(t, tc.limit, 1)
				if n := r.denials(t, model.CodeTooSlow); n != 1 {
					t.Errorf("the audit has %d refusals, expected one", n)
				}
				r.holds(t)
			})
		}
	}
	t.Run("a client that is asked and says nothing", func(t *testing.T) {
		t.Parallel()
		r := startRig(t, sink(t), withLimits("body_idle 1s"))
		conn := r.dial(t)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
			r.site.Registry.Path, r.site.Host(), client.Form{}.ContentType(), r.identity(nil))
		if line, err := conn.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("the first line is %q, %v, expected 100", line, err)
		}
		_, _ = conn.in.ReadString('\n')
		refused(t, conn.answer(), http.StatusRequestTimeout, model.CodeTooSlow)
	})
	t.Run("over HTTP/2", func(t *testing.T) {
		t.Parallel()
		r := startRig(t, sink(t), withLimits("body_idle 1s"))
		refused(t, r.half(t, newWheel(t, "acme-widget", "1.0").form().Bytes()), http.StatusRequestTimeout, model.CodeTooSlow)
	})
}

// half sends the first half of an upload over HTTP/2, and reads the answer.
func (r *rig) half(t *testing.T, body []byte) answer {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: r.tls(), Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	in, out := io.Pipe()
	t.Cleanup(func() { out.Close() })
	go func() { _, _ = out.Write(body[:len(body)/2]) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.site.Public(), in)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength, req.Header = int64(len(body)), bearer(r.identity(nil))
	req.Header.Set("Content-Type", client.Form{}.ContentType())
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.ProtoMajor != 2 {
		t.Fatalf("HTTP/%d, %v", res.ProtoMajor, err)
	}
	return answer{Status: res.StatusCode, Header: res.Header, Body: string(text)}
}

// TestSlowRegistryIsNoSlowClient: a registry that takes nothing for longer than a client may be silent gets the whole upload.
func TestSlowRegistryIsNoSlowClient(t *testing.T) {
	t.Parallel()
	got := make(chan int64, 2)
	addr := misbehaving(t, func(conn net.Conn, q *http.Request) {
		<-time.After(3 * time.Second)
		n, err := io.Copy(io.Discard, q.Body)
		if err != nil {
			n = -1
		}
		got <- n
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	r := startRig(t, sink(t), withUpstream(addr), withLimits("body_idle 1s", "body_rate 1MiB"))
	body := bigWheel(t, "acme-widget", "1.0", 24<<20).form() // more than all the buffers on the way
	ok(t, r.upload(t, bearer(r.identity(nil)), body))
	if n := <-got; n != int64(len(body.Bytes())) {
		t.Errorf("the registry got %d bytes, expected %d", n, len(body.Bytes()))
	}
	r.counted(t, "body_idle", 0)
	r.counted(t, "body_rate", 0)
}
