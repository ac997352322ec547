package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/model"
)

// giteaRoot is the public URL that the shared Gitea believes in.
const giteaRoot = "https://gitea.example.com/"

// newGitea gives the test an organisation of its own with the registry of one ecosystem.
func newGitea(t *testing.T, ecosystem string) *registry.Registry {
	t.Helper()
	server, err := shared.gitea()
	if err != nil {
		t.Fatal(err)
	}
	reg, err := server.Owner(t.Context(), "o"+random(6), ecosystem)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// giteaRig is a gateway in front of an organisation.
func giteaRig(t *testing.T, ecosystem, policy string, options ...option) *rig {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	options = append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", policy)}, options...)
	return startRig(t, newGitea(t, ecosystem), options...)
}

// tokens are the names of the bot's tokens.
func (r *rig) tokens(t *testing.T) []string {
	t.Helper()
	server, err := shared.gitea()
	if err != nil {
		t.Fatal(err)
	}
	names, err := server.Tokens(t.Context(), r.reg.User)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// onlyForeign waits until the bot has no token left but the one that is not ours: the revocation follows the answer.
func (r *rig) onlyForeign(t *testing.T) {
	t.Helper()
	r.eventually(t, "the bot's tokens are gone but for its own", func() bool { return cmp.Equal([]string{"ci"}, r.tokens(t)) })
}

// stores fails the test where Gitea holds other paths than these.
func (r *rig) stores(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.paths()); diff != "" {
		t.Errorf("gitea holds something else (-want +got):\n%s", diff)
	}
}

// TestGiteaTokens: a token for each upload, gone afterwards; what a crash left is deleted, and nothing else.
func TestGiteaTokens(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "generic", widgetPolicy, withLines("layout /{package}/{version}/{file}"))
	server, err := shared.gitea()
	if err != nil {
		t.Fatal(err)
	}
	name := func(at time.Time) string { return fmt.Sprintf("trustpub-%d-0123456789abcdef", at.Unix()) }
	expired, young := name(time.Now().Add(-time.Hour)), name(time.Now().Add(time.Hour))
	for _, n := range []string{expired, young, "trustpub-mine"} {
		if _, err := server.Mint(t.Context(), r.reg.User, n, "read:package"); err != nil {
			t.Fatal(err)
		}
	}
	if a := r.send(t, http.MethodPut, r.reg.Path+"acme-widget/1.0/x.tar.gz", bearer(r.identity(nil)), []byte("x")); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	want := []string{"trustpub-mine", young, "ci"}
	r.eventually(t, "the tokens of the upload and of the crash are gone", func() bool { return len(r.tokens(t)) == len(want) })
	names := map[string]bool{}
	for _, n := range r.tokens(t) {
		names[n] = true
	}
	if diff := cmp.Diff(map[string]bool{want[0]: true, want[1]: true, want[2]: true}, names); diff != "" {
		t.Errorf("the bot's tokens (-want +got):\n%s", diff)
	}
}

// TestGiteaByHTTP: the same by the source for any API, as docs/registries/http.md configures it.
func TestGiteaByHTTP(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/registries/http.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?s)credential http \{\n.*?\n\t\t\t\}`).Find(page)
	if shown == nil {
		t.Fatal("docs/registries/http.md has no credential")
	}
	reg := newGitea(t, "generic")
	secret := regexp.MustCompile(`\{file\.[^}]*\}`).FindString(reg.Credential)
	reg.Credential = strings.NewReplacer("gitea:3000", reg.Addr, "acme-bot", reg.User, "{file./run/secrets/gitea-password}", secret).Replace(string(shown))
	r := startRig(t, reg, withEcosystem("generic"), withPolicy("widget.yaml", widgetPolicy), withLines("layout /{package}/{version}/{file}"))
	path := reg.Path + "acme-widget/1.0/x.tar.gz"
	if a := r.send(t, http.MethodPut, path, bearer(r.identity(nil)), []byte("x")); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r.stores(t, "acme-widget/1.0/x.tar.gz")
	r.onlyForeign(t)
	server, err := shared.gitea()
	if err != nil {
		t.Fatal(err)
	}
	owner, _, _ := strings.Cut(strings.TrimPrefix(reg.Path, "/api/packages/"), "/")
	if err := server.Hide(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if a := r.send(t, http.MethodGet, path, nil, nil); a.Status == http.StatusOK {
		t.Error("a stranger reads what is private")
	}
	if a := r.send(t, http.MethodGet, path, bearer(r.identity(nil)), nil); a.Status != http.StatusOK || a.Body != "x" {
		t.Errorf("got %d %q, expected the file", a.Status, a.Body)
	}
	r.onlyForeign(t)
}

// TestGiteaPrivateRead: whoever may publish a package may read it, with a token that only reads.
func TestGiteaPrivateRead(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "generic", widgetPolicy, withLines("layout /{package}/{version}/{file}"))
	path := r.reg.Path + "acme-widget/1.0/x.tar.gz"
	if a := r.send(t, http.MethodPut, path, bearer(r.identity(nil)), []byte("content")); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	server, err := shared.gitea()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Hide(t.Context(), strings.Split(r.reg.Path, "/")[3]); err != nil {
		t.Fatal(err)
	}
	if a := r.send(t, http.MethodGet, path, nil, nil); a.Status != http.StatusUnauthorized {
		t.Errorf("without a credential: %d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodGet, path, bearer(r.identity(nil)), nil); a.Status != http.StatusOK || a.Body != "content" {
		t.Errorf("with an identity token: %d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodGet, path, bearer(r.identity(otherRepository)), nil); a.Status/100 == 2 {
		t.Errorf("of another repository: %d %s", a.Status, a.Body)
	}
	r.onlyForeign(t)
}

// TestGiteaRefusesTheBot: a password that is not the user's makes no token, so there is no upload.
func TestGiteaRefusesTheBot(t *testing.T) {
	t.Parallel()
	reg := newGitea(t, "generic")
	reg.Credential = strings.Replace(reg.Credential, "user "+reg.User, "user nobody", 1)
	r := startRig(t, reg, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"))
	r.unchanged(t, func() {
		a := r.send(t, http.MethodPut, r.reg.Path+"acme-widget/1.0/x.tar.gz", bearer(r.identity(nil)), []byte("x"))
		refused(t, a, http.StatusServiceUnavailable, model.CodeCredentialUnavailable)
	})
}

// TestGiteaNPM publishes with npm itself.
func TestGiteaNPM(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "npm", npmPolicy)
	run := func(t *testing.T, x try, token, name, version string) client.Result {
		t.Helper()
		job := r.job(t, x)
		if token != "" {
			job = nil
		}
		got, err := r.home(job).NPM(t.Context(), r.site.Public(), token, name, version)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := run(t, try{}, "", "@acme/widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	direct := r.identity(nil)
	if got := run(t, try{}, direct, "@acme/widget", "1.1.0"); got.Code != 0 {
		t.Fatalf("an identity token sent directly: exit status %d\n%s", got.Code, got.Output)
	}
	r.stores(t, "@acme/widget/1.0.0/widget-1.0.0.tgz", "@acme/widget/1.1.0/widget-1.1.0.tgz")
	for name, tc := range map[string]struct {
		token, pkg, version string
		x                   try
	}{
		"another package":        {"", "@acme/gadget", "1.0.0", try{}},
		"another repository":     {"", "@acme/widget", "2.0.0", try{claims: otherRepository}},
		"a replay":               {direct, "@acme/widget", "2.0.0", try{}},
		"a version that exists":  {"", "@acme/widget", "1.0.0", try{}},
		"a stolen token of ours": {r.reg.Password, "@acme/widget", "2.0.0", try{}},
	} {
		t.Run(name, func(t *testing.T) {
			r.unchanged(t, func() {
				if got := run(t, tc.x, tc.token, tc.pkg, tc.version); got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
			})
		})
	}
	r.onlyForeign(t)
	if a := r.send(t, http.MethodGet, r.reg.Path+"@acme%2fwidget", nil, nil); !strings.Contains(a.Body, `"tarball":"`+strings.TrimSuffix(giteaRoot, "/")+r.reg.Path) {
		t.Errorf("gitea's URLs do not begin with its ROOT_URL:\n%s", a.Body)
	}
}

// TestGiteaGeneric uploads a file with curl.
func TestGiteaGeneric(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "generic", widgetPolicy, withLines("layout /{package}/{version}/{file}"))
	wheel := newWheel(t, "acme-widget", "1.0")
	put := func(t *testing.T, path, token string) client.Result {
		t.Helper()
		got, err := r.home(nil).CurlRaw(t.Context(), r.site.Public()+path, "--fail-with-body", "--upload-file", wheel.path, "--header", "Authorization: Bearer "+token)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	token, path := r.identity(nil), "acme-widget/1.0/"+wheel.file
	if got := put(t, path, token); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if diff := cmp.Diff(map[string]string{path: wheel.sha256}, r.files()); diff != "" {
		t.Fatal(diff)
	}
	for name, tc := range map[string]struct{ path, token string }{
		"another package":    {"other/1.0/" + wheel.file, r.identity(nil)},
		"another repository": {"acme-widget/2.0/" + wheel.file, r.identity(otherRepository)},
		"a replay":           {"acme-widget/2.0/" + wheel.file, token},
		"what is there":      {path, r.identity(nil)},
		"a stolen token":     {"acme-widget/2.0/" + wheel.file, r.reg.Password},
	} {
		t.Run(name, func(t *testing.T) {
			r.unchanged(t, func() {
				if got := put(t, tc.path, tc.token); got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
			})
		})
	}
	r.onlyForeign(t)
}

// TestGiteaMaven deploys with Maven. Gitea keeps no checksum files; it writes them and the index itself.
func TestGiteaMaven(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "maven", mavenPolicy)
	token := r.identity(nil)
	if got := r.deploy(t, "widget", "1.0", token); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	r.stores(t, "com.example:widget/1.0/widget-1.0.jar", "com.example:widget/1.0/widget-1.0.pom")
	for name, tc := range map[string]struct{ artifact, version, password string }{
		"another package":    {"gadget", "1.0", r.identity(nil)},
		"another repository": {"widget", "2.0", r.identity(otherRepository)},
		"a replay":           {"widget", "1.1", token},
		"what is there":      {"widget", "1.0", r.identity(nil)},
		"a stolen token":     {"widget", "2.0", r.reg.Password},
	} {
		t.Run(name, func(t *testing.T) {
			r.unchanged(t, func() {
				if got := r.deploy(t, tc.artifact, tc.version, tc.password); got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
			})
		})
	}
	r.onlyForeign(t)
}

// TestGiteaPyPI uploads with twine by an identity token, and with uv by trusted publishing.
func TestGiteaPyPI(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "pypi", widgetPolicy)
	first, second := newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "1.1")
	token := r.identity(nil)
	twine := func(t *testing.T, password, file string) client.Result {
		t.Helper()
		got, err := r.home(nil).Twine(t.Context(), r.site.Public(), client.Login{User: "__token__", Password: password}, file)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := twine(t, token, first.path); got.Code != 0 {
		t.Fatalf("twine: exit status %d\n%s", got.Code, got.Output)
	}
	if got, err := r.home(r.job(t, try{})).UV(t.Context(), r.site.Public(), nil, second.path); err != nil || got.Code != 0 {
		t.Fatalf("uv: %v, exit status %d\n%s", err, got.Code, got.Output)
	}
	want := map[string]string{"acme-widget/1.0/" + first.file: first.sha256, "acme-widget/1.1/" + second.file: second.sha256}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Fatal(diff)
	}
	for name, tc := range map[string]struct{ password, file string }{
		"another package":    {r.identity(nil), newWheel(t, "other", "1.0").path},
		"another repository": {r.identity(otherRepository), newWheel(t, "acme-widget", "2.0").path},
		"a replay":           {token, newWheel(t, "acme-widget", "2.0").path},
		"what is there":      {r.identity(nil), newWheel(t, "acme-widget", "1.0").path},
		"a stolen token":     {r.reg.Password, newWheel(t, "acme-widget", "2.0").path},
	} {
		t.Run(name, func(t *testing.T) {
			r.unchanged(t, func() {
				if got := twine(t, tc.password, tc.file); got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
			})
		})
	}
	r.onlyForeign(t)
}

// giteaBody is an upload to Gitea that is whole, and one whose last check fails.
type giteaBody struct {
	ecosystem, policy, method, path string
	header                          http.Header
	good, bad                       []byte
	badHeader                       http.Header
	code                            model.Code
	lines                           []string
}

func giteaBodies(t *testing.T) []giteaBody {
	t.Helper()
	archive := bytes.Repeat([]byte("archive "), 40_000)
	wheel := bigWheel(t, "acme-widget", "1.0", 300<<10)
	other := sha256.Sum256([]byte("another"))
	doc := npmDocument("@acme/widget", "1.0.0", archive) + "\n"
	pom := "<project><groupId>com.example</groupId><artifactId>%s</artifactId><version>1.0</version></project>"
	return []giteaBody{
		{
			ecosystem: "npm", policy: npmPolicy, method: http.MethodPut, path: "@acme%2fwidget", header: http.Header{"Content-Type": {"application/json"}},
			good: []byte(doc), bad: []byte(strings.Replace(doc, `"data":"YXJjaGl2ZSBh`, `"data":"YXJjaGl2ZSBi`, 1)), code: model.CodeDigestMismatch,
		},
		{
			ecosystem: "generic", policy: widgetPolicy, method: http.MethodPut, path: "acme-widget/1.0/x.tar.gz", good: archive, bad: archive,
			badHeader: http.Header{"X-Checksum-Sha256": {hex.EncodeToString(other[:])}}, code: model.CodeDigestMismatch, lines: []string{"layout /{package}/{version}/{file}"},
		},
		{
			ecosystem: "maven", policy: mavenPolicy, method: http.MethodPut, path: "com/example/widget/1.0/widget-1.0.pom",
			good: fmt.Appendf(nil, pom, "widget"), bad: fmt.Appendf(nil, pom, "gadget"), code: model.CodePackageMismatch,
		},
		{
			ecosystem: "pypi", policy: widgetPolicy, method: http.MethodPost, header: http.Header{"Content-Type": {client.Form{}.ContentType()}},
			good: wheel.form().Bytes(), bad: wheel.form().With("sha256_digest", strings.Repeat("0", 64)).Bytes(), code: model.CodeDigestMismatch,
		},
	}
}

// TestGiteaStoresNothingOfARefusedBody: Gitea stops reading where its parser is content, so the gateway has to hold back the end of the
// structure, not only that of the framing. With each framing towards Gitea, by a client of each framing: bodies that are cut in four
// places and one whose last check fails; then a whole one.
func TestGiteaStoresNothingOfARefusedBody(t *testing.T) {
	t.Parallel()
	for _, b := range giteaBodies(t) {
		for _, body := range []string{"as_sent", "chunked", "spool"} {
			t.Run(b.ecosystem+"/"+body, func(t *testing.T) {
				t.Parallel()
				r := giteaRig(t, b.ecosystem, b.policy, withLines(append([]string{"body " + body}, b.lines...)...))
				for _, f := range framings {
					whole := len(b.good)
					for _, cut := range []int{whole / 2, whole - 2, whole - 1, whole} {
						if f == byLength && cut == whole {
							continue // the last byte is the end
						}
						r.cutGitea(t, b, f, cut)
					}
				}
				header := b.header.Clone()
				if header == nil {
					header = http.Header{}
				}
				for name, v := range b.badHeader {
					header[name] = v
				}
				auth := r.identity(nil)
				header.Set("Authorization", "Bearer "+auth)
				if a := r.send(t, b.method, r.reg.Path+b.path, header, b.bad); a.code() != string(b.code) {
					t.Errorf("a failed check: %d %s, expected %s", a.Status, a.Body, b.code)
				}
				if diff := cmp.Diff(map[string]string{}, r.files()); diff != "" {
					t.Errorf("gitea stored a refused body (-want +got):\n%s", diff)
				}
				for name := range b.badHeader {
					delete(header, name)
				}
				header.Set("Authorization", "Bearer "+r.identity(nil))
				if a := r.send(t, b.method, r.reg.Path+b.path, header, b.good); a.Status/100 != 2 || len(r.files()) != 1 {
					t.Errorf("a whole upload: %d %s; gitea holds %v", a.Status, a.Body, r.paths())
				}
				r.onlyForeign(t)
			})
		}
	}
}

// cutGitea sends the first bytes of an upload and closes, and waits until the gateway is done with it.
func (r *rig) cutGitea(t *testing.T, b giteaBody, f framing, cut int) {
	t.Helper()
	jti := "cut-" + random(8)
	conn := r.dial(t)
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", b.method, r.reg.Path+b.path, r.site.Host(), r.identity(map[string]any{"jti": jti}))
	_ = b.header.Write(&head)
	if conn.framing = f; f == byLength {
		fmt.Fprintf(&head, "Content-Length: %d\r\n\r\n", len(b.good))
	} else {
		head.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	}
	conn.write(head.String())
	conn.send(b.good[:cut])
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	e := r.await(t, "end of the cut upload", func(e model.Event) bool {
		return e.JTI == jti && (e.Kind == model.EventOutcome || e.Kind == model.EventDecision && e.Decision == "deny")
	})
	if e.Result == "stored" {
		t.Errorf("%s, %d of %d bytes: the audit says %+v", f, cut, len(b.good), e)
	}
}

// TestGiteaReadsNoForms: Gitea stores what is inside a form, and nothing of one in a URL's encoding, so the gateway would have judged
// other bytes.
func TestGiteaReadsNoForms(t *testing.T) {
	t.Parallel()
	form := client.Form{{Name: "file", File: "x", Value: []byte("inside")}}
	for _, b := range giteaBodies(t) {
		if b.ecosystem != "generic" && b.ecosystem != "maven" {
			continue
		}
		t.Run(b.ecosystem, func(t *testing.T) {
			t.Parallel()
			r := giteaRig(t, b.ecosystem, b.policy, withLines(b.lines...))
			path := strings.Replace(r.reg.Path+b.path, ".pom", ".jar", 1)
			for _, media := range []string{form.ContentType(), "Multipart/Form-Data; boundary=" + client.Boundary, "application/x-www-form-urlencoded"} {
				r.unchanged(t, func() {
					a := r.send(t, http.MethodPut, path, with(bearer(r.identity(nil)), "Content-Type", media), form.Bytes())
					refused(t, a, http.StatusBadRequest, model.CodeMalformedUpload)
				})
			}
		})
	}
}

// TestGiteaCargo publishes with cargo by the sparse index of a private organisation: every request of cargo's has the token, those for
// the index among them.
func TestGiteaCargo(t *testing.T) {
	t.Parallel()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	server, err := registry.StartGitea(t.Context(), t.TempDir(), fmt.Sprintf("https://localhost:%d/", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	reg, err := server.Owner(t.Context(), "acme", "cargo")
	if err == nil {
		err = server.Hide(t.Context(), "acme")
	}
	if err != nil {
		t.Fatal(err)
	}
	reg.PublicPort = port
	r := startRig(t, reg, withEcosystem("cargo"), withPolicy("widget.yaml", cargoPolicy))
	publish := func(token, name, version string) client.Result {
		got, err := r.home(nil).CargoPublish(t.Context(), "sparse+"+r.site.Public(), token, name, version)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	exchange := func() string { return r.cargoToken(t) }
	if got := publish(exchange(), "acme-widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := publish(r.identity(nil), "acme-widget", "1.1.0"); got.Code != 0 {
		t.Fatalf("an identity token sent directly: exit status %d\n%s", got.Code, got.Output)
	}
	r.stores(t, "acme-widget/1.0.0/acme-widget-1.0.0.crate", "acme-widget/1.1.0/acme-widget-1.1.0.crate")
	r.owners(t, "sparse+"+r.site.Public(), "acme")
	for _, undo := range []bool{false, true} {
		got, err := r.home(nil).CargoYank(t.Context(), "sparse+"+r.site.Public(), exchange(), "acme-widget", "1.0.0", undo)
		if err != nil || got.Code != 0 {
			t.Errorf("undo %v: %v, exit status %d\n%s", undo, err, got.Code, got.Output)
		}
		a := r.send(t, http.MethodGet, r.reg.Path+"ac/me/acme-widget", http.Header{"Authorization": {r.identity(nil)}}, nil)
		if strings.Contains(a.Body, `"yanked":true`) == undo {
			t.Errorf("undo %v: the index holds\n%s", undo, a.Body)
		}
	}
	r.unchanged(t, func() {
		for name, token := range map[string]string{"acme-gadget": exchange(), "acme-widget": r.identity(otherRepository)} {
			if got := publish(token, name, "2.0.0"); got.Code == 0 || !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
				t.Errorf("%s: exit status %d\n%s", name, got.Code, got.Output)
			}
		}
		header := with(bearer(exchange()), "Content-Type", "multipart/form-data; boundary=x")
		refused(t, r.send(t, http.MethodPut, r.reg.Path+"api/v1/crates/new", header, crateBody(t, "acme-widget", "3.0.0")), http.StatusBadRequest, model.CodeMalformedUpload)
	})
	r.cutCrates(t, r.reg.Path+"api/v1/crates/new", "4.0.0")
}

// giteaContainers is a gateway in front of the containers of an organisation, whose name is the first part of each repository's.
func giteaContainers(t *testing.T) (r *rig, owner string) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	reg := newGitea(t, "container")
	owner = strings.Split(reg.Path, "/")[3]
	reg.Path = "/v2/"
	policy := strings.Replace(ociPolicy, "[acme/widget, acme/gadget]", "["+owner+"/widget, "+owner+"/gadget]", 1)
	return startRig(t, reg, withEcosystem("oci"), withPolicy("widget.yaml", policy)), owner
}

// TestGiteaContainers pushes an image with crane into an organisation, whose packages Gitea keeps below /v2/.
func TestGiteaContainers(t *testing.T) {
	t.Parallel()
	r, owner := giteaContainers(t)
	push := func(password, image string) client.Result {
		got, err := r.home(nil).Crane(t.Context(), r.site.Host(), password, owner+"/"+image)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	used := r.identity(nil)
	if got := push(used, "widget:1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if tags := r.tags(t, owner+"/widget"); tags != "1.0.0" {
		t.Errorf("the tags are %q", tags)
	}
	for name, tc := range map[string]struct {
		password, image string
		code            model.Code
	}{
		"a tag that exists":   {used, "widget:1.0.0", model.CodeAlreadyExists},
		"another repository":  {used, "gadget:1.0.0", model.CodeReplayed},
		"one of others":       {r.identity(nil), "other:1.0.0", model.CodeNoMatchingPolicy},
		"another publisher":   {r.identity(otherRepository), "widget:2.0.0", model.CodeNoMatchingPolicy},
		"the bot's own token": {r.reg.Password, "widget:2.0.0", model.CodeTrustedPublishingOnly},
	} {
		if got := push(tc.password, tc.image); got.Code == 0 || !strings.Contains(got.Output, string(tc.code)) {
			t.Errorf("%s: exit status %d, expected %s\n%s", name, got.Code, tc.code, got.Output)
		}
	}
	if tags := r.tags(t, owner+"/widget"); tags != "1.0.0" {
		t.Errorf("after the refusals the tags are %q", tags)
	}
	r.onlyForeign(t)
}
