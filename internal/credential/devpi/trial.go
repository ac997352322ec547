package devpi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/trustpub/trustpub/internal/credential"
)

// Try asks devpi whom it takes the credential for, which it says to anyone (devpi-server's +api).
func (s *source) Try() credential.Trial {
	return credential.Trial{Path: s.public.EscapedPath() + "+api", Accept: "application/json", Accepted: accepted}
}

// accepted reads devpi's answer: 403 for a token whose signature, restriction or time is wrong, and "noauth" for what is no token.
func accepted(status int, body []byte) (bool, error) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, nil
	case http.StatusOK:
	default:
		return false, fmt.Errorf("the index answered %d, expected 200", status)
	}
	var answer struct {
		Type   string `json:"type"`
		Result struct {
			Status []json.RawMessage `json:"authstatus"`
		} `json:"result"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Type != "apiconfig" || len(answer.Result.Status) == 0 {
		return false, fmt.Errorf("the answer is of type %q, expected devpi's apiconfig: does the public URL lead to the index?", answer.Type)
	}
	return string(answer.Result.Status[0]) == `"ok"`, nil
}

var _ credential.Trier = (*source)(nil)
