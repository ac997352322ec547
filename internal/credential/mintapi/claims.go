package mintapi

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
)

// errNoJWT quotes nothing of what it was.
var errNoJWT = errors.New("it is no JWT")

// UnverifiedClaims reads the claims of a token that is a JWT. Nothing of it is verified: it says what whoever made it wants known, as when
// a credential ends, and is never what a decision rests on.
func UnverifiedClaims(token string, v any) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errNoJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, v) != nil {
		return errNoJWT
	}
	return nil
}
