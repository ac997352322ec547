package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// sbtPublisher publishes to a repository, sbtConsumer needs an artifact of it and of no other. Both read their credentials as docs/clients/maven.md says.
const (
	sbtCredentials = `credentials ++= Seq("SBT_CREDENTIALS", "COURSIER_CREDENTIALS").flatMap(sys.env.get).map(path => Credentials(file(path)))
`
	sbtPublisher = `organization := %q
name := %q
version := %q
publishMavenStyle := true
` + sbtCredentials + `publishTo := Some("releases" at %q)
`
	sbtConsumer = sbtCredentials + `externalResolvers := Seq("releases" at %[4]q)
libraryDependencies += %[1]q %% %[2]q %% %[3]q
val fetch = taskKey[Unit]("copies what the project needs")
fetch := { IO.copy(update.value.allFiles.map(file => file -> target.value / file.getName)); () }
`
)

// SBTPublish publishes a jar with one file in it.
func (h Home) SBTPublish(ctx context.Context, url, group, artifact, version string) (Result, error) {
	return h.sbt(ctx, fmt.Sprintf(sbtPublisher, group, artifact, version, url), "publish")
}

// SBTFetch fetches what a project needs into its folder target.
func (h Home) SBTFetch(ctx context.Context, url, group, artifact, version string) (Result, error) {
	return h.sbt(ctx, fmt.Sprintf(sbtConsumer, group, artifact, version, url), "fetch")
}

func (h Home) sbt(ctx context.Context, build, task string) (Result, error) {
	dir, err := toolbox.SBT.Install(ctx)
	if err != nil {
		return Result{}, err
	}
	trust, err := h.trustJava(ctx)
	if err != nil {
		return Result{}, err
	}
	project, err := h.javaProject(map[string]string{
		"build.sbt": toolbox.SBTProject + build, "project/build.properties": "sbt.version=" + toolbox.SBT.Version + "\n",
	})
	if err != nil {
		return Result{}, err
	}
	env := []string{"SBT_OPTS=" + trust}
	if task == "fetch" { // which puts what it fetches beside the rest
		own := h.Dir + "-coursier"
		if err := os.CopyFS(own, os.DirFS(filepath.Join(dir, "coursier"))); err != nil {
			return Result{}, err
		}
		env = append(env, "SBT_COURSIER_HOME="+own)
	}
	return h.run(ctx, project, env, filepath.Join(dir, "bin", "sbt"), task)
}

// gradlePublisher uploads a jar in the layout of a Maven repository. Debian's Gradle has lost what its own task for Maven sends with, so the task
// for Ivy does it, which asks for credentials in the same way. gradleConsumer needs an artifact.
const (
	gradlePublisher = `apply plugin: 'java'
group = '%s'
version = '%s'
uploadArchives {
  uploadDescriptor = false
  repositories { ivy { layout 'maven'; %s } }
}
`
	gradleConsumer = `apply plugin: 'java'
repositories { maven { %[4]s } }
dependencies { compile '%[1]s:%[2]s:%[3]s' }
task fetch(type: Copy) { from configurations.compile; into 'fetched' }
`
	gradleRepository = `name = 'releases'
  url = '%s'
  credentials {
    username = findProperty('releasesUsername')
    password = findProperty('releasesPassword')
  }`
)

// GradleUpload uploads a jar with one file in it.
func (h Home) GradleUpload(ctx context.Context, url, group, artifact, version string) (Result, error) {
	return h.gradle(ctx, artifact, fmt.Sprintf(gradlePublisher, group, version, fmt.Sprintf(gradleRepository, url)), "uploadArchives")
}

// GradleFetch fetches what a project needs into its folder fetched.
func (h Home) GradleFetch(ctx context.Context, url, group, artifact, version string) (Result, error) {
	return h.gradle(ctx, "shop", fmt.Sprintf(gradleConsumer, group, artifact, version, fmt.Sprintf(gradleRepository, url)), "fetch")
}

func (h Home) gradle(ctx context.Context, name, build, task string) (Result, error) {
	program, err := toolbox.Gradle.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	trust, err := h.trustJava(ctx)
	if err != nil {
		return Result{}, err
	}
	project, err := h.javaProject(map[string]string{"build.gradle": build, "settings.gradle": "rootProject.name = '" + name + "'\n"})
	if err != nil {
		return Result{}, err
	}
	env := []string{"GRADLE_OPTS=" + javaOpts + " " + trust, "GRADLE_USER_HOME=" + filepath.Join(h.Dir, "gradle")}
	return h.run(ctx, project, env, program, "--no-daemon", "--console=plain", task)
}

// javaProject writes a project whose jar has one file that no other has.
func (h Home) javaProject(files map[string]string) (string, error) {
	project := filepath.Join(h.Dir, "project")
	files["src/main/resources/content.txt"] = "content of " + rand.Text() + "\n"
	for name, text := range files {
		path := filepath.Join(project, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return project, nil
}
