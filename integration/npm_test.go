package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/demo/npm"
	"github.com/trustpub/trustpub/internal/model"
)

// npmPolicy grants one scope's widget to the default job.
const npmPolicy = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: ["@acme/widget"]
    actions: [publish, tag]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`

func npmRig(t *testing.T, options ...option) *rig {
	return newRig(t, "verdaccio", append([]option{withEcosystem("npm"), withPolicy("widget.yaml", npmPolicy)}, options...)...)
}

// npmClient publishes a version; an empty token asks for trusted publishing.
type npmClient func(h client.Home, ctx context.Context, url, token, name, version string) (client.Result, error)

var npmClients = map[string]npmClient{"npm": client.Home.NPM, "pnpm": client.Home.PNPM10, "pnpm12": client.Home.PNPM12, "yarn": client.Home.Yarn}

// TestNPM publishes with the real clients into a real registry, and shows what each says of a refusal.
func TestNPM(t *testing.T) {
	t.Parallel()
	for kind, publish := range npmClients {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := npmRig(t)
			run := func(t *testing.T, x try, token, name, version string) client.Result {
				t.Helper()
				job := r.job(t, x)
				if token != "" {
					job = nil // else npm prefers trusted publishing to the token that it has
				}
				got, err := publish(r.home(job), t.Context(), r.site.Public(), token, name, version)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			if got := run(t, try{}, "", "@acme/widget", "1.0.0"); got.Code != 0 {
				t.Fatalf("exit status %d\n%s", got.Code, got.Output)
			}
			if got := run(t, try{}, r.identity(nil), "@acme/widget", "1.1.0"); got.Code != 0 {
				t.Fatalf("an identity token sent directly: exit status %d\n%s", got.Code, got.Output)
			}
			if diff := cmp.Diff([]string{"@acme/widget/widget-1.0.0.tgz", "@acme/widget/widget-1.1.0.tgz"}, r.paths()); diff != "" {
				t.Fatalf("the registry holds something else (-want +got):\n%s", diff)
			}
			if a := r.send(t, http.MethodGet, "/@acme%2fwidget", nil, nil); !strings.Contains(a.Body, `"`+r.site.Public()+`@acme/widget/-/widget-1.0.0.tgz"`) {
				t.Errorf("the registry's URLs do not point at the gateway:\n%s", a.Body)
			}
			for _, tc := range []struct {
				name, token, pkg, version string
				x                         try
			}{
				{"another-package", "", "@acme/gadget", "1.0.0", try{}},
				{"another-repository", "", "@acme/widget", "2.0.0", try{claims: otherRepository}},
				{"another-package-with-an-identity-token", r.identity(nil), "@acme/gadget", "1.0.0", try{}},
				{"a-stolen-token", r.reg.Password, "@acme/widget", "2.0.0", try{}},
			} {
				t.Run(tc.name, func(t *testing.T) {
					r.unchanged(t, func() {
						got := run(t, tc.x, tc.token, tc.pkg, tc.version)
						if got.Code == 0 {
							t.Errorf("exit status 0\n%s", got.Output)
						}
						golden(t, kind+"-"+tc.name, client.Result{Code: got.Code, Output: npmErrors(got.Output)})
					})
				})
			}
		})
	}
}

// npmErrors is what is left of a client's output without its progress and its log's name.
func npmErrors(output string) string {
	var b strings.Builder
	for line := range strings.Lines(pnpmLines(output)) {
		if strings.Contains(line, "npm error") && !strings.Contains(line, "complete log") || strings.Contains(line, "YN0033") || strings.Contains(line, "YN0035") ||
			strings.Contains(line, "Skipped OIDC") || strings.HasPrefix(line, pnpmBegins) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// How a message of pnpm 12 begins and goes on.
const (
	pnpmBegins = "  \u00d7 "
	pnpmGoesOn = "  \u2502 "
)

// pnpmLines undoes the breaks in a message of pnpm 12, at a blank or behind a slash, and leaves out what follows the sentence in the
// answer that it shows: an event's id there is broken anywhere.
func pnpmLines(output string) string {
	var lines []string
	for line := range strings.SplitSeq(output, "\n") {
		rest, goesOn := strings.CutPrefix(line, pnpmGoesOn)
		switch last := len(lines) - 1; {
		case !goesOn || last < 0:
			lines = append(lines, line)
		case strings.HasSuffix(lines[last], "/"):
			lines[last] += rest
		default:
			lines[last] += " " + rest
		}
	}
	for i, line := range lines {
		if strings.HasPrefix(line, pnpmBegins) {
			lines[i], _, _ = strings.Cut(line, `","code":`)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// npmArchive is a tarball of one file, a manifest.
func npmArchive(t *testing.T, manifest string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: "package/package.json", Size: int64(len(manifest)), Mode: 0o644, Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write([]byte(manifest))
	}
	if err = errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNPMVerifyArchive: the archives of npm, pnpm and yarn pass, and one whose own manifest names something else does not.
func TestNPMVerifyArchive(t *testing.T) {
	t.Parallel()
	r := npmRig(t, withLines("verify_archive"))
	for i, kind := range slices.Sorted(maps.Keys(npmClients)) { // npm puts no tag on a version that is not the highest
		got, err := npmClients[kind](r.home(r.job(t, try{})), t.Context(), r.site.Public(), "", "@acme/widget", fmt.Sprintf("1.%d.0", i))
		if err != nil || got.Code != 0 {
			t.Errorf("%s: %v, exit status %d\n%s", kind, err, got.Code, got.Output)
		}
	}
	put := func(archive []byte) answer {
		header := with(bearer(r.identity(nil)), "Content-Type", "application/json")
		return r.send(t, http.MethodPut, "/@acme%2fwidget", header, []byte(npmDocument("@acme/widget", "2.0.0", archive)))
	}
	r.unchanged(t, func() {
		for name, manifest := range map[string]string{
			"another package": `{"name":"@acme/gadget","version":"2.0.0"}`, "another version": `{"name":"@acme/widget","version":"1.0.0"}`,
		} {
			if a := put(npmArchive(t, manifest)); a.code() != string(model.CodePackageMismatch) {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		refused(t, put([]byte("no archive")), http.StatusBadRequest, model.CodeMalformedUpload)
	})
	if a := put(npmArchive(t, `{"name":"@acme/widget","version":"2.0.0"}`)); a.Status/100 != 2 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// npmDocument is what npm sends to publish.
func npmDocument(name, version string, archive []byte) string {
	return string(npm.Document(name, version, archive))
}

// TestNPMRefusals are requests that no client makes: each with the code that names what is wrong, and an unchanged registry.
func TestNPMRefusals(t *testing.T) {
	t.Parallel()
	r := npmRig(t)
	archive := bytes.Repeat([]byte("archive "), 100)
	doc := npmDocument("@acme/widget", "1.0.0", archive)
	edit := func(old, with string) string {
		if !strings.Contains(doc, old) {
			t.Fatalf("the document has no %s", old)
		}
		return strings.Replace(doc, old, with, 1)
	}
	const path = "/@acme%2fwidget"
	for _, tc := range []struct {
		name, method, path, body string
		code                     model.Code
	}{
		{"another name", "PUT", path, edit(`"name":"@acme/widget"`, `"name":"@acme/gadget"`), model.CodePackageMismatch},
		{"a name in capitals", "PUT", path, edit(`"name":"@acme/widget"`, `"name":"@acme/widget","Name":"@acme/gadget"`), model.CodeMalformedUpload},
		{"a second name", "PUT", path, edit(`"name":"@acme/widget"`, `"name":"@acme/widget","name":"@acme/gadget"`), model.CodeDuplicateField},
		{"another archive", "PUT", path, edit(`"data":"YXJjaGl2ZSBh`, `"data":"YXJjaGl2ZSBi`), model.CodeDigestMismatch},
		{"another version in the tag", "PUT", path, edit(`"latest":"1.0.0"`, `"latest":"0.9.0"`), model.CodePackageMismatch},
		{"another package in the path", "PUT", "/@acme%2fgadget", doc, model.CodePackageMismatch},
		{"another package", "PUT", "/@acme%2fgadget", npmDocument("@acme/gadget", "1.0.0", archive), model.CodeNoMatchingPolicy},
		{"no last brace", "PUT", path, doc[:len(doc)-1], model.CodeTruncated},
		{"a login", "PUT", "/-/user/org.couchdb.user:evil", "{}", model.CodeUnsupportedOperation},
		{"a removal", "DELETE", path + "/-rev/1-x", "", model.CodeNoMatchingPolicy},
		{"a tag of another package", "PUT", "/-/package/@acme%2fgadget/dist-tags/latest", `"1.0.0"`, model.CodeNoMatchingPolicy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				header := bearer(r.identity(nil))
				header.Set("Content-Type", "application/json")
				if a := r.send(t, tc.method, tc.path, header, []byte(tc.body)); a.code() != string(tc.code) {
					t.Errorf("got %d %q, expected %s\n%s", a.Status, a.code(), tc.code, a.Body)
				}
			})
		})
	}
	t.Run("in UTF-7", func(t *testing.T) {
		r.unchanged(t, func() {
			header := with(bearer(r.identity(nil)), "Content-Type", "application/json; charset=utf-7")
			refused(t, r.send(t, http.MethodPut, path, header, []byte(doc)), http.StatusBadRequest, model.CodeMalformedUpload)
		})
	})
	header := bearer(r.identity(nil))
	header.Set("Content-Type", "application/json")
	if a := r.send(t, http.MethodPut, path, header, []byte(doc)); a.Status/100 != 2 {
		t.Errorf("the unedited document: %d %s", a.Status, a.Body)
	}
}

// TestNPMExchange asks for publish tokens in every spelling of the path: each is for one package, once for each identity token.
func TestNPMExchange(t *testing.T) {
	t.Parallel()
	policy := strings.Replace(npmPolicy, `["@acme/widget"]`, `["@acme/widget", "@acme/gadget"]`, 1)
	r := npmRig(t, withPolicy("widget.yaml", policy))
	exchange := func(identity, pkg string) (string, answer) {
		a := r.send(t, http.MethodPost, "/-/npm/v1/oidc/token/exchange/package/"+pkg, bearer(identity), nil)
		var minted struct {
			Token string `json:"token"`
		}
		if a.Status == http.StatusCreated {
			if err := json.Unmarshal([]byte(a.Body), &minted); err != nil {
				t.Fatal(err)
			}
		}
		return minted.Token, a
	}
	host, _, _ := strings.Cut(r.site.Host(), ":")
	identity := shared.issuer.Token("npm:"+host, nil)
	var token string
	for _, pkg := range []string{"@acme%2fwidget", "@acme/gadget"} {
		var a answer
		if token, a = exchange(identity, pkg); token == "" {
			t.Fatalf("%s: %d %s", pkg, a.Status, a.Body)
		}
	}
	if other, a := exchange(shared.issuer.Token("npm:"+r.site.Host(), nil), "@acme%2Fwidget"); other == "" {
		t.Errorf("the audience of yarn: %d %s", a.Status, a.Body)
	}
	for _, tc := range []struct {
		name, identity, pkg string
		code                model.Code
	}{
		{"a replay", identity, "@acme%2fwidget", model.CodeReplayed},
		{"another package", r.identity(nil), "@acme%2fother", model.CodeNoMatchingPolicy},
		{"another repository", r.identity(otherRepository), "@acme%2fwidget", model.CodeNoMatchingPolicy},
		{"another audience", shared.issuer.Token("npm:elsewhere.example.com", nil), "@acme%2fwidget", model.CodeWrongAudience},
		{"a publish token", token, "@acme%2fwidget", model.CodeInvalidToken},
		{"no package", r.identity(nil), "", model.CodeBadRequest},
	} {
		if _, a := exchange(tc.identity, tc.pkg); a.Status/100 == 2 || !strings.Contains(a.Body, `"`+string(tc.code)+`"`) {
			t.Errorf("%s: got %d, expected %s\n%s", tc.name, a.Status, tc.code, a.Body)
		}
	}
	archive := []byte("archive")
	publish := func(pkg, version string) answer {
		return r.send(t, http.MethodPut, "/"+strings.Replace(pkg, "/", "%2f", 1), with(bearer(token), "Content-Type", "application/json"), []byte(npmDocument(pkg, version, archive)))
	}
	r.unchanged(t, func() { refused(t, publish("@acme/widget", "1.0.0"), http.StatusForbidden, model.CodeOutOfScope) })
	if a := publish("@acme/gadget", "1.0.0"); a.Status/100 != 2 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodPut, "/-/package/@acme%2fgadget/dist-tags/next", with(bearer(token), "Content-Type", "application/json"), []byte(`"1.0.0"`)); a.Status/100 != 2 {
		t.Errorf("a tag: %d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodGet, "/-/package/@acme%2fgadget/dist-tags", nil, nil); !strings.Contains(a.Body, `"next": "1.0.0"`) {
		t.Errorf("the tag is not there: %s", a.Body)
	}
	r.unchanged(t, func() {
		if a := publish("@acme/gadget", "1.0.0"); a.Status != http.StatusConflict { // the registry's own refusal
			t.Errorf("a version that exists: %d %s", a.Status, a.Body)
		}
	})
	if a := r.send(t, http.MethodGet, "/-/package/@acme%2fgadget/visibility", nil, nil); a.Body != `{"public":false}` {
		t.Errorf("visibility: %s", a.Body)
	}
}

// TestNPMManage changes what is published with npm itself: tags, deprecation and removal, each under its own actions.
func TestNPMManage(t *testing.T) {
	t.Parallel()
	with := func(actions string) option {
		return withPolicy("widget.yaml", strings.Replace(npmPolicy, "[publish, tag]", actions, 1))
	}
	commands := [][]string{
		{"dist-tag", "add", "@acme/widget@1.0.0", "next"},
		{"dist-tag", "rm", "@acme/widget", "next"},
		{"deprecate", "@acme/widget@1.0.0", "use something else"},
		{"unpublish", "--force", "@acme/widget@1.0.0"},
		{"unpublish", "--force", "@acme/widget"},
	}
	run := func(t *testing.T, r *rig, token string, args ...string) client.Result {
		t.Helper()
		got, err := r.home(nil).NPMRun(t.Context(), r.site.Public(), token, args...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	publish := func(t *testing.T, r *rig) {
		t.Helper()
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if got, err := r.home(nil).NPM(t.Context(), r.site.Public(), r.identity(nil), "@acme/widget", version); err != nil || got.Code != 0 {
				t.Fatalf("%v\n%s", err, got.Output)
			}
		}
	}
	t.Run("granted", func(t *testing.T) {
		t.Parallel()
		r := npmRig(t, with("[publish, tag, yank, delete]"))
		publish(t, r)
		for _, args := range commands {
			token := r.npmToken(t, "@acme%2fwidget")
			if got := run(t, r, token, args...); got.Code != 0 {
				t.Fatalf("npm %s: exit status %d\n%s", strings.Join(args, " "), got.Code, got.Output)
			}
		}
		if diff := cmp.Diff([]string(nil), r.paths()); diff != "" {
			t.Errorf("the registry still holds (-want +got):\n%s", diff)
		}
	})
	t.Run("not granted", func(t *testing.T) {
		t.Parallel()
		r := npmRig(t, with("[publish]"))
		publish(t, r)
		for _, args := range commands {
			if args[1] == "rm" {
				continue // npm looks first, and finds no tag
			}
			r.unchanged(t, func() {
				if got := run(t, r, r.npmToken(t, "@acme%2fwidget"), args...); got.Code == 0 || !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
					t.Errorf("npm %s: exit status %d\n%s", strings.Join(args, " "), got.Code, got.Output)
				}
			})
		}
	})
}

// npmToken is a publish token for a package.
func (r *rig) npmToken(t *testing.T, pkg string) string {
	t.Helper()
	a := r.send(t, http.MethodPost, "/-/npm/v1/oidc/token/exchange/package/"+pkg, bearer(r.identity(nil)), nil)
	var minted struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(a.Body), &minted); err != nil || minted.Token == "" {
		t.Fatalf("the exchange: %v, %d %s", err, a.Status, a.Body)
	}
	return minted.Token
}
