package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	ports "github.com/trustpub/trustpub/internal/loopback"
)

// rig is a folder and an upstream for tests that run Caddy in this process. There is one Caddy in a process, so these tests
// don't run in parallel.
type rig struct {
	t        *testing.T
	dir      string
	addr     string
	upstream *httptest.Server
}

const testPolicy = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
`

// newRig makes a rig whose upstream answers with handler.
func newRig(t *testing.T, handler http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), addr: freeAddr(t), upstream: httptest.NewServer(handler)}
	t.Cleanup(r.upstream.Close)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		r.settle()
	})
	r.write("policies/widget.yaml", testPolicy)
	r.write("secret", "registry-password\n")
	r.write("keys.json", `{"keys":[]}`)
	return r
}

// freeAddr is a host and port that are nobody else's until the end of the test.
func freeAddr(t testing.TB) string {
	t.Helper()
	held, err := ports.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Release)
	return held.Addr()
}

// patience bounds the wait for what comes at once on an idle machine.
const patience = time.Minute

// settle waits until configurations that were replaced are closed.
func (r *rig) settle() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := pending.wait(ctx); err != nil {
		r.t.Fatalf("a configuration that was replaced is still open: %v", err)
	}
}

func (r *rig) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// await waits until a file that is written behind the answers has so many of something.
func (r *rig) await(name, what string, times int) string {
	r.t.Helper()
	text := r.read(name)
	for deadline := time.Now().Add(patience); strings.Count(text, what) < times; text = r.read(name) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s has %q %d times, expected %d:\n%s", name, what, strings.Count(text, what), times, text)
		}
		<-time.After(5 * time.Millisecond)
	}
	return text
}

// caddyfile fills in the usual global option and site; the arguments add to them.
func (r *rig) caddyfile(global, registry, site string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 20s
	storage file_system %[1]s/storage
	metrics
	log {
		output file %[1]s/caddy.log
	}
	trusted_publishing {
		policies ./policies
		issuer github
		audit ./audit.jsonl
		%[4]s
	}
}
http://%[2]s {
	log {
		output file %[1]s/access.log
	}
	metrics /metrics
	trusted_publishing {
		registry internal-pypi pypi http://%[2]s/root/prod/ {
			credential static {
				basic publisher {file.%[1]s/secret}
			}
			%[5]s
		}
	}
	%[6]s
	reverse_proxy %[3]s
}
`, r.dir, r.addr, strings.TrimPrefix(r.upstream.URL, "http://"), global, registry, site)
}

func (r *rig) adapt(caddyfile string) ([]byte, error) {
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": filepath.Join(r.dir, "Caddyfile")})
	return out, err
}

// load runs a Caddyfile.
func (r *rig) load(caddyfile string) error {
	r.t.Helper()
	out, err := r.adapt(caddyfile)
	if err != nil {
		r.t.Fatalf("adapt: %v", err)
	}
	return caddy.Load(out, true)
}

func (r *rig) mustLoad(caddyfile string) {
	r.t.Helper()
	if err := r.load(caddyfile); err != nil {
		r.t.Fatalf("load: %v", err)
	}
}

// do sends a request on a connection of its own and returns answer and body. Right after a reload the old server may still
// accept a connection and close it unread; that one is made again.
func (r *rig) do(method, path string, body string) (*http.Response, string) {
	r.t.Helper()
	return r.doAs("", "", method, path, body)
}

// doAs is do with a Basic credential, where there is a user.
func (r *rig) doAs(user, password, method, path, body string) (*http.Response, string) {
	r.t.Helper()
	return r.doWith(user, password, nil, method, path, body)
}

// doWith is doAs with headers.
func (r *rig) doWith(user, password string, header http.Header, method, path, body string) (*http.Response, string) {
	r.t.Helper()
	var resp *http.Response
	for attempt := 1; resp == nil; attempt++ {
		req, err := http.NewRequest(method, "http://"+r.addr+path, strings.NewReader(body))
		if err != nil {
			r.t.Fatal(err)
		}
		maps.Copy(req.Header, header)
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		req.Close = true
		resp, err = http.DefaultClient.Do(req)
		if err != nil && (attempt == 5 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET)) {
			r.t.Fatal(err)
		}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(bytes.TrimSpace(b))
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}
