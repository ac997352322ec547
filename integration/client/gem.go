package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// gemspec is the least gem that gem builds.
const gemspec = `Gem::Specification.new do |s|
  s.name = %q
  s.version = %q
  s.summary = "a gem of the tests"
  s.authors = ["tests"]
  s.license = "Apache-2.0"
  s.homepage = "https://gems.example.com"
  s.files = ["lib/widget.rb"]
end
`

// GemBuild builds a gem, and returns its path.
func (h Home) GemBuild(ctx context.Context, name, version string) (string, error) {
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(filepath.Join(project, "lib"), 0o755); err != nil {
		return "", err
	}
	for file, text := range map[string]string{"widget.gemspec": fmt.Sprintf(gemspec, name, version), "lib/widget.rb": "# " + name + "\n"} {
		if err := os.WriteFile(filepath.Join(project, file), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	got, err := h.alone().gem(ctx, "", "build", "widget.gemspec")
	if err == nil && got.Code != 0 {
		err = fmt.Errorf("gem build: exit status %d\n%s", got.Code, got.Output)
	}
	return filepath.Join(project, name+"-"+version+".gem"), err
}

// GemPush builds a gem and pushes it with a key.
func (h Home) GemPush(ctx context.Context, url, key, name, version string) (Result, error) {
	file, err := h.GemBuild(ctx, name, version)
	if err != nil {
		return Result{}, err
	}
	return h.gem(ctx, key, "push", "--host", url, file)
}

// GemYank yanks a gem with a key.
func (h Home) GemYank(ctx context.Context, url, key, name, version string) (Result, error) {
	if err := os.MkdirAll(filepath.Join(h.Dir, "project"), 0o755); err != nil {
		return Result{}, err
	}
	return h.gem(ctx, key, "yank", "--host", url, name, "--version", version)
}

func (h Home) gem(ctx context.Context, key string, args ...string) (Result, error) {
	program, err := toolbox.Gem.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	env := []string{"SSL_CERT_FILE=" + h.CA, "GEM_HOST_API_KEY=" + key, "GEM_HOME=" + filepath.Join(h.Dir, "gems")}
	return h.run(ctx, filepath.Join(h.Dir, "project"), env, program, args...)
}
