package client

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// NPM publishes a package with npm: by trusted publishing, or with the token where one is given.
func (h Home) NPM(ctx context.Context, url, token, name, version string) (Result, error) {
	program, err := exec.LookPath("npm")
	if err != nil {
		return Result{}, errors.New("npm is not on the PATH: the integration tests publish with it (Debian: npm)")
	}
	return h.node(ctx, program, url, token, name, version, "publish")
}

// NPMRun runs another command of npm's with a token.
func (h Home) NPMRun(ctx context.Context, url, token string, args ...string) (Result, error) {
	program, err := exec.LookPath("npm")
	if err != nil {
		return Result{}, err
	}
	return h.node(ctx, program, url, token, "placeholder", "0.0.0", args...)
}

// NPMInstall installs a package with npm into the project of the home.
func (h Home) NPMInstall(ctx context.Context, url, name string) (Result, error) {
	program, err := exec.LookPath("npm")
	if err != nil {
		return Result{}, err
	}
	return h.node(ctx, program, url, "", "shop", "0.0.0", "install", "--no-audit", "--no-fund", name)
}

// PNPM10 publishes a package with the last pnpm that runs npm for it.
func (h Home) PNPM10(ctx context.Context, url, token, name, version string) (Result, error) {
	program, err := toolbox.PNPM10.Program(ctx, "pnpm")
	if err != nil {
		return Result{}, err
	}
	return h.node(ctx, program, url, token, name, version, "publish", "--no-git-checks")
}

// PNPM12 publishes a package with a pnpm that does so itself. Without its own installation's scripts, its program is a script of the
// shell's that finds it.
func (h Home) PNPM12(ctx context.Context, url, token, name, version string) (Result, error) {
	script, err := toolbox.PNPM12.Program(ctx, "pnpm")
	if err != nil {
		return Result{}, err
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		return Result{}, err
	}
	return h.node(ctx, shell, url, token, name, version, script, "publish", "--no-git-checks")
}

// Yarn publishes a package with yarn of today.
func (h Home) Yarn(ctx context.Context, url, token, name, version string) (Result, error) {
	program, err := toolbox.Yarn.Program(ctx, "yarn")
	if err != nil {
		return Result{}, err
	}
	conf := "npmRegistryServer: " + url + "\nenableTelemetry: false\nenableGlobalCache: false\nenableColors: false\nunsafeHttpWhitelist: [127.0.0.1, localhost]\nhttpsCaFilePath: " + h.CA + "\n"
	if token != "" {
		conf += "npmAuthToken: " + token + "\n"
	}
	project, err := h.project(url, "", name, version)
	if err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(filepath.Join(project, ".yarnrc.yml"), []byte(conf), 0o600); err != nil {
		return Result{}, err
	}
	// The lock file, without which yarn asks nobody anything in CI.
	env := []string{"YARN_ENABLE_IMMUTABLE_INSTALLS=false"}
	if out, err := h.run(ctx, project, env, program, "install"); err != nil || out.Code != 0 {
		return out, err
	}
	return h.run(ctx, project, nil, program, "npm", "publish")
}

func (h Home) node(ctx context.Context, program, url, token, name, version string, args ...string) (Result, error) {
	project, err := h.project(url, token, name, version)
	if err != nil {
		return Result{}, err
	}
	// pnpm 12 looks at the second alone.
	env := []string{"npm_config_cafile=" + h.CA, "SSL_CERT_FILE=" + h.CA, "npm_config_update_notifier=false", "npm_config_fetch_retries=0"}
	return h.run(ctx, project, env, program, args...)
}

// project writes the least package there is, and the settings of a CI job.
func (h Home) project(url, token, name, version string) (string, error) {
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return "", err
	}
	manifest, err := json.Marshal(map[string]string{"name": name, "version": version, "license": "Apache-2.0", "description": "a package of the tests"})
	if err != nil {
		return "", err
	}
	settings := "registry=" + url + "\n"
	if token != "" {
		settings += strings.TrimPrefix(url, "https:") + ":_authToken=" + token + "\n"
	}
	for file, text := range map[string]string{"package.json": string(manifest), "index.js": "// " + name + "\n", ".npmrc": settings} {
		if err := os.WriteFile(filepath.Join(project, file), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return project, nil
}
