package toolbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Node is a pinned program that npm installs into a folder of its own.
type Node struct {
	// Name is the word for folders and messages, Manifest the package.json that names what to install.
	Name, Manifest string
}

// The tools of npm. Verdaccio's node-fetch is the last one that needs nothing newer than the Node.js of a stable distribution.
var (
	Verdaccio = Node{Name: "verdaccio", Manifest: `{"private": true, "dependencies": {"verdaccio": "6.8.0"}, "overrides": {"node-fetch": "2.7.0"}}`}
	Yarn      = Node{Name: "yarn", Manifest: `{"private": true, "dependencies": {"@yarnpkg/cli-dist": "4.18.1"}}`}
	PNPM10    = Node{Name: "pnpm", Manifest: `{"private": true, "dependencies": {"pnpm": "10.34.8"}}`}
	PNPM12    = Node{Name: "pnpm12", Manifest: `{"private": true, "dependencies": {"pnpm": "12.21.0"}}`}
)

// AllNode lists every tool of npm's.
func AllNode() []Node { return []Node{Verdaccio, Yarn, PNPM10, PNPM12} }

// Program is the path of one of the tool's programs; the tool is installed first where the cache lacks it.
func (n Node) Program(ctx context.Context, name string) (string, error) {
	dir, err := n.Install(ctx)
	return filepath.Join(dir, "node_modules", ".bin", name), err
}

// Install makes sure that the tool is in the cache, and returns its folder.
func (n Node) Install(ctx context.Context) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not on the PATH: the integration tests publish with it, and install verdaccio, pnpm and yarn with it (Debian: npm)")
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(n.Manifest))
	dir := filepath.Join(cache, "tools", n.Name+"-"+hex.EncodeToString(sum[:6]))
	if err := ensure(dir, n.Name+" (fetched by npm: up to a minute)", func() error { return n.build(ctx, npm, dir) }); err != nil {
		return "", fmt.Errorf("install %s: %w", n.Name, err)
	}
	return dir, nil
}

func (n Node) build(ctx context.Context, npm, dir string) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(n.Manifest), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install failed: %w\n%s\nthe integration tests need a package registry that npm can reach, or a filled cache (%s)", err, strings.TrimSpace(string(out)), CacheEnv)
	}
	return nil
}
