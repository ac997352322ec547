package integration

import (
	"context"
	"net/http"
	"strings"
	"testing"

	contract "github.com/trustpub/trustpub/integration/registry/reposilite"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestReposilite runs against a Reposilite of yours instead of the server of the contract: its base URL, the name and the
// secret of a manager's token, and the repository, which has to keep files from being replaced.
const (
	reposiliteURL        = "TRUSTPUB_REPOSILITE_URL"
	reposiliteUser       = "TRUSTPUB_REPOSILITE_USER"
	reposiliteSecret     = "TRUSTPUB_REPOSILITE_SECRET"
	reposiliteRepository = "TRUSTPUB_REPOSILITE_REPOSITORY"
)

// TestReposilite deploys with mvn: each file with a token of its own, which is good for nothing else and is gone when the file is there.
func TestReposilite(t *testing.T) {
	t.Parallel()
	server := contract.New()
	p := startProduct(t, reposiliteURL, server)
	repository := "releases"
	if p.live {
		p.user, p.secret, repository = setting(t, reposiliteUser), setting(t, reposiliteSecret), setting(t, reposiliteRepository)
	} else {
		p.user, p.secret = "manager", "canary-manager-secret-"+random(8)
		server.Managers[p.user] = []string{p.secret}
	}
	name := "widget-" + random(4)
	folder := "/" + repository + "/com/example/" + name
	r := p.rig(t, "reposilite", "maven", "/"+repository+"/", "com.example:"+name,
		[]string{"user " + p.user, "password " + secretFile(t, p.secret)},
		func(ctx context.Context) (map[string]string, error) { return p.reposiliteFiles(ctx, folder) })
	if got := r.deploy(t, name, "1.0", r.identity(nil)); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	for _, path := range []string{"/1.0/" + name + "-1.0.jar", "/1.0/" + name + "-1.0.pom", "/maven-metadata.xml"} {
		if r.files()[folder+path] == "" {
			t.Errorf("Reposilite does not hold %s", path)
		}
	}
	r.unchanged(t, func() {
		if got := r.deploy(t, "gadget", "1.0", r.identity(nil)); got.Code == 0 {
			t.Errorf("another artifact: exit status 0\n%s", got.Output)
		}
		path := "/" + repository + "/com/example/" + name + "/1.1/" + name + "-1.1.jar"
		refused(t, r.send(t, http.MethodPut, path, basicAs(p.user, p.secret), []byte("x")), http.StatusForbidden, model.CodeTrustedPublishingOnly)
		refused(t, r.send(t, http.MethodPut, "/api/tokens/mine", basicAs(p.user, p.secret), []byte("{}")), http.StatusForbidden, model.CodeUnsupportedOperation)
	})
	if p.live {
		return
	}
	made, left := server.Made()
	if left != 0 {
		t.Errorf("%d tokens are left", left)
	}
	uploads := 0
	for _, token := range made {
		if token.Permissions != "rw" {
			continue
		}
		uploads++
		if !strings.HasPrefix(token.Path, folder+"/") || strings.HasSuffix(token.Path, "/") {
			t.Errorf("a token writes %s, expected one file of %s", token.Path, folder)
		}
	}
	if files := len(r.files()); uploads < files {
		t.Errorf("got %d tokens for %d files, expected one for each", uploads, files)
	}
}

// reposiliteFiles are the files below a folder, with their digests.
func (p product) reposiliteFiles(ctx context.Context, folder string) (map[string]string, error) {
	var found struct {
		Files []struct{ Name, Type string }
	}
	if err := p.read(ctx, "/api/maven/details"+folder, &found); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, f := range found.Files {
		if f.Type == "DIRECTORY" {
			below, err := p.reposiliteFiles(ctx, folder+"/"+f.Name)
			if err != nil {
				return nil, err
			}
			for path, digest := range below {
				files[path] = digest
			}
			continue
		}
		content, _, err := p.ask(ctx, folder+"/"+f.Name)
		if err != nil {
			return nil, err
		}
		files[folder+"/"+f.Name] = digestOf(content)
	}
	return files, nil
}
