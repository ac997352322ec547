package integration

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestVaultCredential runs against an OpenBao or a Vault of yours instead of one that is played: its URL, and a token that may
// enable a login method and a mount of secrets. Both are made for the run, with names that nothing else has, and removed after it.
const (
	vaultURL   = "TRUSTPUB_VAULT_URL"
	vaultToken = "TRUSTPUB_VAULT_TOKEN"
)

// vault is the one under test: the store's password lies at secret/data/acme-widget, and the role publish reads it.
type vault struct {
	url, login, secret string
	// mu guards what the played one has seen.
	mu           sync.Mutex
	calls, shown []string
}

// playedVault knows the calls that an upload takes, and gives one token.
func playedVault(t *testing.T, password, token string) *vault {
	t.Helper()
	v := &vault{login: "jwt", secret: "secret"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.calls = append(v.calls, r.Method+" "+r.URL.Path)
		switch given := r.Header.Get("X-Vault-Token"); {
		case r.URL.Path == "/v1/auth/jwt/login":
			var asked struct{ Role, JWT string }
			_ = json.NewDecoder(r.Body).Decode(&asked)
			v.shown = append(v.shown, asked.Role+" "+asked.JWT)
			if asked.Role != "publish" {
				http.Error(w, `{"errors":["canary"]}`, http.StatusBadRequest)
				return
			}
			_, _ = io.WriteString(w, `{"auth":{"client_token":"`+token+`","lease_duration":900}}`)
		case given != token:
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		case r.URL.Path == "/v1/secret/data/acme-widget":
			_, _ = io.WriteString(w, `{"lease_id":"","data":{"data":{"password":"`+password+`"}}}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// liveVault makes in a vault what docs/registries/vault.md says. The issuer's key is pinned, since a vault elsewhere does not reach it.
func liveVault(t *testing.T, password string) *vault {
	t.Helper()
	name := "trustpub-test-" + random(6)
	v := &vault{url: strings.TrimRight(os.Getenv(vaultURL), "/"), login: name, secret: name}
	key, err := x509.MarshalPKIXPublicKey(shared.issuer.PublicKey(issuer.RS256))
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	t.Cleanup(func() { // what is left of a run that failed is removed too
		for _, path := range []string{"sys/auth/" + name, "sys/mounts/" + name, "sys/policies/acl/" + name} {
			v.administrate(t, http.MethodDelete, path, nil)
		}
	})
	v.administrate(t, http.MethodPost, "sys/auth/"+name, map[string]any{"type": "jwt"})
	v.administrate(t, http.MethodPost, "auth/"+name+"/config", map[string]any{"jwt_validation_pubkeys": []string{public}, "bound_issuer": shared.issuer.URL()})
	v.administrate(t, http.MethodPost, "sys/mounts/"+name, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	v.administrate(t, http.MethodPost, name+"/data/acme-widget", map[string]any{"data": map[string]string{"password": password}})
	v.administrate(t, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": `path "` + name + `/data/*" { capabilities = ["read"] }`})
	return v
}

// bind makes the role publish, for one audience.
func (v *vault) bind(t *testing.T, audience string) {
	t.Helper()
	v.administrate(t, http.MethodPost, "auth/"+v.login+"/role/publish", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{audience}, "bound_claims": map[string]string{"repository": "acme/widget"},
		"token_policies": []string{v.login}, "token_ttl": "15m", "token_max_ttl": "1h",
	})
}

// administrate is a call with the token of whoever runs the test.
func (v *vault) administrate(t *testing.T, method, path string, body any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, v.url+"/v1/"+path, bytes.NewReader(b)) // also after the test's own context has ended
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", setting(t, vaultToken))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s", method, path, res.Status)
	}
}

// TestVaultCredential: the store's password lies in a vault, where the job itself logs in. The vault gets the identity token, the store the
// password, and neither what belongs to the other.
func TestVaultCredential(t *testing.T) {
	t.Parallel()
	store, err := registry.StartWebDAV(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	const login = "hvs.canary-of-the-login-3Kd8"
	live := os.Getenv(vaultURL) != ""
	var v *vault
	if live {
		v = liveVault(t, store.Password)
	} else {
		v = playedVault(t, store.Password, login)
		store.Secrets = append(store.Secrets, login)
	}
	lines := func(role string) string {
		return "credential vault {\n\turl " + v.url + "\n\tjwt " + v.login + " " + role + "\n\tread /" + v.secret + "/data/{package}\n\tpresent basic " + store.User + " /data/data/password\n}"
	}
	store.Credential = lines("publish")
	r := startRig(t, store.Registry, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"))
	if live {
		v.bind(t, r.site.Host())
	}
	token := r.identity(nil)
	if a := r.send(t, http.MethodPut, "/acme-widget/1.0/x.tar.gz", bearer(token), []byte("x")); a.Status/100 != 2 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if !live {
		v.mu.Lock()
		if diff := cmp.Diff([]string{"publish " + token}, v.shown); diff != "" {
			t.Errorf("shown to the vault (-want +got):\n%s", diff)
		}
		want := []string{"POST /v1/auth/jwt/login", "GET /v1/secret/data/acme-widget", "POST /v1/auth/token/revoke-self"}
		if diff := cmp.Diff(want, v.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		v.mu.Unlock()
	}
	if strings.Contains(r.gw.Logs(), login) || strings.Contains(r.gw.Logs(), token) {
		t.Error("a token is in the log")
	}

	store.Credential = lines("other")
	refused := startRig(t, store.Registry, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"))
	refused.unchanged(t, func() {
		if a := refused.send(t, http.MethodPut, "/acme-widget/1.1/x.tar.gz", bearer(refused.identity(nil)), []byte("x")); a.code() != string(model.CodeCredentialUnavailable) {
			t.Errorf("got %d %s, expected %s", a.Status, a.Body, model.CodeCredentialUnavailable)
		}
	})
}
