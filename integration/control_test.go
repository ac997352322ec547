package integration

import (
	"testing"

	"github.com/trustpub/trustpub/integration/client"
)

// TestControl publishes to each registry with each client without the gateway: it shows that the stored password, which every
// refusal of the matrix presents, is a good one, and that the registries store what they are sent.
func TestControl(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, reg: newRegistry(t, kind)}
			login := client.Login{User: r.reg.User, Password: r.reg.Password}
			var stored []artifact
			for name, publish := range map[string]func(artifact) (client.Result, error){
				"uv": func(w artifact) (client.Result, error) {
					return r.home(nil).UV(t.Context(), r.reg.Upload(), &login, w.path)
				},
				"pdm": func(w artifact) (client.Result, error) {
					return r.home(nil).PDM(t.Context(), r.reg.Upload(), &login, w.path)
				},
				"twine": func(w artifact) (client.Result, error) {
					return r.home(nil).Twine(t.Context(), r.reg.Upload(), login, w.path)
				},
				"curl": func(w artifact) (client.Result, error) {
					auth := []string{"--user", login.User + ":" + login.Password}
					return r.home(nil).Curl(t.Context(), r.reg.Upload(), auth, w.form().Fields(), w.path)
				},
			} {
				w := newWheel(t, "acme-"+name, "1.0")
				stored = append(stored, w)
				got, err := publish(w)
				if err != nil {
					t.Fatal(err)
				}
				if got.Code != 0 {
					t.Errorf("%s: exit status %d, expected 0\n%s", name, got.Code, got.Output)
				}
			}
			r.holds(t, stored...)
		})
	}
}
