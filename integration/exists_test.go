package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/demo/oci"
	"github.com/trustpub/trustpub/internal/model"
)

// pluginPolicy grants a pattern; firstPolicy grants first publishes of it too.
const (
	pluginPolicy = `policies:
  - name: plugins
    registry: internal-pypi
    packages: ["acme-plugin-*"]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
`
	firstPolicy = pluginPolicy + "    new_packages: true\n"
)

// TestFirstPublish: where only a pattern covers a name, the registry is asked whether it has the package of its own.
func TestFirstPublish(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var lines []string
			if kind == "pypiserver" {
				lines = []string{"exists /simple/{package}/"}
			}
			reg := newRegistry(t, kind)
			before := startRig(t, reg, withPolicy("widget.yaml", firstPolicy), withLines(lines...))
			publish := func(r *rig, pkg, version string, code model.Code) artifact {
				t.Helper()
				w := newWheel(t, pkg, version)
				got := r.upload(t, bearer(r.identity(nil)), w.form())
				if code != "" {
					refused(t, got, code.Info().Status, code)
				} else if got.Status != 200 {
					t.Errorf("%s %s: got %d %s", pkg, version, got.Status, got.Body)
				}
				return w
			}
			first := publish(before, "acme-plugin-one", "1.0", "")
			after := startRig(t, reg, withPolicy("widget.yaml", pluginPolicy), withLines(lines...))
			second := publish(after, "acme-plugin-one", "1.1", "")
			publish(after, "acme-plugin-two", "1.0", model.CodeNewPackage)
			publish(after, "acme-plugin-two", "1.0", model.CodeNewPackage)
			after.holds(t, first, second)
		})
	}
}

// TestFirstPublishIntoAnIndexWithBases: a package that only a base of the index has is a new one.
func TestFirstPublishIntoAnIndexWithBases(t *testing.T) {
	t.Parallel()
	base := newRegistry(t, "devpi")
	from := startRig(t, base, withPolicy("widget.yaml", firstPolicy))
	w := newWheel(t, "acme-plugin-one", "1.0")
	if got := from.upload(t, bearer(from.identity(nil)), w.form()); got.Status != 200 {
		t.Fatalf("into the base: got %d %s", got.Status, got.Body)
	}
	devpi, err := shared.devpi()
	if err != nil {
		t.Fatal(err)
	}
	var reg *registry.Registry
	if reg, err = devpi.Index(t.Context(), "i"+random(6), path.Base(base.Path)); err != nil {
		t.Fatal(err)
	}
	r := startRig(t, reg, withPolicy("widget.yaml", pluginPolicy))
	refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-plugin-one", "1.1").form()), model.CodeNewPackage.Info().Status, model.CodeNewPackage)
}

// TestFirstPublishWhereNobodyCanTell: without a way to ask, what only a pattern covers is refused.
func TestFirstPublishWhereNobodyCanTell(t *testing.T) {
	t.Parallel()
	r := newRig(t, "pypiserver", withPolicy("widget.yaml", pluginPolicy))
	refused(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-plugin-one", "1.0").form()), model.CodeNewPackage.Info().Status, model.CodeNewPackage)
	r.holds(t)
}

// TestRefusedQuestion: a registry that refuses our credential when it is asked whether the file is there gets no upload, and the denial says what is
// wrong, in each ecosystem that asks.
func TestRefusedQuestion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ecosystem, pkg, path, file, accept string
		lines                              []string
		body                               string
	}{
		{ecosystem: "maven", pkg: "com.example:widget", path: "/maven/", file: "com/example/widget/1.0/widget-1.0.jar", body: "jar"},
		{ecosystem: "generic", pkg: "acme-widget", path: "/files/", file: "acme-widget/1.0/widget.bin", body: "bin", lines: []string{"layout /{package}/{version}/{file}"}},
		{ecosystem: "oci", pkg: "acme/widget", path: "/v2/", file: "acme/widget/manifests/1.0", accept: oci.ManifestType, body: `{"schemaVersion":2,"mediaType":"` + oci.ManifestType + `"}`},
	} {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			t.Run(fmt.Sprintf("%s %d", tc.ecosystem, status), func(t *testing.T) {
				t.Parallel()
				asked := make(chan string, 8)
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					_, _ = io.Copy(io.Discard, q.Body) // what it gets does not matter
					asked <- q.Method + " " + q.URL.Path
					w.WriteHeader(status)
				}))
				t.Cleanup(server.Close)
				reg := sink(t)
				reg.Addr, reg.Path = strings.TrimPrefix(server.URL, "http://"), tc.path
				policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+tc.pkg+`"]`, 1)
				r := startRig(t, reg, withEcosystem(tc.ecosystem), withPolicy("widget.yaml", policy), withLines(tc.lines...))
				header := bearer(r.identity(nil))
				if tc.accept != "" {
					header.Set("Content-Type", tc.accept)
				}
				a := r.send(t, http.MethodPut, tc.path+tc.file, header, []byte(tc.body))
				if text := string(model.CodeUpstreamRefusedCredential); a.Status != http.StatusBadGateway || !strings.Contains(a.Body, text) {
					t.Errorf("got %d %s, expected 502 with %s", a.Status, a.Body, text)
				}
				if len(asked) != 1 {
					t.Fatalf("the registry was asked %d times, expected once", len(asked))
				}
				if got := <-asked; got != "HEAD "+tc.path+tc.file {
					t.Errorf("the registry was asked %s, expected the question alone", got)
				}
				r.await(t, "outcome of the upload", func(e model.Event) bool { return e.Code == model.CodeUpstreamRefusedCredential })
			})
		}
	}
}
