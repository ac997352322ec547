package integration

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/integration/tap"
)

// everywhere is all text that a gateway leaves behind or shows, by where it is.
func everywhere(t *testing.T, r *rig, answers string) map[string]string {
	t.Helper()
	all := map[string]string{"the answers": answers, "the logs": r.gw.Logs()}
	for _, path := range []string{"/trusted_publishing/status", "/metrics", "/config/"} {
		text, err := r.gw.Admin(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		all["GET "+path] = text
	}
	adapted, err := r.gw.Command(t.Context(), "adapt", "--config", filepath.Join(r.gw.Dir, "Caddyfile"), "--adapter", "caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	all["the adapted configuration"] = adapted
	err = filepath.WalkDir(r.gw.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type() != 0 {
			return err
		}
		b, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, r.gw.Dir)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"the logs", "/audit.jsonl"} {
		if len(all[part]) == 0 {
			t.Errorf("%s: empty, so that nothing was looked for", part)
		}
	}
	if !strings.Contains(all["GET /metrics"], "trusted_publishing_") {
		t.Error("the metrics have nothing of trusted publishing")
	}
	return all
}

// issued are the credentials that the gateway gave to the registry, and their parts.
func issued(t *testing.T, p *tap.Tap) []string {
	t.Helper()
	var all []string
	for _, r := range uploads(t, p) {
		scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		if !ok {
			continue
		}
		all = append(all, value)
		if strings.EqualFold(scheme, "Basic") {
			if pair, err := base64.StdEncoding.DecodeString(value); err == nil {
				if _, password, ok := strings.Cut(string(pair), ":"); ok && password != "" {
					all = append(all, password)
				}
			}
		}
	}
	if len(all) == 0 {
		t.Error("the registry got no credential, so that none was looked for")
	}
	return all
}

// notIn fails the test where a text has a secret, or the secret part of one.
func notIn(t testing.TB, where, text string, tokens []string, reg *registry.Registry) {
	t.Helper()
	for _, secret := range append(append([]string{}, tokens...), reg.Secrets...) {
		parts := []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))}
		if dot := strings.LastIndexByte(secret, '.'); dot > 0 {
			parts = append(parts, secret[dot+1:]) // a signature alone is as good as the token beside a log of the claims
		}
		for _, part := range parts {
			if at := strings.Index(text, part); at >= 0 {
				t.Errorf("%s has a secret (%d characters, at %d): ...%s<SECRET>", where, len(part), at, text[max(0, at-120):at])
				break
			}
		}
	}
}

// anyToken is an identity or publish token whose signature is there too.
var anyToken = regexp.MustCompile(`eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{20,}`)

// sweep looks through everything that the gateway of a test leaves behind, for tokens of any kind and the registry's secrets. It
// runs after every test. The access log is left out: it repeats what a test sent, in headers that no client sends.
func (r *rig) sweep() {
	r.t.Helper()
	err := filepath.WalkDir(r.gw.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type() != 0 {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, r.gw.Dir)
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, `"logger":"http.log.access"`) {
				continue
			}
			if at := anyToken.FindStringIndex(line); at != nil {
				r.t.Errorf("%s has a token: ...%s<TOKEN>", name, line[max(0, at[0]-300):at[0]])
			}
			notIn(r.t, name, line, nil, r.reg)
		}
		return nil
	})
	if err != nil {
		r.t.Error(err)
	}
}
