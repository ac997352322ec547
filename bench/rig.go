package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

// The names of the sides.
const (
	gateway = "gateway" // with the memory store and an audit that is never synced
	durable = "gateway, local store"
	plain   = "plain"
	// The sides that only some rows need, and the text in the names of those.
	undigested, undigestedRows = "gateway, no digest", "without its digest"
	crowded, crowdedRows       = "gateway, 100,000 policies", "100,000 policies"
)

// rig is all that runs: the issuer and the upstream in this process, the sides in their own.
type rig struct {
	opts     options
	dir      string
	program  string
	issuer   *issuer.Server
	upstream *httptest.Server
	arrived  atomic.Int64 // requests whose body has reached the upstream
	sides    []*side
	extra    []extra
	oneCore  float64 // bytes a second that one core carries through plain, once that is known
	policies string  // a folder with 100,000 of them; empty where no row needs it
}

const policy = `policies:
  - name: all
    registry: [index, modules]
    packages: [widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
`

// caddyfile is the configuration of a side of Caddy; site is what stands before the proxy, global what belongs to it.
const caddyfile = `{
	admin %s
	persist_config off
	auto_https off
	storage file_system %s
	log {
		level ERROR
	}
%s}
http://%s {
%s	reverse_proxy %s {
		transport http {
			keepalive_idle_conns_per_host 256
			write_buffer 40KiB
		}
	}
}
`

// Everything comes from one address, so what is rationed by address is not.
const gatewayGlobal = `	trusted_publishing {
		limits {
			exchanges_per_client off
			exchanges_per_issuer off
			failures_per_client off
			refusals_per_client off
			refusals off
		}
		policies %s
		issuer github %s
		store %s
		audit file %s {
			fsync %s
		}
	}
`

const gatewaySite = `	trusted_publishing {
		registry index pypi http://%[1]s/index/ {
			credential static {
				basic publisher {file.%[2]s}
			}
		}
		registry modules npm http://%[1]s/modules/ {
			credential static {
				bearer {file.%[2]s}
			}
		}
	}
`

// newRig builds cmd/caddy and starts everything.
func newRig(ctx context.Context, dir string, opts options) (*rig, error) {
	r := &rig{opts: opts, dir: dir, program: filepath.Join(dir, "caddy"), extra: extras()}
	root, err := projectRoot(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.build(ctx, root); err != nil {
		return nil, err
	}
	if r.needs(crowdedRows) {
		if err := r.writePolicies(); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"policies.yaml": policy, "secret": "registry-password\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if r.issuer, err = issuer.Start(issuer.Options{Lifetime: time.Hour}); err != nil {
		return nil, err
	}
	if err := r.writeKey(); err != nil {
		return nil, err
	}
	r.upstream = httptest.NewServer(http.HandlerFunc(r.serve))
	if err := r.restart(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// restart starts all sides anew.
func (r *rig) restart(ctx context.Context) error {
	r.stop()
	upstream := strings.TrimPrefix(r.upstream.URL, "http://")
	for _, name := range r.caddies() {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		folder, err := os.MkdirTemp(r.dir, "side-*")
		if err != nil {
			return err
		}
		global, site := "", ""
		if name != plain {
			store, sync := "memory", "never"
			if name == durable {
				store, sync = "local", "always"
			}
			policies := "policies.yaml"
			if name == crowded {
				policies = r.policies
			}
			global = fmt.Sprintf(gatewayGlobal, policies, r.issuer.URL(), store, filepath.Join(folder, "audit.jsonl"), sync)
			site = fmt.Sprintf(gatewaySite, addr, filepath.Join(r.dir, "secret"))
		}
		admin := "off"
		if r.opts.profiles != "" {
			if admin, err = freeAddr(); err != nil {
				return err
			}
		}
		config := filepath.Join(r.dir, filepath.Base(folder)+".caddyfile")
		if err := os.WriteFile(config, fmt.Appendf(nil, caddyfile, admin, folder, global, addr, site, upstream), 0o600); err != nil {
			return err
		}
		program := r.program
		if name == undigested {
			program += undigestedSuffix
		}
		s, err := startSide(ctx, name, addr, r.dir, program, "run", "--config", config, "--adapter", "caddyfile")
		if err != nil {
			return err
		}
		s.admin = admin
		r.sides = append(r.sides, s)
	}
	for _, e := range r.extra {
		s, err := e.start(ctx, r.dir, upstream, filepath.Join(r.dir, keyFile))
		if err != nil {
			return err
		}
		r.sides = append(r.sides, s)
	}
	return nil
}

// serve is the upstream: it takes a body and answers little.
func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	buf := make([]byte, 64<<10)
	if n, _ := req.Body.Read(buf); n > 0 {
		r.arrived.Add(1)
	}
	_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, req.Body, buf)
	_, _ = w.Write(answer)
}

var answer = []byte(strings.Repeat("answer ", 28))

func (r *rig) stop() {
	for _, s := range r.sides {
		s.stop()
	}
	r.sides = nil
}

func (r *rig) close() {
	r.stop()
	r.upstream.Close()
	_ = r.issuer.Close()
}

// token makes one for a side. The memory store takes none of the second in which it was made.
func (r *rig) token(s *side) string {
	return r.issuer.Token(s.addr, map[string]any{"iat": time.Now().Add(2 * time.Second).Unix()})
}

// named finds a side.
func (r *rig) named(name string) *side {
	for _, s := range r.sides {
		if s.name == name {
			return s
		}
	}
	return nil
}
