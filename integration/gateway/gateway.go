// Package gateway builds cmd/caddy, runs it with a configuration in a throw-away folder, and shows what an operator sees of
// it: status, metrics, logs, the adapted configuration and the audit.
package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/internal/model"
)

// StatusPath is where the admin API says how the gateway is.
const StatusPath = "/trusted_publishing/status"

// Gateway is a running Caddy with the module.
type Gateway struct {
	// Dir holds everything: Caddyfile, policies, storage, logs, audit.
	Dir string
	// PKI is the authority that clients have to trust.
	PKI *PKI

	program string
	admin   int
	config  Config
	proc    *process.Process
	client  *http.Client
}

// New prepares a gateway in a folder without starting it. policies are file names and their text.
func New(program, dir string, pki *PKI, config Config, policies map[string]string) (*Gateway, error) {
	admin, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	g := &Gateway{Dir: dir, PKI: pki, program: program, admin: admin, config: config}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pki.Pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64}
	if len(config.Sites) == 1 && config.Sites[0].Behind != 0 {
		// A balancer that has chosen this gateway.
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, config.Sites[0].address())
		}
	}
	g.client = &http.Client{Timeout: time.Minute, Transport: transport}
	for _, folder := range []string{"policies", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range policies {
		if err := g.WritePolicy(name, text); err != nil {
			return nil, err
		}
	}
	return g, g.writeCaddyfile()
}

// Client trusts the gateway's authority.
func (g *Gateway) Client() *http.Client { return g.client }

func (g *Gateway) caddyfilePath() string { return filepath.Join(g.Dir, "Caddyfile") }

func (g *Gateway) writeCaddyfile() error {
	return os.WriteFile(g.caddyfilePath(), []byte(g.config.caddyfile(g.Dir, g.admin, g.PKI)), 0o644)
}

// environment is all that the gateway sees: a home of its own.
func (g *Gateway) environment() []string {
	home := filepath.Join(g.Dir, "home")
	return []string{
		"PATH=/usr/bin:/bin", "HOME=" + home, "TMPDIR=" + home, "XDG_DATA_HOME=" + filepath.Join(home, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(home, "config"), "GORACE=halt_on_error=1",
	}
}

// Start runs the gateway and waits until its admin API and its sites answer.
func (g *Gateway) Start(ctx context.Context) error {
	proc, err := process.Start(ctx, process.Spec{
		Name: "caddy", Env: g.environment(), Dir: g.Dir, Log: filepath.Join(g.Dir, "caddy.out"),
		Args:  []string{g.program, "run", "--config", g.caddyfilePath(), "--adapter", "caddyfile"},
		Ready: g.ready,
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, g.Logs())
	}
	g.proc = proc
	return nil
}

func (g *Gateway) ready(ctx context.Context) error {
	status, err := g.Admin(ctx, StatusPath)
	if err != nil {
		return err
	}
	if !strings.Contains(status, `"running": true`) {
		return fmt.Errorf("the gateway does not serve yet: %s", status)
	}
	for _, s := range g.config.Sites {
		if err := process.Listens(s.Port)(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the gateway as an operator does.
func (g *Gateway) Stop() {
	if g.proc != nil {
		g.proc.Stop()
	}
}

// Kill ends it as a power cut does.
func (g *Gateway) Kill() {
	if g.proc != nil {
		g.proc.Kill()
	}
}

// Reload writes a new configuration and loads it with `caddy reload`.
func (g *Gateway) Reload(ctx context.Context, config Config) error {
	g.config = config
	if err := g.writeCaddyfile(); err != nil {
		return err
	}
	_, err := g.Command(ctx, "reload", "--force", "--config", g.caddyfilePath(), "--adapter", "caddyfile", "--address", fmt.Sprintf("127.0.0.1:%d", g.admin))
	return err
}

// Command runs the gateway's program with other arguments.
func (g *Gateway) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Env, cmd.Dir = g.environment(), g.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("caddy %s: %w\n%s", args[0], err, out)
	}
	return string(out), nil
}

// WritePolicy writes a policy file as an editor does: whole, in one step.
func (g *Gateway) WritePolicy(name, text string) error {
	tmp := filepath.Join(g.Dir, "."+name)
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(g.Dir, "policies", name))
}

// RemovePolicy removes a policy file.
func (g *Gateway) RemovePolicy(name string) error {
	return os.Remove(filepath.Join(g.Dir, "policies", name))
}

// PID is the process's id.
func (g *Gateway) PID() int { return g.proc.PID() }

// AdminAddr is the host and port of the admin API.
func (g *Gateway) AdminAddr() string { return fmt.Sprintf("127.0.0.1:%d", g.admin) }

func (g *Gateway) adminURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", g.admin, path)
}

// Admin reads a path of the admin API.
func (g *Gateway) Admin(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.adminURL(path), nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: got %s: %s", path, res.Status, b)
	}
	return string(b), err
}

// Audit reads the audit file. A line that is still being written is left for the next call.
func (g *Gateway) Audit() ([]model.Event, error) {
	b, err := os.ReadFile(filepath.Join(g.Dir, "audit.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(b), "\n")
	var events []model.Event
	for n, line := range lines {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var e model.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("audit line %d: %w", n+1, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// Await waits until the audit has an event of which found is true.
func (g *Gateway) Await(ctx context.Context, limit time.Duration, found func(model.Event) bool) (model.Event, error) {
	var event model.Event
	err := process.Poll(ctx, limit, nil, func(context.Context) error {
		events, err := g.Audit()
		if err != nil {
			return err
		}
		for _, e := range events {
			if found(e) {
				event = e
				return nil
			}
		}
		return fmt.Errorf("no such event among %d", len(events))
	})
	return event, err
}

// Logs are the gateway's logs at their most talkative, and what it printed.
func (g *Gateway) Logs() string {
	var b strings.Builder
	for _, name := range []string{"caddy.out", "caddy.log"} {
		if text, err := os.ReadFile(filepath.Join(g.Dir, name)); err == nil {
			b.Write(text)
		}
	}
	return b.String()
}
