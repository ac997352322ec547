package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// nuspec is the least package that nuget packs.
const nuspec = `<?xml version="1.0"?>
<package>
  <metadata>
    <id>%s</id>
    <version>%s</version>
    <authors>tests</authors>
    <description>a package of the tests</description>
  </metadata>
  <files>
    <file src="widget.nuspec" target="content/widget.txt" />
  </files>
</package>
`

// NuGetPack packs a package, and returns its path.
func (h Home) NuGetPack(ctx context.Context, id, version string) (string, error) {
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(project, "widget.nuspec"), fmt.Appendf(nil, nuspec, id, version), 0o644); err != nil {
		return "", err
	}
	got, err := h.nuget(ctx, "pack", "widget.nuspec")
	if err == nil && got.Code != 0 {
		err = fmt.Errorf("nuget pack: exit status %d\n%s", got.Code, got.Output)
	}
	return filepath.Join(project, id+"."+version+".nupkg"), err
}

// NuGetPush packs a package and pushes it with a key.
func (h Home) NuGetPush(ctx context.Context, url, key, id, version string) (Result, error) {
	file, err := h.NuGetPack(ctx, id, version)
	if err != nil {
		return Result{}, err
	}
	return h.nuget(ctx, "push", filepath.Base(file), "-Source", url, "-ApiKey", key)
}

// NuGetDelete deletes a package with a key.
func (h Home) NuGetDelete(ctx context.Context, url, key, id, version string) (Result, error) {
	return h.nuget(ctx, "delete", id, version, "-Source", url, "-ApiKey", key)
}

func (h Home) nuget(ctx context.Context, args ...string) (Result, error) {
	program, err := toolbox.NuGet.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := h.trustMono(ctx); err != nil {
		return Result{}, err
	}
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return Result{}, err
	}
	return h.run(ctx, project, nil, program, append(args, "-NonInteractive")...)
}

// trustMono puts the authority where mono looks for the user's: a file named by the digest of its subject.
func (h Home) trustMono(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "openssl", "x509", "-in", h.CA, "-noout", "-subject_hash").Output()
	if err != nil {
		return fmt.Errorf("openssl x509: %w", err)
	}
	pem, err := os.ReadFile(h.CA)
	dir := filepath.Join(h.Dir, "config", ".mono", "new-certs", "Trust")
	return errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, strings.TrimSpace(string(out))+".0"), pem, 0o644))
}
