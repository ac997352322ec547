package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/registry"
)

var secretPath = regexp.MustCompile(`\{file\.([^}]+)\}`)

// TestDoctorCredentials: of real registries with credentials of different kinds, what the doctor says of one that is right and of one
// that is wrong; whatever it made is gone afterwards.
func TestDoctorCredentials(t *testing.T) {
	t.Parallel()
	wrongSecret := func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "wrong")
		if err := os.WriteFile(path, []byte("canary-of-a-wrong-secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		kind, ecosystem string
		reg             func(*testing.T) *registry.Registry
		wrong           func(t *testing.T, dir string) string
		right, bad      line
	}{
		{
			"verdaccio", "npm", func(t *testing.T) *registry.Registry { return newRegistry(t, "verdaccio") }, wrongSecret,
			line{Status: "ok", Message: "the registry accepts what credential static makes"},
			line{Status: "fail", Message: "the registry takes what credential static makes for nobody's (/-/whoami)"},
		},
		{
			"distribution", "oci", func(t *testing.T) *registry.Registry { return newRegistry(t, "distribution") },
			func(t *testing.T, dir string) string {
				key := filepath.Join(dir, "key.json")
				if out, err := exec.CommandContext(t.Context(), shared.program, "trustpub", "oci-keys", "--key", key, "--jwks", filepath.Join(dir, "jwks.json")).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				return key
			},
			line{Status: "ok", Message: "the registry accepts what credential distribution makes, and answers 401 Unauthorized to a wrong one"},
			line{Status: "fail", Message: "the registry refuses what credential distribution makes: it answers 401 Unauthorized to /v2/"},
		},
		{
			"gitea", "generic", func(t *testing.T) *registry.Registry { return newGitea(t, "generic") }, wrongSecret,
			line{Status: "ok", Message: "the API that credential gitea asks has made one"},
			line{Status: "fail", Message: "got 401, expected 201"},
		},
		{
			"pypiserver", "pypi", func(t *testing.T) *registry.Registry { return newRegistry(t, "pypiserver") }, wrongSecret,
			line{Status: "skip", Message: "credential static was made; whether the registry accepts it can't be told, since it answers 200 OK to a wrong one too"},
			line{Status: "skip", Message: "credential static was made; whether the registry accepts it can't be told, since it answers 200 OK to a wrong one too"},
		},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			reg := tc.reg(t)
			whole := reg.Credential
			look := func(want line) {
				t.Helper()
				options := []option{withEcosystem(tc.ecosystem)}
				if tc.ecosystem == "generic" {
					options = append(options, withLines("layout /{package}/{version}/{file}"))
				}
				r := prepareRig(t, reg, options...)
				out, _ := r.gw.Command(t.Context(), "trustpub", "doctor", "--json", "--config", filepath.Join(r.gw.Dir, "Caddyfile"))
				for _, secret := range append(reg.Secrets, "canary-of-a-wrong-secret") {
					if strings.Contains(out, secret) {
						t.Errorf("the doctor printed a secret:\n%s", out)
					}
				}
				_, all := report(t, client.Result{Output: out})
				var got []line
				for _, l := range all {
					if l.Area == "credential" {
						if strings.Contains(l.Message, want.Message) {
							l.Message = want.Message
						}
						got = append(got, l)
					}
				}
				want.Area, want.Subject = "credential", registryName
				if diff := cmp.Diff([]line{want}, got, cmpopts.IgnoreFields(line{}, "Help")); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if tc.kind == "gitea" {
					r.onlyForeign(t)
				}
			}
			look(tc.right)
			reg.Credential = strings.ReplaceAll(whole, secretPath.FindStringSubmatch(whole)[1], tc.wrong(t, t.TempDir()))
			look(tc.bad)
		})
	}
}
