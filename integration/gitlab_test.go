package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	contract "github.com/trustpub/trustpub/integration/registry/gitlab"
	"github.com/trustpub/trustpub/internal/demo/npm"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which the tests run against a GitLab of yours instead of the server of the contract: its base URL, an access token of a
// maintainer with the scope api, and the number of the project.
const (
	gitlabURL     = "TRUSTPUB_GITLAB_URL"
	gitlabToken   = "TRUSTPUB_GITLAB_TOKEN"
	gitlabProject = "TRUSTPUB_GITLAB_PROJECT"
	// For containers: the base URL of their registry, and the path of the project.
	gitlabRegistry = "TRUSTPUB_GITLAB_REGISTRY"
	gitlabPath     = "TRUSTPUB_GITLAB_PATH"
)

// gitlab is the one under test; contract is nil for a live one.
type gitlab struct {
	product
	project  string
	contract *contract.Server
}

func newGitLab(t *testing.T) *gitlab {
	t.Helper()
	server := contract.New()
	g := &gitlab{product: startProduct(t, gitlabURL, server), project: "1234", contract: server}
	if g.live {
		g.secret, g.project, g.contract = setting(t, gitlabToken), setting(t, gitlabProject), nil
	} else {
		g.secret = "canary-maintainer-token-" + random(8)
		server.Project, server.Secrets = g.project, []string{g.secret}
	}
	g.header = http.Header{"Private-Token": {g.secret}}
	return g
}

// api is the path of the project's API.
func (g *gitlab) api() string { return "/api/v4/projects/" + g.project + "/packages" }

// gitlabRig is a gateway before the packages of one kind.
func (g *gitlab) gitlabRig(t *testing.T, ecosystem, pkg string, options ...option) *rig {
	t.Helper()
	return g.rig(t, "gitlab", ecosystem, g.api()+"/"+ecosystem+"/", pkg, []string{"token " + secretFile(t, g.secret)},
		func(ctx context.Context) (map[string]string, error) { return g.files(ctx, pkg) }, options...)
}

// files are those of the packages with this word in their name.
func (g *gitlab) files(ctx context.Context, pkg string) (map[string]string, error) {
	_, word, _ := strings.Cut(pkg, "widget")
	var packages []struct {
		ID            int64
		Name, Version string
	}
	if err := g.read(ctx, g.api()+"?per_page=100&package_name="+url.QueryEscape("widget"+word), &packages); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, p := range packages {
		var list []struct {
			Name   string `json:"file_name"`
			SHA256 string `json:"file_sha256"`
		}
		if err := g.read(ctx, fmt.Sprintf("%s/%d/package_files", g.api(), p.ID), &list); err != nil {
			return nil, err
		}
		for _, f := range list {
			files[p.Name+"/"+p.Version+"/"+f.Name] = f.SHA256
		}
	}
	return files, nil
}

// spent fails the test unless each token is revoked, and none could do more than these scopes.
func (g *gitlab) spent(t *testing.T, r *rig, uploads int, allowed ...string) {
	t.Helper()
	if g.contract == nil {
		return
	}
	r.eventually(t, "deploy tokens are revoked", func() bool { return len(g.contract.Names()) == 0 })
	writes := 0
	for _, token := range g.contract.Made() {
		scopes := strings.Join(token.Scopes, " ")
		if scopes != "read_package_registry" && scopes != "read_registry" {
			writes++
			if scopes != strings.Join(allowed, " ") {
				t.Errorf("a deploy token has the scopes %q, expected %q", scopes, allowed)
			}
		}
	}
	if writes < uploads {
		t.Errorf("got %d tokens that write for %d uploads, expected one for each", writes, uploads)
	}
}

// TestGitLabPyPI publishes with twine.
func TestGitLabPyPI(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	pkg := "acme-widget-" + random(4)
	r := g.gitlabRig(t, "pypi", pkg)
	one, two := newWheel(t, pkg, "1.0"), newWheel(t, pkg, "1.1")
	for wheel, password := range map[*artifact]string{&one: r.identity(nil), &two: r.mint(t, nil)} {
		got, err := r.home(nil).Twine(t.Context(), r.site.Public(), client.Login{User: "__token__", Password: password}, wheel.path)
		if err != nil || got.Code != 0 {
			t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
		}
	}
	want := map[string]string{pkg + "/1.0/" + one.file: one.sha256, pkg + "/1.1/" + two.file: two.sha256}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Errorf("what GitLab holds (-want +got):\n%s", diff)
	}
	r.unchanged(t, func() {
		refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget-other", "1.0").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		for _, name := range []string{"Private-Token", "Deploy-Token", "Job-Token"} {
			if got := r.upload(t, http.Header{name: {g.secret}}, newWheel(t, pkg, "1.2").form()); got.Status/100 != 4 {
				t.Errorf("a stolen token in %s: %d %s", name, got.Status, got.Body)
			}
		}
		edited := client.NewForm(pkg, "1.0", one.file, append(append([]byte{}, newWheel(t, pkg, "1.0").bytes...), 0))
		if got := r.upload(t, bearer(r.identity(nil)), edited); got.Status/100 == 2 {
			t.Errorf("a file that exists: %d %s", got.Status, got.Body)
		}
	})
	g.spent(t, r, 2, "write_package_registry")
}

// TestGitLabNPM publishes with npm.
func TestGitLabNPM(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	pkg := "@acme/widget-" + random(4)
	r := g.gitlabRig(t, "npm", pkg)
	got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", pkg, "1.0.0")
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	_, short, _ := strings.Cut(pkg, "/")
	if paths := r.paths(); len(paths) != 1 || paths[0] != pkg+"/1.0.0/"+short+"-1.0.0.tgz" {
		t.Errorf("GitLab holds %q, expected the archive of %s", paths, pkg)
	}
	r.unchanged(t, func() {
		got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", "@acme/gadget", "1.0.0")
		if err != nil || got.Code == 0 {
			t.Errorf("another package: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
	})
	// GitLab says of a version that exists what it says of a credential that it refuses.
	again := r.send(t, http.MethodPut, r.reg.Path+strings.Replace(pkg, "/", "%2f", 1), with(bearer(r.identity(nil)), "Content-Type", "application/json"), npm.Document(pkg, "1.0.0", []byte("x")))
	refused(t, again, http.StatusBadGateway, model.CodeUpstreamRefusedCredential)
	g.spent(t, r, 1, "write_package_registry")
}

// TestGitLabFormats publishes with mvn, nuget and gem.
func TestGitLabFormats(t *testing.T) {
	t.Parallel()
	for ecosystem, tc := range map[string]struct {
		scopes  []string
		options []option
	}{
		"maven":    {[]string{"read_package_registry", "write_package_registry"}, nil},
		"nuget":    {[]string{"write_package_registry"}, []option{withAnswer("", nugetIndex)}},
		"rubygems": {[]string{"write_package_registry"}, nil},
	} {
		t.Run(ecosystem, func(t *testing.T) {
			t.Parallel()
			g, p := newGitLab(t), publishers[ecosystem]
			pkg := p.prefix + random(4)
			r := g.gitlabRig(t, ecosystem, pkg, tc.options...)
			p.run(t, r, pkg)
			g.spent(t, r, 1, tc.scopes...)
		})
	}
}

// TestGitLabFiles puts files with curl. GitLab would take a file of the same name again; the gateway asks first whether one is there.
func TestGitLabFiles(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	pkg := "widget-" + random(4)
	r := g.gitlabRig(t, "generic", pkg, withLines("layout /{package}/{version}/{file}"))
	put := func(pkg, version string) client.Result {
		t.Helper()
		got, err := r.home(nil).CurlRaw(t.Context(), r.site.Public()+pkg+"/"+version+"/widget.tar.gz", "--fail-with-body", "--header", "Authorization: Bearer "+r.identity(nil), "--upload-file", newWheel(t, "acme-widget", version).path)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := put(pkg, "1.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if files := r.files(); len(files) != 1 {
		t.Errorf("GitLab holds %v, expected one file", files)
	}
	r.unchanged(t, func() {
		if got := put(pkg, "1.0"); got.Code == 0 || !strings.Contains(got.Output, string(model.CodeAlreadyExists)) {
			t.Errorf("a file that exists: exit status %d\n%s", got.Code, got.Output)
		}
		if got := put("gadget", "1.0"); got.Code == 0 {
			t.Errorf("another package: exit status 0\n%s", got.Output)
		}
	})
	g.spent(t, r, 1, "read_package_registry", "write_package_registry")
}

// imageTags are the tags of the project's containers whose name has this word, with their digests.
func (g *gitlab) imageTags(ctx context.Context, word string) (map[string]string, error) {
	at := "/api/v4/projects/" + g.project + "/registry/repositories"
	var repositories []struct {
		ID   int64
		Path string
		Tags []struct{ Name string }
	}
	if err := g.read(ctx, at+"?per_page=100&tags=true", &repositories); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, repository := range repositories {
		for _, tag := range repository.Tags {
			var shown struct{ Digest string }
			if err := g.read(ctx, fmt.Sprintf("%s/%d/tags/%s", at, repository.ID, tag.Name), &shown); err != nil {
				return nil, err
			}
			if strings.Contains(repository.Path, word) {
				files[repository.Path+":"+tag.Name] = shown.Digest
			}
		}
	}
	return files, nil
}

// TestGitLabContainers pushes with crane and skopeo, and pulls: each repository with a bearer token of GitLab's realm that is good for nothing else.
func TestGitLabContainers(t *testing.T) {
	t.Parallel()
	g := newGitLab(t)
	path, registry := "acme/packages", g.url
	if g.live {
		path, registry = setting(t, gitlabPath), strings.TrimRight(setting(t, gitlabRegistry), "/")
		g.addr = bridge(t, registry)
	} else {
		g.contract.Path = path
	}
	word := random(4)
	image, other := path+"/widget-"+word, path+"/gadget-"+word
	lines := []string{"token " + secretFile(t, g.secret), "project " + g.project, "containers " + registry}
	r := g.rig(t, "gitlab", "oci", "/v2/", image, lines, func(ctx context.Context) (map[string]string, error) { return g.imageTags(ctx, word) })
	for tag, push := range map[string]func(client.Home, context.Context, string, string, string) (client.Result, error){"1.0": client.Home.Crane, "1.1": client.Home.Skopeo} {
		got, err := push(r.home(nil), t.Context(), r.site.Host(), r.identity(nil), image+":"+tag)
		if err != nil || got.Code != 0 {
			t.Fatalf("%s: %v, exit status %d\n%s", tag, err, got.Code, got.Output)
		}
		if r.files()[image+":"+tag] == "" {
			t.Errorf("GitLab holds %v, expected %s:%s", r.paths(), image, tag)
		}
	}
	got, err := r.home(nil).CraneRun(t.Context(), r.site.Host(), r.identity(nil), "manifest", r.site.Host()+"/"+image+":1.1")
	if err != nil || got.Code != 0 || !strings.Contains(got.Output, `"layers"`) {
		t.Errorf("a pull: %v, exit status %d\n%s", err, got.Code, got.Output)
	}
	r.unchanged(t, func() {
		for name, tc := range map[string]struct{ password, image, want string }{
			"another repository": {r.identity(nil), other + ":1.0", string(model.CodeNoMatchingPolicy)},
			"another publisher":  {r.identity(otherRepository), image + ":2.0", string(model.CodeNoMatchingPolicy)},
			"a tag that exists":  {r.identity(nil), image + ":1.0", string(model.CodeAlreadyExists)},
			"a stolen token":     {g.secret, image + ":2.0", ""},
		} {
			if got, err := r.home(nil).Crane(t.Context(), r.site.Host(), tc.password, tc.image); err != nil || got.Code == 0 || !strings.Contains(got.Output, tc.want) {
				t.Errorf("%s: %v, exit status %d, expected %s\n%s", name, err, got.Code, tc.want, got.Output)
			}
		}
		refused(t, r.send(t, http.MethodDelete, "/v2/"+image+"/manifests/1.0", bearer(r.identity(nil)), nil), http.StatusForbidden, model.CodeNoMatchingPolicy)
	})
	g.spent(t, r, 1, "read_registry", "write_registry")
	if g.live {
		return
	}
	if asked := g.contract.Auths(); asked == 0 || asked > 4 {
		t.Errorf("the realm was asked %d times, expected once for what is pushed and once for what is pulled", asked)
	}
	for _, header := range g.contract.Seen() {
		for _, action := range []string{"pull", "push"} {
			if g.contract.Granted(header, other, action) || g.contract.Granted(header, path, action) {
				t.Errorf("a token of a request is good for another repository (%s)", action)
			}
		}
	}
}
