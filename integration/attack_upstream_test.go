package integration

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// behave is a registry that misbehaves, one connection at a time: it gets the request with its body still unread.
type behave func(conn net.Conn, r *http.Request)

// misbehaving listens as a registry. Questions other than uploads get an empty page.
func misbehaving(t *testing.T, f behave) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					f(conn, r)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// whole answers when the whole body has come.
func whole(answer func(r *http.Request) string) behave {
	return func(conn net.Conn, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			_, _ = io.WriteString(conn, answer(r))
		}
	}
}

func says(answer string) func(*http.Request) string {
	return func(*http.Request) string { return answer }
}

// TestMisbehavingRegistry puts registries behind the gateway that lie, leave and gossip. What the client gets is a denial with its
// code, or what an honest registry could have said; never a success that was not one, and never the credential.
func TestMisbehavingRegistry(t *testing.T) {
	t.Parallel()
	const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	password := func(r *http.Request) string {
		_, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		pair, _ := base64.StdEncoding.DecodeString(value)
		_, secret, _ := strings.Cut(string(pair), ":")
		return secret
	}
	for _, tc := range []struct {
		name   string
		behave behave
		status int
		code   model.Code // empty: the registry's own answer
	}{
		{"honest", whole(says(okay)), 200, ""},
		{"answers before the body", func(c net.Conn, r *http.Request) {
			_, _ = io.WriteString(c, okay)
			_, _ = io.Copy(io.Discard, r.Body)
		}, 502, model.CodeUpstreamAnsweredEarly},
		{"refuses before the body", func(c net.Conn, r *http.Request) {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
			_, _ = io.Copy(io.Discard, r.Body)
		}, 413, ""},
		{"hangs up at once", func(net.Conn, *http.Request) {}, 502, model.CodeUpstreamUnavailable},
		{"resets in the body", func(c net.Conn, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 64<<10)
			_ = c.(*net.TCPConn).SetLinger(0)
		}, 502, model.CodeUpstreamUnavailable},
		{"says nothing", whole(says("")), 502, model.CodeUpstreamUnavailable},
		{"talks nonsense", whole(says("220 mail.example.com ESMTP\r\n")), 502, model.CodeUpstreamUnavailable},
		{"redirects", whole(says("HTTP/1.1 307 Temporary Redirect\r\nLocation: https://elsewhere.example.com/\r\nContent-Length: 0\r\n\r\n")), 502, model.CodeUpstreamRedirected},
		{"wants another credential", whole(says("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")), 502, model.CodeUpstreamRefusedCredential},
		{"switches protocols", whole(says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")), 502, model.CodeUpstreamUnavailable},
		{"gives hints first", whole(says("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + okay)), 200, ""},
		{"quotes the credential", whole(func(r *http.Request) string {
			body := "stored for " + password(r)
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}), 502, model.CodeUpstreamQuotedCredential},
		{"quotes it in a trailer", whole(func(r *http.Request) string {
			return "HTTP/1.1 200 OK\r\nTrailer: X-Debug\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Debug: " + password(r) + "\r\n\r\n"
		}), 200, ""},
		{"quotes it in a hint", whole(func(r *http.Request) string {
			return "HTTP/1.1 103 Early Hints\r\nX-Debug: " + password(r) + "\r\n\r\n" + okay
		}), 200, ""},
		{"quotes it in the reason phrase", whole(func(r *http.Request) string {
			return "HTTP/1.1 400 " + password(r) + "\r\nContent-Length: 3\r\n\r\nbad"
		}), 400, ""},
		{"answers twice", whole(says(okay + okay)), 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "pypiserver", withUpstream(misbehaving(t, tc.behave)))
			w := bigWheel(t, "acme-widget", "1.0", 1<<20)
			a := r.upload(t, bearer(r.identity(nil)), w.form())
			if a.Status != tc.status || tc.code != "" && a.code() != string(tc.code) {
				t.Errorf("got %d %q, expected %d %q\n%s", a.Status, a.code(), tc.status, tc.code, a.Body)
			}
			var text strings.Builder
			_ = a.Header.Write(&text)
			notIn(t, "the answer", text.String()+a.Reason+a.Body, nil, r.reg)
		})
	}
}
