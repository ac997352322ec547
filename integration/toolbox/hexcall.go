package toolbox

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// hexcallSource is a program of a few lines around the crate hexpm, with which Gleam's compiler calls Hex: the crate has no program of its
// own, and the compiler publishes to one host only.
//
//go:embed hexcall/Cargo.toml hexcall/src/main.rs
var hexcallSource embed.FS

// HexCall is the path of that program; it is built first where the cache lacks it.
func HexCall(ctx context.Context) (string, error) {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return "", errors.New("cargo is not on the PATH: the integration tests build the client of Hex with it (1.85 or later, with a C compiler)")
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	files, sum := map[string][]byte{}, sha256.New()
	err = fs.WalkDir(hexcallSource, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = hexcallSource.ReadFile(path)
		fmt.Fprintf(sum, "%s %x\n", path, sha256.Sum256(files[path]))
		return err
	})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tools", "hexcall-"+hex.EncodeToString(sum.Sum(nil))[:12])
	build := func() error { return buildHexCall(ctx, cargo, dir, files) }
	if err := ensure(dir, "the client of Hex around the crate hexpm 5.1.1 (built from source: 1 to 6 minutes on two cores)", build); err != nil {
		return "", fmt.Errorf("install hexcall: %w", err)
	}
	return filepath.Join(dir, "bin", "hexcall"), nil
}

func buildHexCall(ctx context.Context, cargo, dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "hexcall-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for path, content := range files {
		at := filepath.Join(work, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, content, 0o644)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, cargo, "install", "--quiet", "--root", dir, "--path", filepath.Join(work, "hexcall"))
	cmd.Env = append(os.Environ(), quickly...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cargo install failed: %w\n%s\nthe integration tests need a registry of crates that cargo can reach, or a filled cache (%s)", err, strings.TrimSpace(string(out)), CacheEnv)
	}
	return nil
}
