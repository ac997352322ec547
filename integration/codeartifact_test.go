package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	contract "github.com/trustpub/trustpub/integration/registry/codeartifact"
	"github.com/trustpub/trustpub/integration/registry/trust"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestCodeArtifact runs against a domain of yours instead of the server of the contract.
const (
	codeArtifactRole       = "TRUSTPUB_CODEARTIFACT_ROLE"
	codeArtifactRegion     = "TRUSTPUB_CODEARTIFACT_REGION"
	codeArtifactDomain     = "TRUSTPUB_CODEARTIFACT_DOMAIN"
	codeArtifactOwner      = "TRUSTPUB_CODEARTIFACT_OWNER"
	codeArtifactRepository = "TRUSTPUB_CODEARTIFACT_REPOSITORY"
)

// codeArtifactRig is a gateway before the contract's server, whose role trusts jobs of one repository for this gateway.
func codeArtifactRig(t *testing.T, format, ecosystem, pkg string, options ...option) (*rig, *contract.Server) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	aws := contract.Start(trust.Issuer{})
	t.Cleanup(aws.Close)
	lines := []string{
		"domain " + contract.Domain, "owner " + contract.Account, "region " + contract.Region, "role " + contract.Role,
		"sts " + aws.URL, "endpoint " + aws.URL,
	}
	credential := "credential codeartifact {\n\t" + strings.Join(lines, "\n\t") + "\n}"
	reg := cloudRegistry(strings.TrimPrefix(aws.URL, "http://"), "/"+format+"/"+contract.Repository+"/", credential, aws.Files)
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+pkg+`"]`, 1)
	policy = strings.Replace(policy, "        workflow: release.yml\n", "", 1)
	policy = strings.Replace(policy, "repository: acme/widget", "repository: [acme/widget, acme/gadget]", 1)
	r := startRig(t, reg, append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", policy)}, options...)...)
	aws.Trust(trust.Issuer{URL: shared.issuer.URL(), Audiences: audiences(r), Keys: shared.issuer.JWKS, Claims: map[string]string{"repository": "acme/widget"}})
	return r, aws
}

// narrowed fails the test unless the repository saw tokens of the job's own sessions only, none of which may publish another package.
func narrowed(t *testing.T, aws *contract.Server, other string, tokens int) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range aws.Seen() {
		if s.Session == "" {
			t.Errorf("%s %s came without a session", s.Method, s.Path)
			continue
		}
		seen[s.Token] = true
		if !strings.HasPrefix(s.Session, "trustpub-") {
			t.Errorf("session %q, expected trustpub- and a digest", s.Session)
		}
		if aws.May(s.Token, "codeartifact:PublishPackageVersion", "package/acme/releases/"+other) {
			t.Errorf("the token of %s %s may publish %s", s.Method, s.Path, other)
		}
	}
	if len(seen) != tokens {
		t.Errorf("got %d tokens, expected %d", len(seen), tokens)
	}
}

// TestCodeArtifact publishes with twine: sent directly and after an exchange, where the identity token travels sealed.
func TestCodeArtifact(t *testing.T) {
	t.Parallel()
	if l, v := findLive(t, codeArtifactRole, codeArtifactRegion, codeArtifactDomain, codeArtifactOwner, codeArtifactRepository); l != nil {
		lines := []string{"domain " + v[codeArtifactDomain], "owner " + v[codeArtifactOwner], "region " + v[codeArtifactRegion], "role " + v[codeArtifactRole]}
		host := v[codeArtifactDomain] + "-" + v[codeArtifactOwner] + ".d.codeartifact." + v[codeArtifactRegion] + ".amazonaws.com"
		publishLive(t, l, "https://"+host, "/pypi/"+v[codeArtifactRepository]+"/", "credential codeartifact {\n\t"+strings.Join(lines, "\n\t")+"\n}")
		return
	}
	r, aws := codeArtifactRig(t, "pypi", "pypi", "acme-widget")
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
		want["pypi/acme-widget/"+w.version+"/"+w.file] = w.sha256
	}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Errorf("what CodeArtifact holds (-want +got):\n%s", diff)
	}
	narrowed(t, aws, "pypi//other", 2)
	r.unchanged(t, func() {
		refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "other", "1.0").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		stolen := aws.Seen()[0].Token
		refused(t, r.upload(t, bearer(stolen), newWheel(t, "acme-widget", "2.0").form()), http.StatusForbidden, model.CodeTrustedPublishingOnly)
		// Our policies let this one through, and the role's trust policy does not.
		got := r.upload(t, bearer(r.identity(otherRepository)), newWheel(t, "acme-widget", "2.0").form())
		refused(t, got, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
	})
	if log := r.gw.Logs(); !strings.Contains(log, "AccessDenied, role "+contract.Role) || strings.Contains(log, aws.Seen()[0].Token) {
		t.Error("the log does not say what to look at, or has a token")
	}
	outcome := r.await(t, "outcome", func(e model.Event) bool { return e.Kind == model.EventOutcome && e.Result == "stored" })
	decision := r.await(t, "decision", func(e model.Event) bool { return e.Kind == model.EventDecision && e.ID == outcome.ID })
	if name := "trustpub-" + decision.IdentitySHA256[:32]; aws.Seen()[0].Session != name {
		t.Errorf("session %q in AWS's log, expected %q, which leads to the audit's event", aws.Seen()[0].Session, name)
	}
}

// TestCodeArtifactNPM publishes a scope's package with npm.
func TestCodeArtifactNPM(t *testing.T) {
	t.Parallel()
	const pkg = "@acme/widget"
	r, aws := codeArtifactRig(t, "npm", "npm", pkg)
	got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", pkg, "1.0.0")
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	if paths := r.paths(); len(paths) != 1 || paths[0] != "npm/@acme/widget/-/widget-1.0.0.tgz" {
		t.Errorf("CodeArtifact holds %q", paths)
	}
	for _, s := range aws.Seen() {
		if s.Method == http.MethodPut && aws.May(s.Token, "codeartifact:PublishPackageVersion", "package/acme/releases/npm//widget") {
			t.Error("the token of @acme/widget may publish widget")
		}
	}
	r.unchanged(t, func() {
		got, err := r.home(r.job(t, try{})).NPM(t.Context(), r.site.Public(), "", "@acme/gadget", "1.0.0")
		if err != nil || got.Code == 0 {
			t.Errorf("another package: %v, exit status %d\n%s", err, got.Code, got.Output)
		}
	})
}

// TestCodeArtifactMaven deploys with mvn: artifacts, checksums, and the index, each with the job's own session.
func TestCodeArtifactMaven(t *testing.T) {
	t.Parallel()
	r, aws := codeArtifactRig(t, "maven", "maven", "com.example:widget")
	if got := r.deploy(t, "widget", "1.0", r.identity(nil)); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	for _, path := range []string{"1.0/widget-1.0.jar", "1.0/widget-1.0.pom", "maven-metadata.xml"} {
		if r.files()["maven/com/example/widget/"+path] == "" {
			t.Errorf("CodeArtifact does not hold %s", path)
		}
	}
	for _, s := range aws.Seen() {
		if s.Method == http.MethodPut && aws.May(s.Token, "codeartifact:PublishPackageVersion", "package/acme/releases/maven/com.example/gadget") {
			t.Error("the token of widget may publish gadget")
		}
	}
}

// TestCodeArtifactFormats publishes with nuget, gem and cargo. What CodeArtifact's own indexes say leads past the gateway: cargo is given the settings of the
// index by the site, and nuget the URL that it pushes to.
func TestCodeArtifactFormats(t *testing.T) {
	t.Parallel()
	for ecosystem, tc := range map[string]struct {
		format  string
		options []option
	}{
		"nuget":    {"nuget", []option{withPath("/nuget/" + contract.Repository + "/v2/package/"), withAnswer("", nugetIndex)}},
		"rubygems": {"ruby", nil},
		"cargo":    {"cargo", []option{withAnswer("config.json", cargoSettings)}},
	} {
		t.Run(ecosystem, func(t *testing.T) {
			t.Parallel()
			p := publishers[ecosystem]
			pkg := p.prefix + random(4)
			r, aws := codeArtifactRig(t, tc.format, ecosystem, pkg, tc.options...)
			p.run(t, r, pkg)
			for _, s := range aws.Seen() {
				if s.Method != http.MethodGet && aws.May(s.Token, "codeartifact:PublishPackageVersion", "package/acme/releases/"+tc.format+"//another") {
					t.Errorf("the token of %s %s may publish another package", s.Method, s.Path)
				}
			}
		})
	}
}
