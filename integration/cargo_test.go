package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/demo/cargo"
	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

// cargoPolicy grants one crate to the default job.
const cargoPolicy = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    actions: [publish, yank]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`

func cargoRig(t *testing.T, kind string, options ...option) *rig {
	return newRig(t, kind, append([]option{withEcosystem("cargo"), withPolicy("widget.yaml", cargoPolicy)}, options...)...)
}

// cargo publishes with the real client; the token is in its environment, as the action leaves it there.
func (r *rig) cargo(t *testing.T, token, name, version string) client.Result {
	t.Helper()
	got, err := r.home(nil).CargoPublish(t.Context(), "file://"+r.reg.Index, token, name, version)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// cargoExchange swaps an identity token as the publish action does.
func (r *rig) cargoExchange(t *testing.T, identity string) (string, answer) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"jwt": identity})
	if err != nil {
		t.Fatal(err)
	}
	a := r.send(t, http.MethodPost, r.reg.Path+"api/v1/trusted_publishing/tokens", http.Header{"Content-Type": {"application/json"}}, body)
	var minted struct {
		Token string `json:"token"`
	}
	if a.Status == http.StatusOK {
		if err := json.Unmarshal([]byte(a.Body), &minted); err != nil {
			t.Fatal(err)
		}
	}
	return minted.Token, a
}

// cargoToken is an exchange that has to work.
func (r *rig) cargoToken(t *testing.T) string {
	t.Helper()
	token, a := r.cargoExchange(t, r.identity(nil))
	if token == "" {
		t.Fatalf("the exchange failed: %d %s", a.Status, a.Body)
	}
	return token
}

// indexed is what a git index says of a crate.
func (r *rig) indexed(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", r.reg.Index, "show", "HEAD:"+path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestCargo publishes with cargo into a real registry that checks tokens, and shows what it says of a refusal.
func TestCargo(t *testing.T) {
	t.Parallel()
	r := cargoRig(t, "ktra")
	if got := r.cargo(t, r.cargoToken(t), "acme-widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := r.cargo(t, r.identity(nil), "acme-widget", "1.1.0"); got.Code != 0 {
		t.Fatalf("an identity token sent directly: exit status %d\n%s", got.Code, got.Output)
	}
	if index := r.indexed(t, "ac/me/acme-widget"); !strings.Contains(index, `"1.0.0"`) || !strings.Contains(index, `"1.1.0"`) {
		t.Errorf("the index holds:\n%s", index)
	}
	if n := len(r.files()); n != 3 {
		t.Errorf("the registry holds %d things, expected two crates and an index: %v", n, r.paths())
	}
	used := r.identity(nil)
	if token, a := r.cargoExchange(t, used); token == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for _, tc := range []struct{ name, token, crate, version string }{
		{"another-crate", r.cargoToken(t), "acme-gadget", "1.0.0"},
		{"another-repository", r.identity(otherRepository), "acme-widget", "2.0.0"},
		{"a-replayed-token", used, "acme-widget", "2.0.0"},
		{"a-stolen-token", r.reg.Password, "acme-widget", "2.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				got := r.cargo(t, tc.token, tc.crate, tc.version)
				if got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
				golden(t, "cargo-"+tc.name, client.Result{Code: got.Code, Output: cargoErrors(got.Output)})
			})
		})
	}
}

// cutCrates publishes large crates in which only the end tells that they are not to be: most of each has reached the registry by
// then, which stores none of it. A whole one comes after them.
func (r *rig) cutCrates(t *testing.T, path, version string) {
	t.Helper()
	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(noise)
	top := "acme-widget-" + version
	manifest := script.Entry{Name: top + "/Cargo.toml", Data: fmt.Sprintf("[package]\nname = %q\nversion = %q\n", "acme-widget", version)}
	body := func(last script.Entry) []byte {
		crate, err := script.TarGz(manifest, script.Entry{Name: top + "/noise", Data: string(noise)}, last)
		if err != nil {
			t.Fatal(err)
		}
		return cargo.Upload(cargo.Document("acme-widget", version), crate)
	}
	header := func() http.Header { return http.Header{"Authorization": {r.identity(nil)}} }
	good := body(script.Entry{Name: top + "/src/lib.rs"})
	r.unchanged(t, func() {
		for _, tc := range []struct {
			name string
			body []byte
			code model.Code
		}{
			{"a file outside", body(script.Entry{Name: "evil-" + version + "/src/lib.rs"}), model.CodePackageMismatch},
			{"a second manifest", body(manifest), model.CodeMalformedUpload},
			{"bytes behind it", append(bytes.Clone(good), 'x'), model.CodeMalformedUpload},
			{"no last byte", good[:len(good)-1], model.CodeTruncated},
		} {
			for _, chunked := range []bool{false, true} {
				a := r.send(t, http.MethodPut, path, header(), tc.body)
				if chunked {
					a = r.sendChunked(t, http.MethodPut, path, header(), tc.body)
				}
				if a.code() != string(tc.code) {
					t.Errorf("%s, chunked %v: got %d %q, expected %s\n%s", tc.name, chunked, a.Status, a.code(), tc.code, a.Body)
				}
			}
		}
	})
	if a := r.send(t, http.MethodPut, path, header(), good); a.Status != http.StatusOK {
		t.Errorf("the whole crate: %d %s", a.Status, a.Body)
	}
}

// TestCargoOwners: cargo lists the owners of a crate with a token of ours, and changes none.
func TestCargoOwners(t *testing.T) {
	t.Parallel()
	r := cargoRig(t, "ktra")
	if got := r.cargo(t, r.identity(nil), "acme-widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	r.owners(t, "file://"+r.reg.Index, "bot")
	r.cutCrates(t, r.reg.Path+"api/v1/crates/new", "2.0.0")
}

// owners lists the owners of the crate with cargo, and tries to add one and to take one away.
func (r *rig) owners(t *testing.T, index, owner string) {
	t.Helper()
	run := func(token, crate string, args ...string) client.Result {
		got, err := r.home(nil).CargoOwner(t.Context(), index, token, crate, args...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := run(r.cargoToken(t), "acme-widget", "--list"); got.Code != 0 || !strings.Contains(got.Output, owner) {
		t.Errorf("the owners: exit status %d, expected %s\n%s", got.Code, owner, got.Output)
	}
	r.unchanged(t, func() {
		for name, args := range map[string][]string{"a-new-owner": {"--add", "mallory"}, "an-owner-less": {"--remove", owner}} {
			got := run(r.cargoToken(t), "acme-widget", args...)
			if got.Code == 0 {
				t.Errorf("exit status 0\n%s", got.Output)
			}
			output := strings.ReplaceAll(cargoErrors(got.Output), r.site.Host()+strings.TrimSuffix(r.reg.Path, "/"), r.site.Host())
			golden(t, "cargo-"+name, client.Result{Code: got.Code, Output: output})
		}
	})
}

// TestCargoWithoutChunks publishes into a registry that refuses bodies without a length. It writes its own address into the index
// with each crate, so cargo finds the gateway there only once.
func TestCargoWithoutChunks(t *testing.T) {
	t.Parallel()
	r := cargoRig(t, "cargo-http-registry")
	if got := r.cargo(t, r.cargoToken(t), "acme-widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	r.await(t, "publish by cargo", func(e model.Event) bool { return e.Operation == "publish" && e.UpstreamStatus == http.StatusOK })
	r.cutCrates(t, "/api/v1/crates/new", "2.0.0")
}

// cargoErrors is what is left of cargo's output without its progress.
func cargoErrors(output string) string {
	_, errors, _ := strings.Cut(output, "error:")
	return "error:" + errors
}

// TestCargoYank changes what is published with cargo itself.
func TestCargoYank(t *testing.T) {
	t.Parallel()
	r := cargoRig(t, "ktra")
	if got := r.cargo(t, r.identity(nil), "acme-widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	yank := func(token string, undo bool) client.Result {
		got, err := r.home(nil).CargoYank(t.Context(), "file://"+r.reg.Index, token, "acme-widget", "1.0.0", undo)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, undo := range []bool{false, true} {
		if got := yank(r.cargoToken(t), undo); got.Code != 0 {
			t.Fatalf("exit status %d\n%s", got.Code, got.Output)
		}
		if index := r.indexed(t, "ac/me/acme-widget"); strings.Contains(index, `"yanked":true`) == undo {
			t.Errorf("undo %v: the index holds\n%s", undo, index)
		}
	}
	r.unchanged(t, func() {
		if got := yank(r.identity(otherRepository), false); got.Code == 0 || !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
			t.Errorf("exit status %d\n%s", got.Code, got.Output)
		}
	})
}

// TestCargoExchange swaps and revokes tokens as the publish action does, and refuses what it may not.
func TestCargoExchange(t *testing.T) {
	t.Parallel()
	r := cargoRig(t, "ktra")
	identity := r.identity(nil)
	token, a := r.cargoExchange(t, identity)
	if token == "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for _, tc := range []struct {
		name, identity string
		code           model.Code
	}{
		{"a replay", identity, model.CodeReplayed},
		{"another repository", r.identity(otherRepository), model.CodeNoMatchingPolicy},
		{"another audience", shared.issuer.Token("elsewhere.example.com", nil), model.CodeWrongAudience},
		{"a publish token", token, model.CodeInvalidToken},
		{"a foreign token", r.reg.Password, model.CodeInvalidToken},
		{"nothing", "", model.CodeBadRequest},
	} {
		if _, a := r.cargoExchange(t, tc.identity); a.Status/100 == 2 || a.code() != string(tc.code) {
			t.Errorf("%s: got %d, expected %s\n%s", tc.name, a.Status, tc.code, a.Body)
		}
	}
	body := crateBody(t, "acme-widget", "1.0.0")
	raw := func(token string) http.Header { return http.Header{"Authorization": {token}} }
	if a := r.send(t, http.MethodDelete, "/api/v1/trusted_publishing/tokens", bearer(token), nil); a.Status != http.StatusNoContent {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r.unchanged(t, func() {
		refused(t, r.send(t, http.MethodPut, "/api/v1/crates/new", raw(token), body), http.StatusUnauthorized, model.CodeRevoked)
	})
	if a := r.send(t, http.MethodPut, "/api/v1/crates/new", bearer(r.cargoToken(t)), body); a.Status != http.StatusOK {
		t.Errorf("a token with its scheme: %d %s", a.Status, a.Body)
	}
}

// crateArchive is a crate whose manifest and folder name these.
func crateArchive(t *testing.T, folder, name, version string) []byte {
	t.Helper()
	crate, err := script.TarGz(script.Entry{Name: folder + "/Cargo.toml", Data: fmt.Sprintf("[package]\nname = %q\nversion = %q\n", name, version)})
	if err != nil {
		t.Fatal(err)
	}
	return crate
}

func crateBody(t *testing.T, name, version string) []byte {
	t.Helper()
	return cargo.Upload(cargo.Document(name, version), crateArchive(t, name+"-"+version, name, version))
}

// TestCargoRefusals are requests that no client makes: each with the code that names what is wrong, and an unchanged registry.
func TestCargoRefusals(t *testing.T) {
	t.Parallel()
	r := cargoRig(t, "cargo-http-registry")
	good, document := crateBody(t, "acme-widget", "1.0.0"), cargo.Document("acme-widget", "1.0.0")
	crate := crateArchive(t, "acme-widget-1.0.0", "acme-widget", "1.0.0")
	const path = "/api/v1/crates/new"
	for _, tc := range []struct {
		name, method, path string
		body               []byte
		code               model.Code
	}{
		{"another crate", "PUT", path, crateBody(t, "acme-gadget", "1.0.0"), model.CodeNoMatchingPolicy},
		{"a spelling that folds onto it", "PUT", path, crateBody(t, "acme_widget", "1.0.0"), model.CodeNoMatchingPolicy},
		{"another crate in the archive", "PUT", path, cargo.Upload(document, crateArchive(t, "acme-gadget-1.0.0", "acme-gadget", "1.0.0")), model.CodePackageMismatch},
		{"another name in the manifest", "PUT", path, cargo.Upload(document, crateArchive(t, "acme-widget-1.0.0", "acme-gadget", "1.0.0")), model.CodePackageMismatch},
		{"a second name", "PUT", path, cargo.Upload(strings.Replace(document, `"deps"`, `"name":"acme-gadget","deps"`, 1), crate), model.CodeDuplicateField},
		{"a name in capitals", "PUT", path, cargo.Upload(strings.Replace(document, `"deps"`, `"Name":"acme-gadget","deps"`, 1), crate), model.CodeMalformedUpload},
		{"bytes behind the crate", "PUT", path, append(bytes.Clone(good), "xx"...), model.CodeMalformedUpload},
		{"no last byte", "PUT", path, good[:len(good)-1], model.CodeTruncated},
		{"a new owner", "PUT", "/api/v1/crates/acme-widget/owners", []byte(`{"users":["mallory"]}`), model.CodeUnsupportedOperation},
		{"a yank of another crate", "DELETE", "/api/v1/crates/acme-gadget/1.0.0/yank", nil, model.CodeNoMatchingPolicy},
		{"a push into the index", "POST", "/git/git-receive-pack", []byte("x"), model.CodeUnsupportedOperation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				header := http.Header{"Authorization": {r.identity(nil)}}
				if a := r.send(t, tc.method, tc.path, header, tc.body); a.code() != string(tc.code) {
					t.Errorf("got %d %q, expected %s\n%s", a.Status, a.code(), tc.code, a.Body)
				}
			})
		})
	}
	if a := r.send(t, http.MethodPut, path, http.Header{"Authorization": {r.identity(nil)}}, good); a.Status != http.StatusOK || a.Body != "" {
		t.Errorf("the unedited upload: %d %s", a.Status, a.Body)
	}
	if diff := cmp.Diff([]string{"acme-widget-1.0.0.crate", "index"}, r.paths()); diff != "" {
		t.Errorf("the registry holds something else (-want +got):\n%s", diff)
	}
}

// TestCargoQuotedCredential: the registry quotes a credential that it refuses, and the client sees nothing of that.
func TestCargoQuotedCredential(t *testing.T) {
	t.Parallel()
	reg := newRegistry(t, "ktra")
	const wrong = "canary-wrong-token-5Bn1"
	secret := filepath.Join(t.TempDir(), "wrong-token")
	if err := os.WriteFile(secret, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	reg.Credential = "credential static {\n\theader Authorization {file." + secret + "}\n}"
	reg.Secrets = append(reg.Secrets, wrong)
	r := startRig(t, reg, withEcosystem("cargo"), withPolicy("widget.yaml", cargoPolicy))
	r.unchanged(t, func() {
		a := r.send(t, http.MethodPut, "/api/v1/crates/new", http.Header{"Authorization": {r.identity(nil)}}, crateBody(t, "acme-widget", "1.0.0"))
		refused(t, a, http.StatusBadGateway, model.CodeUpstreamRefusedCredential)
	})
}
