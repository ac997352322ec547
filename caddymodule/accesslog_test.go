package caddymodule

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/gateway"
)

// Access logs that would show a credential are warned about, once, with every header that the registries' ecosystems and the gateway
// read one from.
func TestWarnsAboutLoggedCredentials(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	nuget := "}\n\t\tregistry nuget nuget http://" + r.addr + "/nuget/ {\n\t\t\tcredential static {\n\t\t\t\tbearer {file." + r.dir + "/secret}\n\t\t\t}\n"
	r.mustLoad(strings.Replace(r.caddyfile("", nuget, ""), "\tmetrics\n", "\tmetrics\n\tservers {\n\t\tlog_credentials\n\t}\n", 1))
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	log := r.read("caddy.log")
	for _, want := range []string{
		"the access log shows credentials", "the access log shows headers",
		"Deploy-Token Job-Token Private-Token X-Api-Key X-Devpi-Auth X-Jfrog-Art-Api X-Nuget-Apikey X-Trustpub-Identity",
	} {
		if n := strings.Count(log, want); n != 1 {
			t.Errorf("the log has %q %d times, expected it once", want, n)
		}
	}
}

// logBlock is the format of the access log that a page of the project shows.
func logBlock(t *testing.T, page string) string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)format filter \{\n.*?\}`).Find(b)
	if block == nil {
		t.Fatalf("%s has no format of a log", page)
	}
	return string(block)
}

// The formats that the project shows leave every header out in which a client may have sent a credential; without one they are all
// in the log, which shows that they were looked for in the right place.
func TestShownLogFormatsHideCredentials(t *testing.T) {
	var carriers []string
	for _, kind := range ecosystems {
		settings := ecosystem.Settings{Registry: kind.Name, Public: &url.URL{Scheme: "https", Host: "packages.example.com", Path: "/"}}
		switch kind.Name {
		case "generic":
			settings.Layout = "/{package}/{file}"
		case "oci":
			settings.Public.Path = "/v2/"
		}
		eco, err := kind.New(settings)
		if err != nil {
			t.Fatal(err)
		}
		carriers = append(carriers, eco.Carriers()...)
	}
	carriers = append(carriers, append(gateway.CredentialHeaders(), "X-Trustpub-Identity", "Proxy-Authorization")...)
	slices.Sort(carriers)
	carriers = slices.Compact(carriers)
	for name, tc := range map[string]struct {
		format string
		want   []string
	}{
		"Caddyfile.example": {logBlock(t, "../Caddyfile.example"), nil},
		"operations.md":     {logBlock(t, "../docs/operations.md"), nil},
		"no format":         {"", slices.DeleteFunc(slices.Clone(carriers), func(h string) bool { return redacted[h] })},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, answer(http.StatusOK))
			r.mustLoad(strings.Replace(r.caddyfile("", "", ""), "/access.log\n", "/access.log\n\t\t"+tc.format+"\n", 1))
			for _, header := range carriers {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set(header, "canary-"+header)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if err := res.Body.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			log := r.await("access.log", "handled request", len(carriers))
			if n := strings.Count(log, "handled request"); n != len(carriers) {
				t.Fatalf("the access log has %d requests, expected %d", n, len(carriers))
			}
			var shown []string
			for _, header := range carriers {
				if strings.Contains(log, "canary-"+header) {
					shown = append(shown, header)
				}
			}
			if diff := cmp.Diff(tc.want, shown); diff != "" {
				t.Errorf("headers in the access log (-want +got):\n%s", diff)
			}
		})
	}
}
