package mintapi

import (
	"errors"

	"github.com/go-json-experiment/json"
)

// bodyOf is the request's body and its type.
func bodyOf(c Call) (body []byte, contentType string, err error) {
	switch {
	case c.JSON != nil:
		body, err = json.Marshal(c.JSON, json.Deterministic(true))
		if err != nil {
			return nil, "", errors.New("the request can't be written as JSON")
		}
		return body, "application/json", nil
	case c.Form != nil:
		return []byte(c.Form.Encode()), "application/x-www-form-urlencoded", nil
	}
	return nil, "", nil
}

// JSON reads an answer of one JSON document: exact names, no name twice, valid UTF-8, nothing behind it. Members that v does not
// have are left out; what it needs the source checks itself.
func JSON(v any) func([]byte) error {
	return func(answer []byte) error {
		if err := json.Unmarshal(answer, v); err != nil { // which may quote the answer
			return Unfit("the answer is not the JSON that was expected: does url lead to the API?")
		}
		return nil
	}
}

// The lengths of a secret that an API may answer with.
const (
	minSecret = 8
	maxSecret = 16 << 10
)

// CheckSecret refuses what no header can carry, or what is no secret: a source asks it of all that it puts into one. The error
// does not quote it.
func CheckSecret(what, secret string) error {
	if len(secret) < minSecret || len(secret) > maxSecret {
		return Unfit("the answer has no %s of %d to %d bytes: does url lead to the API?", what, minSecret, maxSecret)
	}
	for i := range len(secret) {
		if secret[i] <= ' ' || secret[i] >= 0x7f {
			return Unfit("the answer's %s has characters that no credential has", what)
		}
	}
	return nil
}
