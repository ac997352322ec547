package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	contract "github.com/trustpub/trustpub/integration/registry/harbor"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestHarbor runs against a Harbor of yours instead of the server of the contract: its base URL, the account that makes
// robots with its secret, and a project in which it may.
const (
	harborURL     = "TRUSTPUB_HARBOR_URL"
	harborUser    = "TRUSTPUB_HARBOR_USER"
	harborSecret  = "TRUSTPUB_HARBOR_SECRET"
	harborProject = "TRUSTPUB_HARBOR_PROJECT"
)

// TestHarbor pushes with crane and skopeo: each request with a robot of its own, which can do nothing in another project and is gone afterwards.
func TestHarbor(t *testing.T) {
	t.Parallel()
	server := contract.New()
	p := startProduct(t, harborURL, server)
	project := "acme"
	if p.live {
		p.user, p.secret, project = setting(t, harborUser), setting(t, harborSecret), setting(t, harborProject)
	} else {
		p.user, p.secret = "robot$trustpub", "canary-robot-secret-"+random(8)
		server.User, server.Secrets, server.Projects = p.user, []string{p.secret}, map[string]int64{project: 7, "tools": 8}
	}
	image := project + "/widget-" + random(4)
	r := p.rig(t, "harbor", "oci", "/v2/", image, []string{"user " + p.user, "password " + secretFile(t, p.secret)},
		func(ctx context.Context) (map[string]string, error) {
			return p.imageTags(ctx, image, project+"/gadget")
		})
	for tag, push := range map[string]func(client.Home, context.Context, string, string, string) (client.Result, error){"1.0": client.Home.Crane, "1.1": client.Home.Skopeo} {
		got, err := push(r.home(nil), t.Context(), r.site.Host(), r.identity(nil), image+":"+tag)
		if err != nil || got.Code != 0 {
			t.Fatalf("%s: %v, exit status %d\n%s", tag, err, got.Code, got.Output)
		}
		if r.files()[image+":"+tag] == "" {
			t.Errorf("Harbor holds %v, expected %s:%s", r.paths(), image, tag)
		}
	}
	got, err := r.home(nil).CraneRun(t.Context(), r.site.Host(), r.identity(nil), "manifest", r.site.Host()+"/"+image+":1.1")
	if err != nil || got.Code != 0 || !strings.Contains(got.Output, `"layers"`) {
		t.Errorf("a pull: %v, exit status %d\n%s", err, got.Code, got.Output)
	}
	r.unchanged(t, func() {
		if got, err := r.home(nil).Crane(t.Context(), r.site.Host(), r.identity(nil), project+"/gadget:1.0"); err != nil || got.Code == 0 {
			t.Errorf("another repository: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
		if got, err := r.home(nil).Crane(t.Context(), r.site.Host(), r.identity(otherRepository), image+":2.0"); err != nil || got.Code == 0 {
			t.Errorf("another publisher: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
		if got, err := r.home(nil).Crane(t.Context(), r.site.Host(), r.identity(nil), image+":1.0"); err != nil || got.Code == 0 || !strings.Contains(got.Output, string(model.CodeAlreadyExists)) {
			t.Errorf("a tag that exists: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
		refused(t, r.send(t, http.MethodPost, "/api/v2.0/robots", basicAs(p.user, p.secret), []byte("{}")), http.StatusForbidden, model.CodeUnsupportedOperation)
	})
	if p.live {
		return
	}
	r.eventually(t, "robots are deleted", func() bool { return len(server.Names(project)) == 0 })
	for _, robot := range server.Made() {
		if robot.Project != project || robot.Can("delete") {
			t.Errorf("a robot of %s may %q", robot.Project, robot.Actions)
		}
	}
	if made := len(server.Made()); made < 8 { // two images of a config and a layer each
		t.Errorf("got %d robots, expected one for each request", made)
	}
}

// imageTags are the tags of some repositories, with the digest of the manifest of each.
func (p product) imageTags(ctx context.Context, repositories ...string) (map[string]string, error) {
	files := map[string]string{}
	for _, repository := range repositories {
		var list struct{ Tags []string }
		if err := p.read(ctx, "/v2/"+repository+"/tags/list", &list); err != nil {
			return nil, err
		}
		for _, tag := range list.Tags {
			manifest, _, err := p.ask(ctx, "/v2/"+repository+"/manifests/"+tag)
			if err != nil {
				return nil, err
			}
			if json.Valid(manifest) {
				files[repository+":"+tag] = digestOf(manifest)
			}
		}
	}
	return files, nil
}
