// Package reposilite is a server that keeps the contract of Reposilite 3 as its documentation and sources state it, for tests: access tokens with
// routes, and uploads and downloads that are judged by them. What is not documented it refuses.
package reposilite

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// Server is one Reposilite.
type Server struct {
	// Base is the path before all others, as in "/sub".
	Base string
	// Managers are the names and secrets of those who may make tokens.
	Managers map[string][]string
	// Now is the clock.
	Now func() time.Time
	// Change alters an answer about a token, for what must be noticed.
	Change func(answer map[string]any)

	mu     sync.Mutex
	tokens map[string]Token
	made   []Token
	files  map[string][]byte
}

// Token is one of a manager's making.
type Token struct {
	// Name and Secret are its credential.
	Name, Secret string
	// Path is the beginning of what it is good for, Permissions are "r", "w" or "rw".
	Path, Permissions string
	// Ends is its expiry.
	Ends time.Time
}

// New makes one that nobody serves yet.
func New() *Server {
	return &Server{Managers: map[string][]string{}, Now: time.Now, tokens: map[string]Token{}, files: map[string][]byte{}}
}

// ServeHTTP has the calls about tokens, the listing, and the repositories.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, s.Base)
	name, isToken := strings.CutPrefix(path, "/api/tokens/")
	folder, isListing := strings.CutPrefix(path, "/api/maven/details")
	switch {
	case !isToken && !isListing:
		s.file(w, r, path)
	case !s.manager(r):
		http.Error(w, `{"status":401,"message":"Invalid authorization credentials"}`, http.StatusUnauthorized)
	case isListing && r.Method == http.MethodGet:
		s.details(w, folder)
	case isToken && r.Method == http.MethodPut:
		s.upsert(w, r, name)
	case isToken && r.Method == http.MethodDelete:
		if _, found := s.tokens[name]; !found {
			http.Error(w, `{"status":404,"message":"Token not found"}`, http.StatusNotFound)
			return
		}
		delete(s.tokens, name)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *Server) manager(r *http.Request) bool {
	user, secret, _ := r.BasicAuth()
	return slices.Contains(s.Managers[user], secret)
}

// upsert is PUT /api/tokens/{name}: 400 for a body that it can't read and for permissions that it does not know.
func (s *Server) upsert(w http.ResponseWriter, r *http.Request, name string) {
	var q struct {
		Type        string   `json:"type"`
		SecretType  string   `json:"secretType"`
		Secret      string   `json:"secret"`
		Permissions []string `json:"permissions"`
		Routes      []struct {
			Path        string   `json:"path"`
			Permissions []string `json:"permissions"`
		} `json:"routes"`
		ExpiresAt   *time.Time `json:"expiresAt"`
		Description string     `json:"description"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	bad := r.Header.Get("Content-Type") != "application/json" || dec.Decode(&q) != nil || q.Type != "TEMPORARY" || q.SecretType != "RAW" ||
		len(q.Permissions) != 0 || len(q.Routes) != 1 || q.ExpiresAt == nil
	if bad || !slices.Contains([]string{"r", "w", "rw"}, strings.Join(q.Routes[0].Permissions, "")) || !strings.HasPrefix(q.Routes[0].Path, "/") {
		http.Error(w, `{"status":400,"message":"Failed to read body"}`, http.StatusBadRequest)
		return
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	made := Token{Name: name, Secret: hex.EncodeToString(b), Path: q.Routes[0].Path, Permissions: strings.Join(q.Routes[0].Permissions, ""), Ends: *q.ExpiresAt}
	s.tokens[name] = made
	s.made = append(s.made, made)
	routes := []any{}
	for _, p := range q.Routes[0].Permissions {
		identifier := map[string]string{"r": "route:read", "w": "route:write"}[p]
		routes = append(routes, map[string]any{"path": made.Path, "permission": map[string]string{"identifier": identifier, "shortcut": p}})
	}
	answer := map[string]any{
		"accessToken": map[string]any{
			"identifier": map[string]any{"type": "TEMPORARY", "value": len(s.tokens)}, "name": name, "createdAt": []int{2026, 11, 23},
			"description": q.Description, "expiresAt": q.ExpiresAt.UTC().Format(time.RFC3339),
		},
		"permissions": []any{}, "secret": made.Secret,
		"routes": routes,
	}
	if s.Change != nil {
		s.Change(answer)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// file is a path in a repository: Basic only; a route is a prefix, whatever the case of its letters; 409 where the file exists.
func (s *Server) file(w http.ResponseWriter, r *http.Request, path string) {
	content, exists := s.files[path]
	switch {
	case !s.manager(r) && !s.may(r, path):
		w.Header().Set("WWW-Authenticate", `Basic realm="Reposilite", charset="UTF-8"`)
		http.Error(w, `{"status":401,"message":"Unauthorized access request"}`, http.StatusUnauthorized)
	case r.Method == http.MethodPut && exists && !strings.Contains(path, "/maven-metadata.xml"):
		http.Error(w, `{"status":409,"message":"Redeployment is not allowed"}`, http.StatusConflict)
	case r.Method == http.MethodPut:
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
		if err != nil { // a cut one stores nothing
			http.Error(w, `{"status":400,"message":"Failed to read body"}`, http.StatusBadRequest)
			return
		}
		s.files[path] = b
	case !exists:
		http.NotFound(w, r)
	default:
		_, _ = w.Write(content) // a client that went away has nobody to tell
	}
}

// may is what a token's route allows.
func (s *Server) may(r *http.Request, path string) bool {
	user, secret, _ := r.BasicAuth()
	t, found := s.tokens[user]
	need := map[string]string{http.MethodGet: "r", http.MethodHead: "r", http.MethodPut: "w"}[r.Method]
	return found && t.Secret == secret && s.Now().Before(t.Ends) && need != "" && strings.Contains(t.Permissions, need) && strings.HasPrefix(strings.ToLower(path), strings.ToLower(t.Path))
}

// details is GET /api/maven/details/{repository}/{folder}: the names in it.
func (s *Server) details(w http.ResponseWriter, folder string) {
	folder = strings.TrimSuffix(folder, "/") + "/"
	kinds := map[string]string{}
	for path := range s.files {
		if rest, below := strings.CutPrefix(path, folder); below {
			name, _, deeper := strings.Cut(rest, "/")
			kinds[name] = map[bool]string{true: "DIRECTORY", false: "FILE"}[deeper]
		}
	}
	if len(kinds) == 0 {
		http.Error(w, `{"status":404,"message":"File not found"}`, http.StatusNotFound)
		return
	}
	files := []map[string]string{}
	for name, kind := range kinds {
		files = append(files, map[string]string{"name": name, "type": kind})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "DIRECTORY", "files": files})
}

// Token is that of a request's credential; false where it is good for nothing.
func (s *Server) Token(h http.Header) (Token, bool) {
	r := http.Request{Header: h}
	user, secret, _ := r.BasicAuth()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, found := s.tokens[user]
	return t, found && t.Secret == secret
}

// Made are all tokens that were ever made, Left how many of them there still are.
func (s *Server) Made() (all []Token, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.made), len(s.tokens)
}

// Files are the paths with the SHA-256 of what they hold.
func (s *Server) Files() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for path, content := range s.files {
		out[path] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return out
}
