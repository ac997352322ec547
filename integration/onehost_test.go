package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// oneHostPolicy grants something in each of three registries to the default job.
const oneHostPolicy = `policies:
  - name: python
    registry: python
    packages: [acme-widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222", workflow: release.yml, environment: release}}
  - name: node
    registry: node
    packages: ["@acme/widget"]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222", workflow: release.yml, environment: release}}
  - name: images
    registry: internal-pypi
    packages: [acme/widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222", workflow: release.yml, environment: release}}
`

// TestOneHost: registries of three ecosystems share a host. Each answers its own clients' exchange at the path where they ask, and a
// token is good for its own registry only.
func TestOneHost(t *testing.T) {
	t.Parallel()
	images, python, node := newRegistry(t, "distribution"), newRegistry(t, "devpi"), newRegistry(t, "verdaccio")
	images.Path = "/v2/"
	r := startRig(t, images, withEcosystem("oci"), withPolicy("widget.yaml", oneHostPolicy), func(_ *rig, c *gateway.Config, _ map[string]string) {
		c.Sites[0].Beside = []gateway.Site{{Registry: python, Name: "python", Ecosystem: "pypi"}, {Registry: node, Name: "node", Ecosystem: "npm"}}
	})
	wheel := newWheel(t, "acme-widget", "1.0")
	uploads := map[string]func(token string) answer{
		"python": func(token string) answer {
			return r.send(t, http.MethodPost, python.Path, with(bearer(token), "Content-Type", wheel.form().ContentType()), wheel.form().Bytes())
		},
		"node": func(token string) answer {
			return r.send(t, http.MethodPut, "/@acme%2fwidget", with(bearer(token), "Content-Type", "application/json"), []byte(npmDocument("@acme/widget", "1.0.0", []byte("archive"))))
		},
		"images": func(token string) answer {
			return r.send(t, http.MethodPost, "/v2/acme/widget/blobs/uploads/", bearer(token), nil)
		},
	}
	tokens := map[string]string{"python": r.mint(t, nil), "node": r.npmToken(t, "@acme%2fwidget")}
	var a answer
	if tokens["images"], a = r.ociToken(t, r.identity(nil), "repository:acme/widget:pull,push"); tokens["images"] == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for own, token := range tokens {
		for other, upload := range uploads {
			a := upload(token)
			switch {
			case own == other && a.Status/100 != 2:
				t.Errorf("%s with its own token: %d %s", other, a.Status, a.Body)
			case own != other:
				refused(t, a, http.StatusForbidden, model.CodeOutOfScope)
			}
		}
	}
	for path, want := range map[string]string{"/v2/acme/widget/tags/list": "errors", "/@acme%2fwidget": `"1.0.0"`, python.Path + "+simple/acme-widget/": wheel.file} {
		if a := r.send(t, http.MethodGet, path, nil, nil); !strings.Contains(a.Body, want) {
			t.Errorf("GET %s: %d %s", path, a.Status, a.Body)
		}
	}
	var denial struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	a = r.send(t, http.MethodPut, "/v2/acme/widget/manifests/1.0.0", http.Header{"Content-Type": {"application/json"}}, []byte("{}"))
	if err := json.Unmarshal([]byte(a.Body), &denial); err != nil || len(denial.Errors) != 1 || denial.Errors[0].Code != "UNAUTHORIZED" {
		t.Errorf("a denial in another dialect: %v, %s", err, a.Body)
	}
}
