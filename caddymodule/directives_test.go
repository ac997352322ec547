package caddymodule_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/caddymodule"
)

// Every field of the configuration is named in docs/caddyfile.md, under the word that the Caddyfile has for it.
func TestEveryDirectiveIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{ // where the Caddyfile's word is another than JSON's
		"issuers": "issuer", "registries": "registry", "audiences": "audience", "direct_off": "direct off", "public_url": "PUBLIC-URL",
		"provider": "PROVIDER", "url": "URL", "ecosystem": "ECOSYSTEM", "method": "METHOD", "prefix": "PREFIX", "policy_bounds": "policies PATH... {",
	}
	for _, v := range []any{caddymodule.App{}, caddymodule.Limits{}, caddymodule.Handler{}, caddymodule.Registry{}, caddymodule.Issuer{}, caddymodule.Passthrough{}} {
		for i := range reflect.TypeOf(v).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if word, ok := words[name]; ok {
				name = word
			}
			if !strings.Contains(string(text), name) {
				t.Errorf("docs/caddyfile.md does not mention %s", name)
			}
		}
	}
}
