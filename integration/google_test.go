package integration

import (
	"context"
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
	path := "/" + contract.Project + "/" + repository + "/"
	if ecosystem == "oci" {
		path = "/v2/"
	}
	reg := cloudRegistry(strings.TrimPrefix(cloud.URL, "http://"), path, "credential google {\n\t"+strings.Join(lines, "\n\t")+"\n}", cloud.Files)
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
	if paths := r.paths(); len(paths) != 1 || paths[0] != contract.NPM+"/@acme/widget/-/widget-1.0.0.tgz" {
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

// TestGoogleMaven deploys with mvn as a service account.
func TestGoogleMaven(t *testing.T) {
	t.Parallel()
	p := publishers["maven"]
	pkg := p.prefix + random(4)
	r, cloud := googleRig(t, contract.Maven, "maven", pkg, "service_account "+contract.ServiceAccount, "iam CLOUD")
	p.run(t, r, pkg)
	for _, s := range cloud.Seen() {
		if _, _, writes := cloud.May(s.Token); writes != (s.Method != http.MethodGet) && s.Token != "" && s.Method != http.MethodHead {
			t.Errorf("the token of %s %s may write: %t", s.Method, s.Path, writes)
		}
	}
}

// TestGoogleContainers pushes with crane and skopeo as a service account; the names of images begin with project and repository.
func TestGoogleContainers(t *testing.T) {
	t.Parallel()
	image := contract.Project + "/" + contract.Images + "/widget"
	r, cloud := googleRig(t, contract.Images, "oci", image, "service_account "+contract.ServiceAccount, "iam CLOUD")
	for tag, push := range map[string]func(client.Home, context.Context, string, string, string) (client.Result, error){"1.0": client.Home.Crane, "1.1": client.Home.Skopeo} {
		got, err := push(r.home(nil), t.Context(), r.site.Host(), r.identity(nil), image+":"+tag)
		if err != nil || got.Code != 0 {
			t.Fatalf("%s: %v, exit status %d\n%s", tag, err, got.Code, got.Output)
		}
		if r.files()[image+":"+tag] == "" {
			t.Errorf("Artifact Registry holds %q, expected %s:%s", r.paths(), image, tag)
		}
	}
	r.unchanged(t, func() {
		for name, tc := range map[string]struct{ password, image string }{
			"a tag that exists": {r.identity(nil), image + ":1.0"},
			"another image":     {r.identity(nil), strings.Replace(image, "widget", "gadget", 1) + ":1.0"},
			"another publisher": {r.identity(foreignRepository), image + ":2.0"},
			"a stolen token":    {cloud.Seen()[0].Token, image + ":2.0"},
		} {
			if got := r.pushes(t, tc.password, tc.image); got.Code == 0 {
				t.Errorf("%s: exit status 0\n%s", name, got.Output)
			}
		}
	})
}
