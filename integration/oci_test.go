package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/demo/oci"
	"github.com/trustpub/trustpub/internal/model"
)

// ociPolicy grants two repositories to the default job.
const ociPolicy = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme/widget, acme/gadget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`

func ociRig(t *testing.T, options ...option) *rig {
	return newRig(t, "distribution", append([]option{withEcosystem("oci"), withPolicy("widget.yaml", ociPolicy)}, options...)...)
}

// ociClients push an image named REPOSITORY:TAG with the identity token as password.
var ociClients = map[string]func(h client.Home, ctx context.Context, host, password, image string) (client.Result, error){
	"crane": client.Home.Crane, "oras": client.Home.Oras, "skopeo": client.Home.Skopeo, "regctl": client.Home.Regctl,
	"helm": func(h client.Home, ctx context.Context, host, password, image string) (client.Result, error) {
		repository, tag, _ := strings.Cut(image, ":")
		at := strings.LastIndexByte(repository, '/')
		return h.Helm(ctx, host, password, repository[:at], repository[at+1:], tag)
	},
}

// TestOCI pushes with the real clients into a real registry, and shows what each says of a refusal.
func TestOCI(t *testing.T) {
	t.Parallel()
	for kind, push := range ociClients {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := ociRig(t)
			run := func(t *testing.T, password, image string) client.Result {
				t.Helper()
				got, err := push(r.home(nil), t.Context(), r.site.Host(), password, image)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			used := r.identity(nil)
			if got := run(t, used, "acme/widget:1.0.0"); got.Code != 0 {
				t.Fatalf("exit status %d\n%s", got.Code, got.Output)
			}
			if got := run(t, used, "acme/widget:1.1.0"); got.Code != 0 {
				t.Fatalf("a second tag with the same identity token: exit status %d\n%s", got.Code, got.Output)
			}
			if tags := r.tags(t, "acme/widget"); tags != "1.0.0 1.1.0" {
				t.Fatalf("the registry has the tags %q", tags)
			}
			if parts := r.parts(t); kind == "regctl" && parts < 2*client.RegctlArtifact/client.RegctlChunk {
				t.Errorf("the two artifacts came in %d parts", parts)
			}
			for _, tc := range []struct{ name, password, image string }{
				{"a-tag-that-exists", r.identity(nil), "acme/widget:1.0.0"},
				{"another-repository-with-the-same-token", used, "acme/gadget:1.0.0"},
				{"a-repository-of-others", r.identity(nil), "acme/other:1.0.0"},
				{"a-job-of-another-repository", r.identity(otherRepository), "acme/widget:2.0.0"},
				{"a-stolen-password", r.reg.Password, "acme/widget:2.0.0"},
			} {
				t.Run(tc.name, func(t *testing.T) {
					before := r.links(t)
					got := run(t, tc.password, tc.image)
					if got.Code == 0 {
						t.Errorf("exit status 0\n%s", got.Output)
					}
					if after := r.links(t); after != before {
						t.Errorf("the registry changed from\n%s\nto\n%s", before, after)
					}
					golden(t, kind+"-"+tc.name, client.Result{Code: got.Code, Output: ociErrors(got.Output)})
				})
			}
		})
	}
}

// parts counts the parts of blobs that were let through.
func (r *rig) parts(t *testing.T) (n int) {
	t.Helper()
	events, err := r.gw.Audit()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == model.EventDecision && e.Operation == "upload-chunk" && e.Decision == "allow" {
			n++
		}
	}
	return n
}

// links are the tags that the registry has. Blobs, and a manifest that helm puts by its digest first, are no image without one.
func (r *rig) links(t *testing.T) string {
	t.Helper()
	var all []string
	for _, path := range r.paths() {
		if strings.Contains(path, "/_manifests/tags/") {
			all = append(all, path+" "+r.files()[path])
		}
	}
	return strings.Join(all, "\n")
}

// tags are those of a repository, read with an identity token.
func (r *rig) tags(t *testing.T, repository string) string {
	t.Helper()
	a := r.send(t, http.MethodGet, "/v2/"+repository+"/tags/list", bearer(r.identity(nil)), nil)
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
		t.Fatalf("%v: %d %s", err, a.Status, a.Body)
	}
	return strings.Join(list.Tags, " ")
}

// ociErrors is what is left of a client's output without its progress.
func ociErrors(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if at := strings.Index(line, "level=fatal"); at > 0 {
			line = line[at:]
		} else if !strings.HasPrefix(line, "Error") && !strings.HasPrefix(line, "failed") {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// ociToken asks the realm for a publish token.
func (r *rig) ociToken(t *testing.T, password string, scopes ...string) (string, answer) {
	t.Helper()
	query := url.Values{"service": {r.site.Host()}, "scope": scopes}
	a := r.send(t, http.MethodGet, "/v2/token?"+query.Encode(), basic(password), nil)
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

// TestOCIRealm: the token of a login is good for no repository, one of a scope for its repositories, and an identity token for the one
// that it pushes to.
func TestOCIRealm(t *testing.T) {
	t.Parallel()
	r := ociRig(t)
	const widget, gadget = "repository:acme/widget:pull,push", "repository:acme/gadget:pull,push"
	a := r.send(t, http.MethodGet, "/v2/", nil, nil)
	refused(t, a, http.StatusUnauthorized, model.CodeNoCredential)
	if got, want := a.Header.Get("Www-Authenticate"), `Bearer realm="https://`+r.site.Host()+`/v2/token",service="`+r.site.Host()+`"`; got != want {
		t.Errorf("the challenge is %s, expected %s", got, want)
	}
	identity := r.identity(nil)
	login, a := r.ociToken(t, identity)
	if login == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodGet, "/v2/", bearer(login), nil); a.Status != http.StatusOK {
		t.Errorf("the registry with the token of a login: %d %s", a.Status, a.Body)
	}
	start := func(token, repository string) answer {
		return r.send(t, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", bearer(token), nil)
	}
	refused(t, start(login, "acme/widget"), http.StatusForbidden, model.CodeOutOfScope)
	token, a := r.ociToken(t, identity, widget)
	if token == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if again, a := r.ociToken(t, identity, widget); again == "" {
		t.Errorf("a second time for the same repository: %d %s", a.Status, a.Body)
	}
	if a := start(token, "acme/widget"); a.Status != http.StatusAccepted || !strings.HasPrefix(a.Header.Get("Location"), "https://"+r.site.Host()+"/v2/acme/widget/") {
		t.Errorf("%d %s, Location %s", a.Status, a.Body, a.Header.Get("Location"))
	}
	refused(t, start(token, "acme/gadget"), http.StatusForbidden, model.CodeOutOfScope)
	for _, tc := range []struct {
		name, password, scope string
		code                  model.Code
	}{
		{"another repository with the same token", identity, gadget, model.CodeReplayed},
		{"a repository that no policy names", r.identity(nil), "repository:acme/other:pull,push", model.CodeNoMatchingPolicy},
		{"another publisher", r.identity(otherRepository), widget, model.CodeNoMatchingPolicy},
		{"another audience", shared.issuer.Token("elsewhere.example.com", nil), widget, model.CodeWrongAudience},
		{"a publish token that is none", token + "x", widget, model.CodeInvalidToken},
	} {
		_, a := r.ociToken(t, tc.password, tc.scope)
		refused(t, a, http.StatusUnauthorized, tc.code)
	}
	// A publish token is a password too, and no other token comes of it.
	if again, a := r.ociToken(t, token, gadget); again != token {
		t.Errorf("a publish token as password: %d %s", a.Status, a.Body)
	}
	refused(t, start(identity, "acme/gadget"), http.StatusUnauthorized, model.CodeReplayed)
	if a := start(identity, "acme/widget"); a.Status != http.StatusAccepted {
		t.Errorf("an identity token as bearer: %d %s", a.Status, a.Body)
	}
	form := url.Values{"grant_type": {"password"}, "username": {"oidc"}, "password": {r.identity(nil)}, "scope": {widget}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if a := r.send(t, http.MethodPost, "/v2/token", header, []byte(form.Encode())); a.Status != http.StatusOK {
		t.Errorf("a form: %d %s", a.Status, a.Body)
	}
}

// ociPush pushes a blob in two steps, and gives the answer to the last.
func (r *rig) ociPush(t *testing.T, token, repository, digest string, body []byte) answer {
	t.Helper()
	a := r.send(t, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", bearer(token), nil)
	if a.Status != http.StatusAccepted {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	at := strings.TrimPrefix(a.Header.Get("Location"), "https://"+r.site.Host())
	return r.send(t, http.MethodPut, at+"&digest="+digest, with(bearer(token), "Content-Type", "application/octet-stream"), body)
}

// TestOCIRefusals are requests that no client makes: each with the code that names what is wrong, and no new manifest.
func TestOCIRefusals(t *testing.T) {
	t.Parallel()
	r := ociRig(t)
	token := r.identity(nil)
	image, err := oci.NewImage([]byte("layer"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range [][]byte{image.Config, image.Layer} {
		if a := r.ociPush(t, token, "acme/widget", oci.Digest(blob), blob); a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	r.unchanged(t, func() {
		refused(t, r.ociPush(t, token, "acme/widget", oci.Digest([]byte("x")), []byte("y")), http.StatusBadRequest, model.CodeDigestMismatch)
	})
	manifest, digest := string(image.Manifest), oci.Digest(image.Layer)
	const path = "/v2/acme/widget/"
	for _, tc := range []struct {
		name, method, path, contentType, body string
		code                                  model.Code
	}{
		{"another digest", "PUT", path + "manifests/" + digest, oci.ManifestType, manifest, model.CodeDigestMismatch},
		{"another type", "PUT", path + "manifests/1.0.0", "application/vnd.oci.image.index.v1+json", manifest, model.CodeMalformedUpload},
		{"two kinds at once", "PUT", path + "manifests/1.0.0", oci.ManifestType, strings.Replace(manifest, `"layers"`, `"manifests":[],"layers"`, 1), model.CodeMalformedUpload},
		{"a key twice", "PUT", path + "manifests/1.0.0", oci.ManifestType, strings.Replace(manifest, `"layers"`, `"layers":[],"layers"`, 1), model.CodeDuplicateField},
		{"no last brace", "PUT", path + "manifests/1.0.0", oci.ManifestType, manifest[:len(manifest)-1], model.CodeTruncated},
		{"nothing", "PUT", path + "manifests/1.0.0", oci.ManifestType, "", model.CodeTruncated},
		{"a repository of others", "PUT", "/v2/acme/other/manifests/1.0.0", oci.ManifestType, manifest, model.CodeNoMatchingPolicy},
		{"another one of the publisher's", "PUT", "/v2/acme/gadget/manifests/1.0.0", oci.ManifestType, manifest, model.CodeReplayed},
		{"a mount from a repository of others", "POST", path + "blobs/uploads/?mount=" + digest + "&from=acme/secret", "", "", model.CodeNoMatchingPolicy},
		{"a mount from anywhere", "POST", path + "blobs/uploads/?mount=" + digest, "", "", model.CodeMalformedUpload},
		{"a deletion", "DELETE", path + "manifests/1.0.0", "", "", model.CodeNoMatchingPolicy},
		{"the catalog", "GET", "/v2/_catalog", "", "", model.CodeUnsupportedOperation},
		{"another path", "PUT", "/v2/acme/widget/other/x", "", manifest, model.CodeUnsupportedOperation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				header := bearer(token)
				if tc.contentType != "" {
					header.Set("Content-Type", tc.contentType)
				}
				if a := r.send(t, tc.method, tc.path, header, []byte(tc.body)); a.code() != string(tc.code) {
					t.Errorf("got %d %q, expected %s\n%s", a.Status, a.code(), tc.code, a.Body)
				}
			})
		})
	}
	put := func(token, tag string, body []byte) answer {
		return r.send(t, http.MethodPut, path+"manifests/"+tag, with(bearer(token), "Content-Type", oci.ManifestType), body)
	}
	if a := put(token, "1.0.0", image.Manifest); a.Status != http.StatusCreated {
		t.Fatalf("the unedited manifest: %d %s", a.Status, a.Body)
	}
	r.unchanged(t, func() {
		refused(t, put(r.identity(nil), "1.0.0", append(image.Manifest, ' ')), http.StatusConflict, model.CodeAlreadyExists)
	})
}

// TestOCITags: a tag moves where the configuration or a policy says so, and a deletion and a mount need what they touch.
func TestOCITags(t *testing.T) {
	t.Parallel()
	policy := strings.Replace(ociPolicy, "    publisher:", "    actions: [publish, overwrite, delete]\n    publisher:", 1)
	image, err := oci.NewImage([]byte("layer"))
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]option{
		"mutable_tags": {withLines("mutable_tags latest")},
		"overwrite":    {withPolicy("widget.yaml", policy)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ociRig(t, options...)
			token := r.identity(nil)
			for _, blob := range [][]byte{image.Config, image.Layer} {
				if a := r.ociPush(t, token, "acme/widget", oci.Digest(blob), blob); a.Status != http.StatusCreated {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
			}
			for _, manifest := range [][]byte{image.Manifest, append(image.Manifest, '\n')} {
				header := with(bearer(r.identity(nil)), "Content-Type", oci.ManifestType)
				if a := r.send(t, http.MethodPut, "/v2/acme/widget/manifests/latest", header, manifest); a.Status != http.StatusCreated {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				a := r.send(t, http.MethodGet, "/v2/acme/widget/manifests/latest", with(bearer(r.identity(nil)), "Accept", oci.ManifestType), nil)
				if a.Body != string(manifest) {
					t.Errorf("the tag is %s", a.Body)
				}
			}
			mount := "/v2/acme/gadget/blobs/uploads/?mount=" + oci.Digest(image.Layer) + "&from=acme/widget"
			if a := r.send(t, http.MethodPost, mount, bearer(r.identity(nil)), nil); a.Status != http.StatusCreated {
				t.Errorf("a mount: %d %s", a.Status, a.Body)
			}
			a := r.send(t, http.MethodDelete, "/v2/acme/widget/manifests/"+oci.Digest(image.Manifest), bearer(r.identity(nil)), nil)
			if granted := name == "overwrite"; granted && a.Status != http.StatusAccepted || !granted && a.code() != string(model.CodeNoMatchingPolicy) {
				t.Errorf("a deletion: %d %s", a.Status, a.Body)
			}
		})
	}
}

// TestOCIObserve: where a foreign credential is never refused, the registry's own challenge stands.
func TestOCIObserve(t *testing.T) {
	t.Parallel()
	r := ociRig(t, withMode("observe"))
	a := r.send(t, http.MethodGet, "/v2/", nil, nil)
	if a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "authentication required") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	a = r.send(t, http.MethodPut, "/v2/acme/widget/manifests/1.0.0", with(basic("password"), "Content-Type", oci.ManifestType), []byte("{}"))
	if a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "authentication required") {
		t.Errorf("a push with a password: %d %s", a.Status, a.Body)
	}
	r.await(t, "push with a password", func(e model.Event) bool { return e.Operation == "manifest" && e.Decision == "would_deny" })
	// The end of an upload in parts has no body, which is not a body that was cut off.
	r.send(t, http.MethodPut, "/v2/acme/widget/blobs/uploads/1?digest="+oci.Digest(nil), basic("password"), nil)
	r.await(t, "end of an upload", func(e model.Event) bool {
		return e.Operation == "upload-finish" && e.Code == model.CodeTrustedPublishingOnly
	})
}

// TestOCIParts pushes a blob in several parts, each of which says where it belongs: with the last one in the step that ends the upload,
// and with none there. A part that is not what it says is refused, and the upload goes on where it was.
func TestOCIParts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (*rig, string){
		"distribution": func(t *testing.T) (*rig, string) { return ociRig(t), "acme" },
		"gitea":        giteaContainers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, owner := start(t)
			token := r.identity(nil)
			repository := "/v2/" + owner + "/widget"
			for _, ending := range []string{"with the last part", "without a part"} {
				blob := []byte(strings.Repeat(ending+" ", 10_000))
				p := &ociParts{r: r, t: t, token: token}
				p.follow(r.send(t, http.MethodPost, repository+"/blobs/uploads/", bearer(token), nil), http.StatusAccepted)
				cuts := []int{0, 65_536, 131_072}
				for i, at := range cuts[1:] {
					first, part := cuts[i], blob[cuts[i]:at]
					for _, wrong := range []string{itoa(first) + "-" + itoa(at), "bytes " + itoa(first) + "-" + itoa(at-1) + "/" + itoa(len(blob))} {
						refused(t, p.send(http.MethodPatch, p.at, wrong, part), http.StatusBadRequest, model.CodeMalformedUpload)
					}
					// What is right in itself and leaves a gap, the registry refuses.
					if a := p.send(http.MethodPatch, p.at, itoa(first+1)+"-"+itoa(at), part); a.Status != http.StatusRequestedRangeNotSatisfiable {
						t.Errorf("a part that leaves a gap: %d %s", a.Status, a.Body)
					}
					p.follow(p.send(http.MethodPatch, p.at, itoa(first)+"-"+itoa(at-1), part), http.StatusAccepted)
					if a := r.send(t, http.MethodGet, p.at, bearer(token), nil); a.Status != http.StatusNoContent || a.Header.Get("Range") != "0-"+itoa(at-1) {
						t.Errorf("the upload stands at %s: %d %s", a.Header.Get("Range"), a.Status, a.Body)
					}
				}
				last := cuts[len(cuts)-1]
				if ending == "without a part" {
					p.follow(p.send(http.MethodPatch, p.at, itoa(last)+"-"+itoa(len(blob)-1), blob[last:]), http.StatusAccepted)
					blob, last = blob[:len(blob):len(blob)], len(blob)
				}
				digest, within := oci.Digest(blob), itoa(last)+"-"+itoa(len(blob)-1)
				if last == len(blob) {
					within = ""
				}
				r.absent(t, repository+"/blobs/"+digest, token)
				p.follow(p.send(http.MethodPut, p.ended(digest), within, blob[last:]), http.StatusCreated)
				if a := r.send(t, http.MethodGet, repository+"/blobs/"+digest, bearer(token), nil); a.Body != string(blob) {
					t.Errorf("%s: the registry has %d bytes of %d: %d", ending, len(a.Body), len(blob), a.Status)
				}
			}
		})
	}
}

// absent fails the test where something is there.
func (r *rig) absent(t *testing.T, path, token string) {
	t.Helper()
	if a := r.send(t, http.MethodGet, path, bearer(token), nil); a.Status != http.StatusNotFound {
		t.Errorf("%s is there: %d", path, a.Status)
	}
}

// ociParts is an upload in parts, which goes on where the registry says.
type ociParts struct {
	r         *rig
	t         *testing.T
	token, at string
}

// follow notes where the upload goes on.
func (p *ociParts) follow(a answer, status int) {
	p.t.Helper()
	if a.Status != status {
		p.t.Fatalf("%d %s, expected %d", a.Status, a.Body, status)
	}
	p.at = strings.TrimPrefix(a.Header.Get("Location"), "https://"+p.r.site.Host())
}

// ended is where the upload ends, with the digest of the whole.
func (p *ociParts) ended(digest string) string {
	if strings.Contains(p.at, "?") {
		return p.at + "&digest=" + digest
	}
	return p.at + "?digest=" + digest
}

func (p *ociParts) send(method, at, within string, part []byte) answer {
	p.t.Helper()
	header := with(bearer(p.token), "Content-Type", "application/octet-stream")
	if within != "" {
		header.Set("Content-Range", within)
	}
	return p.r.send(p.t, method, at, header, part)
}
