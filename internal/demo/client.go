package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// client is an upload client that does what uv does, request by request, and remembers what it was told.
type client struct {
	http *http.Client
	// root is the gateway's URL without a path, uploads where uploads go.
	root, uploads string
	// tokenURL is where a job asks for identity tokens.
	tokenURL string
}

// maxAnswer bounds an answer that is read into memory.
const maxAnswer = 8 << 20

func newClient(h *house) *client {
	return &client{
		root: "https://" + h.host, uploads: h.public, tokenURL: h.issuer.TokenRequestURL(),
		http: &http.Client{
			Timeout: stepTimeout,
			// No proxy of the environment: everything is on this machine.
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.pki.pool, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Second},
		},
	}
}

// refusal is an answer that is no success.
type refusal struct {
	exchange    bool
	status      string // with the reason phrase, as it came
	contentType string
	body        []byte
}

// Error is one line.
func (r *refusal) Error() string { return strings.Join(r.lines(), " ") }

// lines are what uv prints.
func (r *refusal) lines() []string {
	status := r.status
	if code, _, ok := strings.Cut(r.status, " "); ok {
		status = code + " " + http.StatusText(number(code))
	}
	if r.exchange {
		return []string{
			"error: Failed to obtain token for trusted publishing",
			"  cause: Server returned error code " + status + ", is trusted publishing correctly configured?",
			"  Response: " + strings.TrimSpace(string(r.body)),
		}
	}
	message := strings.TrimSpace(string(r.body))
	var problem struct{ Title, Detail string }
	if kind, _, _ := mime.ParseMediaType(r.contentType); kind == "application/problem+json" && json.Unmarshal(r.body, &problem) == nil {
		message = problem.Title + ", " + problem.Detail
	}
	return []string{"error: Failed to publish", "  cause: Server returned status code " + status + ". Server message: " + message}
}

// twine is what twine prints: the reason phrase.
func (r *refusal) twine(url string) []string {
	code, reason, _ := strings.Cut(r.status, " ")
	return []string{"ERROR    HTTPError: " + code + " " + http.StatusText(number(code)) + " from " + url, "         " + reason}
}

// says is true where the answer names the code.
func (r *refusal) says(code model.Code) bool {
	return strings.Contains(r.status, string(code)) || strings.Contains(string(r.body), string(code))
}

func number(code string) int {
	n := 0
	for _, c := range code {
		n = n*10 + int(c-'0')
	}
	return n
}

// do sends a request and reads the whole answer. An answer that is no success is a *refusal.
func (c *client) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, &refusal{status: resp.Status, contentType: resp.Header.Get("Content-Type"), body: body}
	}
	return body, nil
}

// get reads a page below the gateway's root, or at a whole URL of it.
func (c *client) get(ctx context.Context, at string) ([]byte, error) {
	if !strings.HasPrefix(at, "https://") {
		at = c.root + at
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

// audience asks the gateway for which audience identity tokens have to be requested.
func (c *client) audience(ctx context.Context) (string, error) {
	body, err := c.get(ctx, "/_/oidc/audience")
	if err != nil {
		return "", err
	}
	var answer struct{ Audience string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Audience == "" {
		return "", fmt.Errorf("got %q, expected an audience", model.OneLine(string(body), 200))
	}
	return answer.Audience, nil
}

// identityToken asks the CI platform for an identity token, as a job on GitHub Actions does.
func (c *client) identityToken(ctx context.Context, job, audience string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.tokenURL+"&audience="+url.QueryEscape(audience), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+job)
	body, err := c.do(req)
	if err != nil {
		return "", err
	}
	var answer struct{ Value string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Value == "" {
		return "", fmt.Errorf("the issuer gave no identity token")
	}
	return answer.Value, nil
}

// exchange swaps an identity token for a publish token.
func (c *client) exchange(ctx context.Context, identity string) (string, error) {
	body, err := c.postToken(ctx, "/_/oidc/mint-token", identity)
	if err != nil {
		var r *refusal
		if errors.As(err, &r) {
			r.exchange = true
		}
		return "", err
	}
	var answer struct{ Token string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("the gateway gave no publish token")
	}
	return answer.Token, nil
}

// burn revokes a publish token when the run has ended.
func (c *client) burn(ctx context.Context, token string) error {
	_, err := c.postToken(ctx, "/_/oidc/burn-token", token)
	return err
}

func (c *client) postToken(ctx context.Context, path, token string) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.root+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req)
}

// upload sends a form with a Basic credential.
func (c *client) upload(ctx context.Context, user, password, contentType string, form []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.uploads, bytes.NewReader(form))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7")
	req.SetBasicAuth(user, password)
	_, err = c.do(req)
	return err
}
