package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	// shortIdle is for clients that are silent.
	shortIdle = 300 * time.Millisecond
	// fairIdle is for clients that are not, however busy the machine is that they run on.
	fairIdle = 4 * time.Second
)

// impatient gives a house a short patience with clients, and counts whom it cuts off.
func impatient(m *limitMeter, idle time.Duration) option {
	return func(_ *gateway.Registry, c *gateway.Config) { c.BodyIdle, c.BodyRate, c.Meter = idle, 1, m }
}

// limitMeter counts refusals by limits.
type limitMeter struct {
	noMeter
	mu   sync.Mutex
	seen []string
}

func (m *limitMeter) Limited(limit string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, limit)
}

func (m *limitMeter) saw(t *testing.T, limits ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if fmt.Sprint(m.seen) != fmt.Sprint(limits) {
		t.Errorf("counted %v, expected %v", m.seen, limits)
	}
}

// stalled is a body that comes half, and then not until its client has closed it.
type stalled struct {
	io.Reader
	once   sync.Once
	closed chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		<-s.closed
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (s *stalled) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// TestSilentClients: an upload that stops coming is refused in the client's own form, whatever framing and version of HTTP, streamed and
// spooled; the registry stores nothing, and hears of its end.
func TestSilentClients(t *testing.T) {
	spooled := func(r *gateway.Registry, _ *gateway.Config) { r.Body = gateway.BodySpooled }
	asIs := func(*gateway.Registry, *gateway.Config) {}
	for _, version := range []int{1, 2} {
		for name, body := range map[string]option{"streamed": asIs, "spooled": spooled} {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("HTTP/%d, %s, chunked %t", version, name, chunked), func(t *testing.T) {
					m := new(limitMeter)
					h := open(t, impatient(m, shortIdle), body)
					client := h.version(t, version)
					r := h.request(upload{token: h.identity()})
					whole, _ := io.ReadAll(r.Body)
					body := &stalled{Reader: bytes.NewReader(whole[:len(whole)/2]), closed: make(chan struct{})}
					t.Cleanup(func() { body.Close() })
					r.Body = body
					if chunked {
						r.ContentLength = -1
					}
					began := time.Now()
					a := h.doWith(client, r)
					if took := time.Since(began); took < shortIdle || took > patience {
						t.Errorf("refused after %s, expected %s", took, shortIdle)
					}
					h.refused(a, http.StatusRequestTimeout, model.CodeTooSlow)
					m.saw(t, "body_idle")
					if e := h.audit.of(t, model.EventOutcome); e.Code != model.CodeTooSlow || e.Result != "refused" {
						t.Errorf("the audit has %+v", e)
					}
				})
			}
		}
	}
}

// version starts a second front of the same gateway in that version of HTTP, and gives a client for it.
func (h *house) version(t *testing.T, version int) http.RoundTripper {
	t.Helper()
	if version == 1 {
		return http.DefaultTransport
	}
	two := httptest.NewUnstartedServer(h.front.Config.Handler)
	two.EnableHTTP2 = true
	two.Config.ErrorLog = h.front.Config.ErrorLog
	two.StartTLS()
	t.Cleanup(two.Close)
	inner := two.Client().Transport
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, "https", two.Listener.Addr().String()
		resp, err := inner.RoundTrip(r)
		if err == nil && resp.ProtoMajor != version {
			t.Errorf("the answer is of HTTP/%d", resp.ProtoMajor)
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSlowRegistriesAreNoSlowClients: a registry that takes nothing for much longer than a client may be silent, and then all, gets the
// whole upload, in either version of HTTP.
func TestSlowRegistriesAreNoSlowClients(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP/", version), func(t *testing.T) {
			m := new(limitMeter)
			h := open(t, impatient(m, fairIdle))
			h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
				<-time.After(fairIdle + 2*time.Second)
				h.upstream.keep(w, r)
			})
			// More than all the buffers on the way hold.
			large := func(b []byte) []byte {
				line := b[:bytes.IndexByte(b, '\r')]
				field := "\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n" + strings.Repeat("x", 200<<10) + "\r\n"
				return bytes.Join([][]byte{line, []byte(field), b}, nil)
			}
			r := h.request(upload{token: h.identity(), edit: large})
			if a := h.doWith(h.version(t, version), r); a.status != http.StatusOK {
				t.Errorf("got %d %s", a.status, a.body)
			}
			m.saw(t)
		})
	}
}

// TestSilentExchange: a body of an exchange that does not come is refused too.
func TestSilentExchange(t *testing.T) {
	m := new(limitMeter)
	h := open(t, impatient(m, shortIdle))
	for path, form := range map[string]string{"/_/oidc/mint-token": "Token request failed", "/.well-known/trusted-publishing/exchange": "about:blank"} {
		conn, in := h.raw()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", path, h.front.Listener.Addr())
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(text), string(model.CodeTooSlow)) || !strings.Contains(string(text), form) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
	m.saw(t, "body_idle", "body_idle")
}

// TestPaceWithExpect: a client that waits to be asked has the whole time from then on, and its connection serves on after an upload that
// was fast enough.
func TestPaceWithExpect(t *testing.T) {
	m := new(limitMeter)
	h := open(t, impatient(m, fairIdle))
	conn, in := h.raw()
	for i, version := range []string{"1.0", "1.1"} {
		body, contentType := form(t, "acme-widget", version)
		fmt.Fprintf(conn, "POST /root/prod/ HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			h.front.Listener.Addr(), contentType, h.identity(), len(body))
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusContinue {
			t.Fatalf("upload %d: %v, %v, expected to be asked", i, resp, err)
		}
		for piece := range bytes.SplitAfterSeq(body, []byte("\n")) { // in small pieces
			_, _ = conn.Write(piece)
		}
		if resp, err = http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("upload %d: %v, %v", i, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if i == 0 {
			<-time.After(fairIdle + 2*time.Second) // the next request may take its time
		}
	}
	m.saw(t)
}
