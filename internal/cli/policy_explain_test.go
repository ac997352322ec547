package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// TestLikelyIssuer: a token's iss and claims tell its issuer where they can, and nothing is guessed where they cannot.
func TestLikelyIssuer(t *testing.T) {
	all := []policies.Issuer{{Name: "github", Provider: "github"}, {Name: "ghes", Provider: "github"}, {Name: "gitlab", Provider: "gitlab"}, {Name: "build", Provider: "oidc"}}
	sample := func(name string) map[string]any { p, _ := provider.Get(name); return p.Sample }
	cases := []struct {
		name, iss string
		claims    map[string]any
		issuers   []policies.Issuer
		want      string
	}{
		{"well known", "https://token.actions.githubusercontent.com", sample("github"), all, "github,ghes"},
		{"well known, alone", "https://token.actions.githubusercontent.com", sample("github"), append([]policies.Issuer{all[0]}, all[2:]...), "github"},
		{"own server", "https://git.example.com", sample("gitlab"), all, "gitlab"},
		{"anything", "https://build.example.com", map[string]any{"sub": "x"}, all, "build"},
		{"no iss", "", nil, all, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var names []string
			for _, one := range likely(c.issuers, c.iss, c.claims) {
				names = append(names, one.Name)
			}
			if got := strings.Join(names, ","); got != c.want {
				t.Errorf("got %q, expected %q", got, c.want)
			}
		})
	}
}

// BenchmarkExplain is the whole command: what it does beyond the start of the process has to stay below 50 ms.
func BenchmarkExplain(b *testing.B) {
	dir := b.TempDir()
	token, path := filepath.Join(dir, "token"), filepath.Join(dir, "widget.yaml")
	claims := `{"iss":"https://token.actions.githubusercontent.com","repository":"acme/widget","repository_owner_id":"222"}`
	for name, text := range map[string]string{
		token: encoded(`{"alg":"none"}`) + "." + encoded(claims) + ".\n",
		path:  "policies:\n- {name: a, registry: r, packages: [p], publisher: {github: {repository: acme/widget, repository_owner_id: \"222\"}}}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var out, errw bytes.Buffer
		args := []string{"policy", "explain", "--token", token, "--package", "p", "--policies", path}
		if code := Main(context.Background(), Options{Name: "trustpub", Now: fixedNow}, args, nil, &out, &errw); code != ExitFailed || errw.Len() > 0 {
			b.Fatalf("exit code %d: %s", code, &errw)
		}
	}
}
