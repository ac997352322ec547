// Package registry runs the real registries of the integration tests, unmodified and each with throw-away data: devpi with
// devpi-tokens, pypiserver, Verdaccio, Gitea, and a WebDAV store.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Registry is one place where packages are stored: a devpi index, or a pypiserver.
type Registry struct {
	// Kind is "devpi" or "pypiserver".
	Kind string
	// Addr is the server's host and port, Path the escaped path of uploads; it ends in a slash.
	Addr, Path string
	// User and Password are the long-lived credential that trusted publishing replaces: what a thief would have stolen.
	User, Password string
	// Credential is the body of the Caddyfile directive that gives the gateway its own credential.
	Credential string
	// Secrets must never be seen in a log, an answer or the audit.
	Secrets []string
	// Body is the framing that the registry is used with; empty: the gateway's default.
	Body string
	// PublicPort is where the gateway has to listen, since the registry was told its own public address; 0: anywhere.
	PublicPort int
	// Index is the folder of the git repository in which a registry of crates keeps its index.
	Index string
	// Files lists what the registry holds: file name to the hexadecimal SHA-256 of its bytes.
	Files func(context.Context) (map[string]string, error)
	// Log is what the server has printed.
	Log func() string
}

// Upload is the URL to upload to without the gateway.
func (r *Registry) Upload() string { return "http://" + r.Addr + r.Path }

// digest is the hexadecimal SHA-256 of all that can be read.
func digest(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// login asks a server for the token of a user that it makes, which the answer holds as "token".
func login(ctx context.Context, method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("%s %s gives no token: %s (%w)", method, url, res.Status, err)
	}
	return answer.Token, nil
}
