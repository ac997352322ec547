// Package gitlab is a server that keeps the contract of GitLab as its documentation and its sources state it, for tests: the API of deploy tokens of one
// project, the project's packages, which are judged by them, and its containers, which are judged by the tokens of its token realm. What is not documented it
// refuses.
package gitlab

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/integration/registry/images"
	"github.com/trustpub/trustpub/integration/registry/packages"
)

// Server is one GitLab with one project.
type Server struct {
	// Base is the path before all others, as in "/sub".
	Base string
	// Project is the path of the project, Secrets are the access tokens of its maintainer.
	Project string
	Secrets []string
	// Path is the project's, with which the names of its images begin; empty: Project. Realm is the one that the registry of containers names; empty: this one.
	Path, Realm string
	// Grant alters what a token of the realm is good for; may be nil.
	Grant func([]Access) []Access
	// Now is the clock.
	Now func() time.Time
	// Change alters the answer about a new token, for what must be noticed.
	Change func(answer map[string]any)

	images *images.Store
	stores map[string]*packages.Store // by type

	mu           sync.Mutex
	last         int64
	tokens       []Token
	made         []Token
	calls, auths int
	files        []file
	bearers      map[string]bearer
	repositories []string // of containers
	seen         []http.Header
}

// Token is one with what it may do.
type Token struct {
	id             int64
	name, username string
	// Secret is its credential, Scopes what it may do, Ends its expiry.
	Secret string
	Scopes []string
	Ends   time.Time
}

// New makes one that nobody serves yet.
func New() *Server {
	c := &Server{Now: time.Now, bearers: map[string]bearer{}, stores: newStores()}
	c.images = c.newImages()
	return c
}

// scopes are all of those that concern packages and images.
var scopes = []string{"read_registry", "write_registry", "read_package_registry", "write_package_registry"}

// ServeHTTP has the calls about deploy tokens, the packages, the token realm and the containers.
func (c *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, c.Base+"/v2/") {
		http.StripPrefix(c.Base, c.images).ServeHTTP(w, r)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.URL.Path == c.Base+"/jwt/auth" {
		c.auth(w, r)
		return
	}
	path, found := strings.CutPrefix(r.URL.EscapedPath(), c.Base+"/api/v4/projects/"+url.PathEscape(c.Project)+"/")
	rest, isToken := strings.CutPrefix(path, "deploy_tokens")
	list, isPackages := strings.CutPrefix(path, "packages")
	repositories, isRegistry := strings.CutPrefix(path, "registry/repositories")
	switch {
	case !found:
		problem(w, http.StatusNotFound, "404 Project Not Found")
	case isPackages && strings.Trim(list, "0123456789/") != "" && !strings.HasSuffix(list, "/package_files"):
		c.packages(w, r, strings.TrimPrefix(list, "/"))
	case !isToken && !isPackages && !isRegistry:
		problem(w, http.StatusNotFound, "404 Not Found")
	case !slices.Contains(c.Secrets, r.Header.Get("Private-Token")) || r.Header.Get("Authorization") != "":
		problem(w, http.StatusUnauthorized, "401 Unauthorized")
	case isRegistry:
		c.registries(w, r, repositories)
	case isPackages:
		c.listing(w, r, strings.TrimPrefix(list, "/"))
	default:
		c.calls++
		c.deployTokens(w, r, rest)
	}
}

func (c *Server) deployTokens(w http.ResponseWriter, r *http.Request, rest string) {
	switch {
	case rest == "" && r.Method == http.MethodPost:
		c.create(w, r)
	case rest == "" && r.Method == http.MethodGet:
		c.list(w, r)
	case r.Method == http.MethodDelete:
		id, _ := strconv.ParseInt(strings.TrimPrefix(rest, "/"), 10, 64)
		before := len(c.tokens)
		c.tokens = slices.DeleteFunc(c.tokens, func(m Token) bool { return m.id == id })
		if len(c.tokens) == before {
			problem(w, http.StatusNotFound, "404 Deploy Token Not Found")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		problem(w, http.StatusMethodNotAllowed, "405 Method Not Allowed")
	}
}

func problem(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// create is POST: 400 for a scope that is none, and for an end that is no day or has passed.
func (c *Server) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name      string   `json:"name"`
		ExpiresAt string   `json:"expires_at"`
		Username  string   `json:"username"`
		Scopes    []string `json:"scopes"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	bad := r.Header.Get("Content-Type") != "application/json" || dec.Decode(&q) != nil || q.Name == "" || len(q.Scopes) == 0 || slices.ContainsFunc(q.Scopes, func(s string) bool { return !slices.Contains(scopes, s) })
	ends, err := time.Parse(time.DateOnly, q.ExpiresAt)
	if bad || err != nil || !ends.After(c.Now()) {
		problem(w, http.StatusBadRequest, "400 Bad request")
		return
	}
	made := c.add(Token{name: q.Name, username: q.Username, Scopes: q.Scopes, Ends: ends})
	c.made = append(c.made, made)
	a := map[string]any{
		"id": made.id, "name": made.name, "username": made.username, "expires_at": ends.Format("2006-01-02T15:04:05.000Z"), "token": made.Secret,
		"revoked": false, "expired": false, "scopes": made.Scopes,
	}
	if c.Change != nil {
		c.Change(a)
	}
	answer(w, http.StatusCreated, a)
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Tick replaces the clock.
func (c *Server) Tick(now func() time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Now = now
}

// add keeps a token; the lock is held.
func (c *Server) add(m Token) Token {
	c.last++
	m.id, m.Secret = c.last, "gldt-"+random(16)
	c.tokens = append(c.tokens, m)
	return m
}

// list is GET: pages of at most 100.
func (c *Server) list(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	all := []map[string]any{}
	for _, m := range c.tokens {
		if c.Now().Before(m.Ends) || r.URL.Query().Get("active") != "true" {
			all = append(all, map[string]any{"id": m.id, "name": m.name, "username": m.username, "scopes": m.Scopes})
		}
	}
	size = min(size, 100)
	all = all[min(len(all), (page-1)*size):]
	answer(w, http.StatusOK, all[:min(len(all), size)])
}

// find is the token that a request has; the lock is held.
func (c *Server) find(h http.Header) (Token, bool) {
	r := http.Request{Header: h}
	user, secret, basic := r.BasicAuth()
	for _, m := range c.tokens {
		value := h.Get("Authorization")
		if basic && user == m.username && secret == m.Secret || h.Get("Deploy-Token") == m.Secret || value == "Bearer "+m.Secret || value == m.Secret {
			return m, true
		}
	}
	return Token{}, false
}

// Token is that of a request's credential; false where there is none any more.
func (c *Server) Token(h http.Header) (Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(h)
}

// Names are those of the tokens.
func (c *Server) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{}
	for _, m := range c.tokens {
		names = append(names, m.name)
	}
	return names
}

// Strand leaves a token behind, as a crash does.
func (c *Server) Strand(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(Token{name: name, username: name, Scopes: []string{"write_package_registry"}, Ends: c.Now().AddDate(0, 0, 1)})
}

// Made are all tokens that the API has ever made.
func (c *Server) Made() []Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.made)
}

// Calls is how often the API of deploy tokens was called.
func (c *Server) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}
