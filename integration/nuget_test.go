package integration

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// nugetPolicy grants acme.widget; what a test deletes needs more.
var nugetPolicy = strings.Replace(strings.Replace(widgetPolicy, "acme-widget", "acme.widget", 1), "    publisher:", "    actions: [publish, delete]\n    publisher:", 1)

// TestNuGet pushes and deletes with nuget itself. Its form lacks the CR before the closing boundary, so that Gitea finds no end in it;
// with the end that the gateway gives it, Gitea reads what was judged.
func TestNuGet(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "nuget", nugetPolicy)
	push := func(t *testing.T, url, key, id, version string) client.Result {
		t.Helper()
		got, err := r.home(nil).NuGetPush(t.Context(), url, key, id, version)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r.unchanged(t, func() {
		if got := push(t, "http://"+r.reg.Addr+r.reg.Path, r.reg.Password, "Acme.Widget", "1.0.0"); got.Code == 0 || !strings.Contains(got.Output, "(400)") {
			t.Errorf("gitea takes nuget's form without the gateway, which the page about it denies: exit status %d\n%s", got.Code, got.Output)
		}
	})
	used := r.identity(nil)
	if got := push(t, r.site.Public(), used, "Acme.Widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	stored := []string{"Acme.Widget/1.0.0/acme.widget.1.0.0.nupkg", "Acme.Widget/1.0.0/acme.widget.nuspec"}
	r.stores(t, stored...)
	event := r.await(t, "decision of the push", func(e model.Event) bool { return e.Kind == model.EventDecision && e.Decision == "allow" })
	if held := r.files()[stored[0]]; held != event.SHA256 {
		t.Errorf("gitea holds %s, judged was %s", held, event.SHA256)
	}
	for _, tc := range []struct{ name, key, id, version string }{
		{"another-package", r.identity(nil), "Acme.Gadget", "1.0.0"},
		{"another-repository", r.identity(otherRepository), "Acme.Widget", "2.0.0"},
		{"a-stranger", r.identity(foreignRepository), "Acme.Widget", "2.0.0"},
		{"a-replayed-token", used, "Acme.Widget", "2.0.0"},
		{"a-version-that-exists", r.identity(nil), "Acme.Widget", "1.0.0"},
		{"a-stolen-key", r.reg.Password, "Acme.Widget", "2.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				got := push(t, r.site.Public(), tc.key, tc.id, tc.version)
				if got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
				golden(t, "nuget-"+tc.name, got)
			})
		})
	}
	remove := func(id, key string) client.Result {
		got, err := r.home(nil).NuGetDelete(t.Context(), r.site.Public(), key, id, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r.unchanged(t, func() {
		got := remove("Acme.Gadget", r.identity(nil))
		if got.Code == 0 {
			t.Errorf("exit status 0\n%s", got.Output)
		}
		golden(t, "nuget-a-deletion-of-another-package", got)
	})
	if got := remove("Acme.Widget", r.identity(nil)); got.Code != 0 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	r.stores(t)
	r.onlyForeign(t)
}

// TestNuGetSymbols pushes symbols behind their package, and asks for a relist, which Gitea does not know.
func TestNuGetSymbols(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "nuget", nugetPolicy)
	symbols := func(token, id string, pdb []byte) answer {
		const boundary = "3576595b-8e57-4d70-91bb-701d5aab54ea"
		body := nugetForm(boundary, symbolPackage(t, id, pdb))
		return r.send(t, http.MethodPut, r.reg.Path+"symbolpackage", with(nugetKey(token), "Content-Type", `multipart/form-data; boundary="`+boundary+`"`), body)
	}
	const id = "Acme.Widget"
	r.unchanged(t, func() {
		if a := symbols(r.identity(nil), id, portablePDB()); a.Status != http.StatusNotFound {
			t.Errorf("symbols of a package that is not there: %d %s", a.Status, a.Body)
		}
	})
	if a := r.nugetPush(t, nugetKey(r.identity(nil)), fixture(t, "nuget", "Acme.Widget.1.0.0-Beta.nupkg")); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r.unchanged(t, func() {
		refused(t, symbols(r.identity(nil), "Acme.Gadget", portablePDB()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		refused(t, symbols(r.identity(otherRepository), id, portablePDB()), http.StatusForbidden, model.CodeNoMatchingPolicy)
		if a := symbols(r.identity(nil), id, []byte("no symbols")); a.Status != http.StatusBadRequest {
			t.Errorf("symbols that are none: %d %s", a.Status, a.Body)
		}
	})
	if a := symbols(r.identity(nil), id, portablePDB()); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r.stores(t,
		"Acme.Widget/1.0.0-Beta/acme.widget.1.0.0-beta.nupkg", "Acme.Widget/1.0.0-Beta/acme.widget.1.0.0-beta.snupkg",
		"Acme.Widget/1.0.0-Beta/acme.widget.nuspec", "Acme.Widget/1.0.0-Beta/widget.pdb")
	event := r.await(t, "push of symbols", func(e model.Event) bool {
		return e.Kind == model.EventDecision && e.Operation == "push-symbols" && e.Decision == "allow" && e.SHA256 != ""
	})
	if event.Target.File != "acme.widget.1.0.0-beta.snupkg" {
		t.Errorf("the audit has %+v", event.Target)
	}
	r.unchanged(t, func() {
		relist := func(id, token string) answer {
			return r.send(t, http.MethodPost, r.reg.Path+id+"/1.0.0-beta", nugetKey(token), nil)
		}
		refused(t, relist("Acme.Gadget", r.identity(nil)), http.StatusForbidden, model.CodeNoMatchingPolicy)
		if a := relist(id, r.identity(nil)); a.Status != http.StatusMethodNotAllowed {
			t.Errorf("a relist: %d %s", a.Status, a.Body)
		}
	})
	r.onlyForeign(t)
}

// symbolPackage is what dotnet packs of a package's symbols.
func symbolPackage(t *testing.T, id string, pdb []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range []struct{ name, text string }{
		{id + ".nuspec", "<package><metadata><id>" + id + "</id><version>1.0.0-Beta</version><authors>tests</authors><description>symbols</description>" +
			`<packageTypes><packageType name="SymbolsPackage" /></packageTypes></metadata></package>`},
		{"lib/net8.0/widget.pdb", string(pdb)},
	} {
		e, err := w.Create(f.name)
		if err == nil {
			_, err = e.Write([]byte(f.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// portablePDB is the head of symbols: the signature, a version, and one stream, in which the id stands.
func portablePDB() []byte {
	b := []byte("BSJB\x01\x00\x01\x00\x00\x00\x00\x00\x0c\x00\x00\x00PDB v1.0\x00\x00\x00\x00\x00\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)+16))
	b = binary.LittleEndian.AppendUint32(b, 20)
	b = append(b, "#Pdb\x00\x00\x00\x00"...)
	return append(b, "0123456789abcdef0000"...)
}
