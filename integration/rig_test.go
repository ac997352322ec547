package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/demo/wheel"
	"github.com/trustpub/trustpub/internal/model"
)

// The kinds of registry that every test of the matrix runs with.
var kinds = []string{"devpi", "pypiserver"}

// awaitLimit bounds the wait for something that happens at once on an idle machine.
const awaitLimit = 30 * time.Second

// registryName is the name of a rig's registry in policies.
const registryName = "internal-pypi"

// widgetPolicy grants acme-widget to the development issuer's default job.
const widgetPolicy = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`

// otherRepository are the claims of a job in a second repository of the same owner, foreignRepository those of a stranger's.
var (
	otherRepository = map[string]any{
		"repository": "acme/gadget", "repository_id": "112", "sub": "repo:acme/gadget:environment:release",
		"workflow_ref":     "acme/gadget/.github/workflows/release.yml@refs/tags/v1",
		"job_workflow_ref": "acme/gadget/.github/workflows/release.yml@refs/tags/v1",
	}
	foreignRepository = map[string]any{
		"repository": "mallory/widget", "repository_id": "999", "repository_owner": "mallory", "repository_owner_id": "998",
		"sub":              "repo:mallory/widget:environment:release",
		"workflow_ref":     "mallory/widget/.github/workflows/release.yml@refs/tags/v1",
		"job_workflow_ref": "mallory/widget/.github/workflows/release.yml@refs/tags/v1",
	}
)

// rig is one registry behind one gateway.
type rig struct {
	t      testing.TB
	reg    *registry.Registry
	gw     *gateway.Gateway
	site   gateway.Site
	config gateway.Config
}

// option changes a rig before it starts.
type option func(*rig, *gateway.Config, map[string]string)

// withMode sets the registry's mode.
func withMode(mode string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { c.Sites[0].Mode = mode }
}

// withUpstream puts something else than the registry behind the gateway.
func withUpstream(addr string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { c.Sites[0].Upstream = addr }
}

// withLines adds lines to the registry's block.
func withLines(lines ...string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) {
		c.Sites[0].Lines = append(c.Sites[0].Lines, lines...)
	}
}

// withIssuer replaces the issuer lines.
func withIssuer(lines ...string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { c.Issuers = lines }
}

// withGlobal adds lines to the global option.
func withGlobal(lines ...string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { c.Global = append(c.Global, lines...) }
}

// withNode makes the gateway one of several behind a balancer, with a common storage.
func withNode(balancer int, storage string, lines ...string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) {
		c.Sites[0].Behind, c.Storage = balancer, storage
		c.Global = append(c.Global, lines...)
	}
}

// withEcosystem makes the registry one of another protocol than Python's.
func withEcosystem(name string) option {
	return func(_ *rig, c *gateway.Config, _ map[string]string) { c.Sites[0].Ecosystem = name }
}

// withPolicy sets a policy file.
func withPolicy(name, text string) option {
	return func(_ *rig, _ *gateway.Config, policies map[string]string) { policies[name] = text }
}

// issuerLine configures a development issuer.
func issuerLine(url string) string { return "issuer github " + url }

// servers are the registries that each test has one of its own of.
var servers = map[string]func(ctx context.Context, dir string) (*registry.Server, error){
	"pypiserver":          registry.StartPyPIServer,
	"ktra":                registry.StartKtra,
	"cargo-http-registry": registry.StartCargoHTTP,
	"webdav":              registry.StartWebDAV,
	"distribution": func(ctx context.Context, dir string) (*registry.Server, error) {
		return registry.StartDistribution(ctx, dir, shared.program)
	},
	"verdaccio": func(ctx context.Context, dir string) (*registry.Server, error) {
		v, err := registry.StartVerdaccio(ctx, dir)
		if err != nil {
			return nil, err
		}
		return v.Server, nil
	},
}

// newRegistry gives the test a registry of its own.
func newRegistry(t *testing.T, kind string) *registry.Registry {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	var reg *registry.Registry
	if kind == "devpi" { // one for all, with an index for each test
		devpi, err := shared.devpi()
		if err != nil {
			t.Fatal(err)
		}
		if reg, err = devpi.Index(t.Context(), "i"+random(6)); err != nil {
			t.Fatal(err)
		}
	} else {
		start, known := servers[kind]
		if !known {
			t.Fatalf("no such kind of registry: %q", kind)
		}
		server, err := start(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		reg = server.Registry
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", kind, tail(reg.Log(), 60))
		}
	})
	return reg
}

// newRig starts a gateway in front of a new registry.
func newRig(t *testing.T, kind string, options ...option) *rig {
	t.Helper()
	return startRig(t, newRegistry(t, kind), options...)
}

// startRig starts a gateway in front of a registry.
func startRig(t testing.TB, reg *registry.Registry, options ...option) *rig {
	t.Helper()
	r := prepareRig(t, reg, options...)
	if err := r.gw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// prepareRig does all but the start.
func prepareRig(t testing.TB, reg *registry.Registry, options ...option) *rig {
	t.Helper()
	port := reg.PublicPort
	if port == 0 {
		var err error
		if port, err = process.FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, reg: reg}
	config := gateway.Config{
		Sites:   []gateway.Site{{Registry: reg, Name: registryName, Port: port}},
		Issuers: []string{issuerLine(shared.issuer.URL())},
	}
	policies := map[string]string{"widget.yaml": widgetPolicy}
	for _, o := range options {
		o(r, &config, policies)
	}
	r.config, r.site = config, config.Sites[0]
	var err error
	r.gw, err = gateway.New(shared.program, t.TempDir(), shared.pki, config, policies)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.gw.Stop()
		r.sweep()
		if t.Failed() {
			t.Logf("the gateway logged:\n%s", tail(quiet(r.gw.Logs()), 40))
		}
	})
	return r
}

// tls trusts the gateway's authority.
func (r *rig) tls() *tls.Config {
	return &tls.Config{RootCAs: shared.pki.Pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// identity is a fresh identity token for this gateway.
func (r *rig) identity(claims map[string]any) string {
	return shared.issuer.Token(r.site.Host(), claims)
}

// home is the surroundings for one run of a client.
func (r *rig) home(job *client.Job) client.Home {
	return client.Home{Dir: r.t.TempDir(), CA: shared.pki.CAFile, Job: job}
}

// files is what the registry holds.
func (r *rig) files() map[string]string {
	r.t.Helper()
	files, err := r.reg.Files(context.WithoutCancel(r.t.Context()))
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

// holds fails the test where the registry holds anything but these files, byte for byte.
func (r *rig) holds(t *testing.T, files ...artifact) {
	t.Helper()
	want := map[string]string{}
	for _, f := range files {
		want[f.file] = f.sha256
	}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Errorf("the registry holds something else (-want +got):\n%s", diff)
	}
}

// unchanged runs f and fails the test where the registry holds anything else afterwards.
func (r *rig) unchanged(t *testing.T, f func()) {
	t.Helper()
	before := r.files()
	f()
	if diff := cmp.Diff(before, r.files()); diff != "" {
		t.Errorf("the registry changed (-before +after):\n%s", diff)
	}
}

// await waits for an event of the audit.
func (r *rig) await(t *testing.T, what string, found func(model.Event) bool) model.Event {
	t.Helper()
	event, err := r.gw.Await(t.Context(), awaitLimit, found)
	if err != nil {
		t.Fatalf("the audit has no %s: %v", what, err)
	}
	return event
}

// answer is what the gateway said to one request.
type answer struct {
	Status int
	// Reason is the reason phrase.
	Reason string
	Header http.Header
	Body   string
}

// code is the stable code that a denial carries in brackets.
func (a answer) code() string {
	at := strings.LastIndex(a.Body, "[")
	if at < 0 {
		return ""
	}
	code, _, _ := strings.Cut(strings.TrimRight(a.Body[at+1:], "]\"}\n"), " ")
	return strings.TrimRight(code, "]")
}

// send sends a request to the gateway's site.
func (r *rig) send(t testing.TB, method, path string, header http.Header, body []byte) answer {
	t.Helper()
	return r.sendBody(t, method, path, header, bytes.NewReader(body))
}

// sendChunked is send without a Content-Length.
func (r *rig) sendChunked(t testing.TB, method, path string, header http.Header, body []byte) answer {
	t.Helper()
	return r.sendBody(t, method, path, header, io.MultiReader(bytes.NewReader(body)))
}

func (r *rig) sendBody(t testing.TB, method, path string, header http.Header, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+r.site.Host()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := r.gw.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	reason := strings.TrimSpace(strings.TrimPrefix(res.Status, strconv.Itoa(res.StatusCode)))
	return answer{Status: res.StatusCode, Reason: reason, Header: res.Header, Body: string(b)}
}

// upload sends a form with one credential header.
func (r *rig) upload(t testing.TB, header http.Header, form client.Form) answer {
	t.Helper()
	header = header.Clone()
	header.Set("Content-Type", form.ContentType())
	return r.send(t, http.MethodPost, r.site.Registry.Path, header, form.Bytes())
}

// exchange swaps an identity token for a publish token as uv does.
func (r *rig) exchange(t testing.TB, identity string) (string, answer) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"token": identity})
	if err != nil {
		t.Fatal(err)
	}
	a := r.send(t, http.MethodPost, "/_/oidc/mint-token", http.Header{"Content-Type": {"application/json"}}, body)
	var minted struct {
		Token string `json:"token"`
	}
	if a.Status/100 == 2 {
		if err := json.Unmarshal([]byte(a.Body), &minted); err != nil {
			t.Fatalf("the exchange answered no JSON: %v\n%s", err, a.Body)
		}
	}
	return minted.Token, a
}

// mint is an exchange that has to work.
func (r *rig) mint(t *testing.T, claims map[string]any) string {
	t.Helper()
	token, a := r.exchange(t, r.identity(claims))
	if token == "" {
		t.Fatalf("the exchange failed: %d %s", a.Status, a.Body)
	}
	return token
}

// bearer is a credential header.
func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// refused fails the test unless the answer is that denial.
func refused(t *testing.T, a answer, status int, code model.Code) {
	t.Helper()
	if a.Status != status || a.code() != string(code) {
		t.Errorf("got %d %q, expected %d with code %s\n%s", a.Status, a.code(), status, code, a.Body)
	}
}

// artifact is a wheel on disk.
type artifact struct {
	name, version, file, path, sha256 string
	bytes                             []byte
}

// form is the wheel's upload.
func (a artifact) form() client.Form { return client.NewForm(a.name, a.version, a.file, a.bytes) }

// random is a lower-case word that no other test has.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// tail is the end of a log.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// newWheel builds a wheel that no other test has.
func newWheel(t testing.TB, name, version string) artifact {
	t.Helper()
	return bigWheel(t, name, version, 0)
}

// bigWheel builds a wheel with filler.
func bigWheel(t testing.TB, name, version string, filler int) artifact {
	t.Helper()
	f, err := wheel.Release{Name: name, Version: version, Summary: "test package " + random(8), Filler: filler}.Wheel()
	if err != nil {
		t.Fatal(err)
	}
	a := artifact{name: name, version: version, file: f.Name, sha256: f.SHA256(), bytes: f.Data, path: filepath.Join(t.TempDir(), f.Name)}
	if err := os.WriteFile(a.path, a.bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

// eventually asks until it is so.
func (r *rig) eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	err := process.Poll(t.Context(), awaitLimit, nil, func(context.Context) error {
		if !so() {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// quiet leaves out what only the talkative log level says, and the access log, which repeats what the test did.
func quiet(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"level":"debug"`) && !strings.Contains(line, `"logger":"http.log.access"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}
