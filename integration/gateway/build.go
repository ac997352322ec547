package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// Build builds cmd/caddy of this checkout into the cache, with the race detector where the test itself has it, and returns
// the program. An unchanged tree costs a second.
func Build(ctx context.Context) (string, error) { return build(ctx, "caddy") }

// BuildCommand is Build for cmd/trustpub.
func BuildCommand(ctx context.Context) (string, error) { return build(ctx, "trustpub") }

func build(ctx context.Context, command string) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w; the integration tests build the gateway, so they need go on the PATH", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	cache, err := toolbox.CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(root))
	name := command + "-" + hex.EncodeToString(sum[:6])
	args := []string{"build"}
	if raceEnabled {
		name += "-race"
		args = append(args, "-race")
	}
	program := filepath.Join(cache, name)
	release, err := toolbox.Lock(program)
	if err != nil {
		return "", err
	}
	defer release()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", program, "./cmd/"+command)...)
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build ./cmd/%s: %w\n%s", command, err, out.String())
	}
	fmt.Printf("built ./cmd/%s in %s\n", command, time.Since(began).Round(100*time.Millisecond))
	return program, nil
}
