package exec

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// protocol is the version of what is written to the program.
const protocol = 1

// question is what the program reads.
type question struct {
	Version   int        `json:"version"`
	Targets   []target   `json:"targets"`
	Publisher *publisher `json:"publisher,omitzero"`
	// ID is what the program gave with the credential that it is to erase.
	ID string `json:"id,omitzero"`
}

// target is one that the credential must be good for; the first is the one that changes.
type target struct {
	Ecosystem string `json:"ecosystem"`
	Registry  string `json:"registry"`
	Action    string `json:"action"`
	Package   string `json:"package"`
	Version   string `json:"version,omitzero"`
	File      string `json:"file,omitzero"`
}

// publisher says who asks.
type publisher struct {
	Issuer   string `json:"issuer"`
	Provider string `json:"provider,omitzero"`
}

func targetOf(t model.Target) target {
	return target{
		Ecosystem: t.Ecosystem, Registry: t.Registry, Action: string(t.Action), Package: t.Package, Version: t.Version, File: t.File,
	}
}

// answer is what the program prints: one of the four ways to present a credential, or an error.
type answer struct {
	Basic     *basic  `json:"basic"`
	Bearer    string  `json:"bearer"`
	Header    *header `json:"header"`
	Anonymous bool    `json:"anonymous"`
	// ExpiresAt is when the credential ends; the zero time where nobody knows.
	ExpiresAt time.Time `json:"expires_at"`
	// ID asks for a call that ends the credential, and is handed to it.
	ID string `json:"id"`
	// Error is why there is no credential, for the log. It holds no secret.
	Error string `json:"error"`
}

type basic struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// parse reads one JSON object with known members, each once. Its errors quote nothing but the program's own error.
func parse(out []byte) (*answer, error) {
	a := new(answer)
	if err := json.Unmarshal(out, a, json.RejectUnknownMembers(true)); err != nil { // which may quote the answer
		return nil, errors.New(`what it printed is not the JSON that was expected: one object with "basic", "bearer", "header", "anonymous" or "error", and "expires_at" and "id"`)
	}
	if a.Error != "" {
		return nil, fmt.Errorf("it says: %s", model.OneLine(a.Error, 200))
	}
	given := 0
	for _, have := range []bool{a.Basic != nil, a.Bearer != "", a.Header != nil, a.Anonymous} {
		if have {
			given++
		}
	}
	if given != 1 {
		return nil, fmt.Errorf("it printed %d of basic, bearer, header and anonymous, expected exactly one", given)
	}
	return a, nil
}

// credential is the answer as the registry gets it.
func (a *answer) credential(now time.Time) (model.Credential, error) {
	if !a.ExpiresAt.IsZero() && !a.ExpiresAt.After(now) {
		return model.Credential{}, fmt.Errorf("expires_at is %s, which is over: expected a credential that is good", a.ExpiresAt.UTC().Format(time.RFC3339))
	}
	var c model.Credential
	var secret string
	switch {
	case a.Anonymous:
		return c, nil
	case a.Basic != nil:
		if err := credential.CheckUser(a.Basic.User); err != nil {
			return c, errors.New("basic: the user is empty, or has a colon, a brace or a control character")
		}
		c, secret = model.Basic(a.Basic.User, a.Basic.Password), a.Basic.Password
	case a.Header != nil:
		name, err := credential.CheckHeader(a.Header.Name)
		if err != nil {
			return c, fmt.Errorf("header: %w", err)
		}
		c, secret = model.Credential{Header: http.Header{name: {a.Header.Value}}}, a.Header.Value
	default:
		c, secret = model.Bearer(a.Bearer), a.Bearer
	}
	if err := credential.CheckValue(secret); err != nil {
		return model.Credential{}, fmt.Errorf("the secret %w", err)
	}
	c.Expiry = a.ExpiresAt
	return c, nil
}
