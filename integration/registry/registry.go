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
	"path/filepath"
	"strings"

	"github.com/trustpub/trustpub/integration/process"
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

// Server is a registry that is one process, for one test.
type Server struct {
	*Registry
	process *process.Process
}

// Stop ends the server.
func (s *Server) Stop() { s.process.Stop() }

// serve runs the process of a registry, whose Kind names its log in the folder, and waits until a GET of a path has the status.
func serve(ctx context.Context, reg *Registry, dir string, env, args []string, path string, status int) (*Server, error) {
	p, err := process.Start(ctx, process.Spec{
		Name: reg.Kind, Dir: dir, Log: filepath.Join(dir, reg.Kind+".log"), Env: env, Args: args,
		Ready: process.Answers("http://"+reg.Addr+path, status),
	})
	if err != nil {
		return nil, err
	}
	reg.Log = p.Log
	return &Server{Registry: reg, process: p}, nil
}

// staticCredential is the directive for a secret in a file, as `basic USER`, `bearer` or `header NAME` would have it.
func staticCredential(form, file string) string {
	return "credential static {\n\t" + form + " {file." + file + "}\n}"
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

// call sends a request of a registry's own API, and reads the answer of a success as JSON where out is not nil.
func call(req *http.Request, out any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: got %s: %s", req.Method, req.URL, res.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// login asks a server for the token of a user that it makes, which the answer holds as "token".
func login(ctx context.Context, method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	var answer struct {
		Token string `json:"token"`
	}
	if err := call(req, &answer); err != nil {
		return "", err
	}
	if answer.Token == "" {
		return "", fmt.Errorf("%s %s gives no token", method, url)
	}
	return answer.Token, nil
}
