package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Debian is a program that only the distribution packages.
type Debian struct {
	// Package is the distribution's name, Path where its program is installed, below the root.
	Package, Path string
	// With are further packages that the program needs, and that a Debian system may lack.
	With []string
	// Family is an extended regular expression of names: what Package depends on, and what that depends on, is unpacked too as far as it
	// has such a name.
	Family string
	// Own is true where the system's program won't do, since the tests show what the distribution's release says and takes.
	Own bool
	// Run is the command of a program that is a script, where ROOT is the folder of the packages; empty: the program itself.
	Run string
}

// Nginx is the WebDAV server; the package is one file of a megabyte and needs nothing that a Debian system lacks.
var Nginx = Debian{Package: "nginx", Path: "usr/sbin/nginx"}

// Skopeo is a client of container registries, with the libraries of its signatures.
var Skopeo = Debian{Package: "skopeo", Path: "usr/bin/skopeo", With: []string{"libgpgme11", "libassuan0"}}

// Podman is a client of container registries that has a store of images, with the monitor and the runtime that it looks for whatever it does.
var Podman = Debian{
	Package: "podman", Path: "usr/bin/podman", With: []string{"conmon", "crun", "libyajl2", "libdevmapper1.02.1", "libgpgme11", "libassuan0", "libseccomp2", "libsubid4"},
}

// Docker is the engine of docker, with what it starts; the client lies beside it: 65 MB. It sees a /run of its own, where it would leave a
// folder. The package bears the name of a public registry, which no file of this module spells.
var Docker = Debian{
	Package: "docker" + ".io", Path: "usr/sbin/dockerd", Own: true, With: []string{"containerd", "runc", "libdevmapper1.02.1", "libseccomp2"},
	Run: `exec unshare $([ "$(id -u)" = 0 ] || echo --map-root-user) --mount sh -c '
		mount -t tmpfs run /run && PATH="$0/usr/bin:$PATH" exec "$0/usr/sbin/dockerd" "$@"' "$ROOT"`,
}

// Gem is the client of RubyGems.
var Gem = Debian{
	Package: "ruby-rubygems", Path: "usr/bin/gem", With: []string{"ruby3.1", "libruby3.1", "rubygems-integration", "libyaml-0-2", "libgmp10", "libffi8"},
	Run: `RUBYLIB="$ROOT/usr/lib/ruby/vendor_ruby:$ROOT/usr/lib/ruby/3.1.0:$(echo "$ROOT"/usr/lib/*-linux-gnu/ruby/3.1.0)" "$ROOT/usr/bin/ruby3.1" "$ROOT/usr/bin/gem3.1"`,
}

// Redis is the shared store.
var Redis = Debian{
	Package: "redis-tools", Path: "usr/bin/redis-server", With: []string{"redis-server", "libjemalloc2", "liblzf1", "libatomic1"},
	Run: `exec "$ROOT/usr/bin/redis-server"`,
}

// NuGet is the client of NuGet, with the runtime that it needs: 54 packages, 12 MB.
var NuGet = Debian{
	Package: "nuget", Path: "usr/bin/nuget", Family: "libmono|mono|libnuget",
	Run: `MONO_CFG_DIR="$ROOT/etc" MONO_PATH="$ROOT/usr/lib/mono/4.5" MONO_GAC_PREFIX="$ROOT/usr" "$ROOT/usr/bin/mono-sgen" "$ROOT/usr/lib/nuget/NuGet.exe"`,
}

// Gradle is the Gradle that the distribution has: 90 packages, 75 MB. It looks for its libraries at the one place where it is
// installed, and so sees a /usr/share of its own.
var Gradle = Debian{
	Package: "gradle", Path: "usr/bin/gradle", Own: true, Family: "gradle|ant|lib.*-java|lib.*-jni|groovy|ivy|bnd|junit4|testng|java-wrappers",
	Run: `exec unshare $([ "$(id -u)" = 0 ] || echo --map-root-user) --mount sh -c '
		mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec /usr/share/gradle/bin/gradle "$@"' "$ROOT"`,
}

// Rebar3 is a build tool of Erlang with hex_core inside, the library that is Hex's client; with the runtime that it needs: 9 packages, 17 MB.
var Rebar3 = Debian{
	Package: "rebar3", Path: "usr/bin/rebar3", With: []string{
		"erlang-base", "erlang-crypto", "erlang-inets", "erlang-ssl", "erlang-public-key", "erlang-asn1", "erlang-syntax-tools", "erlang-parsetools",
	},
	Run: `ROOTDIR="$ROOT/usr/lib/erlang" BINDIR="$(echo "$ROOT"/usr/lib/erlang/erts-*/bin)" EMU=beam PROGNAME=erl ` +
		`"$ROOT"/usr/lib/erlang/erts-*/bin/erlexec +B -boot no_dot_erlang -noshell -run escript start -extra "$ROOT/usr/bin/rebar3"`,
}

// AllDebian lists every program that the distribution packages.
func AllDebian() []Debian {
	return []Debian{Nginx, Skopeo, Podman, Docker, Gem, NuGet, Gradle, Redis, Rebar3}
}

// Program is the path of the program: that of the system where it will do, else one that is unpacked into the cache, which needs no rights.
func (d Debian) Program(ctx context.Context) (string, error) {
	if path, err := exec.LookPath(filepath.Base(d.Path)); err == nil && !d.Own {
		return path, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tools", "debian-"+d.Package)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	release, err := Lock(dir)
	if err != nil {
		return "", err
	}
	defer release()
	program := d.program(dir)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	began := time.Now()
	fmt.Printf("unpacking the distribution's %s (fetched by apt-get: seconds) into %s\n", d.Package, dir)
	if err := d.unpack(ctx, dir); err != nil {
		if d.Own {
			return "", fmt.Errorf("the distribution's package %s can't be fetched: %w; the tests need apt-get and Debian, or a filled cache (%s)", d.Package, err, CacheEnv)
		}
		return "", fmt.Errorf("%s is not on the PATH, and its package can't be fetched: %w; install it (Debian: %s)", filepath.Base(d.Path), err, d.Package)
	}
	fmt.Printf("unpacked %s in %s\n", d.Package, time.Since(began).Round(100*time.Millisecond))
	return program, nil
}

// program is what to run of an unpacked package: a script where it needs libraries that were unpacked with it.
func (d Debian) program(dir string) string {
	if !d.wrapped() {
		return filepath.Join(dir, d.Path)
	}
	return filepath.Join(dir, "run", filepath.Base(d.Path))
}

// wrapped is true for a program that needs what was unpacked with it.
func (d Debian) wrapped() bool { return len(d.With) > 0 || d.Family != "" }

// unpackScript fetches packages and unpacks them. Where the system's own lists are empty or old, lists of its own are fetched
// first, which needs no rights either.
const unpackScript = `
family() {
	[ -z "$FAMILY" ] || apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$1" |
		grep -E "^($FAMILY)" | sort -u
}
if ! apt-get -q download "$@" $(family "$1"); then
	mkdir -p lists/partial cache/archives/partial
	printf 'Dir::State::Lists "%s/lists";\nDir::Cache "%s/cache";\n' "$PWD" "$PWD" >apt.conf
	export APT_CONFIG="$PWD/apt.conf"
	apt-get -q update
	apt-get -q download "$@" $(family "$1")
fi
for package in *.deb; do dpkg-deb -x "$package" root; done
`

// runScript runs a program with the libraries beside it.
const runScript = `#!/bin/sh
ROOT=%s
LD_LIBRARY_PATH="$(echo "$ROOT"/usr/lib/*-linux-gnu)" %s "$@"
`

// unpack fetches the package beside the folder and moves its files there in one step.
func (d Debian) unpack(ctx context.Context, dir string) error {
	work, err := os.MkdirTemp(filepath.Dir(dir), "unpack-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-euc", unpackScript}, append([]string{"unpack", d.Package}, d.With...)...)...)
	cmd.Dir, cmd.Env = work, append(os.Environ(), "FAMILY="+d.Family)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if d.wrapped() {
		run, command := filepath.Join(work, "root", "run", filepath.Base(d.Path)), d.Run
		if command == "" {
			command = `"$ROOT/` + d.Path + `"`
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(run), 0o755), os.WriteFile(run, fmt.Appendf(nil, runScript, dir, command), 0o755)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(filepath.Join(work, "root"), dir)
}
