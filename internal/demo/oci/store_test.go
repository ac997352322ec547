package oci

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// registryOf is a registry, and the token server of the gateway: it signs with the registry's secret.
func registryOf(t *testing.T) (*script.Store, func(claims map[string]any) string) {
	t.Helper()
	store, err := open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	key := new(jose.JSONWebKey)
	if err := json.Unmarshal([]byte(store.Secret), key); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return store, func(change map[string]any) string {
		claims := map[string]any{
			"iss": tokenIssuer, "aud": "example.com", "nbf": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"access": []map[string]any{{"type": "repository", "name": widget, "actions": []string{"pull", "push"}}},
		}
		for name, value := range change {
			claims[name] = value
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func send(store http.Handler, method, at, token string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, at, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	store.ServeHTTP(w, r)
	return w
}

// TestTokens: a token of the token server's is good for what it names, and nothing else is good for anything.
func TestTokens(t *testing.T) {
	store, sign := registryOf(t)
	_, signOther := registryOf(t)
	access := func(name string, actions ...string) map[string]any {
		return map[string]any{"access": []map[string]any{{"type": "repository", "name": name, "actions": actions}}}
	}
	for _, tc := range []struct {
		name, token string
		want        int
	}{
		{"a good one", sign(nil), http.StatusAccepted},
		{"none", "", http.StatusUnauthorized},
		{"a password", store.Password, http.StatusUnauthorized},
		{"the secret itself", store.Secret, http.StatusUnauthorized},
		{"of another key", signOther(nil), http.StatusUnauthorized},
		{"for another repository", sign(access(gadget, "pull", "push")), http.StatusUnauthorized},
		{"to read", sign(access(widget, "pull")), http.StatusUnauthorized},
		{"for another registry", sign(map[string]any{"aud": "oci.example.com"}), http.StatusUnauthorized},
		{"of another issuer", sign(map[string]any{"iss": "other"}), http.StatusUnauthorized},
		{"expired", sign(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}), http.StatusUnauthorized},
		{"not yet", sign(map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}), http.StatusUnauthorized},
	} {
		if got := send(store, http.MethodPost, "/v2/"+widget+"/blobs/uploads/", tc.token, nil); got.Code != tc.want {
			t.Errorf("%s: got %d %s, expected %d", tc.name, got.Code, got.Body, tc.want)
		}
	}
}

// TestPush: blobs have their digest and manifests their blobs, or are not kept.
func TestPush(t *testing.T) {
	store, sign := registryOf(t)
	token := sign(nil)
	image, err := NewImage([]byte("layer"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(digest string, blob []byte) int {
		begun := send(store, http.MethodPost, "/v2/"+widget+"/blobs/uploads/", token, nil)
		at := strings.TrimPrefix(begun.Header().Get("Location"), "http://example.com")
		if got := send(store, http.MethodPatch, at, token, blob[:1]); got.Code != http.StatusAccepted {
			t.Errorf("a part: %d %s", got.Code, got.Body)
		}
		return send(store, http.MethodPut, at+"?digest="+digest, token, blob[1:]).Code
	}
	manifest := func(tag string) int {
		return send(store, http.MethodPut, "/v2/"+widget+"/manifests/"+tag, token, image.Manifest).Code
	}
	got := []int{
		put(Digest(image.Config), image.Layer), manifest("1.0.0"), put(Digest(image.Config), image.Config), put(Digest(image.Layer), image.Layer),
		manifest(Digest(image.Layer)),
	}
	if diff := cmp.Diff([]int{400, 400, 201, 201, 400}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if stored, err := store.Stored(); err != nil || len(stored) != 2 {
		t.Errorf("it holds %q, %v, expected the two blobs", stored, err)
	}
	if got := manifest("1.0.0"); got != http.StatusCreated {
		t.Errorf("the manifest: %d", got)
	}
	if got := send(store, http.MethodGet, "/v2/"+widget+"/tags/list", token, nil); !strings.Contains(got.Body.String(), `"tags":["1.0.0"]`) {
		t.Errorf("tags: %s", got.Body)
	}
}
