package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	credentials "github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/static"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/demo/wheel"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/pypi"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/loopback"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/publishtoken"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/memory"
	"github.com/trustpub/trustpub/internal/switches"
	"github.com/trustpub/trustpub/policies"
)

const registryPassword = "canary-registry-password"

const grantWidget = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
`

// patience bounds the wait for what comes at once on an idle machine.
const patience = time.Minute

// house is a gateway with its real neighbours between a client and an upstream that a test can bend.
type house struct {
	t        *testing.T
	issuer   *issuer.Server
	verifier *identity.Verifier
	policies *policySwitch
	store    *storeSwitch
	switches *switches.Board
	audit    *notebook
	source   credentials.Source
	upstream *upstream
	front    *httptest.Server
	registry gateway.Registry
	tokens   gateway.Tokens
	log      *lockedLog
	slog     *slog.Logger
	serving  peers
}

// peers counts requests by the address from which they come.
type peers struct {
	mu  sync.Mutex
	now map[string]int
}

func (p *peers) add(addr string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		p.now = map[string]int{}
	}
	p.now[addr] += n
}

func (p *peers) of(addr string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now[addr]
}

// option changes the house before it opens.
type option func(*gateway.Registry, *gateway.Config)

// sharedIssuer spares most tests the making of an RSA key.
var sharedIssuer = sync.OnceValues(func() (*issuer.Server, error) { return issuer.Start(issuer.Options{}) })

func open(t *testing.T, options ...option) *house {
	t.Helper()
	shared, err := sharedIssuer()
	if err != nil {
		t.Fatal(err)
	}
	return openWith(t, shared, options...)
}

// openWith is open for a test that bends the issuer.
func openWith(t *testing.T, iss *issuer.Server, options ...option) *house {
	t.Helper()
	h := &house{t: t, upstream: newUpstream(t), audit: &notebook{}, log: new(lockedLog)}
	logger := slog.New(slog.NewTextHandler(h.log, nil))
	h.slog = logger
	t.Setenv("TRUSTPUB_TEST_PASSWORD", registryPassword)
	h.issuer = iss
	one, err := identity.NewIssuer(identity.Config{Name: "github", Provider: "github", URL: h.issuer.URL()}, identity.Options{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = one.Close() })
	if h.verifier, err = identity.NewVerifier([]*identity.Issuer{one}, identity.Options{Logger: logger}); err != nil {
		t.Fatal(err)
	}
	h.policies = &policySwitch{t: t}
	h.policies.set(grantWidget)
	h.store = &storeSwitch{Store: memory.New(func() time.Time { return time.Now().Add(-time.Minute) })}
	tokens, err := publishtoken.New(publishtoken.Options{Storage: &mapStorage{}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	h.tokens = tokens
	h.front = httptest.NewUnstartedServer(nil)
	public, _ := url.Parse("http://" + h.front.Listener.Addr().String() + "/root/prod/")
	eco, err := pypi.Kind.New(ecosystem.Settings{Registry: "internal-pypi", Public: public})
	if err != nil {
		t.Fatal(err)
	}
	config := static.Kind.New().(*static.Config)
	config.Basic = &static.Basic{User: "publisher", Password: "{env.TRUSTPUB_TEST_PASSWORD}"}
	if h.source, err = config.Provision(credentials.Env{Registry: "internal-pypi", Ecosystem: "pypi", Public: public, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	h.registry = gateway.Registry{
		Name: "internal-pypi", Protocol: "pypi", Ecosystem: eco, Public: public,
		Audiences: gateway.DefaultAudiences("pypi", public), Source: h.source,
	}
	if h.switches, err = switches.Open(t.Context(), h.store, switches.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.switches.Close() })
	cfg := gateway.Config{
		Switches: h.switches, Verifier: h.verifier, Tokens: tokens, Policies: h.policies, Store: h.store, Auditor: h.audit, Meter: noMeter{}, Logger: logger,
		SpoolDir: t.TempDir(),
	}
	for _, change := range options {
		change(&h.registry, &cfg)
	}
	cfg.Registries = append([]gateway.Registry{h.registry}, cfg.Registries...)
	gate, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.serving.add(r.RemoteAddr, 1)
		defer h.serving.add(r.RemoteAddr, -1)
		if err := gate.ServeHTTP(w, r, nil, h.upstream.forward); err != nil {
			http.Error(w, "chain: "+err.Error(), http.StatusBadGateway)
		}
	})
	h.front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	h.front.Start()
	t.Cleanup(h.front.Close)
	return h
}

func (h *house) logger() *slog.Logger { return h.slog }

func (h *house) audience() string { return h.registry.Audiences[0] }

// identity is a fresh identity token of the job that the policy names; overrides change single claims.
func (h *house) identity(overrides ...map[string]any) string {
	var claims map[string]any
	if len(overrides) > 0 {
		claims = overrides[0]
	}
	return h.issuer.Token(h.audience(), claims)
}

// upload is one publish as a client sends it.
type upload struct {
	name, version string
	token         string // sent as the password of __token__; empty: nothing
	header        http.Header
	edit          func(body []byte) []byte // changes the body after it was made
	path          string
	chunked       bool
}

// longForm is a form that flows to the registry while it comes.
func longForm(t *testing.T, name, version string) (body []byte, contentType string) {
	t.Helper()
	body, contentType = form(t, name, version)
	marker, _, _ := bytes.Cut(body, []byte("\r\n"))
	description := "\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n" + strings.Repeat("words ", 64<<10/len("words ")) + "\r\n"
	return slices.Concat(marker, []byte(description), body), contentType
}

func form(t *testing.T, name, version string) (body []byte, contentType string) {
	t.Helper()
	w, err := wheel.Release{Name: name, Version: version}.Wheel()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, f := range [][2]string{
		{":action", "file_upload"},
		{"protocol_version", "1"},
		{"metadata_version", "2.1"},
		{"name", name},
		{"version", version},
		{"filetype", "bdist_wheel"},
		{"pyversion", "py3"},
		{"sha256_digest", w.SHA256()},
	} {
		_ = m.WriteField(f[0], f[1])
	}
	part, _ := m.CreateFormFile("content", w.Name)
	_, _ = part.Write(w.Data)
	_ = m.Close()
	return b.Bytes(), m.FormDataContentType()
}

func (h *house) request(u upload) *http.Request {
	h.t.Helper()
	if u.name == "" {
		u.name, u.version = "acme-widget", "1.0"
	}
	if u.path == "" {
		u.path = "/root/prod/"
	}
	body, contentType := form(h.t, u.name, u.version)
	if u.edit != nil {
		body = u.edit(body)
	}
	r, err := http.NewRequest(http.MethodPost, h.front.URL+u.path, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if u.chunked {
		r.ContentLength, r.Body = -1, io.NopCloser(bytes.NewReader(body))
	}
	r.Header.Set("Content-Type", contentType)
	for name, values := range u.header {
		r.Header[name] = values
	}
	if u.token != "" {
		r.SetBasicAuth("__token__", u.token)
	}
	return r
}

// answer is what a client sees.
type answer struct {
	status int
	reason string
	body   string
	header http.Header
}

// do sends a request, and returns when the gateway has done with it: outcomes and counts are written after the answer.
func (h *house) do(r *http.Request) answer {
	h.t.Helper()
	return h.doWith(http.DefaultTransport, r)
}

// doWith is do by another client.
func (h *house) doWith(client http.RoundTripper, r *http.Request) answer {
	h.t.Helper()
	var peer string
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { peer = c.Conn.LocalAddr().String() }}
	resp, err := client.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		h.t.Fatalf("no answer: %v\n%s", err, h.log)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("cut answer: %v", err)
	}
	_ = resp.Body.Close()
	for deadline := time.Now().Add(patience); h.serving.of(peer) > 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("the gateway has not done with a request after %s", patience)
		}
	}
	return answer{status: resp.StatusCode, reason: strings.TrimPrefix(resp.Status, fmt.Sprintf("%d ", resp.StatusCode)), body: string(b), header: resp.Header}
}

func (h *house) publish(u upload) answer { h.t.Helper(); return h.do(h.request(u)) }

// exchange mints a publish token as uv does.
func (h *house) exchange(token string) (string, answer) {
	h.t.Helper()
	body, _ := json.Marshal(map[string]string{"token": token})
	r, _ := http.NewRequest(http.MethodPost, h.front.URL+"/_/oidc/mint-token", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	a := h.do(r)
	var out struct{ Token string }
	_ = json.Unmarshal([]byte(a.body), &out)
	return out.Token, a
}

// refused checks a denial, what the audit says of it, and that the registry holds nothing new.
func (h *house) refused(a answer, status int, code model.Code) {
	h.t.Helper()
	if a.status != status || !strings.Contains(a.body, string(code)) {
		h.t.Errorf("got %d %q\n%s\nwant %d %s\n%s", a.status, a.reason, a.body, status, code, h.log)
	}
	if got := h.upstream.stored(); len(got) != 0 {
		h.t.Errorf("the registry stored %d uploads of a refused request", len(got))
	}
	h.secretFree(a)
}

func (h *house) secretFree(a answer) {
	h.t.Helper()
	text := fmt.Sprint(a.reason, a.body, a.header, h.log.String(), h.audit.text())
	for _, secret := range []string{registryPassword, "cHVibGlzaGVyOmNhbmFyeS", "eyJhbGciOi", "tpub_ey"} {
		if strings.Contains(a.reason+fmt.Sprint(a.header)+h.log.String()+h.audit.text(), secret) || secret == registryPassword && strings.Contains(text, secret) {
			h.t.Errorf("%q leaks", secret)
		}
	}
}

// upstream is the registry's side: a real server that keeps whole uploads, and that a test can replace.
type upstream struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	addr   atomic.Pointer[string]
	handle atomic.Pointer[http.HandlerFunc]

	mu   sync.Mutex
	kept []kept
}

// kept is an upload that arrived whole.
type kept struct {
	header http.Header
	uri    string
	body   []byte
}

type proxyError struct{}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := u.handle.Load(); f != nil {
			(*f)(w, r)
			return
		}
		u.keep(w, r)
	}))
	t.Cleanup(u.server.Close)
	addr := u.server.Listener.Addr().String()
	u.addr.Store(&addr)
	u.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: *u.addr.Load()}) },
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			*r.Context().Value(proxyError{}).(*error) = err
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	return u
}

func (u *upstream) keep(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.Method != http.MethodGet {
		u.mu.Lock()
		u.kept = append(u.kept, kept{header: r.Header.Clone(), uri: r.RequestURI, body: body})
		u.mu.Unlock()
	}
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, "read %s auth=%t cookie=%t", r.RequestURI, r.Header.Get("Authorization") != "", r.Header.Get("Cookie") != "")
	}
}

// away puts nobody in the registry's place.
func (u *upstream) away(t *testing.T) {
	t.Helper()
	held, err := loopback.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Release)
	addr := held.Addr()
	u.addr.Store(&addr)
}

// behave replaces the upstream's answer.
func (u *upstream) behave(f http.HandlerFunc) { u.handle.Store(&f) }

func (u *upstream) stored() []kept {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.kept
}

// forget empties the registry.
func (u *upstream) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.kept = nil
}

// forward is what Caddy's reverse_proxy is in production.
func (u *upstream) forward(w http.ResponseWriter, r *http.Request) error {
	var failed error
	u.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), proxyError{}, &failed)))
	return failed
}

// notebook keeps events, and fails on demand.
type notebook struct {
	mu     sync.Mutex
	events []model.Event
	broken bool
}

func (n *notebook) Record(_ context.Context, e model.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return errors.New("disk full")
	}
	n.events = append(n.events, e)
	return nil
}

func (n *notebook) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return errors.New("disk full")
	}
	return nil
}

func (n *notebook) Note(e model.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

func (n *notebook) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, _ := json.Marshal(n.events)
	return string(b)
}

// of waits for the event of a kind and returns the newest; outcomes are written after the answer.
func (n *notebook) of(t *testing.T, kind model.EventKind) model.Event {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		n.mu.Lock()
		for i := len(n.events) - 1; i >= 0; i-- {
			if n.events[i].Kind == kind {
				e := n.events[i]
				n.mu.Unlock()
				return e
			}
		}
		n.mu.Unlock()
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("no %s event in %s", kind, n.text())
	return model.Event{}
}

// policySwitch is a policy set that a test replaces while uploads flow.
type policySwitch struct {
	t   *testing.T
	now atomic.Pointer[policies.Set]
	// beside are the names and ecosystems of further registries.
	beside map[string]string
}

func (p *policySwitch) set(text string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "widget.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	registries := map[string]string{"internal-pypi": "pypi"}
	maps.Copy(registries, p.beside)
	set, err := policies.Load([]string{file}, policies.Env{
		Registries: registries,
		Issuers:    []policies.Issuer{{Name: "github", Provider: "github"}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.now.Store(set)
}

func (p *policySwitch) Evaluate(id *model.Identity, target model.Target) model.Decision {
	return p.now.Load().Evaluate(id, target)
}

func (p *policySwitch) Protected(registry, pkg string) bool {
	return p.now.Load().Protected(registry, pkg)
}

// storeSwitch is the memory store, which fails on demand.
type storeSwitch struct {
	store.Store
	broken atomic.Bool
}

var errStore = errors.New("connection refused")

func (s *storeSwitch) Claim(ctx context.Context, key, holder string, until time.Time) (string, error) {
	if s.broken.Load() {
		return "", errStore
	}
	return s.Store.Claim(ctx, key, holder, until)
}

func (s *storeSwitch) Revoked(ctx context.Context, ids ...string) (bool, error) {
	if s.broken.Load() {
		return false, errStore
	}
	return s.Store.Revoked(ctx, ids...)
}

// mapStorage is certmagic's shape of storage in memory.
type mapStorage struct {
	mu   sync.Mutex
	lock sync.Mutex
	data map[string][]byte
}

func (m *mapStorage) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		m.data = map[string][]byte{}
	}
	m.data[key] = bytes.Clone(value)
	return nil
}

func (m *mapStorage) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.data[key]; ok {
		return bytes.Clone(v), nil
	}
	return nil, fs.ErrNotExist
}

func (m *mapStorage) Exists(ctx context.Context, key string) bool {
	_, err := m.Load(ctx, key)
	return err == nil
}

func (m *mapStorage) Lock(context.Context, string) error   { m.lock.Lock(); return nil }
func (m *mapStorage) Unlock(context.Context, string) error { m.lock.Unlock(); return nil }

type noMeter struct{}

func (noMeter) Request(string, string, string, model.Code) {}
func (noMeter) Upload(string, int64, time.Duration)        {}
func (noMeter) Limited(string)                             {}

// lockedLog is a log that may be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// raw opens a connection to the front, for what no HTTP client would send.
func (h *house) raw() (net.Conn, *bufio.Reader) {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.front.Listener.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn, bufio.NewReader(conn)
}
