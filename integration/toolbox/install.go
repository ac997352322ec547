package toolbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// installLimit bounds one installation.
const installLimit = 10 * time.Minute

// installed are the tools that this process has looked at, by name.
var installed sync.Map

// Program is the path of one of the tool's programs; the tool is installed first where the cache lacks it.
func (t Tool) Program(ctx context.Context, name string) (string, error) {
	dir, err := t.Install(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s was installed without its program %s: %w; remove %s and run again", t.Name, name, err, dir)
	}
	return path, nil
}

// File is a file of the tool's packages, whose path is a pattern below the folder of its environment.
func (t Tool) File(ctx context.Context, pattern string) (string, error) {
	dir, err := t.Install(ctx)
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s was installed with %d files of the name %s, expected one (%w); remove %s and run again", t.Name, len(found), pattern, err, dir)
	}
	return found[0], nil
}

// Install makes sure that the tool is in the cache and returns its virtual environment.
func (t Tool) Install(ctx context.Context) (string, error) {
	if dir, ok := installed.Load(t.Name); ok {
		return dir.(string), nil
	}
	dir, err := t.install(ctx)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", strings.Join(t.Requires, " "), err)
	}
	installed.Store(t.Name, dir)
	return dir, nil
}

func (t Tool) install(ctx context.Context) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	pins, err := t.constraints()
	if err != nil {
		return "", err
	}
	python, version, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tools", t.Name+"-"+t.key(pins, version))
	err = ensure(dir, strings.Join(t.Requires, " ")+" (fetched by pip: up to half a minute)", func() error { return t.build(ctx, python, dir, pins) })
	return dir, err
}

// ensure builds a folder of the cache unless it is there. It counts only once its marker was written, which is the last thing to
// happen, so that an interrupted installation starts afresh.
func ensure(dir, what string, build func() error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	release, err := lock(dir, func() { fmt.Printf("waiting for another run that installs %s\n", what) })
	if err != nil {
		return err
	}
	defer release()
	marker := filepath.Join(dir, "installed")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	began := time.Now()
	fmt.Printf("installing %s into %s\n", what, dir)
	if err := build(); err != nil {
		return err
	}
	if err := os.WriteFile(marker, []byte(what+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Printf("installed %s in %s\n", what, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// key names everything that an installation depends on.
func (t Tool) key(pins []byte, python string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", strings.Join(t.Requires, "\n"), python)
	h.Write(pins)
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func (t Tool) build(ctx context.Context, python, dir string, pins []byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	if out, err := run(ctx, python, "-m", "venv", dir); err != nil {
		return fmt.Errorf("python3 -m venv failed: %w\n%s\nthe integration tests need python3 with its venv module (Debian: python3-venv)", err, out)
	}
	constraints := filepath.Join(dir, "constraints.txt")
	if err := os.WriteFile(constraints, pins, 0o644); err != nil {
		return err
	}
	args := append([]string{"-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-c", constraints}, t.Requires...)
	if out, err := run(ctx, filepath.Join(dir, "bin", "python"), args...); err != nil {
		return fmt.Errorf("pip install failed: %w\n%s\nthe integration tests need a package index that pip can reach, or a filled cache (%s)", err, out, CacheEnv)
	}
	return nil
}

// findPython gives the interpreter and its version, which belongs to the cache key: a virtual environment dies with it.
func findPython(ctx context.Context) (path, version string, err error) {
	path, err = exec.LookPath("python3")
	if err != nil {
		return "", "", errors.New("python3 is not on the PATH: the integration tests need it (3.10 or later, with venv) for their registries and clients")
	}
	out, err := run(ctx, path, "-c", "import sys; print(sys.version_info[:3], sys.base_prefix); sys.exit(sys.version_info < (3, 10))")
	if err != nil {
		return "", "", fmt.Errorf("python3 is %s, expected 3.10 or later: %w", strings.TrimSpace(out), err)
	}
	return path, strings.TrimSpace(out), nil
}

// run runs a program in the caller's own environment, in which pip finds its index, and returns all it printed.
func run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
