package integration

import (
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	contract "github.com/trustpub/trustpub/integration/registry/azure"
	"github.com/trustpub/trustpub/integration/registry/trust"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestAzure runs against a feed of yours instead of the server of the contract; the feed is the path before
// /pypi/upload/, as in acme/_packaging/test.
const (
	azureTenant = "TRUSTPUB_AZURE_TENANT"
	azureClient = "TRUSTPUB_AZURE_CLIENT"
	azureFeed   = "TRUSTPUB_AZURE_FEED"
)

// azureRig is a gateway before the contract's server, whose application trusts jobs of one repository for this gateway.
func azureRig(t *testing.T, ecosystem, path, pkg string, options ...option) (*rig, *contract.Server) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	cloud := contract.Start(trust.Issuer{})
	t.Cleanup(cloud.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cloud.TLS.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := []string{"tenant " + contract.Tenant, "client " + contract.Client, "authority " + cloud.TLS.URL, "ca " + ca}
	if ecosystem == "oci" {
		lines = append(lines, "registry "+cloud.Registry)
	}
	reg := cloudRegistry(strings.TrimPrefix(cloud.Plain.URL, "http://"), path, "credential azure {\n\t"+strings.Join(lines, "\n\t")+"\n}", cloud.Files)
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+pkg+`"]`, 1)
	policy = strings.Replace(policy, "        workflow: release.yml\n", "", 1)
	policy = strings.Replace(policy, "repository: acme/widget", "repository: [acme/widget, acme/gadget]", 1)
	r := startRig(t, reg, append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", policy)}, options...)...)
	cloud.Trust(trust.Issuer{URL: shared.issuer.URL(), Audiences: audiences(r), Keys: shared.issuer.JWKS, Claims: map[string]string{"repository": "acme/widget"}})
	return r, cloud
}

// TestAzure publishes to a feed with twine: sent directly and after an exchange, where the identity token travels sealed.
func TestAzure(t *testing.T) {
	t.Parallel()
	if l, v := findLive(t, azureTenant, azureClient, azureFeed); l != nil {
		lines := []string{"tenant " + v[azureTenant], "client " + v[azureClient]}
		publishLive(t, l, "https://pkgs.dev.azure.com", "/"+v[azureFeed]+"/pypi/upload/", "credential azure {\n\t"+strings.Join(lines, "\n\t")+"\n}")
		return
	}
	r, cloud := azureRig(t, "pypi", contract.Feed+"/pypi/upload/", "acme-widget")
	one, two, three := newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "1.1"), newWheel(t, "acme-widget", "1.2")
	publish := r.mint(t, nil)
	for _, w := range []struct {
		wheel    artifact
		password string
	}{{one, r.identity(nil)}, {two, publish}, {three, publish}} {
		got, err := r.home(nil).Twine(t.Context(), r.site.Public(), client.Login{User: "__token__", Password: w.password}, w.wheel.path)
		if err != nil || got.Code != 0 {
			t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
		}
	}
	r.holds(t, one, two, three)
	tokens := map[string]bool{}
	for _, s := range cloud.Seen() {
		tokens[s.Token] = true
	}
	if len(tokens) != 2 {
		t.Errorf("got %d tokens for two identity tokens and three uploads, expected 2", len(tokens))
	}
	r.unchanged(t, func() {
		refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "other", "1.0").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		stolen := cloud.Seen()[0].Token
		refused(t, r.upload(t, bearer(stolen), newWheel(t, "acme-widget", "2.0").form()), http.StatusForbidden, model.CodeTrustedPublishingOnly)
		// Our policies let this one through, and no federated credential of the application does.
		got := r.upload(t, bearer(r.identity(otherRepository)), newWheel(t, "acme-widget", "2.0").form())
		refused(t, got, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
	})
	if log := r.gw.Logs(); !strings.Contains(log, "AADSTS700213, application "+contract.Client) || strings.Contains(log, cloud.Seen()[0].Token) {
		t.Error("the log does not say what to look at, or has a token")
	}
}

// TestAzureContainers pushes with crane: the registry's token is good for the one repository.
func TestAzureContainers(t *testing.T) {
	t.Parallel()
	const image = "acme/widget"
	r, cloud := azureRig(t, "oci", "/v2/", image)
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
	if r.files()[image+":1.0"] == "" {
		t.Errorf("the registry holds %v, expected the manifest of %s", r.paths(), image)
	}
	used := 0
	for _, s := range cloud.Seen() {
		if s.Token == "" {
			continue
		}
		used++
		if !cloud.May(s.Token, image, "pull") {
			t.Errorf("the token of %s %s is not one of this repository", s.Method, s.Path)
		}
		if cloud.May(s.Token, "acme/other", "pull") || cloud.May(s.Token, "acme/other", "push") {
			t.Errorf("the token of %s %s is good for another repository", s.Method, s.Path)
		}
	}
	if used == 0 {
		t.Error("no request had a token")
	}
	before := r.files()
	if got := push("acme/gadget:1.0"); got.Code == 0 {
		t.Errorf("another image: exit status 0\n%s", got.Output)
	}
	if diff := cmp.Diff(before, r.files()); diff != "" {
		t.Errorf("the registry changed (-before +after):\n%s", diff)
	}
}

// TestAzureFormats publishes to a feed with npm, mvn, nuget and cargo. What the feed's own indexes say leads past the gateway: cargo is given the settings of
// the index by the site, and nuget the URL that it pushes to.
func TestAzureFormats(t *testing.T) {
	t.Parallel()
	for ecosystem, tc := range map[string]struct {
		path, below string
		options     []option
	}{
		"npm":   {"/npm/registry/", "", nil},
		"maven": {"/maven/v1/", "", nil},
		"nuget": {"/nuget/v2/", "", []option{withAnswer("", nugetIndex)}},
		"cargo": {"/Cargo/", "index/", []option{withAnswer("index/config.json", cargoSettings)}},
	} {
		t.Run(ecosystem, func(t *testing.T) {
			t.Parallel()
			p := publishers[ecosystem]
			pkg := p.prefix + random(4)
			r, cloud := azureRig(t, ecosystem, contract.Feed+tc.path, pkg, tc.options...)
			p.runAt(t, r, pkg, tc.below)
			for _, s := range cloud.Seen() {
				if s.Method != http.MethodGet && s.Method != http.MethodHead && !cloud.Feeds(s.Token) {
					t.Errorf("%s %s came without a token of the feed", s.Method, s.Path)
				}
			}
		})
	}
}
