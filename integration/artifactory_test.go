package integration

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/registry"
	contract "github.com/trustpub/trustpub/integration/registry/artifactory"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which the tests run against an Artifactory of yours instead of the server of the contract: its base URL, a token
// that may make tokens and list repositories, and the keys of its local repositories, as in "pypi=py,npm=js,maven=libs,generic=files,oci=docker".
const (
	artifactoryURL          = "TRUSTPUB_ARTIFACTORY_URL"
	artifactoryToken        = "TRUSTPUB_ARTIFACTORY_TOKEN"
	artifactoryRepositories = "TRUSTPUB_ARTIFACTORY_REPOSITORIES"
)

// artifactory is the one under test.
type artifactory struct {
	url, token, addr string
	repositories     map[string]string
	// contract is nil for a live one.
	contract *contract.Server
}

func newArtifactory(t *testing.T, provider *contract.Provider) *artifactory {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	live := os.Getenv(artifactoryURL)
	if live == "" || provider != nil {
		server := contract.Start(provider)
		t.Cleanup(server.Close)
		return &artifactory{
			url: server.URL, token: server.AdminToken, addr: strings.TrimPrefix(server.URL, "http://"), contract: server,
			repositories: map[string]string{"pypi": contract.PyPI, "npm": contract.NPM, "maven": contract.Maven, "generic": contract.Generic, "cargo": contract.Cargo, "oci": contract.Docker},
		}
	}
	a := &artifactory{
		url: strings.TrimRight(live, "/"), token: os.Getenv(artifactoryToken), addr: bridge(t, live), repositories: pairs(os.Getenv(artifactoryRepositories)),
	}
	return a
}

// paths are those of public URLs, below the host.
var artifactoryPaths = map[string]string{
	"pypi": "/artifactory/api/pypi/%s/", "npm": "/artifactory/api/npm/%s/", "maven": "/artifactory/%s/", "generic": "/artifactory/%s/", "oci": "/v2/",
}

// rig is a gateway before one repository; the lines are those of the credential beside its url.
func (a *artifactory) rig(t *testing.T, ecosystem, pkg string, lines []string, options ...option) *rig {
	t.Helper()
	key := a.repositories[ecosystem]
	if key == "" {
		t.Fatalf("%s has no repository of %s", artifactoryRepositories, ecosystem)
	}
	if !strings.HasPrefix(strings.Join(lines, ""), "provider") {
		lines = append([]string{"token " + secretFile(t, a.token)}, lines...)
	}
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+pkg+`"]`, 1)
	path := artifactoryPaths[ecosystem]
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, key)
	}
	reg := &registry.Registry{
		Kind: "artifactory", Addr: a.addr, Path: path, Password: a.token, Secrets: []string{a.token},
		Credential: "credential artifactory {\n\turl " + a.url + "\n\t" + strings.Join(lines, "\n\t") + "\n}",
		Files:      func(ctx context.Context) (map[string]string, error) { return a.files(ctx, key, pkg) },
		Log:        func() string { return "" },
	}
	return startRig(t, reg, append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", policy)}, options...)...)
}

// files are those of a repository whose path has the package's own word, so that a live one may hold others.
func (a *artifactory) files(ctx context.Context, key, pkg string) (map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/artifactory/api/storage/"+key+"?list&deep=1", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var list struct {
		Files []struct {
			URI  string `json:"uri"`
			SHA1 string `json:"sha1"`
		} `json:"files"`
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list of %s: %s", key, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return nil, err
	}
	files := map[string]string{}
	_, word, _ := strings.Cut(pkg, "widget")
	for _, f := range list.Files {
		if strings.Contains(f.URI, "widget"+word) {
			files[strings.TrimPrefix(f.URI, "/")] = f.SHA1
		}
	}
	return files, nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func sha1Of(content []byte) string {
	sum := sha1.Sum(content)
	return hex.EncodeToString(sum[:])
}

// spent fails the test unless each upload had a token of its own that is good for nothing any more, and was never good for another path.
func (a *artifactory) spent(t *testing.T, key, other string, uploads int) {
	t.Helper()
	if a.contract == nil {
		return
	}
	tokens := map[string]bool{}
	for _, seen := range a.contract.Seen() {
		if seen.User == "" || seen.Token == a.token {
			continue
		}
		tokens[seen.Token] = true
		if a.contract.May(seen.Token, key, other, "w") {
			t.Errorf("the token of %s %s may deploy %s", seen.Method, seen.Path, other)
		}
		for deadline := time.Now().Add(awaitLimit); a.contract.Good(seen.Token); {
			if time.Now().After(deadline) {
				t.Fatalf("the token of %s %s is still good", seen.Method, seen.Path)
			}
		}
	}
	if len(tokens) < uploads {
		t.Errorf("got %d tokens for %d uploads, expected one for each", len(tokens), uploads)
	}
}

// TestArtifactoryPyPI publishes with twine.
func TestArtifactoryPyPI(t *testing.T) {
	t.Parallel()
	a := newArtifactory(t, nil)
	pkg := "acme-widget-" + random(4)
	r := a.rig(t, "pypi", pkg, nil)
	one, two := newWheel(t, pkg, "1.0"), newWheel(t, pkg, "1.1")
	for _, w := range []struct {
		wheel    artifact
		password string
	}{{one, r.identity(nil)}, {two, r.mint(t, nil)}} {
		got, err := r.home(nil).Twine(t.Context(), r.site.Public(), client.Login{User: "__token__", Password: w.password}, w.wheel.path)
		if err != nil || got.Code != 0 {
			t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
		}
	}
	want := map[string]string{pkg + "/1.0/" + one.file: sha1Of(one.bytes), pkg + "/1.1/" + two.file: sha1Of(two.bytes)}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Errorf("what Artifactory holds (-want +got):\n%s", diff)
	}
	r.unchanged(t, func() {
		refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget-other", "1.0").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		refused(t, r.upload(t, bearer(a.token), newWheel(t, pkg, "1.2").form()), http.StatusForbidden, model.CodeTrustedPublishingOnly)
		stolen := http.Header{"X-Jfrog-Art-Api": {a.token}}
		if got := r.upload(t, stolen, newWheel(t, pkg, "1.2").form()); got.Status/100 != 4 {
			t.Errorf("a stolen token in X-JFrog-Art-Api: %d %s", got.Status, got.Body)
		}
		// Replacing takes the right to delete, which a publish doesn't get: Artifactory refuses our token, and nobody sees its answer.
		edited := newWheel(t, pkg, "1.0")
		form := client.NewForm(pkg, "1.0", edited.file, append(bytes.Clone(edited.bytes), 0))
		if got := r.upload(t, bearer(r.identity(nil)), form); got.Status/100 == 2 {
			t.Errorf("a file that exists: %d %s", got.Status, got.Body)
		}
	})
	a.spent(t, a.repositories["pypi"], "other/1.0/x.whl", 2)
}

// TestArtifactoryNPM publishes with npm.
func TestArtifactoryNPM(t *testing.T) {
	t.Parallel()
	a := newArtifactory(t, nil)
	pkg := "@acme/widget-" + random(4)
	r := a.rig(t, "npm", pkg, nil)
	got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", pkg, "1.0.0")
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	_, word, _ := strings.Cut(pkg, "/")
	if paths := r.paths(); len(paths) != 1 || paths[0] != pkg+"/-/"+pkg+"-1.0.0.tgz" {
		t.Errorf("Artifactory holds %q, expected the archive of %s", paths, word)
	}
	r.unchanged(t, func() {
		got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", "@acme/gadget", "1.0.0")
		if err != nil || got.Code == 0 {
			t.Errorf("another package: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
	})
	a.spent(t, a.repositories["npm"], "@acme/other/-/@acme/other-1.0.0.tgz", 1)
}

// TestArtifactoryMaven deploys with mvn.
func TestArtifactoryMaven(t *testing.T) {
	t.Parallel()
	a := newArtifactory(t, nil)
	name := "widget-" + random(4)
	r := a.rig(t, "maven", "com.example:"+name, nil)
	if got := r.deploy(t, name, "1.0", r.identity(nil)); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	base := "com/example/" + name + "/"
	for _, path := range []string{base + "1.0/" + name + "-1.0.jar", base + "1.0/" + name + "-1.0.pom", base + "maven-metadata.xml"} {
		if r.files()[path] == "" {
			t.Errorf("Artifactory does not hold %s", path)
		}
	}
	r.unchanged(t, func() {
		if got := r.deploy(t, "gadget", "1.0", r.identity(nil)); got.Code == 0 {
			t.Errorf("another artifact: exit status 0\n%s", got.Output)
		}
	})
	a.spent(t, a.repositories["maven"], "com/example/other/1.0/other-1.0.jar", 3)
}

// TestArtifactoryFiles puts files, with properties and by checksum, each only as far as the gateway was told to allow it.
func TestArtifactoryFiles(t *testing.T) {
	t.Parallel()
	a := newArtifactory(t, nil)
	pkg := "widget-" + random(4)
	strict := a.rig(t, "generic", pkg, nil, withLines("layout /{package}/{version}/{file}"))
	// What is deployed by its checksum must be in the token's reach, so that is all of the package.
	open := a.rig(t, "generic", pkg, []string{"path {package}/**"}, withLines("layout /{package}/{version}/{file}", "checksum_deploy", "properties build.name build.number"))
	content := []byte("the file " + random(8))
	put := func(r *rig, path string, header http.Header, body []byte) answer {
		t.Helper()
		return r.send(t, http.MethodPut, r.site.Registry.Path+path, header, body)
	}
	path := pkg + "/1.0/x.tar.gz"
	if got := put(strict, path, bearer(strict.identity(nil)), content); got.Status != http.StatusCreated {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	digest := digestOf(content)
	byChecksum := func(r *rig, sum string) http.Header {
		return with(with(bearer(r.identity(nil)), "X-Checksum-Deploy", "true"), "X-Checksum-Sha256", sum)
	}
	for _, tc := range []struct {
		name   string
		r      *rig
		path   string
		header http.Header
		body   []byte
		code   model.Code
	}{
		{"by checksum", strict, pkg + "/1.1/x.tar.gz", byChecksum(strict, digest), nil, model.CodeUnsupportedOperation},
		{"unpacked", strict, pkg + "/1.1/x.tar.gz", with(bearer(strict.identity(nil)), "X-Explode-Archive", "true"), content, model.CodeUnsupportedOperation},
		{"unpacked, where checksums may be", open, pkg + "/1.1/x.tar.gz", with(bearer(open.identity(nil)), "X-Explode-Archive", "true"), content, model.CodeUnsupportedOperation},
		{"by part of a checksum", open, pkg + "/1.1/x.tar.gz", byChecksum(open, digest[:40]), nil, model.CodeUnsupportedOperation},
		{"by checksum with a body", open, pkg + "/1.1/x.tar.gz", byChecksum(open, digest), content, model.CodeUnsupportedFraming},
		{"by checksum, another package", open, "other/1.1/x.tar.gz", byChecksum(open, digest), nil, model.CodeNoMatchingPolicy},
		{"by checksum, what is there", open, path, byChecksum(open, digest), nil, model.CodeAlreadyExists},
		{"a property", strict, pkg + "/1.1/x.tar.gz;build.name=ci", bearer(strict.identity(nil)), content, model.CodeAmbiguousPath},
		{"another property", open, pkg + "/1.1/x.tar.gz;qa.status=passed", bearer(open.identity(nil)), content, model.CodeAmbiguousPath},
		{"a property of the folder", open, pkg + ";build.name=ci/1.1/x.tar.gz", bearer(open.identity(nil)), content, model.CodeAmbiguousPath},
	} {
		t.Run(tc.name, func(t *testing.T) {
			strict.unchanged(t, func() {
				if got := put(tc.r, tc.path, tc.header, tc.body); got.code() != string(tc.code) {
					t.Errorf("got %d %q, expected %s\n%s", got.Status, got.code(), tc.code, got.Body)
				}
			})
		})
	}
	if got := put(open, pkg+"/1.1/x.tar.gz;build.name=ci;build.number=7", bearer(open.identity(nil)), content); got.Status != http.StatusCreated {
		t.Errorf("with properties: %d %s", got.Status, got.Body)
	}
	if got := put(open, pkg+"/1.2/x.tar.gz", byChecksum(open, digest), nil); got.Status != http.StatusCreated {
		t.Errorf("by checksum: %d %s", got.Status, got.Body)
	}
	if got := put(open, pkg+"/1.3/x.tar.gz", byChecksum(open, digestOf([]byte("what nobody has "+random(8)))), nil); got.Status != http.StatusNotFound {
		t.Errorf("by a checksum that Artifactory does not know: %d %s, expected its own 404", got.Status, got.Body)
	}
	event := open.await(t, "upload by checksum", func(e model.Event) bool {
		return e.Operation == "upload-by-checksum" && e.Target != nil && e.Target.Version == "1.2"
	})
	if event.SHA256 != digest || event.Decision != "allow" {
		t.Errorf("the audit has digest %s and decision %s, expected %s and allow", event.SHA256, event.Decision, digest)
	}
	want := map[string]string{path: sha1Of(content), pkg + "/1.1/x.tar.gz": sha1Of(content), pkg + "/1.2/x.tar.gz": sha1Of(content)}
	if diff := cmp.Diff(want, strict.files()); diff != "" {
		t.Errorf("what Artifactory holds (-want +got):\n%s", diff)
	}
	if a.contract != nil {
		found := false
		for _, seen := range a.contract.Seen() {
			found = found || strings.HasSuffix(seen.Path, ";build.name=ci;build.number=7")
		}
		if !found {
			t.Error("the properties did not reach Artifactory")
		}
	}
}

// TestArtifactoryContainers pushes with crane: the token is the password of a Basic credential, whose user is in the token.
func TestArtifactoryContainers(t *testing.T) {
	t.Parallel()
	a := newArtifactory(t, nil)
	image := a.repositories["oci"] + "/acme/widget-" + random(4)
	r := a.rig(t, "oci", image, nil)
	push := func(image string) client.Result {
		t.Helper()
		got, err := r.home(nil).Crane(t.Context(), r.site.Host(), r.identity(nil), image)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := push(image + ":1.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	_, path, _ := strings.Cut(image, "/")
	if r.files()[path+"/1.0/manifest.json"] == "" {
		t.Errorf("Artifactory holds %v, expected the manifest of %s", r.paths(), path)
	}
	r.unchanged(t, func() {
		if got := push(a.repositories["oci"] + "/acme/gadget:1.0"); got.Code == 0 {
			t.Errorf("another image: exit status 0\n%s", got.Output)
		}
	})
	a.spent(t, a.repositories["oci"], "acme/other/1.0/manifest.json", 3)
}

// TestArtifactoryProvider: the platform judges the identity token itself, sent directly or exchanged before; it is the contract's server
// always, since a live one could not reach this issuer.
func TestArtifactoryProvider(t *testing.T) {
	t.Parallel()
	provider := &contract.Provider{
		Name: "github", Issuer: shared.issuer.URL(), Keys: shared.issuer.JWKS, Mapping: "widget",
		Claims: map[string]string{"repository": "acme/widget"}, User: "ci-widget", Scope: "artifact:pypi-local/acme-widget/**:r,w", Life: 10 * time.Minute,
	}
	a := newArtifactory(t, provider)
	both := strings.Replace(widgetPolicy, "        workflow: release.yml\n", "", 1)
	both = strings.Replace(both, "repository: acme/widget", "repository: [acme/widget, acme/gadget]", 1)
	r := a.rig(t, "pypi", "acme-widget", []string{"provider github", "mapping widget"}, withPolicy("widget.yaml", both))
	provider.Audience = r.site.Host()
	direct, exchanged := newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "1.1")
	again := newWheel(t, "acme-widget", "1.2")
	ok(t, r.upload(t, bearer(r.identity(nil)), direct.form()))
	publish := r.mint(t, nil)
	ok(t, r.upload(t, bearer(publish), exchanged.form()))
	ok(t, r.upload(t, bearer(publish), again.form()))
	tokens := map[string]bool{}
	for _, seen := range a.contract.Seen() {
		if seen.User == "ci-widget" {
			tokens[seen.Token] = true
		}
	}
	if len(tokens) != 2 {
		t.Errorf("got %d tokens of Artifactory for two identity tokens and three uploads, expected 2", len(tokens))
	}
	r.unchanged(t, func() {
		// Our policies let this one through, and Artifactory's identity mapping does not.
		got := r.upload(t, bearer(r.identity(otherRepository)), newWheel(t, "acme-widget", "2.0").form())
		refused(t, got, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
	})
	if log := r.gw.Logs(); !strings.Contains(log, "does provider github have this issuer") {
		t.Error("the log does not say what to look at")
	}
}
