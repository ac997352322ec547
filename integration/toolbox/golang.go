package toolbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// golangLimit bounds one build: a big program takes ten minutes of two idle cores.
const golangLimit = 45 * time.Minute

// Golang is a pinned program that the go command fetches and builds into a folder of its own.
type Golang struct {
	// Name is the word for folders and messages, and the program's file name where Package's last part is another.
	Name string
	// Package is the import path of the program, Version that of its module. A program without a version is built by the module
	// in the folder Name: `go install` refuses programs whose own module replaces others.
	Package, Version string
	// Tags are the build tags.
	Tags string
	// Static are the folders of the program's module that it reads when it runs; they are copied, since the module cache may be cleaned.
	Static []string
	// Takes says how long it takes, for the announcement.
	Takes string
}

// Gitea is the server; sqlite is compiled in, which needs a C compiler.
var Gitea = Golang{
	Name: "gitea", Package: "code.gitea.io/gitea", Tags: "sqlite sqlite_unlock_notify",
	Static: []string{"options", "public", "templates"}, Takes: "4 to 10 minutes",
}

// The reference implementation of container registries, and clients of its kind.
var (
	Distribution = Golang{Name: "distribution", Package: "github.com/distribution/distribution/v3/cmd/registry", Version: "v3.1.2", Takes: "2 minutes"}
	Crane        = Golang{Name: "crane", Package: "github.com/google/go-containerregistry/cmd/crane", Version: "v0.22.1", Takes: "half a minute"}
	Oras         = Golang{Name: "oras", Package: "oras.land/oras/cmd/oras", Version: "v1.3.6", Takes: "half a minute"}
	Regctl       = Golang{Name: "regctl", Package: "github.com/regclient/regclient/cmd/regctl", Version: "v0.11.7", Takes: "half a minute"}
	Helm         = Golang{Name: "helm", Package: "helm.sh/helm/v4/cmd/helm", Version: "v4.3.1", Takes: "3 minutes"}
)

// AllGolang lists every tool that the go command builds.
func AllGolang() []Golang { return []Golang{Gitea, Distribution, Crane, Oras, Regctl, Helm} }

// golangModules are the modules of the programs that need one: NAME/module.mod and NAME/module.sum, since a folder with a go.mod can't
// be embedded.
//
//go:embed gitea
var golangModules embed.FS

// Program is the path of the program; it is built first where the cache lacks it.
func (g Golang) Program(ctx context.Context) (string, error) {
	dir, err := g.Install(ctx)
	return filepath.Join(dir, "bin", g.Name), err
}

// Install makes sure that the program is in the cache, and returns its folder: bin holds the program, static the folders of its module.
func (g Golang) Install(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("go is not on the PATH: the integration tests build their gateway and some registries and clients with it")
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	files, err := g.module()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n", g.Package, g.Version, g.Tags, strings.Join(g.Static, "\n"))
	h.Write(files["go.mod"])
	h.Write(files["go.sum"])
	dir := filepath.Join(cache, "tools", g.Name+"-"+hex.EncodeToString(h.Sum(nil)[:6]))
	what := fmt.Sprintf("%s (fetched and built by the go command: %s with an empty build cache)", g.Name, g.Takes)
	if err := ensure(dir, what, func() error { return g.build(ctx, dir, files) }); err != nil {
		return "", fmt.Errorf("install %s: %w", g.Name, err)
	}
	return dir, nil
}

// module is the module that pins the program; empty for one that has a version.
func (g Golang) module() (map[string][]byte, error) {
	if g.Version != "" {
		return nil, nil
	}
	mod, err := golangModules.ReadFile(g.Name + "/module.mod")
	if err != nil {
		return nil, err
	}
	sum, err := golangModules.ReadFile(g.Name + "/module.sum")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"go.mod": mod, "go.sum": sum}, nil
}

func (g Golang) build(ctx context.Context, dir string, files map[string][]byte) error {
	bin, work := filepath.Join(dir, "bin"), filepath.Join(dir, "module")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(bin, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, golangLimit)
	defer cancel()
	program := filepath.Join(bin, g.Name)
	if g.Version == "" {
		if _, err := golang(ctx, work, bin, "build", "-ldflags", "-s -w", "-tags", g.Tags, "-o", program, g.Package); err != nil {
			return err
		}
		return g.copyStatic(ctx, dir, work)
	}
	if _, err := golang(ctx, work, bin, "install", "-ldflags", "-s -w", "-tags", g.Tags, g.Package+"@"+g.Version); err != nil {
		return err
	}
	if made := filepath.Join(bin, path.Base(g.Package)); made != program {
		return os.Rename(made, program)
	}
	return nil
}

// copyStatic copies what the program reads of its module.
func (g Golang) copyStatic(ctx context.Context, dir, work string) error {
	if len(g.Static) == 0 {
		return nil
	}
	source, err := golang(ctx, work, "", "list", "-m", "-f", "{{.Dir}}", g.Package)
	if err != nil {
		return err
	}
	for _, folder := range g.Static {
		from := os.DirFS(filepath.Join(strings.TrimSpace(source), folder))
		if err := os.CopyFS(filepath.Join(dir, "static", folder), from); err != nil {
			return err
		}
	}
	return nil
}

// golang runs the go command outside every workspace and in the caller's own environment, in which it finds its module proxy, and
// returns what it prints.
func golang(ctx context.Context, dir, bin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOBIN="+bin, "CGO_ENABLED=1")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s failed: %w\n%s\nthe integration tests need a module proxy that the go command can reach, or a filled cache (%s), and a C compiler (Debian: gcc, libc6-dev)",
			args[0], err, strings.TrimSpace(complaint.String()), CacheEnv)
	}
	return out.String(), nil
}
