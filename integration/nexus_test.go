package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/registry"
	contract "github.com/trustpub/trustpub/integration/registry/nexus"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which the tests run against a Nexus of yours instead of the server of the contract: its base URL, an account that may
// make users and list assets, the role that may publish and read, and hosted repositories, as in "pypi=py,maven=releases"; and for containers the
// base URL of the connector, where /v2/ is.
const (
	nexusURL          = "TRUSTPUB_NEXUS_URL"
	nexusUser         = "TRUSTPUB_NEXUS_USER"
	nexusPassword     = "TRUSTPUB_NEXUS_PASSWORD"
	nexusRole         = "TRUSTPUB_NEXUS_ROLE"
	nexusRepositories = "TRUSTPUB_NEXUS_REPOSITORIES"
	nexusConnector    = "TRUSTPUB_NEXUS_CONNECTOR"
)

// nexus is the one under test.
type nexus struct {
	url, addr, user, password, role string
	repositories                    map[string]string
	// contract is nil for a live one.
	contract *contract.Server
}

// newNexus starts the contract's, or takes a live one where any may be.
func newNexus(t *testing.T, any bool) *nexus {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	if live := os.Getenv(nexusURL); live != "" && any {
		return &nexus{
			url: strings.TrimRight(live, "/"), addr: bridge(t, live), user: os.Getenv(nexusUser), password: os.Getenv(nexusPassword),
			role: os.Getenv(nexusRole), repositories: pairs(os.Getenv(nexusRepositories)),
		}
	}
	server := contract.Start()
	t.Cleanup(server.Close)
	return &nexus{
		url: server.URL, addr: strings.TrimPrefix(server.URL, "http://"), user: contract.Admin, password: server.AdminPassword, role: "publish", contract: server,
		repositories: map[string]string{
			"pypi": contract.PyPI, "maven": contract.Maven, "generic": contract.Raw, "npm": contract.NPM, "nuget": contract.NuGet, "rubygems": contract.Gems,
			"cargo": contract.Cargo,
		},
	}
}

// rig is a gateway before one repository; the lines are those of the credential.
func (n *nexus) rig(t *testing.T, ecosystem, pkg string, lines []string, options ...option) *rig {
	t.Helper()
	key := n.repositories[ecosystem]
	if key == "" {
		t.Fatalf("%s has no repository of %s", nexusRepositories, ecosystem)
	}
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+pkg+`"]`, 1)
	_, word, _ := strings.Cut(pkg, "widget")
	reg := &registry.Registry{
		Kind: "nexus", Addr: n.addr, Path: "/repository/" + key + "/", User: n.user, Password: n.password, Secrets: []string{n.password},
		Credential: "credential nexus {\n\t" + strings.Join(lines, "\n\t") + "\n}",
		Files:      func(ctx context.Context) (map[string]string, error) { return n.files(ctx, key, "widget"+word) },
		Log:        func() string { return "" },
	}
	return startRig(t, reg, append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", policy)}, options...)...)
}

// making are the lines of a credential that makes users of a role.
func (n *nexus) making(t *testing.T, role string, more ...string) []string {
	t.Helper()
	return append([]string{"url " + n.url, "user " + n.user, "password " + secretFile(t, n.password), "role " + role}, more...)
}

// files are those of a repository whose path has the word, so that a live one may hold others.
func (n *nexus) files(ctx context.Context, key, word string) (map[string]string, error) {
	files, next := map[string]string{}, ""
	for {
		query := url.Values{"repository": {key}}
		if next != "" {
			query.Set("continuationToken", next)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+"/service/rest/v1/assets?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		req.SetBasicAuth(n.user, n.password)
		var page struct {
			Items []struct {
				Path     string            `json:"path"`
				Checksum map[string]string `json:"checksum"`
			} `json:"items"`
			Next string `json:"continuationToken"`
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			err = fmt.Errorf("assets of %s: %s", key, res.Status)
		} else {
			err = json.NewDecoder(res.Body).Decode(&page)
		}
		_ = res.Body.Close()
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			if strings.Contains(strings.ToLower(item.Path), word) {
				files[strings.TrimPrefix(item.Path, "/")] = item.Checksum["sha1"]
			}
		}
		if next = page.Next; next == "" {
			return files, nil
		}
	}
}

// spent fails the test unless each request that Nexus let in had a user of its own, who is gone.
func (n *nexus) spent(t *testing.T, r *rig, uploads int) {
	t.Helper()
	if n.contract == nil {
		return
	}
	r.eventually(t, "the users are still there", func() bool { return len(n.contract.Users()) == 0 })
	users := map[string]bool{}
	for _, seen := range n.contract.Seen() {
		if seen.User != "" {
			users[seen.User] = true
		}
	}
	if len(users) < uploads || n.contract.Made() < len(users) {
		t.Errorf("got %d users for %d uploads, expected one for each", len(users), uploads)
	}
}

// TestNexusPyPI publishes with twine.
func TestNexusPyPI(t *testing.T) {
	t.Parallel()
	n := newNexus(t, true)
	pkg := "acme-widget-" + random(4)
	r := n.rig(t, "pypi", pkg, n.making(t, n.role))
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
	want := map[string]string{"packages/" + pkg + "/1.0/" + one.file: sha1Of(one.bytes), "packages/" + pkg + "/1.1/" + two.file: sha1Of(two.bytes)}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Errorf("what Nexus holds (-want +got):\n%s", diff)
	}
	r.unchanged(t, func() {
		refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget-other", "1.0").form()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		stolen := model.Basic(n.user, n.password).Header
		refused(t, r.upload(t, stolen, newWheel(t, pkg, "1.2").form()), http.StatusForbidden, model.CodeTrustedPublishingOnly)
		if got := r.upload(t, bearer(r.identity(nil)), newWheel(t, pkg, "1.0").form()); got.Status/100 != 4 {
			t.Errorf("a file that exists: %d %s, expected what Nexus says of it", got.Status, got.Body)
		}
		outside := model.Basic(n.user, n.password).Header
		outside.Set("Content-Type", "application/json")
		if got := r.send(t, http.MethodPost, "/service/rest/v1/security/users", outside, []byte(`{}`)); got.code() != string(model.CodeUnsupportedOperation) {
			t.Errorf("a user is made through the gateway: %d %s", got.Status, got.Body)
		}
	})
	n.spent(t, r, 2)
}

// TestNexusMaven deploys with mvn, which reads indexes before it writes them.
func TestNexusMaven(t *testing.T) {
	t.Parallel()
	n := newNexus(t, true)
	name := "widget-" + random(4)
	r := n.rig(t, "maven", "com.example:"+name, n.making(t, n.role))
	if got := r.deploy(t, name, "1.0", r.identity(nil)); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	base := "com/example/" + name + "/"
	for _, path := range []string{base + "1.0/" + name + "-1.0.jar", base + "1.0/" + name + "-1.0.pom", base + "maven-metadata.xml"} {
		if r.files()[path] == "" {
			t.Errorf("Nexus does not hold %s", path)
		}
	}
	r.unchanged(t, func() {
		if got := r.deploy(t, "gadget", "1.0", r.identity(nil)); got.Code == 0 {
			t.Errorf("another artifact: exit status 0\n%s", got.Output)
		}
	})
	n.spent(t, r, 3)
}

// TestNexusFormats publishes with npm, nuget, gem and cargo into repositories that nobody may read anonymously.
func TestNexusFormats(t *testing.T) {
	t.Parallel()
	for _, ecosystem := range []string{"npm", "nuget", "rubygems", "cargo"} {
		t.Run(ecosystem, func(t *testing.T) {
			t.Parallel()
			n, p := newNexus(t, true), publishers[ecosystem]
			pkg := p.prefix + random(4)
			var options []option
			if ecosystem == "nuget" {
				options = append(options, withAnswer("", nugetIndex))
			}
			r := n.rig(t, ecosystem, pkg, n.making(t, n.role, "reads"), options...)
			p.run(t, r, pkg)
			n.spent(t, r, 1)
		})
	}
}

// TestNexusContainers pushes with crane, which reads before it writes.
func TestNexusContainers(t *testing.T) {
	t.Parallel()
	n := newNexus(t, true)
	connector := n.url
	if n.contract == nil {
		if connector = os.Getenv(nexusConnector); connector == "" {
			t.Fatalf("%s is absent, expected the base URL of a connector", nexusConnector)
		}
		n.addr = bridge(t, connector)
	}
	image := "acme/widget-" + random(4)
	reg := &registry.Registry{
		Kind: "nexus", Addr: n.addr, Path: "/v2/", User: n.user, Password: n.password, Secrets: []string{n.password},
		Credential: "credential nexus {\n\t" + strings.Join(n.making(t, n.role), "\n\t") + "\n}",
		Files: func(ctx context.Context) (map[string]string, error) {
			return tagsOf(ctx, connector, n.user, n.password, image)
		},
		Log: func() string { return "" },
	}
	r := startRig(t, reg, withEcosystem("oci"), withPolicy("widget.yaml", strings.Replace(widgetPolicy, "[acme-widget]", `["`+image+`"]`, 1)))
	if got := r.pushes(t, r.identity(nil), image+":1.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if r.files()["1.0"] == "" {
		t.Errorf("Nexus holds %v, expected the tag 1.0 of %s", r.files(), image)
	}
	r.unchanged(t, func() {
		if got := r.pushes(t, r.identity(nil), "acme/gadget:1.0"); got.Code == 0 {
			t.Errorf("another image: exit status 0\n%s", got.Output)
		}
		if got := r.pushes(t, n.password, image+":2.0"); got.Code == 0 {
			t.Errorf("a stolen password: exit status 0\n%s", got.Output)
		}
	})
	n.spent(t, r, 3)
}

// TestNexusFiles: what each way may do at Nexus, whatever the policies say.
func TestNexusFiles(t *testing.T) {
	t.Parallel()
	layout := withLines("layout /{package}/{version}/{file}")
	put := func(t *testing.T, r *rig, path string) answer {
		t.Helper()
		return r.send(t, http.MethodPut, r.site.Registry.Path+path, bearer(r.identity(nil)), []byte("x"))
	}
	const path = "acme-widget/1.0/x.tar.gz"
	for name, tc := range map[string]struct {
		tokens bool
		lines  func(t *testing.T, n *nexus) []string
		code   model.Code // of the upload; empty: it is stored
	}{
		"the role of the package": {false, func(t *testing.T, n *nexus) []string { return n.making(t, "raw-{package}") }, ""},
		"one that is not there":   {false, func(t *testing.T, n *nexus) []string { return n.making(t, "absent") }, model.CodeCredentialUnavailable},
		"one that only reads":     {false, func(t *testing.T, n *nexus) []string { return n.making(t, "read") }, model.CodeUpstreamRefusedCredential},
		"a user token":            {true, func(t *testing.T, n *nexus) []string { return n.making(t, "publish", "user_token") }, ""},
		"a password, not a token": {true, func(t *testing.T, n *nexus) []string { return n.making(t, "publish") }, model.CodeUpstreamRefusedCredential}, // asked whether the file is there
		"tokens are off":          {false, func(t *testing.T, n *nexus) []string { return n.making(t, "publish", "user_token") }, model.CodeCredentialUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNexus(t, false)
			n.contract.UserTokens, n.contract.RequireTokens = tc.tokens, tc.tokens
			n.contract.Roles["raw-acme-widget"] = n.contract.Roles["raw-one"]
			r := n.rig(t, "generic", "acme-widget", tc.lines(t, n), layout)
			got := put(t, r, path)
			if got.code() != string(tc.code) || tc.code == "" && got.Status != http.StatusCreated {
				t.Errorf("got %d %s, expected code %q", got.Status, got.Body, tc.code)
			}
			if stored := len(r.files()) == 1; stored != (tc.code == "") {
				t.Errorf("Nexus holds %v", r.files())
			}
			n.spent(t, r, 0)
		})
	}
	t.Run("fixed", func(t *testing.T) {
		t.Parallel()
		n := newNexus(t, false)
		n.contract.Strand("ci")
		r := n.rig(t, "generic", "acme-widget", []string{"fixed " + secretFile(t, n.contract.PasswordOf("ci"))}, layout)
		if got := put(t, r, path); got.Status != http.StatusCreated {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
	})
}
