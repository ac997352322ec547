package devpi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/trustpub/trustpub/internal/credential"
)

// Probe asks for the project's versions on this index alone: without ignore_bases devpi answers for mirrors among the
// index's bases too (devpi-server's project_get).
func (s *source) Probe(pkg string) credential.Probe {
	return credential.Probe{Path: credential.ProbePath(s.public, pkg), Query: "ignore_bases", Accept: "application/json", Has: has}
}

// has reads devpi's answer: 404 for a project that neither the index nor its bases know, and no versions for one that only a
// base has.
func has(status int, body []byte) (bool, error) {
	switch status {
	case http.StatusNotFound:
		return false, nil
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, fmt.Errorf("the index answered %d: its acl_read must allow anonymous reading for this question", status)
	default:
		return false, fmt.Errorf("the index answered %d, expected 200 or 404", status)
	}
	var answer struct {
		Type   string                     `json:"type"`
		Result map[string]json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Type != "projectconfig" {
		return false, fmt.Errorf("the answer is of type %q, expected devpi's projectconfig: does the public URL lead to the index?", answer.Type)
	}
	return len(answer.Result) > 0, nil
}

var _ credential.Prober = (*source)(nil)
