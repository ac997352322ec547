package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/model"
)

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
	var mu sync.Mutex
	var calls, shown []string
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, r.Method+" "+r.URL.Path)
		switch given := r.Header.Get("X-Vault-Token"); {
		case r.URL.Path == "/v1/auth/jwt/login":
			var asked struct{ Role, JWT string }
			_ = json.NewDecoder(r.Body).Decode(&asked)
			shown = append(shown, asked.Role+" "+asked.JWT)
			if asked.Role != "publish" {
				http.Error(w, `{"errors":["canary"]}`, http.StatusBadRequest)
				return
			}
			_, _ = io.WriteString(w, `{"auth":{"client_token":"`+login+`","lease_duration":900}}`)
		case given != login:
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		case r.URL.Path == "/v1/secret/data/acme-widget":
			_, _ = io.WriteString(w, `{"lease_id":"","data":{"data":{"password":"`+store.Password+`"}}}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(vault.Close)
	lines := func(role string) string {
		return "credential vault {\n\turl " + vault.URL + "\n\tjwt jwt " + role + "\n\tread /secret/data/{package}\n\tpresent basic " + store.User + " /data/data/password\n}"
	}
	store.Credential = lines("publish")
	store.Secrets = append(store.Secrets, login)
	r := startRig(t, store.Registry, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"))
	token := r.identity(nil)
	if a := r.send(t, http.MethodPut, "/acme-widget/1.0/x.tar.gz", bearer(token), []byte("x")); a.Status/100 != 2 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	mu.Lock()
	if diff := cmp.Diff([]string{"publish " + token}, shown); diff != "" {
		t.Errorf("shown to the vault (-want +got):\n%s", diff)
	}
	want := []string{"POST /v1/auth/jwt/login", "GET /v1/secret/data/acme-widget", "POST /v1/auth/token/revoke-self"}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	mu.Unlock()
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
