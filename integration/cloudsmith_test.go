package integration

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/registry"
	contract "github.com/trustpub/trustpub/integration/registry/cloudsmith"
	"github.com/trustpub/trustpub/internal/model"
)

// cloudsmithRig is a gateway before the contract's server, whose provider takes acme/widget.
func cloudsmithRig(t *testing.T, ecosystem, path string, options ...option) (*rig, *contract.Server) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"repository": "acme/widget"}
	server := contract.Start(contract.Provider{Issuer: shared.issuer.URL(), Keys: shared.issuer.JWKS, Claims: claims})
	t.Cleanup(server.Close)
	reg := &registry.Registry{
		Kind: "cloudsmith", Addr: strings.TrimPrefix(server.URL, "http://"), Path: path,
		Credential: "credential cloudsmith {\n\turl " + server.URL + "\n\torganization " + contract.Organization + "\n\tservice " + contract.Service + "\n}",
		Files:      func(context.Context) (map[string]string, error) { return server.Files(), nil },
		Log:        func() string { return "" },
	}
	both := strings.Replace(widgetPolicy, "        workflow: release.yml\n", "", 1)
	both = strings.Replace(both, "repository: acme/widget", "repository: [acme/widget, acme/gadget]", 1)
	r := startRig(t, reg, append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", both)}, options...)...)
	claims["aud"] = r.site.Host()
	return r, server
}

// TestCloudsmith: Cloudsmith judges the identity token itself, sent directly or exchanged before.
func TestCloudsmith(t *testing.T) {
	t.Parallel()
	if cloudsmithLive(t) {
		return
	}
	r, server := cloudsmithRig(t, "pypi", "/acme/packages/")
	direct, exchanged, again := newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "1.1"), newWheel(t, "acme-widget", "1.2")
	got, err := r.home(nil).Twine(t.Context(), r.site.Public(), client.Login{User: "__token__", Password: r.identity(nil)}, direct.path)
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	publish := r.mint(t, nil)
	ok(t, r.upload(t, bearer(publish), exchanged.form()))
	ok(t, r.upload(t, bearer(publish), again.form()))
	if n := server.Exchanges(); n != 2 {
		t.Errorf("got %d exchanges for two identity tokens and three uploads, expected 2", n)
	}
	r.holds(t, direct, exchanged, again)
	if diff := cmp.Diff(map[string]int{"Authorization": 3}, server.Headers()); diff != "" {
		t.Errorf("headers in which tokens came (-want +got):\n%s", diff)
	}
	r.unchanged(t, func() {
		// Our policies let this one through, and Cloudsmith's provider does not.
		got := r.upload(t, bearer(r.identity(otherRepository)), newWheel(t, "acme-widget", "2.0").form())
		refused(t, got, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
		stolen := http.Header{"X-Api-Key": {"canary-of-a-person"}}
		if got := r.upload(t, stolen, newWheel(t, "acme-widget", "2.1").form()); got.Status/100 != 4 {
			t.Errorf("a person's key: %d %s", got.Status, got.Body)
		}
	})
	if log := r.gw.Logs(); !strings.Contains(log, "does the organisation acme have an OIDC provider with this issuer") {
		t.Error("the log does not say what to look at")
	}
}

// TestCloudsmithFiles: what a client sends in Cloudsmith's own header is a credential, and never goes beside ours.
func TestCloudsmithFiles(t *testing.T) {
	t.Parallel()
	r, server := cloudsmithRig(t, "generic", "/acme/packages/raw/", withLines("layout /{package}/{version}/{file}"))
	const path = "/acme/packages/raw/acme-widget/1.0/x.tar.gz"
	r.unchanged(t, func() {
		for _, header := range []http.Header{with(bearer(r.identity(nil)), "X-Api-Key", "canary-of-a-person"), {"X-Api-Key": {"canary-of-a-person"}}} {
			if got := r.send(t, http.MethodPut, path, header, []byte("x")); got.Status/100 != 4 {
				t.Errorf("a person's key: %d %s", got.Status, got.Body)
			}
		}
	})
	if got := r.send(t, http.MethodPut, path, bearer(r.identity(nil)), []byte("x")); got.Status != http.StatusCreated {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	if server.Headers()["X-Api-Key"] != 0 {
		t.Errorf("tokens came in %v, expected Authorization alone", server.Headers())
	}
}

// The variables with which TestCloudsmith uploads one wheel to Cloudsmith itself, from a job whose identity token its organisation takes: the
// base of the API, that of uploads for Python, organisation, service and repository, the gateway's issuer line as in "github", the token and its
// audience, a policy file for the registry internal-pypi, and the package that it grants.
const (
	cloudsmithURL          = "TRUSTPUB_CLOUDSMITH_URL"
	cloudsmithUpstream     = "TRUSTPUB_CLOUDSMITH_UPSTREAM"
	cloudsmithOrganization = "TRUSTPUB_CLOUDSMITH_ORGANIZATION"
	cloudsmithService      = "TRUSTPUB_CLOUDSMITH_SERVICE"
	cloudsmithRepository   = "TRUSTPUB_CLOUDSMITH_REPOSITORY"
	cloudsmithIssuer       = "TRUSTPUB_CLOUDSMITH_ISSUER"
	cloudsmithAudience     = "TRUSTPUB_CLOUDSMITH_AUDIENCE"
	cloudsmithToken        = "TRUSTPUB_CLOUDSMITH_TOKEN"
	cloudsmithPolicy       = "TRUSTPUB_CLOUDSMITH_POLICY"
	cloudsmithPackage      = "TRUSTPUB_CLOUDSMITH_PACKAGE"
)

// cloudsmithLive uploads to Cloudsmith itself where the variables say how.
func cloudsmithLive(t *testing.T) bool {
	t.Helper()
	if os.Getenv(cloudsmithURL) == "" {
		return false
	}
	policy, err := os.ReadFile(os.Getenv(cloudsmithPolicy))
	if err != nil {
		t.Fatalf("%s: %v", cloudsmithPolicy, err)
	}
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	reg := &registry.Registry{
		Kind: "cloudsmith", Addr: bridge(t, os.Getenv(cloudsmithUpstream)), Path: "/" + os.Getenv(cloudsmithOrganization) + "/" + os.Getenv(cloudsmithRepository) + "/",
		Credential: "credential cloudsmith {\n\turl " + os.Getenv(cloudsmithURL) + "\n\torganization " + os.Getenv(cloudsmithOrganization) + "\n\tservice " + os.Getenv(cloudsmithService) + "\n}",
		Secrets:    []string{os.Getenv(cloudsmithToken)},
		Files:      func(context.Context) (map[string]string, error) { return nil, nil },
		Log:        func() string { return "" },
	}
	r := startRig(t, reg, withIssuer("issuer "+os.Getenv(cloudsmithIssuer)), withLines("audience "+os.Getenv(cloudsmithAudience)), withPolicy("widget.yaml", string(policy)))
	w := newWheel(t, os.Getenv(cloudsmithPackage), "0.0."+itoa(int(time.Now().Unix())))
	got, err := r.home(nil).Twine(t.Context(), r.site.Public(), client.Login{User: "__token__", Password: os.Getenv(cloudsmithToken)}, w.path)
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	return true
}
