package script

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// Client sends requests to the gateway, as the ecosystem's own client would.
type Client struct {
	HTTP *http.Client
	// Root is the gateway's URL without a slash at its end, Host its host and port, Public the registry's URL.
	Root, Host, Public string
}

// maxAnswer bounds an answer that is read into memory.
const maxAnswer = 8 << 20

// Answer is an answer that is a success.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Send sends a request and reads the whole answer. at is a whole URL, or a path of the gateway's. What is no success is a
// *Refused.
func (c *Client) Send(ctx context.Context, method, at string, header http.Header, body []byte) (Answer, error) {
	if strings.HasPrefix(at, "/") {
		at = c.Root + at
	}
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, err
	}
	if resp.StatusCode/100 != 2 {
		return Answer{}, &Refused{Method: method, URL: at, Code: resp.StatusCode, Status: resp.Status, Header: resp.Header, Body: text}
	}
	return Answer{Header: resp.Header, Body: text}, nil
}

// Get reads a page without a credential.
func (c *Client) Get(ctx context.Context, at string) ([]byte, error) {
	answer, err := c.Send(ctx, http.MethodGet, at, nil, nil)
	return answer.Body, err
}

// Ask sends a request and reads one text out of the JSON of its answer.
func (c *Client) Ask(ctx context.Context, method, at string, header http.Header, body []byte, key string) (string, error) {
	answer, err := c.Send(ctx, method, at, header, body)
	if err != nil {
		return "", err
	}
	var values map[string]any
	if err := json.Unmarshal(answer.Body, &values); err != nil {
		return "", fmt.Errorf("%s is no JSON: %w", at, err)
	}
	value, _ := values[key].(string)
	if value == "" {
		return "", fmt.Errorf("the answer of %s has no %q", at, key)
	}
	return value, nil
}

// AskJWT exchanges an identity token where that is all of the request's JSON, under the name "jwt".
func (c *Client) AskJWT(ctx context.Context, at, identity, key string) (string, error) {
	body, err := json.Marshal(map[string]string{"jwt": identity})
	if err != nil {
		return "", err
	}
	return c.Ask(ctx, http.MethodPost, at, JSON(nil), body, key)
}

// Bearer is a header with a token.
func Bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// Basic is a header with a user and a password.
func Basic(user, password string) http.Header {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return req.Header
}

// JSON adds the content type to a header; nil: only that.
func JSON(header http.Header) http.Header { return With(header, "Content-Type", "application/json") }

// With adds a line to a header; nil: only that.
func With(header http.Header, name, value string) http.Header {
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set(name, value)
	return header
}

// Refused is an answer that is no success.
type Refused struct {
	Method, URL string
	// Exchange is true where the request was an exchange of tokens.
	Exchange bool
	Code     int
	// Status has the reason phrase as it came.
	Status string
	Header http.Header
	Body   []byte
}

// Error is one line.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", r.Method, r.URL, r.Status, model.OneLine(string(r.Body), 500))
}

// Says is true where the answer names the code.
func (r *Refused) Says(code model.Code) bool {
	return strings.Contains(r.Status, string(code)) || strings.Contains(string(r.Body), string(code))
}

// Reason is the reason phrase as it came.
func (r *Refused) Reason() string {
	_, reason, _ := strings.Cut(r.Status, " ")
	return reason
}

// Standard is the status with the phrase that belongs to it.
func (r *Refused) Standard() string { return fmt.Sprintf("%d %s", r.Code, http.StatusText(r.Code)) }

// Text is the body as it came.
func (r *Refused) Text() string { return strings.TrimSpace(string(r.Body)) }

// Field is a text of the body's JSON object; none: the body.
func (r *Refused) Field(key string) string {
	var values map[string]any
	if json.Unmarshal(r.Body, &values) == nil {
		if value, ok := values[key].(string); ok {
			return value
		}
	}
	return r.Text()
}
