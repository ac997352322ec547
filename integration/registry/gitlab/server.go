// Package gitlab is a server that keeps the contract of GitLab as its documentation states it, for tests: the API of deploy tokens of one project, and the
// project's packages, which are judged by them. What is not documented it refuses.
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
)

// Server is one GitLab with one project.
type Server struct {
	// Base is the path before all others, as in "/sub".
	Base string
	// Project is the path of the project, Secrets are the access tokens of its maintainer.
	Project string
	Secrets []string
	// Now is the clock.
	Now func() time.Time
	// Change alters the answer about a new token, for what must be noticed.
	Change func(answer map[string]any)

	mu     sync.Mutex
	last   int64
	tokens []Token
	made   []Token
	calls  int
	files  []file
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
func New() *Server { return &Server{Now: time.Now} }

// scopes are all of those that concern packages and images.
var scopes = []string{"read_registry", "write_registry", "read_package_registry", "write_package_registry"}

// ServeHTTP has the calls about deploy tokens, and the packages.
func (c *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path, found := strings.CutPrefix(r.URL.EscapedPath(), c.Base+"/api/v4/projects/"+url.PathEscape(c.Project)+"/")
	rest, isToken := strings.CutPrefix(path, "deploy_tokens")
	list, isPackages := strings.CutPrefix(path, "packages")
	switch {
	case !found:
		problem(w, http.StatusNotFound, "404 Project Not Found")
	case isPackages && strings.Trim(list, "0123456789/") != "" && !strings.HasSuffix(list, "/package_files"):
		c.packages(w, r, strings.TrimPrefix(list, "/"))
	case !isToken && !isPackages:
		problem(w, http.StatusNotFound, "404 Not Found")
	case !slices.Contains(c.Secrets, r.Header.Get("Private-Token")) || r.Header.Get("Authorization") != "":
		problem(w, http.StatusUnauthorized, "401 Unauthorized")
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

// add keeps a token; the lock is held.
func (c *Server) add(m Token) Token {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	c.last++
	m.id, m.Secret = c.last, "gldt-"+hex.EncodeToString(b)
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
