package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
)

// TestSmuggling writes requests that two servers could cut at different places, or address to different ones, byte by byte: what
// reaches the registry is nothing, or the one upload that was judged, and never a request that hid in another.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reg := newRegistry(t, kind)
			p := newTap(t, reg.Addr)
			r := startRig(t, reg, withUpstream(p.Addr()))
			w := newWheel(t, "acme-widget", "1.0")
			body := string(w.form().Bytes())
			hidden := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
				r.site.Registry.Path, reg.Addr, r.password().Get("Authorization"), client.Form{}.ContentType(), len(body), body)
			path, host := r.site.Registry.Path, r.site.Host()
			for _, tc := range []struct {
				name, line string
				headers    []string
				body       string
			}{
				{"length and chunked", "POST " + path, []string{"Content-Length: 5", "Transfer-Encoding: chunked"}, "0\r\n\r\n" + hidden},
				{"chunked and length", "POST " + path, []string{"Transfer-Encoding: chunked", "Content-Length: " + itoa(len(body))}, body},
				{"two lengths", "POST " + path, []string{"Content-Length: " + itoa(len(body)), "Content-Length: 0"}, body},
				{"two lengths in one line", "POST " + path, []string{"Content-Length: " + itoa(len(body)) + ", 0"}, body},
				{"a signed length", "POST " + path, []string{"Content-Length: +" + itoa(len(body))}, body},
				{"a length of zero and a body", "POST " + path, []string{"Content-Length: 0"}, hidden},
				{"a folded length", "POST " + path, []string{"Content-Length:\r\n " + itoa(len(body))}, body},
				{"a folded encoding", "POST " + path, []string{"Content-Length: 4", "X: y\r\n Transfer-Encoding: chunked"}, hidden},
				{"a space before the colon", "POST " + path, []string{"Content-Length : " + itoa(len(body))}, body},
				{"an encoding of two", "POST " + path, []string{"Transfer-Encoding: gzip, chunked"}, "0\r\n\r\n" + hidden},
				{"an unknown encoding", "POST " + path, []string{"Transfer-Encoding: xchunked"}, hidden},
				{"an encoding after a tab", "POST " + path, []string{"Content-Length: 4", "Transfer-Encoding:\x0bchunked"}, hidden},
				{"two encodings", "POST " + path, []string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, "0\r\n\r\n" + hidden},
				{"a bad chunk length", "POST " + path, []string{"Transfer-Encoding: chunked"}, "0x" + fmt.Sprintf("%x", len(body)) + "\r\n" + body + "\r\n0\r\n\r\n"},
				{"a chunk that ends late", "POST " + path, []string{"Transfer-Encoding: chunked"}, fmt.Sprintf("%x\r\n%sX\r\n0\r\n\r\n", len(body), body)},
				{"a trailer that names a length", "POST " + path, []string{"Transfer-Encoding: chunked", "Trailer: Content-Length"}, fmt.Sprintf("%x\r\n%s\r\n0\r\nContent-Length: 3\r\n\r\n", len(body), body)},
				{"a body of a GET", "GET " + path, []string{"Content-Length: " + itoa(len(hidden))}, hidden},
				{"a chunked body of a HEAD", "HEAD " + path, []string{"Transfer-Encoding: chunked"}, "0\r\n\r\n" + hidden},
				{"a second host", "POST " + path, []string{"Host: other.example.com", "Content-Length: " + itoa(len(body))}, body},
				{"another host in the target", "POST https://other.example.com" + path, []string{"Content-Length: " + itoa(len(body))}, body},
				{"the host in the target", "POST https://" + host + path, []string{"Content-Length: " + itoa(len(body))}, body},
				{"a tunnel", "CONNECT " + host, nil, hidden},
				{"an asterisk", "OPTIONS *", nil, ""},
				{"a carriage return in a header", "POST " + path, []string{"X-A: b\rContent-Length: 0", "Content-Length: " + itoa(len(body))}, body},
				{"a null byte in a header", "POST " + path, []string{"X-A: b\x00c", "Content-Length: " + itoa(len(body))}, body},
				{"a request line of three spaces", "POST " + path + " x", []string{"Content-Length: " + itoa(len(body))}, body},
				{"a method in small letters", "post " + path, []string{"Content-Length: " + itoa(len(body))}, body},
				{"an upgrade with a body", "GET " + path, []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"}, hidden},
				{"an upgrade to h2c", "GET " + path, []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
			} {
				t.Run(tc.name, func(t *testing.T) {
					before := uploads(t, p)
					conn := r.dial(t)
					head := tc.line + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + r.identity(otherRepository) +
						"\r\nContent-Type: " + client.Form{}.ContentType() + "\r\n"
					for _, h := range tc.headers {
						head += h + "\r\n"
					}
					_, _ = io.WriteString(conn.Conn, head+"\r\n"+tc.body) // the server may hang up in the middle
					_ = conn.CloseWrite()
					for {
						res, err := http.ReadResponse(conn.in, nil)
						if err != nil {
							break
						}
						// Caddy answers 200 for a host that it has no site for; nothing of ours is asked then.
						if res.StatusCode < 300 && strings.HasPrefix(tc.line, "POST /") {
							t.Errorf("got %s, expected a refusal", res.Status)
						}
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
					}
					if after := uploads(t, p); len(after) != len(before) {
						t.Errorf("%d uploads reached the registry", len(after)-len(before))
					}
					r.holds(t)
				})
			}
		})
	}
}
