// Package artifactory is a server that keeps the contract of JFrog Artifactory as its documentation states it, for tests: the product
// itself can't be installed without a licence. It makes, checks and revokes access tokens, exchanges identity tokens, and takes
// uploads of several package types. What is not documented it refuses.
package artifactory

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// The repositories, by type of package.
const (
	PyPI    = "pypi-local"
	NPM     = "npm-local"
	Cargo   = "cargo-local"
	Maven   = "maven-local"
	Generic = "generic-local"
)

// Admin is who may make tokens.
const Admin = "admin"

// Server is one Artifactory.
type Server struct {
	*httptest.Server
	// AdminToken is a token of the admin's, AdminOther another.
	AdminToken, AdminOther string
	// Project is the key of the one project.
	Project string
	// Now is the clock.
	Now func() time.Time

	secret   string
	kinds    map[string]string // of repositories
	provider *Provider

	mu     sync.Mutex
	tokens map[string]*token
	files  map[string][]byte // by repository and path
	parts  map[string][]byte // of layers under way
	seen   []Seen
}

// Seen is one request below /artifactory with the user of its credential.
type Seen struct{ Method, Path, User, Token string }

// Start starts one.
func Start(provider *Provider) *Server {
	s := New(provider)
	s.Server = httptest.NewServer(s.Handler())
	return s
}

// New makes one that nobody serves yet.
func New(provider *Provider) *Server {
	s := &Server{
		AdminToken: "canary-admin-token-" + random(8), AdminOther: "canary-admin-token-" + random(8), Project: "acme", Now: time.Now,
		secret: random(32), provider: provider, tokens: map[string]*token{}, files: map[string][]byte{}, parts: map[string][]byte{},
		kinds: map[string]string{PyPI: "pypi", NPM: "npm", Cargo: "cargo", Maven: "maven", Generic: "generic", Docker: "docker"},
	}
	for _, raw := range []string{s.AdminToken, s.AdminOther} {
		s.tokens[raw] = &token{id: random(8), user: Admin, admin: true, ends: s.Now().Add(100 * 365 * 24 * time.Hour)}
	}
	return s
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Handler has the calls of Access and the package types.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /access/api/v1/tokens", s.create)
	mux.HandleFunc("DELETE /access/api/v1/tokens/{id}", s.revoke)
	mux.HandleFunc("POST /access/api/v1/oidc/token", s.exchange)
	mux.HandleFunc("POST /artifactory/api/pypi/{repository}/{$}", s.kept("pypi", s.uploadPyPI))
	mux.HandleFunc("PUT /artifactory/api/npm/{repository}/{name...}", s.kept("npm", s.publishNPM))
	mux.HandleFunc("GET /artifactory/api/npm/{repository}/{name...}", s.kept("npm", s.readNPM))
	mux.HandleFunc("PUT /artifactory/api/cargo/{repository}/api/v1/crates/new", s.kept("cargo", s.publishCargo))
	mux.HandleFunc("/v2/{repository}/{path...}", s.kept("docker", s.containers))
	mux.HandleFunc("GET /artifactory/api/storage/{repository}", s.kept("", s.list))
	mux.HandleFunc("/artifactory/{repository}/{path...}", s.kept("", s.file))
	return mux
}

// handler is a call that has a repository and a credential, which may be nil.
type handler func(w http.ResponseWriter, r *http.Request, repository string, who *token)

// kept finds repository and credential.
func (s *Server) kept(kind string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		repository, _, _ := strings.Cut(r.PathValue("repository"), ";")
		have := s.kinds[repository]
		who := s.bearer(r)
		user := ""
		if who != nil {
			user = who.user
		}
		s.mu.Lock()
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, password, ok := r.BasicAuth(); ok {
			raw = password
		}
		s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), user, raw})
		s.mu.Unlock()
		switch {
		case have == "" || kind != "" && have != kind:
			refuse(w, http.StatusNotFound, "no such repository of this type")
		case who == nil && r.Header.Get("Authorization")+r.Header.Get("X-JFrog-Art-Api") != "":
			refuse(w, http.StatusUnauthorized, "Bad credentials "+r.Header.Get("Authorization"))
		case who == nil && r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
			refuse(w, http.StatusUnauthorized, "Authentication is required")
		default:
			next(w, r, repository, who)
		}
	}
}

// bearer is the token of a request, in each form that Artifactory takes; nil where it has none that is good.
func (s *Server) bearer(r *http.Request) *token {
	raw := r.Header.Get("X-JFrog-Art-Api")
	user := ""
	if scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		raw = value
	} else if name, password, ok := r.BasicAuth(); ok {
		raw, user = password, name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[raw]
	if t == nil || t.revoked || !s.Now().Before(t.ends) || user != "" && user != t.user {
		return nil
	}
	return t
}

// Good says whether a token still works.
func (s *Server) Good(raw string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[raw]
	return t != nil && !t.revoked && s.Now().Before(t.ends)
}

// May says whether a token may do all of this on a path of a repository; rights are letters as in a scope.
func (s *Server) May(raw, repository, path, rights string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[raw]
	return t != nil && t.may(repository, path, rights)
}

// Files are the paths with their content.
func (s *Server) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for path, content := range s.files {
		out[path] = content
	}
	return out
}

// Seen are the requests below /artifactory so far.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.seen...)
}
