package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/demo/script"
)

// house is everything that runs, and the folder that it runs in.
type house struct {
	layout
	script    *script.Script
	pki       *pki
	issuer    *issuer.Server
	store     *script.Store
	server    *http.Server
	storeAddr string
	gateway   Gateway
	// public is the URL that clients upload to, host its host and port.
	public, host string
	// adminPort is that of the gateway.
	adminPort int
}

// newHouse makes the folder and what lies in it from the start.
func newHouse(s *script.Script) (*house, error) {
	dir, err := os.MkdirTemp("", "trustpub-demo-")
	if err != nil {
		return nil, fmt.Errorf("make the demo's folder: %w", err)
	}
	h := &house{layout: layoutOf(dir), script: s}
	if err := h.furnish(); err != nil {
		return nil, errors.Join(fmt.Errorf("furnish the demo's folder: %w", err), os.RemoveAll(dir))
	}
	return h, nil
}

func (h *house) furnish() error {
	for _, dir := range h.folders() {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	var err error
	if h.pki, err = newPKI(); err != nil {
		return err
	}
	if err := h.pki.write(h.layout); err != nil {
		return err
	}
	if h.store, err = h.script.Open(h.storeDir); err != nil {
		return err
	}
	if err := os.WriteFile(h.secretFile, []byte(h.store.Secret+"\n"), 0o600); err != nil {
		return err
	}
	if err := h.script.Lay(h.dist); err != nil {
		return err
	}
	return os.WriteFile(h.policy, []byte(policyOf(h.script)), 0o600)
}

// open starts the issuer, the registry and the gateway.
func (h *house) open(ctx context.Context, start func(context.Context, string) (Gateway, error)) error {
	var err error
	h.issuer, err = issuer.Start(issuer.Options{Jobs: map[string]map[string]any{
		releaseJob: nil,
		strangerJob: {
			"repository": "mallory/widget", "repository_id": "911", "repository_owner": "mallory", "repository_owner_id": "912",
			"sub":              "repo:mallory/widget:environment:release",
			"workflow_ref":     "mallory/widget/.github/workflows/release.yml@refs/tags/v1",
			"job_workflow_ref": "mallory/widget/.github/workflows/release.yml@refs/tags/v1",
		},
	}})
	if err != nil {
		return err
	}
	if err := h.openStore(); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := h.openGateway(ctx, start)
		if err == nil {
			return nil
		}
		if attempt == portAttempts || !portTaken(err) {
			return err
		}
	}
}

// openStore serves the registry, which knows one secret and nothing of trusted publishing.
func (h *house) openStore() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the registry needs a loopback port: %w", err)
	}
	h.storeAddr = listener.Addr().String()
	h.server = &http.Server{Handler: h.store, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.server.Serve(listener) }() // ends with http.ErrServerClosed
	return nil
}

// openGateway writes the Caddyfile for two free ports and starts the gateway.
func (h *house) openGateway(ctx context.Context, start func(context.Context, string) (Gateway, error)) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	h.adminPort = ports[0]
	h.host = fmt.Sprintf("localhost:%d", ports[1])
	h.public = "https://" + h.host + h.script.Path
	text := caddyfile(h.layout, h.script, h.adminPort, ports[1], h.issuer.URL(), h.storeAddr)
	if err := os.WriteFile(h.caddyfile, []byte(text), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	h.gateway, err = start(ctx, h.caddyfile)
	return err
}

// freePorts finds ports that nobody has now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("the gateway needs a loopback port: %w", err)
		}
		defer listener.Close() // all are held until all are found, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// portTaken is true where another program was faster. Not every caller wraps the error of the system.
func portTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use")
}

// close ends all that runs, the gateway first, and removes the folder.
func (h *house) close() error {
	var errs []error
	if h.gateway != nil {
		errs = append(errs, h.gateway.Stop())
	}
	if h.server != nil {
		errs = append(errs, h.server.Close())
	}
	if h.issuer != nil {
		errs = append(errs, h.issuer.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(h.dir))...)
}

// logTail is the end of the gateway's log, for a step that failed: the folder is gone afterwards.
func (h *house) logTail() []string {
	b, err := os.ReadFile(h.log)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[max(0, len(lines)-5):]
}
