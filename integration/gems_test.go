package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// fixture is an archive that the ecosystem's own client has built.
func fixture(t *testing.T, ecosystem, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "internal", "ecosystem", ecosystem, "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGiteaRubyGems pushes a gem that gem has built, in the request that gem makes. Gitea takes no version like 1.0.rc1.
func TestGiteaRubyGems(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "rubygems", strings.Replace(widgetPolicy, "acme-widget", "widget", 1))
	gem := fixture(t, "rubygems", "widget-1.0.0.gem")
	push := func(t *testing.T, token string, body []byte) answer {
		t.Helper()
		return r.send(t, http.MethodPost, r.reg.Path+"api/v1/gems", http.Header{"Authorization": {token}, "Content-Type": {"application/octet-stream"}}, body)
	}
	r.unchanged(t, func() {
		if a := push(t, r.identity(otherRepository), gem); a.Status != http.StatusForbidden {
			t.Errorf("of another repository: %d %s", a.Status, a.Body)
		}
		if a := push(t, r.identity(nil), append(gem[:len(gem):len(gem)], 'x')); a.Status/100 != 4 {
			t.Errorf("with text after its end: %d %s", a.Status, a.Body)
		}
		if a := push(t, r.reg.Password, gem); a.Status/100 != 4 {
			t.Errorf("with a stolen token: %d %s", a.Status, a.Body)
		}
	})
	if a := push(t, r.identity(nil), gem); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r.stores(t, "widget/1.0.0/widget-1.0.0.gem")
	r.onlyForeign(t)
}

// TestGiteaRubyGemsAttestations pushes a gem with an attestation, in the form that gem sends, where Gitea takes the one file for the gem and
// keeps no attestation.
func TestGiteaRubyGemsAttestations(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "rubygems", strings.Replace(widgetPolicy, "acme-widget", "widget", 1))
	gem := fixture(t, "rubygems", "widget-1.0.0.gem")
	push := func(token, file string, parts ...client.Part) answer {
		form := client.Form(append([]client.Part{{Name: "gem", File: file, Value: gem}}, parts...))
		return r.send(t, http.MethodPost, r.reg.Path+"api/v1/gems", http.Header{"Authorization": {token}, "Content-Type": {form.ContentType()}}, form.Bytes())
	}
	attestation := client.Part{Name: "attestations", Value: []byte(`[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]`)}
	r.unchanged(t, func() {
		refused(t, push(r.identity(otherRepository), "widget-1.0.0.gem", attestation), http.StatusForbidden, model.CodeNoMatchingPolicy)
		refused(t, push(r.identity(nil), "gadget-1.0.0.gem", attestation), http.StatusBadRequest, model.CodePackageMismatch)
		refused(t, push(r.identity(nil), "widget-1.0.0.gem", attestation, attestation), http.StatusBadRequest, model.CodeDuplicateField)
		// Gitea takes any file of a form for the gem.
		attached := client.Part{Name: "attestations", File: "widget-1.0.0.gem", Value: gem}
		refused(t, push(r.identity(nil), "widget-1.0.0.gem", attached), http.StatusBadRequest, model.CodeMalformedUpload)
		refused(t, push(r.identity(nil), "widget-1.0.0.gem", client.Part{Name: "other", File: "x", Value: gem}), http.StatusBadRequest, model.CodeMalformedUpload)
	})
	if a := push(r.identity(nil), "widget-1.0.0.gem", attestation); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r.stores(t, "widget/1.0.0/widget-1.0.0.gem")
	r.onlyForeign(t)
}

// TestGiteaNuGet pushes a package that nuget has packed, in the form that dotnet sends.
func TestGiteaNuGet(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "nuget", strings.Replace(widgetPolicy, "acme-widget", "acme.widget", 1))
	pkg := fixture(t, "nuget", "Acme.Widget.1.0.0-Beta.nupkg")
	put := func(t *testing.T, token string, pkg []byte) answer { return r.nugetPush(t, nugetKey(token), pkg) }
	r.unchanged(t, func() {
		refused(t, put(t, r.identity(nil), append(pkg[:len(pkg):len(pkg)], 'x')), http.StatusBadRequest, model.CodeMalformedUpload)
		if a := put(t, r.identity(otherRepository), pkg); a.Status != http.StatusForbidden {
			t.Errorf("of another repository: %d %s", a.Status, a.Body)
		}
		if a := put(t, r.reg.Password, pkg); a.Status/100 != 4 {
			t.Errorf("with a stolen token: %d %s", a.Status, a.Body)
		}
	})
	if a := put(t, r.identity(nil), pkg); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if paths := r.paths(); len(paths) == 0 || !strings.HasPrefix(strings.ToLower(paths[0]), "acme.widget/1.0.0-beta/") {
		t.Errorf("gitea holds %v", paths)
	}
	r.onlyForeign(t)
}

// nugetPush sends a package in the form that dotnet sends.
func (r *rig) nugetPush(t *testing.T, credential http.Header, pkg []byte) answer {
	t.Helper()
	const boundary = "3576595b-8e57-4d70-91bb-701d5aab54ea"
	return r.send(t, http.MethodPut, r.reg.Path, with(credential, "Content-Type", `multipart/form-data; boundary="`+boundary+`"`), nugetForm(boundary, pkg))
}

// nugetForm is the form that dotnet sends.
func nugetForm(boundary string, pkg []byte) []byte {
	return fmt.Appendf(nil, "--%[1]s\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package.nupkg; "+
		"filename*=utf-8''package.nupkg\r\n\r\n%[2]s\r\n--%[1]s--\r\n", boundary, pkg)
}

// nugetKey is a credential as NuGet's clients send it.
func nugetKey(key string) http.Header { return http.Header{"X-Nuget-Apikey": {key}} }

// TestGiteaNuGetExchange swaps an identity token as the login action does, and deletes what it pushed.
func TestGiteaNuGetExchange(t *testing.T) {
	t.Parallel()
	policy := strings.Replace(strings.Replace(widgetPolicy, "acme-widget", "acme.widget", 1), "    publisher:", "    actions: [publish, delete]\n    publisher:", 1)
	r := giteaRig(t, "nuget", policy)
	header := with(bearer(r.identity(nil)), "Content-Type", "application/json")
	a := r.send(t, http.MethodPost, "/api/v2/token", header, []byte(`{"username":"ci","tokenType":"ApiKey"}`))
	var minted struct {
		Key string `json:"apiKey"`
	}
	if err := json.Unmarshal([]byte(a.Body), &minted); err != nil || minted.Key == "" {
		t.Fatalf("%d %s, %v", a.Status, a.Body, err)
	}
	refused(t, r.send(t, http.MethodPost, "/api/v2/token", header, []byte(`{"username":"ci","tokenType":"ApiKey"}`)), http.StatusUnauthorized, model.CodeReplayed)
	if a := r.nugetPush(t, nugetKey(minted.Key), fixture(t, "nuget", "Acme.Widget.1.0.0-Beta.nupkg")); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	key := nugetKey(minted.Key)
	r.unchanged(t, func() {
		refused(t, r.send(t, http.MethodDelete, r.reg.Path+"Other/1.0.0", key, nil), http.StatusForbidden, model.CodeNoMatchingPolicy)
	})
	if a := r.send(t, http.MethodDelete, r.reg.Path+"Acme.Widget/1.0.0-beta", key, nil); a.Status/100 != 2 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	r.stores(t)
}

// TestGiteaNuGetObserve: the audit names a package that was pushed with a stored key, although only its end says what it is.
func TestGiteaNuGetObserve(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "nuget", widgetPolicy, withMode("observe"))
	if a := r.nugetPush(t, bearer(r.reg.Password), fixture(t, "nuget", "Acme.Widget.1.0.0-Beta.nupkg")); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	event := r.await(t, "push with a key of the registry's", func(e model.Event) bool { return e.Operation == "push" })
	if event.Code != model.CodeTrustedPublishingOnly || event.Target == nil || event.Target.Package != "acme.widget" || event.Target.Version != "1.0.0-beta" {
		t.Errorf("the audit has %s for %+v", event.Code, event.Target)
	}
}
