package helper

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/courier"
	"github.com/trustpub/trustpub/internal/exchange"
)

// gatewayAudience is that of the gateway which the job publishes to.
const gatewayAudience = "packages.example.com"

// TestHostileRegistries: a client asks its helper for any host that a lock file, a Dockerfile or an index names. Such a host can answer like a gateway,
// and say that it wants a token for the real one: it gets none, by whatever way the job has one.
func TestHostileRegistries(t *testing.T) {
	for platform, job := range map[string]func(asked *[]string) map[string]string{
		"a platform that is asked for the audience": func(asked *[]string) map[string]string {
			runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				*asked = append(*asked, r.URL.Query().Get("audience"))
				fmt.Fprintf(w, `{"value":%q}`, identityFor(r.URL.Query().Get("audience")))
			}))
			t.Cleanup(runner.Close)
			return map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": runner.URL + "/?x=y", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"}
		},
		"a variable": func(*[]string) map[string]string {
			return map[string]string{"TRUSTPUB_ID_TOKEN": identityFor(gatewayAudience)}
		},
		"a variable with a token that is no JSON": func(*[]string) map[string]string {
			return map[string]string{"TRUSTPUB_ID_TOKEN": "e30.bm9uZQ.c2ln"}
		},
	} {
		for _, audience := range []string{gatewayAudience, "HOST"} {
			var asked, seen []string
			env := job(&asked)
			var evil *httptest.Server
			evil = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				const base = "/.well-known/trusted-publishing"
				at := strings.TrimPrefix(evil.URL, "https://")
				if r.URL.Path == base {
					fmt.Fprintf(w, `{"version":1,"registries":[{"name":"prod","ecosystem":"oci","url":"%[1]s/","audience":%[3]q,"exchange":"%[1]s%[2]s/exchange","revoke":"%[1]s%[2]s/revoke"}]}`,
						evil.URL, base, strings.Replace(audience, "HOST", at, 1))
					return
				}
				seen = append(seen, r.URL.Path)
				fmt.Fprint(w, `{"token":"tpub_x","expires_in":900}`)
			}))
			t.Cleanup(evil.Close)
			at := strings.TrimPrefix(evil.URL, "https://")
			for client, ask := range map[string]func(*Helper) error{
				"docker": func(h *Helper) error { return h.Docker(t.Context(), "get") },
				"keyring": func(h *Helper) error {
					return h.Keyring(t.Context(), []string{"get", evil.URL + "/simple/", "__token__"})
				},
				"cargo": func(h *Helper) error { return h.Cargo(t.Context(), "") },
			} {
				in := at + "\n"
				if client == "cargo" {
					in = fmt.Sprintf(`{"v":1,"registry":{"index-url":"sparse+%s/"},"kind":"get","operation":"read"}`+"\n", evil.URL)
				}
				out := &bytes.Buffer{}
				h := &Helper{In: strings.NewReader(in), Out: out, Errand: func(registry string) courier.Errand {
					j := ambient.Here()
					j.Getenv = func(name string) string { return env[name] }
					return courier.Errand{Registry: registry, Job: j, Gateway: exchange.New(evil.Client().Transport, "test")}
				}}
				err := ask(h)
				// A token for the hostile host itself is of no use to it.
				own := audience == "HOST" && strings.HasPrefix(platform, "a platform")
				if own {
					if err != nil {
						t.Errorf("%s, %s: %v", platform, client, err)
					}
					continue
				}
				if client != "cargo" && err == nil {
					t.Errorf("%s, %s: it was given something: %s", platform, client, out)
				}
				if strings.Contains(out.String(), "e30.") || strings.Contains(out.String(), "tpub_") || len(seen) > 0 {
					t.Errorf("%s, %s: it was shown a token, and asked for %v: %s", platform, client, seen, out)
				}
			}
			for _, one := range asked {
				if one != at {
					t.Errorf("%s: the platform was asked for a token whose audience is %s", platform, one)
				}
			}
		}
	}
}

// TestNamedRegistries: the host that TRUSTPUB_REGISTRY names gets a token whose audience the platform has fixed.
func TestNamedRegistries(t *testing.T) {
	h, out, at := host(t, "HOST\n")
	errand := h.Errand
	h.Errand = func(registry string) courier.Errand {
		e := errand(registry)
		e.Named = true
		e.Job.Getenv = func(name string) string {
			return map[string]string{"SEMAPHORE": "true", "SEMAPHORE_OIDC_TOKEN": identityFor("https://acme.semaphoreci.example")}[name]
		}
		return e
	}
	if err := h.Docker(t.Context(), "get"); err != nil || !strings.Contains(out.String(), identityFor("https://acme.semaphoreci.example")) {
		t.Errorf("%s: %v, printed %s", at, err, out)
	}
}
