package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

// Engine is a docker engine of its own, without a network: it runs nothing, but takes, keeps, pushes and pulls images.
type Engine struct {
	server *process.Process
	// program is the client of the same release.
	program, socket string
	// Dir is where it keeps all that it has.
	Dir string
}

// StartEngine starts an engine in an empty folder; it trusts the authority.
func StartEngine(ctx context.Context, dir, ca string) (*Engine, error) {
	server, err := toolbox.Docker.Program(ctx)
	if err != nil {
		return nil, err
	}
	// The client beside it knows its protocol for sure.
	program := filepath.Join(filepath.Dir(filepath.Dir(server)), "usr", "bin", "docker")
	// An old engine makes a key, and puts it into /etc unless a file says where.
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, fmt.Appendf(nil, "{%q: %q}\n", "deprecated-key-path", filepath.Join(dir, "key.json")), 0o600); err != nil {
		return nil, err
	}
	e := &Engine{program: program, socket: "unix://" + filepath.Join(dir, "sock"), Dir: dir}
	e.server, err = process.Start(ctx, process.Spec{
		Name: "dockerd",
		Args: []string{
			server, "--host", e.socket, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
			"--config-file", config,
			"--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--ip6tables=false",
		},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "TMPDIR=" + dir, "SSL_CERT_FILE=" + ca},
		Dir: dir, Log: filepath.Join(dir, "log"),
		Ready: func(ctx context.Context) error {
			cmd := exec.CommandContext(ctx, program, "--host", e.socket, "version")
			cmd.Env = []string{"HOME=" + dir}
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			return nil
		},
	})
	return e, err
}

// Stop stops it.
func (e *Engine) Stop() { e.server.Stop() }

// Log is what it has printed.
func (e *Engine) Log() string { return e.server.Log() }

// Docker runs a command of the docker client.
func (h Home) Docker(ctx context.Context, e *Engine, args ...string) (Result, error) {
	return h.run(ctx, h.Dir, []string{"DOCKER_HOST=" + e.socket, "SSL_CERT_FILE=" + h.CA}, e.program, args...)
}

// DockerImport makes an image of this name that no other run has.
func (h Home) DockerImport(ctx context.Context, e *Engine, image string) error {
	layer, err := tarOf("a file that no other image has: " + rand.Text())
	if err != nil {
		return err
	}
	file := filepath.Join(h.Dir, "layer.tar")
	if err := os.WriteFile(file, []byte(layer), 0o600); err != nil {
		return err
	}
	got, err := h.alone().Docker(ctx, e, "import", file, image)
	if err == nil && got.Code != 0 {
		err = fmt.Errorf("docker import: exit status %d\n%s", got.Code, got.Output)
	}
	return err
}
