package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/trustpub/trustpub/internal/demo/index"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/demo/wheel"
)

// house is everything that runs, and the folder that it runs in.
type house struct {
	layout
	pki       *pki
	issuer    *issuer.Server
	index     *http.Server
	indexAddr string
	gateway   Gateway
	// public is the URL that clients upload to, host its host and port, which is the audience.
	public, host string
	// password is the index's own, which only the gateway's secret file has.
	password string
	// adminPort is that of the gateway.
	adminPort int
	files     map[string]wheel.File
}

// releases are the packages that are built into dist: the first one is published, the others are for the refusals and for trying
// by hand.
var releases = []wheel.Release{
	{Name: "acme-widget", Version: "1.0"},
	{Name: "acme-widget", Version: "1.1"},
	{Name: "acme-widget", Version: "1.2"},
	{Name: "acme-gadget", Version: "1.0"},
}

// newHouse makes the folder and what lies in it from the start.
func newHouse() (*house, error) {
	dir, err := os.MkdirTemp("", "trustpub-demo-")
	if err != nil {
		return nil, fmt.Errorf("make the demo's folder: %w", err)
	}
	h := &house{layout: layoutOf(dir), files: map[string]wheel.File{}}
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
	secret := make([]byte, 16)
	rand.Read(secret) // never fails: it crashes the process instead
	h.password = hex.EncodeToString(secret)
	if err := os.WriteFile(h.passwordFile, []byte(h.password+"\n"), 0o600); err != nil {
		return err
	}
	for _, r := range releases {
		f, err := r.Wheel()
		if err != nil {
			return err
		}
		h.files[r.Name+" "+r.Version] = f
		if err := os.WriteFile(filepath.Join(h.dist, f.Name), f.Data, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(h.policy, []byte(policy), 0o600)
}

// open starts the issuer, the index and the gateway.
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
	if err := h.openIndex(); err != nil {
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

// openIndex serves the registry, which knows one password and nothing of trusted publishing.
func (h *house) openIndex() error {
	files, err := index.New(index.Config{Dir: h.packages, Prefix: indexPath, User: indexUser, Password: h.password})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the index needs a loopback port: %w", err)
	}
	h.indexAddr = listener.Addr().String()
	h.index = &http.Server{Handler: files, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.index.Serve(listener) }() // ends with http.ErrServerClosed
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
	h.public = "https://" + h.host + indexPath
	text := caddyfile(h.layout, h.adminPort, ports[1], h.issuer.URL(), h.indexAddr)
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
	if h.index != nil {
		errs = append(errs, h.index.Close())
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
