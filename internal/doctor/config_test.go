package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// gateway is a configuration with one site for a registry, and what a case adds.
func gateway(site, more string) string {
	return `{"apps":{"http":{"servers":{"srv0":{"routes":[
		{"match":[{"host":["pypi.example.com"]}],"handle":[{"handler":"subroute","routes":[
			{"handle":[{"handler":"trusted_publishing","registries":[{"name":"internal-pypi"}]}]},
			{"handle":[{"handler":"subroute","routes":[{"handle":[` + site + `]}]}]}]}]}` + more
}

const rest = `]}}}}}`

// headerSource sends its credential in a header of its own.
type headerSource struct{}

func (headerSource) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{Header: http.Header{"X-Api-Key": {"x"}}}, nil
}

func (headerSource) Carries() []string { return []string{"X-Api-Key"} }

// TestSettings: one weak setting each, and one line about it.
func TestSettings(t *testing.T) {
	registries := []Registry{{Name: "internal-pypi", Public: address(t, "https://pypi.example.com/"), Source: headerSource{}}}
	local := `{"handler":"reverse_proxy","upstreams":[{"dial":"127.0.0.1:3141"}]}`
	proxy := func(dial, more string) string {
		return `{"handler":"reverse_proxy","upstreams":[{"dial":"` + dial + `"}]` + more + `}`
	}
	for _, tc := range []struct{ name, config, want string }{
		{"nothing", gateway(local, rest), ""},
		{"plain HTTP to another host", gateway(proxy("devpi:3141", ""), rest), "warn upstream internal-pypi: devpi:3141 is plain HTTP"},
		{"TLS to another host", gateway(proxy("devpi:443", `,"transport":{"protocol":"http","tls":{}}`), rest), ""},
		{"a socket", gateway(proxy("unix//run/devpi.sock", ""), rest), ""},
		{"an address of the moment", gateway(proxy("{http.vars.upstream}", ""), rest), ""},
		{"another site", gateway(local, `,{"match":[{"host":["old.example.com"]}],"handle":[`+local+`]}`+rest), "fail around: the site old.example.com leads to 127.0.0.1:3141"},
		{"a site for any host", gateway(local, `,{"handle":[`+local+`]}`+rest), "fail around: a site for any host (srv0) leads to 127.0.0.1:3141"},
		{"another site to something else", gateway(local, `,{"match":[{"host":["www.example.com"]}],"handle":[`+proxy("127.0.0.1:80", "")+`]}`+rest), ""},
		{
			"error routes", gateway(local, `],"errors":{"routes":[{"match":[{"host":["pypi.example.com"]}],"handle":[`+local+`]}]}}}}}}`),
			"fail around: the site pypi.example.com leads to 127.0.0.1:3141 in its error routes",
		},
		{"the admin API", strings.Replace(gateway(local, rest), `{"apps"`, `{"admin":{"listen":":2019"},"apps"`, 1), "fail admin: the admin API listens on :2019"},
		{"a socket of the admin API", strings.Replace(gateway(local, rest), `{"apps"`, `{"admin":{"listen":"unix//run/caddy.sock"},"apps"`, 1), ""},
		{"no admin API", strings.Replace(gateway(local, rest), `{"apps"`, `{"admin":{"disabled":true,"listen":":2019"},"apps"`, 1), ""},
		{"IPv6 of this machine", strings.Replace(gateway(local, rest), `{"apps"`, `{"admin":{"listen":"[::1]:2019"},"apps"`, 1), ""},
		{
			"local_certs", strings.Replace(gateway(local, rest), `{"apps":{`, `{"apps":{"tls":{"automation":{"policies":[{"issuers":[{"module":"internal"}]}]}},`, 1),
			"warn tls internal-pypi: the certificate of pypi.example.com comes from Caddy's own authority",
		},
		{"tls internal of another host", strings.Replace(gateway(local, rest), `{"apps":{`, `{"apps":{"tls":{"automation":{"policies":[{"subjects":["x.example.com"],"issuers":[{"module":"internal"}]}]}},`, 1), ""},
		{
			"a debug log", strings.Replace(gateway(local, rest), `{"apps"`, `{"logging":{"logs":{"default":{"level":"DEBUG"}}},"apps"`, 1),
			"fail logs default: the log has level DEBUG and shows X-Api-Key",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := ParseConfig([]byte(tc.config))
			if err != nil {
				t.Fatal(err)
			}
			r := Run(t.Context(), []Check{c.Upstreams(), c.Around(), c.AdminAPI("localhost:2019"), c.Certificates(registries), c.Debug(registries)}, Options{})
			var got []string
			for _, f := range r.Findings {
				if f.Status != OK {
					got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s %s", f.Status, f.Area, f.Subject), " ")+": "+f.Message)
					if f.Help == "" {
						t.Errorf("%s: it does not say what to do", f.Message)
					}
				}
			}
			if tc.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || tc.want == "" || !strings.HasPrefix(got[0], tc.want) {
				t.Errorf("got %q, expected %q", got, tc.want)
			}
			if diff := cmp.Diff([]string{"srv0"}, c.ServersOf("internal-pypi")); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNodes: what several gateways have to share, and what one need not.
func TestNodes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		check Check
		want  Status
	}{
		{"one", Nodes(0, "local", false, false, "/data"), OK},
		{"one with a shared store", Nodes(1, "redis", true, false, "/data"), OK},
		{"one that forgets", Nodes(1, "memory", false, false, "/data"), Warn},
		{"two with keys in a folder", Nodes(2, "redis", true, false, "/data"), Warn},
		{"two with a mounted key", Nodes(2, "redis", true, true, "/data"), OK},
		{"two with keys in a storage elsewhere", Nodes(2, "redis", true, false, ""), OK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.check.Run(t.Context()); len(got) != 1 || got[0].Status != tc.want {
				t.Errorf("got %+v, expected %s", got, tc.want)
			}
		})
	}
}

// FuzzParseConfig: no configuration, however odd, breaks the doctor.
func FuzzParseConfig(f *testing.F) {
	f.Add(gateway(`{"handler":"reverse_proxy","handle_response":[{"routes":[{"handle":[{"handler":"subroute"}]}]}]}`, rest))
	f.Add(`{"apps":{"http":{"servers":{"a":null}}}}`)
	f.Add(`{"logging":{"logs":{"default":{"level":"debug"}}},"admin":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig([]byte(text))
		if err != nil {
			return
		}
		registries := []Registry{{Name: "internal-pypi", Public: address(t, "https://pypi.example.com/"), Source: headerSource{}}}
		for _, check := range []Check{c.Upstreams(), c.Around(), c.AdminAPI("localhost:2019"), c.Certificates(registries), c.Debug(registries)} {
			check.Run(t.Context())
		}
	})
}
