package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/google/go-cmp/cmp"

	_ "github.com/trustpub/trustpub/caddymodule"
	_ "github.com/trustpub/trustpub/caddymodule/azure"
	_ "github.com/trustpub/trustpub/caddymodule/codeartifact"
)

var update = flag.Bool("update", false, "write the golden files anew")

const separator = "\n----------\n"

// adapt adapts a Caddyfile that lies, so to speak, in /etc/caddy.
func adapt(caddyfile string) ([]byte, error) {
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "/etc/caddy/Caddyfile"})
	return out, err
}

// TestAdapt compares each testdata/adapt/*.caddyfiletest: a Caddyfile, ten dashes, and the adapted JSON or the error.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, _ := strings.Cut(string(raw), separator)
			got := ""
			if out, err := adapt(in); err != nil {
				got = err.Error() + "\n"
			} else {
				var pretty bytes.Buffer
				if err := json.Indent(&pretty, out, "", "\t"); err != nil {
					t.Fatal(err)
				}
				got = pretty.String() + "\n"
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.TrimSuffix(in, "\n")+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("adapted configuration (-want +got):\n%s", diff)
			}
		})
	}
}

// The secrets that must not leave the Caddyfile, in every place where one could be written.
func TestInvariantSecretsStayInsideAdaptedConfig(t *testing.T) {
	const canary = "canary-9b1f"
	t.Setenv("TRUSTPUB_TEST_CANARY", canary)
	for _, value := range []string{canary, "{$TRUSTPUB_TEST_CANARY}", "{http.request.header." + canary + "}", "{" + canary + "}", "x{env.X}" + canary, `"` + canary + ` twice"`} {
		for _, place := range []struct{ name, global, credential string }{
			{"basic", "", "static {\nbasic publisher " + value + "\n}"},
			{"basic with one too many", "", "static {\nbasic publisher " + value + " more\n}"},
			{"basic without user", "", "static {\nbasic " + value + "\n}"},
			{"bearer", "", "static {\nbearer " + value + "\n}"},
			{"bearer twice", "", "static {\nbearer {env.A}\nbearer " + value + "\n}"},
			{"header", "", "static {\nheader X-Api-Key " + value + "\n}"},
			{"devpi", "", "devpi {\ntoken " + value + "\n}"},
			{"devpi on the line", "", "devpi " + value},
			{"gitea", "", "gitea {\nurl http://gitea:3000\nuser bot\npassword " + value + "\n}"},
			{"reposilite", "", "reposilite {\nurl http://reposilite:8080\nuser bot\npassword " + value + "\n}"},
			{"harbor", "", "harbor {\nurl http://harbor:8080\nuser bot\npassword " + value + "\n}"},
			{"hexpm", "", "hexpm {\nurl http://hexpm:4000\nkey " + value + "\n}"},
			{"nexus", "", "nexus {\nurl http://nexus:8081\nuser bot\nrole publisher\npassword " + value + "\n}"},
			{"nexus as it stands", "", "nexus {\nfixed " + value + "\n}"},
			{"zot", "", "zot {\nurl http://zot:8080\nuser bot\npassword " + value + "\n}"},
			{"gitlab", "", "gitlab {\nurl http://gitlab:3000\nproject 1\ntoken " + value + "\n}"},
			{"token key", "token_key " + value, "static {\nbearer {env.A}\n}"},
			{"token key with one too many", "token_key {env.A} " + value, "static {\nbearer {env.A}\n}"},
		} {
			t.Run(place.name+" "+strings.ReplaceAll(value, canary, "CANARY"), func(t *testing.T) {
				out, err := adapt("{\ntrusted_publishing {\npolicies ./policies\nissuer github\n" + place.global + "\n}\n}\n" +
					"pypi.example.com {\ntrusted_publishing {\nregistry internal-pypi pypi https://pypi.example.com/root/prod/ {\ncredential " +
					place.credential + "\n}\n}\n}\n")
				if err == nil {
					t.Errorf("the configuration was accepted")
				} else if bytes.Contains([]byte(err.Error()), []byte(canary)) {
					t.Errorf("the error quotes the secret: %v", err)
				}
				if bytes.Contains(out, []byte(canary)) {
					t.Errorf("the adapted configuration has the secret: %s", out)
				}
			})
		}
	}
}

// The example that the repository ships is valid, whole.
func TestExampleCaddyfile(t *testing.T) {
	path, err := filepath.Abs("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(raw, map[string]any{"filename": path})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	var cfg caddy.Config
	if err := json.Unmarshal(out, &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&cfg); err != nil {
		t.Errorf("validate: %v", err)
	}
}
