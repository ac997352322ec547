package model

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Credential is what the registry accepts. The zero value means: forward anonymously.
type Credential struct {
	// Header is set on the forwarded request after every client copy of these headers was removed.
	Header http.Header
	// Expiry bounds the use; zero where the source cannot say.
	Expiry time.Time
	// Revoke ends the credential early; nil where the source cannot.
	Revoke func(context.Context) error
	// Refused tells the source that the registry refused the credential, so that one which is kept for more uploads is dropped;
	// nil where nothing is kept. It must not block.
	Refused func()
}

// Basic is a credential with a user and a password.
func Basic(user, password string) Credential {
	v := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return Credential{Header: http.Header{"Authorization": {v}}}
}

// Bearer is a credential with a bearer token.
func Bearer(token string) Credential {
	return Credential{Header: http.Header{"Authorization": {"Bearer " + token}}}
}

// Secret is a placeholder that names where a secret is: "{file./absolute/path}" or "{env.NAME}". It is resolved when it
// is used and never expanded otherwise, so the configuration that holds it is not secret.
type Secret string

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate refuses anything that is not such a placeholder: a literal would land in the adapted configuration.
func (s Secret) Validate() error {
	if path, ok := s.file(); ok {
		if !filepath.IsAbs(path) || strings.ContainsAny(path, "{}") {
			return fmt.Errorf("secret file path must be absolute, as in {file./run/secrets/token}: got {file.%s}", path)
		}
		return nil
	}
	if name, ok := s.env(); ok {
		if !envName.MatchString(name) {
			return errors.New("secret environment variable must be a plain name, as in {env.REGISTRY_TOKEN}")
		}
		return nil
	}
	if strings.HasPrefix(string(s), "{http.") {
		return errors.New("a secret cannot come from the request: write {file./absolute/path} or {env.NAME} (a path without a leading slash is read as a request placeholder)")
	}
	return errors.New("a secret must be a placeholder, {file./absolute/path} or {env.NAME}: a literal or {$VAR} would be stored in the configuration")
}

func (s Secret) file() (string, bool) {
	p, ok := strings.CutPrefix(string(s), "{file.")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(p, "}")
}

func (s Secret) env() (string, bool) {
	p, ok := strings.CutPrefix(string(s), "{env.")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(p, "}")
}

// Resolve reads the secret now. An error names the placeholder, never a value. One trailing line break of a file is cut;
// an empty secret is an error.
func (s Secret) Resolve() (string, error) {
	if err := s.Validate(); err != nil {
		return "", err
	}
	value := ""
	if name, ok := s.env(); ok {
		value = os.Getenv(name)
	} else if path, ok := s.file(); ok {
		var err error
		if value, err = readSecret(path); err != nil {
			return "", fmt.Errorf("secret %s: %w", s, err)
		}
	}
	if value == "" {
		return "", fmt.Errorf("secret %s is empty or not set", s)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", fmt.Errorf("secret %s has a line break inside", s)
	}
	return value, nil
}
