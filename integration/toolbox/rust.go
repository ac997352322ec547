package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Crate is a pinned program that cargo builds into a folder of its own.
type Crate struct{ Name, Version string }

// The registries of cargo: one that checks tokens, and one that checks nothing.
var (
	Ktra         = Crate{Name: "ktra", Version: "0.7.0"}
	HTTPRegistry = Crate{Name: "cargo-http-registry", Version: "0.1.8"}
)

// AllCrates lists every tool that cargo builds.
func AllCrates() []Crate { return []Crate{Ktra, HTTPRegistry} }

// Program is the path of the program; it is built first where the cache lacks it.
func (c Crate) Program(ctx context.Context) (string, error) {
	dir, err := c.Install(ctx)
	return filepath.Join(dir, "bin", c.Name), err
}

// Install makes sure that the program is in the cache, and returns its folder.
func (c Crate) Install(ctx context.Context) (string, error) {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return "", errors.New("cargo is not on the PATH: the integration tests publish with it, and build registries with it (1.85 or later, with a C compiler)")
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tools", c.Name+"-"+c.Version)
	if err := ensure(dir, c.Name+" "+c.Version+" (built from its source: 3 to 8 minutes on two cores)", func() error { return c.build(ctx, cargo, dir) }); err != nil {
		return "", fmt.Errorf("install %s: %w", c.Name, err)
	}
	return dir, nil
}

// quickly builds without optimisation, which takes a fraction of the time: nobody waits for these registries.
var quickly = []string{
	"CARGO_PROFILE_RELEASE_OPT_LEVEL=0", "CARGO_PROFILE_RELEASE_LTO=off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16", "CARGO_PROFILE_RELEASE_DEBUG=0",
}

func (c Crate) build(ctx context.Context, cargo, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, cargo, "install", "--quiet", "--locked", "--root", dir, c.Name+"@"+c.Version)
	cmd.Env = append(os.Environ(), quickly...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cargo install failed: %w\n%s\nthe integration tests need a registry of crates that cargo can reach, or a filled cache (%s)", err, strings.TrimSpace(string(out)), CacheEnv)
	}
	return nil
}
