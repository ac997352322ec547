package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestInvariantSecretsStayInsideIdentityToken: whatever prints an identity token, or what holds one, shows a word in its place.
func TestInvariantSecretsStayInsideIdentityToken(t *testing.T) {
	const raw = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
	token := NewIdentityToken(raw)
	grant := Grant{ID: "1", Token: token, Identity: &Identity{Issuer: "github"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		for _, value := range []any{token, &token, grant, &grant, []IdentityToken{token}, map[string]IdentityToken{"a": token}} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, raw) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", raw)) {
				t.Errorf("%s of %T shows the token", verb, value)
			}
		}
	}
	var log strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("message", "token", token, "grant", grant, "error", fmt.Errorf("with %v: %w", token, errors.New("x")))
	}
	encoded, err := json.Marshal(grant)
	if err != nil {
		t.Fatal(err)
	}
	if text := log.String() + string(encoded); strings.Contains(text, raw) || !strings.Contains(text, hiddenToken) {
		t.Errorf("got %s, expected the word in the token's place", text)
	}
	if token.Reveal() != raw || token.Empty() || !(IdentityToken{}).Empty() || !token.Equal(NewIdentityToken(raw)) {
		t.Error("the token is not what it was made of")
	}
}
