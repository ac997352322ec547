package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// SBTLauncher is a pinned sbt: the launcher fetches the rest of it into a folder of its own.
type SBTLauncher struct{ Version string }

// SBT is the build tool of Scala.
var SBT = SBTLauncher{Version: "1.10.7"}

// sbtScript runs the launcher with what it has fetched, in the way of sbt's own script.
const sbtScript = `#!/bin/sh
exec java -Xmx1g -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dsbt.boot.directory=%[1]s/boot -Dsbt.coursier.home="${SBT_COURSIER_HOME:-%[1]s/coursier}" \
	-Duser.home="$HOME" -Dsbt.global.base="$HOME/.sbt" -Dsbt.ivy.home="$HOME/.ivy2" -Dsbt.server.autostart=false -Dsbt.supershell=false -Dsbt.color=false \
	$SBT_OPTS -jar %[1]s/sbt-launch-%[2]s.jar "$@"
`

// SBTProject are the settings of a project that compiles nothing, so that sbt needs no compiler.
const SBTProject = `autoScalaLibrary := false
managedScalaInstance := false
crossPaths := false
Compile / packageDoc / publishArtifact := false
Compile / packageSrc / publishArtifact := false
`

// Program is the path of sbt; it is fetched first where the cache lacks it.
func (s SBTLauncher) Program(ctx context.Context) (string, error) {
	dir, err := s.Install(ctx)
	return filepath.Join(dir, "bin", "sbt"), err
}

// Install makes sure that sbt is in the cache, and returns its folder: coursier is what it has fetched.
func (s SBTLauncher) Install(ctx context.Context) (string, error) {
	for _, program := range []string{"mvn", "java"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%s is not on the PATH: the integration tests fetch and run sbt with it (Debian: maven, default-jdk)", program)
		}
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tools", "sbt-"+s.Version)
	if err := ensure(dir, "sbt (130 MB, fetched by its launcher: 1 to 4 minutes)", func() error { return s.build(ctx, dir) }); err != nil {
		return "", fmt.Errorf("install sbt: %w", err)
	}
	return dir, nil
}

// build fetches the launcher by Maven and lets it publish once into a folder, so that all is there that a publish needs.
func (s SBTLauncher) build(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	home, bin := filepath.Join(dir, "home"), filepath.Join(dir, "bin")
	project := filepath.Join(home, "project")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(bin, 0o755), os.MkdirAll(filepath.Join(project, "project"), 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(home)
	out, err := run(ctx, "mvn", "-q", "-B", "-Dmaven.repo.local="+filepath.Join(home, "repository"), "dependency:copy",
		"-Dartifact=org.scala-sbt:sbt-launch:"+s.Version, "-DoutputDirectory="+dir)
	if err != nil {
		return fmt.Errorf("mvn dependency:copy failed: %w\n%s\nthe integration tests need a Maven repository that mvn can reach, or a filled cache (%s)", err, out, CacheEnv)
	}
	settings := SBTProject + "publishTo := Some(\"folder\" at \"file://" + filepath.Join(home, "published") + "\")\n"
	err = errors.Join(os.WriteFile(filepath.Join(bin, "sbt"), fmt.Appendf(nil, sbtScript, dir, s.Version), 0o755),
		os.WriteFile(filepath.Join(project, "build.sbt"), []byte(settings), 0o644),
		os.WriteFile(filepath.Join(project, "project", "build.properties"), []byte("sbt.version="+s.Version+"\n"), 0o644))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "sbt"), "publish")
	cmd.Dir, cmd.Env = project, append(os.Environ(), "HOME="+home, "SBT_OPTS=", "SBT_COURSIER_HOME=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sbt publish failed: %w\n%s\nthe integration tests need a Maven repository that sbt can reach, or a filled cache (%s)", err, out, CacheEnv)
	}
	return nil
}
