package gateway_test

import (
	"fmt"
	"net/http"
	"testing"

	credentials "github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/static"
	"github.com/trustpub/trustpub/internal/gateway"
)

// TestClientNamesNoUserOfTheGateways: a registry that believes a header, since only the gateway can send it, gets it from nobody else:
// neither with a read that passes as it is, nor in observe mode.
func TestClientNamesNoUserOfTheGateways(t *testing.T) {
	for _, mode := range []gateway.Mode{gateway.ModeEnforce, gateway.ModeClaimed, gateway.ModeObserve} {
		t.Run(string(mode), func(t *testing.T) {
			h := open(t, func(reg *gateway.Registry, _ *gateway.Config) {
				config := static.Kind.New().(*static.Config)
				config.Header = &static.Header{Name: "X-Team-User", Value: "{env.TRUSTPUB_TEST_PASSWORD}"}
				source, err := config.Provision(credentials.Env{Registry: "internal-pypi", Ecosystem: "pypi"})
				if err != nil {
					t.Fatal(err)
				}
				reg.Source, reg.Mode = source, mode
			})
			var seen []string
			h.upstream.behave(func(_ http.ResponseWriter, r *http.Request) {
				seen = append(seen, fmt.Sprint(r.Method, r.Header["X-Team-User"]))
			})
			evil := http.Header{"X-Team-User": {"admin"}}
			r, _ := http.NewRequest(http.MethodGet, h.registry.Public.JoinPath("+simple/acme-widget/").String(), nil)
			r.Header = evil.Clone()
			h.do(r)
			h.publish(upload{header: evil.Clone()})
			h.publish(upload{name: "other", version: "1.0", header: http.Header{"X-Team-User": {"admin"}, "Authorization": {"Basic dXNlcjpwYXNzd29yZA=="}}})
			h.publish(upload{header: evil.Clone(), token: h.identity()})
			for _, s := range seen {
				if s != "GET[]" && s != "POST[]" && s != "POST["+registryPassword+"]" {
					t.Errorf("the registry saw %s", s)
				}
			}
			if got := seen[len(seen)-1]; got != "POST["+registryPassword+"]" {
				t.Errorf("the publish came with %s", got)
			}
		})
	}
}
