package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// drained answers after the whole upload has come.
func drained(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			f(w, r)
		}
	}
}

// gzipped is a text as registries compress it.
func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

func TestWhatComesBackFromTheRegistry(t *testing.T) {
	for _, tc := range []struct {
		name   string
		behave http.HandlerFunc
		status int
		code   model.Code
		check  func(*testing.T, *house, answer)
	}{
		{name: "a refusal of our credential", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "bad credential "+r.Header.Get("Authorization"), http.StatusForbidden)
		}), status: 502, code: model.CodeUpstreamRefusedCredential},
		{name: "a quoted credential", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			http.Error(w, "cannot store for "+password, http.StatusBadRequest)
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "a credential in a header", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Debug", r.Header.Get("Authorization"))
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "a credential in the header of a large answer", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			w.Header().Set("X-Debug", "used "+password)
			w.Header().Set("Content-Length", "200000")
			_, _ = io.WriteString(w, strings.Repeat("x", 200_000))
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "a redirect", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusTemporaryRedirect)
		}), status: 502, code: model.CodeUpstreamRedirected},
		{name: "a duplicate", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "acme_widget-1.0 already exists", http.StatusConflict)
		}), status: 409, check: func(t *testing.T, h *house, a answer) {
			if !strings.Contains(a.body, "already exists") {
				t.Error(a.body)
			}
			if e := h.audit.of(t, model.EventOutcome); e.Result != "refused" || e.UpstreamStatus != 409 {
				t.Errorf("%+v", e)
			}
		}},
		{name: "cookies and addresses", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "session=1")
			w.Header().Set("Location", "http://10.1.2.3:3141/internal/x")
			w.Header().Set("X-Auth-Token", "t")
			w.WriteHeader(http.StatusCreated)
		}), status: 201, check: func(t *testing.T, _ *house, a answer) {
			for _, name := range []string{"Set-Cookie", "Location", "X-Auth-Token"} {
				if v := a.header.Get(name); v != "" {
					t.Errorf("%s: %s", name, v)
				}
			}
		}},
		{name: "a Location behind the registry's own address", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://10.1.2.3:3141/root/prod/x")
			w.WriteHeader(http.StatusCreated)
		}), status: 201, check: func(t *testing.T, h *house, a answer) {
			if want := h.front.URL + "/root/prod/x"; a.header.Get("Location") != want {
				t.Errorf("Location %q, want %q", a.header.Get("Location"), want)
			}
		}},
		{name: "a compressed answer that quotes it", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipped("cannot store for " + password))
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "one that is compressed twice", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip, x-gzip")
			_, _ = w.Write(gzipped(string(gzipped("used " + r.Header.Get("Authorization")))))
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "one that is compressed in an unknown way", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, "\x0b\x02\x80okay\x03")
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "one that says it is compressed", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "cannot store for "+password)
		}), status: 502, code: model.CodeUpstreamQuotedCredential},
		{name: "a bomb", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipped(strings.Repeat("x", 40<<20)))
		}), status: 200},
		{name: "an honest compressed answer", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipped("okay"))
		}), status: 200, check: func(t *testing.T, _ *house, a answer) {
			if a.body != "okay" { // the client unpacks it
				t.Errorf("%q", a.body)
			}
		}},
		{name: "addresses in many headers", behave: drained(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Location", `/\elsewhere.example.com/x`)
			h.Set("Refresh", "0; url=http://10.1.2.3/")
			h.Set("Alt-Svc", `h2="10.1.2.3:443"`)
			h.Set("X-Accel-Redirect", "/internal/secret")
			h.Set("X-Sendfile", "/etc/passwd")
			h.Add("Link", `<http://10.1.2.3:3141/internal/x>; rel="next"`)
			h.Add("Link", `<http://10.1.2.3:3141`+r.URL.Path+`y?last=1>; rel="next", </z>; rel="prev"`)
			h.Add("Link", `<//elsewhere.example.com/>; rel="x", </z>; rel="prev"`)
		}), status: 200, check: func(t *testing.T, h *house, a answer) {
			for _, name := range []string{"Content-Location", "Refresh", "Alt-Svc", "X-Accel-Redirect", "X-Sendfile"} {
				if v := a.header.Get(name); v != "" {
					t.Errorf("%s: %s", name, v)
				}
			}
			want := []string{"<" + h.registry.Public.String() + `y?last=1>; rel="next", </z>; rel="prev"`}
			if diff := cmp.Diff(want, a.header.Values("Link")); diff != "" {
				t.Error(diff)
			}
		}},
		{name: "a large answer", behave: drained(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 200_000))
		}), status: 200, check: func(t *testing.T, _ *house, a answer) {
			if len(a.body) != 200_000 {
				t.Errorf("%d bytes", len(a.body))
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t)
			h.upstream.behave(tc.behave)
			a := h.publish(upload{token: h.identity()})
			if a.status != tc.status || tc.code != "" && !strings.Contains(a.body, string(tc.code)) {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if strings.Contains(a.body+fmt.Sprint(a.header), registryPassword) {
				t.Error("the credential leaks")
			}
			if tc.check != nil {
				tc.check(t, h, a)
			}
		})
	}
}

// TestLocationStaysPublic: an address on our own host has the scheme and the port of the public URL, or a client would send its token
// in clear text, and nobody's name.
func TestLocationStaysPublic(t *testing.T) {
	h := open(t)
	host, path := h.registry.Public.Host, h.registry.Public.Path
	for value, want := range map[string]string{
		"https://" + host + path + "x":           h.front.URL + path + "x",
		"HTTP://" + host + "/other":              h.front.URL + "/other",
		"http://user:pw@" + host + "/x":          h.front.URL + "/x",
		"ftp://" + host + "/x":                   h.front.URL + "/x",
		"//" + host + "/x":                       h.front.URL + "/x",
		path + "x?a=b":                           path + "x?a=b",
		"x":                                      "x",
		"":                                       "",
		"//elsewhere.example.com/x":              "",
		"//elsewhere.example.com" + path + "x":   h.front.URL + path + "x",
		`/\elsewhere.example.com` + path:         "",
		`\\elsewhere.example.com` + path:         "",
		"https:elsewhere.example.com":            "",
		"data:text/plain,x":                      "",
		"https://elsewhere.example.com/%zz":      "",
		"https://" + host + ".example.com/other": "",
	} {
		h.upstream.behave(drained(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", value)
			w.WriteHeader(http.StatusCreated)
		}))
		if a := h.publish(upload{token: h.identity()}); a.status != http.StatusCreated || a.header.Get("Location") != want {
			t.Errorf("%q: %d %q, expected %q", value, a.status, a.header.Get("Location"), want)
		}
	}
}

// half sends the head of an upload and waits for the answer with the tail still to come.
func half(h *house) *http.Response {
	body, contentType := form(h.t, "acme-widget", "1.0")
	conn, in := h.raw()
	fmt.Fprintf(conn, "POST /root/prod/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		h.registry.Public.Host, h.identity(), contentType, len(body))
	_, _ = conn.Write(body[:len(body)-200])
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestAnswersBeforeTheVerdict(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		want   int
		code   model.Code
	}{
		{"a success is not believed", 200, 502, model.CodeUpstreamAnsweredEarly},
		{"a refusal is relayed", 413, 413, ""},
		{"a failure is relayed", 500, 500, ""},
		{"a redirect is not followed", 307, 502, model.CodeUpstreamRedirected},
		{"a refused credential", 401, 502, model.CodeUpstreamRefusedCredential},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t)
			h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
				c := http.NewResponseController(w)
				_ = c.EnableFullDuplex()
				w.Header().Set("Content-Length", "0")
				w.WriteHeader(tc.status)
				_ = c.Flush()
				_, _ = io.Copy(io.Discard, r.Body) // a close at once could take the answer with it
			})
			resp := half(h)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tc.want || tc.code != "" && !strings.Contains(string(body), string(tc.code)) {
				t.Errorf("%s %s", resp.Status, body)
			}
		})
	}
}

// TestInvariantNothingHalfStored: a client that goes away in mid-upload leaves nothing, in either framing.
func TestInvariantNothingHalfStored(t *testing.T) {
	for _, mode := range []gateway.BodyMode{gateway.BodyChunked, gateway.BodyAsSent, gateway.BodySpooled} {
		t.Run(string(mode), func(t *testing.T) {
			h := open(t, func(r *gateway.Registry, _ *gateway.Config) { r.Body = mode })
			broke := make(chan error, 1)
			h.upstream.behave(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				broke <- err
			})
			body, contentType := form(t, "acme-widget", "1.0")
			conn, _ := h.raw()
			fmt.Fprintf(conn, "POST /root/prod/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
				h.registry.Public.Host, h.identity(), contentType, len(body))
			_, _ = conn.Write(body[:len(body)-1])
			_ = conn.Close()
			if e := h.audit.of(t, model.EventOutcome); e.Result != "aborted" && e.Result != "refused" {
				t.Errorf("outcome %+v", e)
			}
			if mode == gateway.BodySpooled {
				return // the registry was never asked
			}
			if err := <-broke; err == nil {
				t.Error("the registry saw a whole body")
			}
		})
	}
}

func TestDenialDoesNotInviteTheBody(t *testing.T) {
	h := open(t)
	_, contentType := form(t, "acme-widget", "1.0")
	conn, in := h.raw()
	fmt.Fprintf(conn, "POST /root/prod/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic cHViOnB3\r\nExpect: 100-continue\r\nContent-Type: %s\r\nContent-Length: 100000000\r\n\r\n",
		h.registry.Public.Host, contentType)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Status, string(model.CodeTrustedPublishingOnly)) {
		t.Error(resp.Status)
	}
}

func TestDenialIsReadByAClientThatIsBusyWriting(t *testing.T) {
	h := open(t)
	for _, size := range []int{4 << 20, 64 << 20} {
		r := h.request(upload{token: "hunter2", edit: func(b []byte) []byte { return append(b, make([]byte, size)...) }})
		h.refused(h.do(r), 403, model.CodeTrustedPublishingOnly)
	}
}

// TestDenialIsReadByAClientThatReadsLast sends everything before it looks for an answer, as Python's clients do.
func TestDenialIsReadByAClientThatReadsLast(t *testing.T) {
	h := open(t)
	conn, in := h.raw()
	const size = 64 << 20
	fmt.Fprintf(conn, "POST /root/prod/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic cHViOnB3\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n",
		h.registry.Public.Host, size)
	if n, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Error(resp.Status)
	}
}

func TestChainThatAnswersNothing(t *testing.T) {
	h := open(t)
	r := httptest.NewRequest(http.MethodPost, h.front.URL+"/root/prod/", h.request(upload{}).Body)
	full := h.request(upload{token: h.identity()})
	r.Header, r.ContentLength, r.Body, r.Host = full.Header, full.ContentLength, full.Body, h.registry.Public.Host
	r.URL.Scheme, r.URL.Host = "", ""
	r.RequestURI = "/root/prod/"
	g, err := gateway.New(gateway.Config{
		Registries: []gateway.Registry{h.registry}, Verifier: h.verifier, Policies: h.policies, Switches: h.switches, Store: h.store, Auditor: h.audit,
		Meter: noMeter{}, Logger: h.logger(), Tokens: h.tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	err = g.ServeHTTP(rec, r, nil, func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	})
	if err != nil || rec.Code != http.StatusBadGateway {
		t.Errorf("%v %d %s", err, rec.Code, rec.Body)
	}
}

func TestPanicInTheChainIsOnRecord(t *testing.T) {
	h := open(t)
	h.upstream.behave(drained(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "200000")
		_, _ = io.WriteString(w, strings.Repeat("x", 150_000))
		panic(http.ErrAbortHandler)
	}))
	resp, err := http.DefaultTransport.RoundTrip(h.request(upload{token: h.identity()}))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("a cut answer looks whole")
	}
	if e := h.audit.of(t, model.EventOutcome); e.Result != "aborted" {
		t.Errorf("outcome %+v", e)
	}
}
