package integration

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/registry"
	contract "github.com/trustpub/trustpub/integration/registry/hexpm"
	"github.com/trustpub/trustpub/internal/demo/hex"
	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestHexpm runs against a registry of yours, or the hosted one, instead of the server of the contract: its URL without
// /api, an organisation, a key of it that may write, and a package of its own that has a release.
const (
	hexpmURL          = "TRUSTPUB_HEXPM_URL"
	hexpmOrganization = "TRUSTPUB_HEXPM_ORGANIZATION"
	hexpmKey          = "TRUSTPUB_HEXPM_KEY"
	hexpmPackage      = "TRUSTPUB_HEXPM_PACKAGE"
)

// hexPolicy grants one package of an organisation to the default job.
const hexPolicy = "    actions: [publish, yank, delete]\n    publisher:"

// hexRig is a gateway before a server of the contract, with the lines of its credential.
func hexRig(t *testing.T, pkg string, credential func(url, secret string) string, options ...option) (*rig, *contract.Server) {
	t.Helper()
	server := contract.New()
	server.Organization, server.Masters = "acme", []string{"canary-organisation-key-" + random(8)}
	p := startProduct(t, "", server)
	secret := server.Masters[0]
	reg := &registry.Registry{
		Kind: "hexpm", Addr: p.addr, Path: "/api/", Password: secret, Secrets: []string{secret}, Credential: credential(p.url, secretFile(t, secret)),
		Files: func(context.Context) (map[string]string, error) { return server.Files(), nil }, Log: func() string { return "" },
	}
	policy := strings.Replace(strings.Replace(widgetPolicy, "[acme-widget]", "["+pkg+"]", 1), "    publisher:", hexPolicy, 1)
	return startRig(t, reg, append([]option{withEcosystem("hex"), withPolicy("widget.yaml", policy)}, options...)...), server
}

func staticHex(_, secret string) string {
	return "credential static {\n\theader Authorization " + secret + "\n}"
}

func hexpmOf(organization string) func(url, secret string) string {
	return func(url, secret string) string {
		return "credential hexpm {\n\turl " + url + "\n\torganization " + organization + "\n\tkey " + secret + "\n\tnew_packages\n}"
	}
}

// hexAPI is the URL that clients are given.
func (r *rig) hexAPI() string { return strings.TrimSuffix(r.site.Public(), "/") }

// hexCore calls with the library of mix and rebar3.
func (r *rig) hexCore(t *testing.T, key, call, name, version string) client.Result {
	t.Helper()
	got, err := r.home(nil).HexCore(t.Context(), r.hexAPI(), key, "acme", call, name, version)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// hexGleam calls with the library of Gleam's compiler; a file is written first.
func (r *rig) hexGleam(t *testing.T, key, call string, file []byte, words ...string) client.Result {
	t.Helper()
	home := r.home(nil)
	words = append([]string{call}, words...)
	if file != nil {
		path, err := home.HexFile("file", file)
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, path)
	}
	got, err := home.HexGleam(t.Context(), r.hexAPI()+"/repos/acme", key, words...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func succeeds(t *testing.T, what string, got client.Result) {
	t.Helper()
	if got.Code != 0 {
		t.Fatalf("%s: exit status %d\n%s", what, got.Code, got.Output)
	}
}

// hexRelease builds a release.
func hexRelease(t *testing.T, name, version string) []byte {
	t.Helper()
	p, err := hex.Script.Build(name, version)
	if err != nil {
		t.Fatal(err)
	}
	return p.Data
}

// TestHexpm publishes, documents, retires and reverts with the two libraries that Hex's clients are made of: with a key that may write one package.
func TestHexpm(t *testing.T) {
	t.Parallel()
	if hexpmLive(t) {
		return
	}
	r, server := hexRig(t, "acme/acme_widget", hexpmOf("acme"))
	docs, err := script.TarGz(script.Entry{Name: "index.html", Data: "docs"})
	if err != nil {
		t.Fatal(err)
	}
	succeeds(t, "the first release", r.hexCore(t, r.identity(nil), "publish", "acme_widget", "1.0.0"))
	second := hexRelease(t, "acme_widget", "1.1.0")
	key := r.identity(nil)
	succeeds(t, "the second, by Gleam's library", r.hexGleam(t, key, "publish", second))
	succeeds(t, "its documentation, with the same token", r.hexGleam(t, key, "docs", docs, "acme_widget", "1.1.0"))
	files := r.files()
	if got := files["acme/acme_widget-1.1.0.tar"]; got != fmt.Sprintf("%x", sha256.Sum256(second)) {
		t.Errorf("the registry has %s of another digest", got)
	}
	r.stores(t, "acme/acme_widget-1.0.0.tar", "acme/acme_widget-1.1.0-docs.tar.gz", "acme/acme_widget-1.1.0.tar")
	t.Run("refused", func(t *testing.T) { r.refusedHex(t, docs) })
	for _, call := range []string{"retire", "unretire"} {
		succeeds(t, call, r.hexCore(t, r.identity(nil), call, "acme_widget", "1.0.0"))
		if _, retired := r.files()["acme/acme_widget-1.0.0 retired"]; retired != (call == "retire") {
			t.Errorf("after %s: the registry has %v", call, r.paths())
		}
	}
	succeeds(t, "a retirement by Gleam's library", r.hexGleam(t, r.identity(nil), "retire", nil, "acme_widget", "1.1.0"))
	succeeds(t, "its end", r.hexGleam(t, r.identity(nil), "unretire", nil, "acme_widget", "1.1.0"))
	succeeds(t, "a revert", r.hexGleam(t, r.identity(nil), "revert", nil, "acme_widget", "1.1.0"))
	succeeds(t, "a revert by hex_core", r.hexCore(t, r.identity(nil), "revert", "acme_widget", "1.0.0"))
	r.stores(t)
	made, left := server.Made()
	got := map[string]int{}
	for _, k := range made {
		got[fmt.Sprint(k.Permissions)]++
	}
	// The first release needs a wide one, which is deleted; all else of the package is done with one key.
	if diff := cmp.Diff(map[string]int{"[api:write]": 1, "[package:acme/acme_widget]": 1}, got); diff != "" || left != 1 {
		t.Errorf("%d keys are left; keys that were made (-want +got):\n%s", left, diff)
	}
}

// refusedHex is what the two libraries show of refusals, and what they don't send.
func (r *rig) refusedHex(t *testing.T, docs []byte) {
	used := r.identity(nil)
	succeeds(t, "a release", r.hexCore(t, used, "publish", "acme_widget", "1.2.0"))
	for _, tc := range []struct{ name, key, pkg, version string }{
		{"another-package", r.identity(nil), "acme_gadget", "2.0.0"},
		{"another-repository", r.identity(otherRepository), "acme_widget", "2.0.0"},
		{"a-replayed-token", used, "acme_widget", "2.0.0"},
		{"a-stolen-key", r.reg.Password, "acme_widget", "2.0.0"},
		{"a-release-that-exists", r.identity(nil), "acme_widget", "1.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				got := r.hexCore(t, tc.key, "publish", tc.pkg, tc.version)
				if got.Code != 1 {
					t.Errorf("exit status %d\n%s", got.Code, got.Output)
				}
				golden(t, "hex-core-"+tc.name, got)
			})
		})
	}
	r.unchanged(t, func() {
		for name, got := range map[string]client.Result{
			"hex-gleam-another-package":         r.hexGleam(t, r.identity(nil), "publish", hexRelease(t, "acme_gadget", "2.0.0")),
			"hex-gleam-a-replacement":           r.hexGleam(t, r.identity(nil), "replace", hexRelease(t, "acme_widget", "1.1.0")),
			"hex-gleam-documentation-once-more": r.hexGleam(t, r.identity(nil), "docs", docs, "acme_widget", "1.1.0"),
		} {
			if got.Code == 0 {
				t.Errorf("%s: exit status 0\n%s", name, got.Output)
			}
			golden(t, name, got)
		}
	})
	release := hexRelease(t, "acme_widget", "2.0.0")
	const bad, unprocessable = model.CodeMalformedUpload, http.StatusUnprocessableEntity
	for name, tc := range map[string]struct {
		method, path, media string
		body                []byte
		code                model.Code
	}{
		"another repository in the query":     {"POST", "publish?replace=false&repository=acme", "application/octet-stream", release, bad},
		"no replace":                          {"POST", "repos/acme/publish", "application/octet-stream", release, model.CodeNoMatchingPolicy},
		"outside of the organisation":         {"POST", "publish?replace=false", "application/octet-stream", release, model.CodeNoMatchingPolicy},
		"a form":                              {"POST", "repos/acme/publish?replace=false", "application/x-www-form-urlencoded", release, bad},
		"another repository in a retirement":  {"POST", "repos/acme/packages/acme_widget/releases/1.1.0/retire", "application/json", []byte(`{"reason":"other","repository":"tools"}`), bad},
		"all releases retired":                {"POST", "repos/acme/packages/acme_widget/retire", "application/json", []byte(`{"reason":"other"}`), model.CodeUnsupportedOperation},
		"an owner":                            {"PUT", "repos/acme/packages/acme_widget/owners/mallory", "application/json", []byte(`{}`), model.CodeUnsupportedOperation},
		"a key":                               {"POST", "orgs/acme/keys", "application/json", []byte(`{"name":"mine"}`), model.CodeUnsupportedOperation},
		"an OAuth token":                      {"POST", "oauth/token", "application/json", []byte(`{"grant_type":"client_credentials"}`), model.CodeUnsupportedOperation},
		"a release that is cut off":           {"POST", "repos/acme/publish?replace=false", "application/octet-stream", release[:len(release)-1100], bad},
		"a release with another in its end":   {"POST", "repos/acme/publish?replace=false", "application/octet-stream", append(release[:len(release):len(release)], release...), bad},
		"another package in the URL":          {"POST", "repos/acme/packages/acme_widget/releases?replace=false", "application/octet-stream", hexRelease(t, "acme_gadget", "2.0.0"), model.CodePackageMismatch},
		"documentation that is no gzip":       {"POST", "repos/acme/packages/acme_widget/releases/1.2.0/docs", "application/octet-stream", []byte("repository=tools"), bad},
		"documentation that is called a form": {"POST", "repos/acme/packages/acme_widget/releases/1.2.0/docs", "application/x-www-form-urlencoded", docs, bad},
	} {
		r.unchanged(t, func() {
			header := http.Header{"Authorization": {r.identity(nil)}, "Content-Type": {tc.media}}
			if a := r.send(t, tc.method, r.reg.Path+tc.path, header, tc.body); a.Status != unprocessable || a.code() != string(tc.code) {
				t.Errorf("%s: got %d %q, expected %s\n%s", name, a.Status, a.code(), tc.code, a.Body)
			}
		})
	}
	succeeds(t, "the revert of the release", r.hexCore(t, r.identity(nil), "revert", "acme_widget", "1.2.0"))
}

// TestHexStatic publishes with a key of the gateway's own, to a registry that is of one organisation, and reads what only its key may.
func TestHexStatic(t *testing.T) {
	t.Parallel()
	r, _ := hexRig(t, "acme/acme_widget", staticHex)
	succeeds(t, "a release", r.hexCore(t, r.identity(nil), "publish", "acme_widget", "1.0.0"))
	r.stores(t, "acme/acme_widget-1.0.0.tar")
	path := r.reg.Path + "repos/acme/packages/acme_widget"
	if a := r.send(t, http.MethodGet, path, http.Header{"Authorization": {r.identity(nil)}}, nil); a.Status != http.StatusOK || !strings.Contains(a.Body, "acme_widget") {
		t.Errorf("a read with an identity token: %d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodGet, path, nil, nil); a.Status != http.StatusUnauthorized {
		t.Errorf("a read without one: %d %s", a.Status, a.Body)
	}
}

// hexpmLive publishes one release with a random version to a registry of yours, and reverts it, where the variables say how.
func hexpmLive(t *testing.T) bool {
	t.Helper()
	p := startProduct(t, hexpmURL, http.NotFoundHandler())
	if !p.live {
		return false
	}
	organization, key, pkg := setting(t, hexpmOrganization), setting(t, hexpmKey), setting(t, hexpmPackage)
	p.header = http.Header{"Authorization": {key}, "Accept": {"application/json"}}
	at := "/api/repos/" + organization + "/packages/" + pkg
	files := func(ctx context.Context) (map[string]string, error) {
		var found struct {
			Releases []struct{ Version string }
		}
		out := map[string]string{}
		err := p.read(ctx, at, &found)
		for _, release := range found.Releases {
			out[release.Version] = release.Version
		}
		return out, err
	}
	reg := &registry.Registry{
		Kind: "hexpm", Addr: p.addr, Path: "/api/", Password: key, Secrets: []string{key}, Files: files, Log: func() string { return "" },
		Credential: "credential hexpm {\n\turl " + p.url + "\n\torganization " + organization + "\n\tkey " + secretFile(t, key) + "\n}",
	}
	policy := strings.Replace(strings.Replace(widgetPolicy, "[acme-widget]", "["+organization+"/"+pkg+"]", 1), "    publisher:", hexPolicy, 1)
	r := startRig(t, reg, withEcosystem("hex"), withPolicy("widget.yaml", policy))
	version := "0.0.0-r" + random(8)
	call := func(call string) {
		t.Helper()
		got, err := r.home(nil).HexCore(t.Context(), r.hexAPI(), r.identity(nil), organization, call, pkg, version)
		if err != nil {
			t.Fatal(err)
		}
		succeeds(t, call, got)
	}
	call("publish")
	if r.files()[version] == "" {
		t.Errorf("the registry does not have version %s", version)
	}
	call("revert")
	if r.files()[version] != "" {
		t.Errorf("the registry still has version %s", version)
	}
	return true
}

// hexMessage is the text of a denial in JSON.
func hexMessage(t *testing.T, a answer) string {
	t.Helper()
	var body struct{ Message string }
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil {
		t.Fatalf("%v of %s", err, a.Body)
	}
	return body.Message
}

// TestHexDialect: who asks for JSON gets JSON, with the sentence that hex_core prints.
func TestHexDialect(t *testing.T) {
	t.Parallel()
	r, _ := hexRig(t, "acme/acme_widget", staticHex)
	header := http.Header{"Authorization": {r.identity(nil)}, "Content-Type": {"application/octet-stream"}, "Accept": {"application/vnd.hex+json"}}
	a := r.send(t, http.MethodPost, r.reg.Path+"repos/acme/publish?replace=false", header, hexRelease(t, "acme_gadget", "1.0.0"))
	if got := hexMessage(t, a); a.Status != http.StatusUnprocessableEntity || !strings.Contains(got, `package is "acme/acme_gadget", expected acme/acme_widget`) {
		t.Errorf("got %d %q", a.Status, got)
	}
}
