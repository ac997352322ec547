package client

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// Carrier is trustpub exec, with the command of a client behind it.
type Carrier struct {
	// Program is trustpub, Registry the URL that it is given.
	Program, Registry string
	// Identity, For and Name are its flags of these names; empty: none.
	Identity, For, Name string
	// Shadow is the flag of that name.
	Shadow bool
	// Before are words before the client's own command: a shell that does something first.
	Before []string
	// Stdin is the standard input.
	Stdin io.Reader
}

// wrap puts a command behind trustpub exec.
func (c *Carrier) wrap(h Home, program string, args []string) (string, []string) {
	if c == nil {
		return program, args
	}
	words := []string{"exec", "--registry", c.Registry, "--ca", h.CA}
	for flag, value := range map[string]string{"--identity": c.Identity, "--for": c.For, "--name": c.Name} {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	if c.Shadow {
		words = append(words, "--shadow")
	}
	words = append(append(append(words, "--"), c.Before...), program)
	return c.Program, append(words, args...)
}

// alone is the same home for commands that need no credential.
func (h Home) alone() Home {
	h.Carrier = nil
	return h
}

// Run runs any command in the home's surroundings.
func (h Home) Run(ctx context.Context, env []string, program string, args ...string) (Result, error) {
	return h.run(ctx, h.Dir, env, program, args...)
}

// pythonProject writes the least project that owns files in its dist folder.
func (h Home) pythonProject(name, version string, files []string) (string, error) {
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(filepath.Join(project, "dist"), 0o755); err != nil {
		return "", err
	}
	text := fmt.Sprintf("[project]\nname = %q\nversion = %q\ndescription = \"a package of the tests\"\nrequires-python = \">=3.8\"\n", name, version)
	if err := os.WriteFile(filepath.Join(project, "pyproject.toml"), []byte(text), 0o644); err != nil {
		return "", err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(project, "dist", filepath.Base(file)), b, 0o644); err != nil {
			return "", err
		}
	}
	return project, nil
}

// Poetry publishes with poetry into the repository that trustpub exec makes known.
func (h Home) Poetry(ctx context.Context, repository, name, version string, files ...string) (Result, error) {
	program, err := toolbox.Poetry.Program(ctx, "poetry")
	if err != nil {
		return Result{}, err
	}
	project, err := h.pythonProject(name, version, files)
	if err != nil {
		return Result{}, err
	}
	env := []string{"REQUESTS_CA_BUNDLE=" + h.CA, "POETRY_VIRTUALENVS_CREATE=false", "POETRY_REQUESTS_MAX_RETRIES=0"}
	return h.run(ctx, project, env, program, "--no-interaction", "--no-ansi", "publish", "--repository", repository)
}

// Hatch publishes with hatch.
func (h Home) Hatch(ctx context.Context, name, version string, files ...string) (Result, error) {
	program, err := toolbox.Hatch.Program(ctx, "hatch")
	if err != nil {
		return Result{}, err
	}
	project, err := h.pythonProject(name, version, files)
	if err != nil {
		return Result{}, err
	}
	env := []string{"HATCH_INDEX_CA_CERT=" + h.CA, "HATCH_NO_COLOR=1", "HATCH_QUIET=0"}
	return h.run(ctx, project, env, program, append([]string{"publish", "--no-prompt"}, files...)...)
}

// Flit builds a module and publishes it with flit.
func (h Home) Flit(ctx context.Context, name, version string) (Result, error) {
	program, err := toolbox.Flit.Program(ctx, "flit")
	if err != nil {
		return Result{}, err
	}
	project, err := h.pythonProject(name, version, nil)
	if err != nil {
		return Result{}, err
	}
	module := filepath.Join(project, strings.ReplaceAll(name, "-", "_")+".py")
	if err := os.WriteFile(module, []byte("\"\"\"a package of the tests\"\"\"\n"), 0o644); err != nil {
		return Result{}, err
	}
	return h.run(ctx, project, []string{"REQUESTS_CA_BUNDLE=" + h.CA}, program, "publish", "--format", "wheel")
}

// PipInstall installs a package with pip into a folder of the home.
func (h Home) PipInstall(ctx context.Context, index, name string) (Result, error) {
	program, err := toolbox.Twine.Program(ctx, "pip")
	if err != nil {
		return Result{}, err
	}
	env := []string{"PIP_CERT=" + h.CA, "PIP_CONFIG_FILE=/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_CACHE_DIR=1"}
	return h.run(ctx, h.Dir, env, program, "install", "--no-input", "--no-deps", "--retries", "0", "--target", filepath.Join(h.Dir, "target"), "--index-url", index, name)
}

// SkopeoPull copies an image out of a registry with skopeo.
func (h Home) SkopeoPull(ctx context.Context, host, image string) (Result, error) {
	program, err := toolbox.Skopeo.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	certificates := filepath.Join(h.Dir, "certificates")
	ca, err := os.ReadFile(h.CA)
	if err == nil {
		err = os.MkdirAll(certificates, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(certificates, "ca.crt"), ca, 0o600)
	}
	if err != nil {
		return Result{}, err
	}
	return h.run(ctx, h.Dir, nil, program, "--insecure-policy", "copy", "--quiet", "--retry-times", "0", "--src-cert-dir", certificates,
		"docker://"+host+"/"+image, "oci:"+filepath.Join(h.Dir, "pulled"))
}

// UVWithToken publishes with uv, which finds the URL and the token in its environment.
func (h Home) UVWithToken(ctx context.Context, files ...string) (Result, error) {
	program, err := toolbox.UV.Program(ctx, "uv")
	if err != nil {
		return Result{}, err
	}
	return h.run(ctx, h.Dir, []string{"SSL_CERT_FILE=" + h.CA, "UV_NO_CONFIG=1"}, program, append([]string{"publish", "--trusted-publishing", "never"}, files...)...)
}

// NuGetPushKeyless packs a package and pushes it; the key is for whoever runs nuget to add.
func (h Home) NuGetPushKeyless(ctx context.Context, url, id, version string) (Result, error) {
	file, err := h.alone().NuGetPack(ctx, id, version)
	if err != nil {
		return Result{}, err
	}
	return h.nuget(ctx, "push", filepath.Base(file), "-Source", url)
}
