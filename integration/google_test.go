package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	contract "github.com/trustpub/trustpub/integration/registry/google"
	"github.com/trustpub/trustpub/integration/registry/trust"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestGoogle runs against a repository of yours instead of the server of the contract.
const (
	googleProvider   = "TRUSTPUB_GOOGLE_PROVIDER"
	googleAccount    = "TRUSTPUB_GOOGLE_SERVICE_ACCOUNT"
	googleLocation   = "TRUSTPUB_GOOGLE_LOCATION"
	googleRepository = "TRUSTPUB_GOOGLE_REPOSITORY"
)

// googleRig is a gateway before the contract's server, whose provider trusts jobs of one repository for this gateway.
func googleRig(t *testing.T, repository, ecosystem, pkg string, lines ...string) (*rig, *contract.Server) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	cloud := contract.Start(trust.Issuer{})
	t.Cleanup(cloud.Close)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "CLOUD", cloud.URL)
	}
	lines = append([]string{"provider " + contract.Provider, "sts " + cloud.URL}, lines...)
	reg := cloudRegistry(strings.TrimPrefix(cloud.URL, "http://"), "/"+contract.Project+"/"+repository+"/", "credential google {\n\t"+strings.Join(lines, "\n\t")+"\n}", cloud.Files)
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+pkg+`"]`, 1)
	policy = strings.Replace(policy, "        workflow: release.yml\n", "", 1)
	policy = strings.Replace(policy, "repository: acme/widget", "repository: [acme/widget, acme/gadget]", 1)
	r := startRig(t, reg, withEcosystem(ecosystem), withPolicy("widget.yaml", policy))
	cloud.Trust(trust.Issuer{URL: shared.issuer.URL(), Audiences: audiences(r), Keys: shared.issuer.JWKS, Claims: map[string]string{"repository": "acme/widget"}})
	return r, cloud
}

// TestGoogle publishes with twine as a service account: sent directly and after an exchange, where the identity token travels sealed.
func TestGoogle(t *testing.T) {
	t.Parallel()
	if l, v := findLive(t, googleProvider, googleAccount, googleLocation, googleRepository); l != nil {
		lines := []string{"provider " + v[googleProvider], "service_account " + v[googleAccount]}
		publishLive(t, l, "https://"+v[googleLocation]+"-python.pkg.dev", "/"+v[googleRepository]+"/", "credential google {\n\t"+strings.Join(lines, "\n\t")+"\n}")
		return
	}
	r, cloud := googleRig(t, contract.Python, "pypi", "acme-widget", "service_account "+contract.ServiceAccount, "iam CLOUD", "lifetime 5m")
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
	want := map[string]string{}
	for _, w := range []artifact{one, two, three} {
		want[contract.Python+"/acme-widget/"+w.file] = w.sha256
	}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Errorf("what Artifact Registry holds (-want +got):\n%s", diff)
	}
	tokens := map[string]bool{}
	for _, s := range cloud.Seen() {
		tokens[s.Token] = true
		if s.Member != contract.ServiceAccount {
			t.Errorf("%s %s came from %q, expected the service account", s.Method, s.Path, s.Member)
		}
	}
	if len(tokens) != 2 {
		t.Errorf("got %d tokens for two identity tokens and three uploads, expected 2", len(tokens))
	}
	r.unchanged(t, func() {
		refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "other", "1.0").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		stolen := cloud.Seen()[0].Token
		refused(t, r.upload(t, bearer(stolen), newWheel(t, "acme-widget", "2.0").form()), http.StatusForbidden, model.CodeTrustedPublishingOnly)
		// Our policies let this one through, and the provider's attribute condition does not.
		got := r.upload(t, bearer(r.identity(otherRepository)), newWheel(t, "acme-widget", "2.0").form())
		refused(t, got, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
	})
	if log := r.gw.Logs(); !strings.Contains(log, "unauthorized_client, "+contract.Provider) || strings.Contains(log, "ya29.") {
		t.Error("the log does not say what to look at, or has a token")
	}
}

// TestGoogleNPM publishes with npm as the federated identity itself, which has the right to write.
func TestGoogleNPM(t *testing.T) {
	t.Parallel()
	const pkg = "@acme/widget"
	r, cloud := googleRig(t, contract.NPM, "npm", pkg)
	cloud.Members = []string{"federated"}
	got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", pkg, "1.0.0")
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	if paths := r.paths(); len(paths) != 1 || paths[0] != contract.NPM+"/@acme/widget/1.0.0" {
		t.Errorf("Artifact Registry holds %q", paths)
	}
	for _, s := range cloud.Seen() {
		if _, _, writes := cloud.May(s.Token); writes != (s.Method == http.MethodPut) {
			t.Errorf("the token of %s %s may write: %t", s.Method, s.Path, writes)
		}
	}
	r.unchanged(t, func() {
		got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", "@acme/gadget", "1.0.0")
		if err != nil || got.Code == 0 {
			t.Errorf("another package: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
	})
}
