package client

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// CargoPublish publishes a crate with cargo into the registry of an index.
func (h Home) CargoPublish(ctx context.Context, index, token, name, version string) (Result, error) {
	manifest := fmt.Sprintf("[package]\nname = %q\nversion = %q\nedition = \"2021\"\ndescription = \"a crate of the tests\"\nlicense = \"Apache-2.0\"\n", name, version)
	return h.cargoIn(ctx, manifest, index, token, "publish", "--registry", "gateway")
}

// CargoBuild builds a crate that needs another of the registry.
func (h Home) CargoBuild(ctx context.Context, index, token, dependency, version string) (Result, error) {
	manifest := fmt.Sprintf("[package]\nname = \"shop\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n%s = { version = %q, registry = \"gateway\" }\n", dependency, version)
	return h.cargoIn(ctx, manifest, index, token, "build")
}

// cargoIn runs cargo in a project with this manifest and a library without code.
func (h Home) cargoIn(ctx context.Context, manifest, index, token string, args ...string) (Result, error) {
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(filepath.Join(project, "src"), 0o755); err != nil {
		return Result{}, err
	}
	for file, text := range map[string]string{"Cargo.toml": manifest, "src/lib.rs": "//! nothing\n"} {
		if err := os.WriteFile(filepath.Join(project, file), []byte(text), 0o600); err != nil {
			return Result{}, err
		}
	}
	return h.cargo(ctx, project, index, token, args...)
}

// CargoYank yanks a version with cargo, or takes that back.
func (h Home) CargoYank(ctx context.Context, index, token, name, version string, undo bool) (Result, error) {
	args := []string{"yank", "--registry", "gateway", "--version", version, name}
	if undo {
		args = append(args, "--undo")
	}
	return h.cargo(ctx, h.Dir, index, token, args...)
}

// CargoOwner asks cargo for the owners of a crate, or has it change them.
func (h Home) CargoOwner(ctx context.Context, index, token, name string, args ...string) (Result, error) {
	return h.cargo(ctx, h.Dir, index, token, append([]string{"owner", "--registry", "gateway", name}, args...)...)
}

func (h Home) cargo(ctx context.Context, dir, index, token string, args ...string) (Result, error) {
	// A cargo on the PATH may be one that looks for the real one in the caller's home.
	sysroot, err := exec.CommandContext(ctx, "rustc", "--print", "sysroot").Output()
	if err != nil {
		return Result{}, fmt.Errorf("rustc --print sysroot: %w: the integration tests need cargo and rustc", err)
	}
	program := filepath.Join(strings.TrimSpace(string(sysroot)), "bin", "cargo")
	env := []string{
		"CARGO_HOME=" + filepath.Join(h.Dir, "cargo"), "CARGO_HTTP_CAINFO=" + h.CA, "CARGO_TERM_COLOR=never", "CARGO_NET_RETRY=0",
		"CARGO_REGISTRIES_GATEWAY_INDEX=" + index, "CARGO_REGISTRIES_GATEWAY_TOKEN=" + token,
		"CARGO_REGISTRIES_GATEWAY_CREDENTIAL_PROVIDER=cargo:token",
	}
	return h.run(ctx, dir, env, program, args...)
}
