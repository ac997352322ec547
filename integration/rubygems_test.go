package integration

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// gemToken swaps an identity token as the credentials action does, below the registry's path.
func (r *rig) gemToken(t *testing.T, identity string) (string, answer) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"jwt": identity})
	if err != nil {
		t.Fatal(err)
	}
	a := r.send(t, http.MethodPost, r.reg.Path+"api/v1/oidc/trusted_publisher/exchange_token", http.Header{"Content-Type": {"application/json"}}, body)
	var minted struct {
		Key string `json:"rubygems_api_key"`
	}
	if a.Status == http.StatusCreated {
		if err := json.Unmarshal([]byte(a.Body), &minted); err != nil {
			t.Fatal(err)
		}
	}
	return minted.Key, a
}

// TestRubyGems pushes and yanks with gem itself, and shows what it says of a refusal.
func TestRubyGems(t *testing.T) {
	t.Parallel()
	r := giteaRig(t, "rubygems", strings.Replace(widgetPolicy, "    publisher:", "    actions: [publish, yank]\n    publisher:", 1))
	push := func(t *testing.T, key, name, version string) client.Result {
		t.Helper()
		got, err := r.home(nil).GemPush(t.Context(), strings.TrimSuffix(r.site.Public(), "/"), key, name, version)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	used := r.identity(nil)
	key, a := r.gemToken(t, used)
	if key == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := push(t, key, "acme-widget", "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := push(t, r.identity(nil), "acme-widget", "1.1.0"); got.Code != 0 {
		t.Fatalf("an identity token as the key: exit status %d\n%s", got.Code, got.Output)
	}
	r.stores(t, "acme-widget/1.0.0/acme-widget-1.0.0.gem", "acme-widget/1.1.0/acme-widget-1.1.0.gem")
	for _, tc := range []struct{ name, key, gem, version string }{
		{"another-gem", key, "acme-gadget", "1.0.0"},
		{"a-spelling-that-is-not-its-own", key, "acme_widget", "1.0.0"},
		{"another-repository", r.identity(otherRepository), "acme-widget", "2.0.0"},
		{"a-replayed-token", used, "acme-widget", "2.0.0"},
		{"a-stolen-key", "Bearer " + r.reg.Password, "acme-widget", "2.0.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				got := push(t, tc.key, tc.gem, tc.version)
				if got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
				golden(t, "gem-"+tc.name, got)
			})
		})
	}
	t.Run("edited", func(t *testing.T) { r.editedGems(t, key) })
	// gem's exit status tells nothing of a yank.
	yank := func(name string) client.Result {
		got, err := r.home(nil).GemYank(t.Context(), strings.TrimSuffix(r.site.Public(), "/"), key, name, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r.unchanged(t, func() { golden(t, "gem-a-yank-of-another-gem", yank("acme-gadget")) })
	// Gitea reads no form of a DELETE, and answers 500 to gem, with the gateway and without it.
	yank("acme-widget")
	r.await(t, "yank that was let through", func(e model.Event) bool {
		return e.Operation == "yank" && e.UpstreamStatus == http.StatusInternalServerError
	})
	r.onlyForeign(t)
}

// editedGems are bodies that no client makes.
func (r *rig) editedGems(t *testing.T, key string) {
	path, err := r.home(nil).GemBuild(t.Context(), "acme-widget", "3.0.0")
	if err != nil {
		t.Fatal(err)
	}
	gem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Clone(gem)
	edited[bytes.Index(edited, []byte("data.tar.gz"))+512+20] ^= 1
	for name, tc := range map[string]struct {
		body []byte
		code model.Code
	}{
		"edited data":     {edited, model.CodeDigestMismatch},
		"cut off":         {gem[:len(gem)-1500], model.CodeMalformedUpload},
		"a second gem":    {append(bytes.Clone(gem), gem...), model.CodeMalformedUpload},
		"nothing":         {nil, model.CodeMalformedUpload},
		"something else":  {[]byte(strings.Repeat("x", 1024)), model.CodeMalformedUpload},
		"bytes behind it": {append(bytes.Clone(gem), 'x'), model.CodeMalformedUpload},
	} {
		r.unchanged(t, func() {
			header := http.Header{"Authorization": {key}, "Content-Type": {"application/octet-stream"}}
			if a := r.send(t, http.MethodPost, r.reg.Path+"api/v1/gems", header, tc.body); a.code() != string(tc.code) {
				t.Errorf("%s: got %d %q, expected %s\n%s", name, a.Status, a.code(), tc.code, a.Body)
			}
		})
	}
}
