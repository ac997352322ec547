package mintapi

import (
	"encoding/base64"
	"strings"
	"testing"
)

func tokenOf(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// TestUnverifiedClaims: one token has one reading, and no error quotes it.
func TestUnverifiedClaims(t *testing.T) {
	for name, tc := range map[string]struct {
		token string
		want  int64 // zero: none
	}{
		"a token":            {tokenOf(`{"exp":7,"sub":"x"}`), 7},
		"no exp":             {tokenOf(`{"sub":"x"}`), 0},
		"another case":       {tokenOf(`{"EXP":7}`), 0},
		"twice":              {tokenOf(`{"exp":7,"exp":8}`), -1},
		"no object":          {tokenOf(`[7]`), -1},
		"more behind":        {tokenOf(`{"exp":7}{}`), -1},
		"no payload":         {"e30..c2ln", -1},
		"padding":            {"e30.eyJleHAiOjd9Cg==.c2ln", -1},
		"two parts":          {"e30.e30", -1},
		"four parts":         {"e30.e30.e30.e30", -1},
		"nothing":            {"", -1},
		"an opaque canary":   {"canary", -1},
		"bytes of no base64": {"e30.ca~nary.c2ln", -1},
	} {
		t.Run(name, func(t *testing.T) {
			var claims struct {
				Expiry int64 `json:"exp"`
			}
			err := UnverifiedClaims(tc.token, &claims)
			if tc.want < 0 {
				if err == nil || strings.Contains(err.Error(), "canary") {
					t.Errorf("got %v, expected an error that quotes nothing", err)
				}
				return
			}
			if err != nil || claims.Expiry != tc.want {
				t.Errorf("got %d, %v, expected %d", claims.Expiry, err, tc.want)
			}
		})
	}
}

// FuzzUnverifiedClaims: no text breaks it.
func FuzzUnverifiedClaims(f *testing.F) {
	f.Add(tokenOf(`{"exp":7}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		var claims map[string]any
		if err := UnverifiedClaims(token, &claims); err == nil && strings.Count(token, ".") != 2 {
			t.Fatalf("%q was read as a token", token)
		}
	})
}
