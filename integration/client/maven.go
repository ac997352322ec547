package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// settings are what a CI job has: nothing secret, the password is in the environment.
const settings = `<settings>
  <servers><server><id>releases</id><username>${env.MAVEN_USER}</username><password>${env.MAVEN_TOKEN}</password></server></servers>
</settings>
`

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>%s</groupId>
  <artifactId>%s</artifactId>
  <version>%s</version>
  <properties><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
</project>
`

// javaOpts halve what a Java program costs that is over in seconds.
const javaOpts = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

// Maven builds a jar with one file in it and deploys it. The password is the identity token, or whatever is tried instead.
func (h Home) Maven(ctx context.Context, url, group, artifact, version, password, content string) (Result, error) {
	return h.maven(ctx, fmt.Sprintf(pom, group, artifact, version), password, content, "deploy", "-DaltDeploymentRepository=releases::default::"+url)
}

// consumer is a project that needs an artifact of a repository.
const consumer = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId>
  <artifactId>shop</artifactId>
  <version>0</version>
  <properties><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
  <repositories><repository><id>releases</id><url>%s</url></repository></repositories>
  <dependencies><dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency></dependencies>
</project>
`

// MavenCompile compiles a project that needs an artifact.
func (h Home) MavenCompile(ctx context.Context, url, group, artifact, version string) (Result, error) {
	return h.maven(ctx, fmt.Sprintf(consumer, url, group, artifact, version), "", "x", "compile")
}

// maven runs goals in a project of one file.
func (h Home) maven(ctx context.Context, model, password, content string, goals ...string) (Result, error) {
	program, err := exec.LookPath("mvn")
	if err != nil {
		return Result{}, errors.New("mvn is not on the PATH: the integration tests deploy with it (Debian: maven)")
	}
	cache, err := toolbox.CacheDir()
	if err != nil {
		return Result{}, err
	}
	project := filepath.Join(h.Dir, "project")
	resources := filepath.Join(project, "src", "main", "resources")
	if err := os.MkdirAll(resources, 0o755); err != nil {
		return Result{}, err
	}
	for path, text := range map[string]string{
		filepath.Join(project, "pom.xml"):       model,
		filepath.Join(project, "settings.xml"):  settings,
		filepath.Join(resources, "content.txt"): content,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return Result{}, err
		}
	}
	repository := filepath.Join(cache, "maven")
	release, err := toolbox.Lock(repository) // Maven 3 does not lock its own repository
	if err != nil {
		return Result{}, err
	}
	release = sync.OnceFunc(release)
	defer release()
	local := "-Dmaven.repo.local=" + repository
	if err := fetchPlugins(ctx, program, project, local, repository); err != nil {
		return Result{}, err
	}
	if h.Carrier != nil || goals[0] == "compile" { // which may take its time, or leave something behind: with a repository of its own it disturbs nobody
		own := h.Dir + "-repository"
		if err := os.CopyFS(own, os.DirFS(repository)); err != nil && !errors.Is(err, fs.ErrExist) {
			return Result{}, err
		}
		local = "-Dmaven.repo.local=" + own
		release()
	}
	trust, err := h.trustJava(ctx)
	if err != nil {
		return Result{}, err
	}
	env := []string{"MAVEN_USER=__token__", "MAVEN_TOKEN=" + password, "MAVEN_OPTS=" + javaOpts + " " + trust}
	return h.run(ctx, project, env, program, append([]string{"-B", "-s", "settings.xml", local}, goals...)...)
}

// trustJava makes a store of the authority alone, and gives the options by which a program in Java uses it.
func (h Home) trustJava(ctx context.Context) (string, error) {
	trusted := filepath.Join(h.Dir, "trusted.p12")
	keytool := exec.CommandContext(ctx, "keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", h.CA, "-keystore", trusted, "-storetype", "PKCS12", "-storepass", "changeit")
	if out, err := keytool.CombinedOutput(); err != nil {
		return "", fmt.Errorf("keytool: %w\n%s", err, out)
	}
	return "-Djavax.net.ssl.trustStore=" + trusted + " -Djavax.net.ssl.trustStorePassword=changeit", nil
}

// fetchPlugins fills the local repository once, with the certificates of the machine; the upload trusts the test's authority
// alone.
func fetchPlugins(ctx context.Context, program, project, local, repository string) error {
	marker := filepath.Join(repository, "fetched")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	fmt.Println("fetching maven's plugins into " + repository)
	cmd := exec.CommandContext(ctx, program, "-B", "-q", local, "deploy", "-DaltDeploymentRepository=local::default::file://"+filepath.Join(project, "target", "local"))
	cmd.Dir = project
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("maven can't fetch its plugins: %w\n%s", err, out)
	}
	return os.WriteFile(marker, nil, 0o644)
}
