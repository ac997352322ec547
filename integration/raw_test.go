package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/tap"
)

// framing is how a raw request says where its body ends.
type framing string

const (
	byLength framing = "content-length"
	chunked  framing = "chunked"
)

// framings are both of them.
var framings = []framing{byLength, chunked}

// connection is a client of our own over TLS, for what no real client does.
type connection struct {
	*tls.Conn
	t       *testing.T
	in      *bufio.Reader
	framing framing
}

// dial opens a connection to the gateway's site.
func (r *rig) dial(t *testing.T) *connection {
	t.Helper()
	d := tls.Dialer{Config: r.tls()}
	conn, err := d.DialContext(t.Context(), "tcp", strings.Replace(r.site.Host(), "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(awaitLimit)); err != nil {
		t.Fatal(err)
	}
	return &connection{Conn: conn.(*tls.Conn), t: t, in: bufio.NewReader(conn)}
}

// begin sends the head of an upload; length counts the whole body.
func (c *connection) begin(r *rig, f framing, header http.Header, length int) {
	c.t.Helper()
	c.framing = f
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n", r.site.Registry.Path, r.site.Host(), client.Form{}.ContentType())
	_ = header.Write(&b)
	if f == byLength {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", length)
	} else {
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	}
	c.write(b.String())
}

// send sends a piece of the body.
func (c *connection) send(p []byte) {
	c.t.Helper()
	if c.framing == chunked && len(p) > 0 {
		c.write(fmt.Sprintf("%x\r\n%s\r\n", len(p), p))
		return
	}
	c.write(string(p))
}

// end sends the end of the framing.
func (c *connection) end() {
	c.t.Helper()
	if c.framing == chunked {
		c.write("0\r\n\r\n")
	}
}

func (c *connection) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("the gateway stopped listening: %v", err)
	}
}

// answer reads the response.
func (c *connection) answer() answer {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("the answer broke off: %v", err)
	}
	reason := strings.TrimSpace(strings.TrimPrefix(res.Status, strconv.Itoa(res.StatusCode)))
	return answer{Status: res.StatusCode, Reason: reason, Header: res.Header, Body: string(b)}
}

// newTap puts a recorder in front of a registry.
func newTap(t *testing.T, target string) *tap.Tap {
	t.Helper()
	p, err := tap.Start(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// flowing waits until the registry's side has got some bytes of an upload under way.
func flowing(t *testing.T, p *tap.Tap, atLeast int) {
	t.Helper()
	err := process.Poll(t.Context(), awaitLimit, nil, func(context.Context) error {
		if got := p.Sent(); got < atLeast {
			return fmt.Errorf("the registry has got %d bytes, expected %d at least", got, atLeast)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
