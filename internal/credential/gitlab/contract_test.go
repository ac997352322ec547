package gitlab

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// contract is GitLab's API of deploy tokens as its documentation states it, for one project, and uploads that are judged by them. What is
// not documented it refuses.
type contract struct {
	now func() time.Time
	// change alters the answer about a new token, for what must be noticed.
	change func(answer map[string]any)

	mu     sync.Mutex
	last   int64
	tokens []madeToken
	calls  []string
}

// madeToken is one with what it may do.
type madeToken struct {
	id                            int64
	name, username, secret, scope string
	ends                          time.Time
}

func newContract() *contract { return &contract{now: time.Now} }

// scopes are all of those that concern packages and images.
var scopes = []string{"read_registry", "write_registry", "read_package_registry", "write_package_registry"}

func (c *contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, r.Method+" "+r.URL.EscapedPath())
	path, found := strings.CutPrefix(r.URL.EscapedPath(), "/sub/api/v4/projects/acme%2Fpackages/")
	rest, isToken := strings.CutPrefix(path, "deploy_tokens")
	given := r.Header.Get("Private-Token")
	switch {
	case !found:
		problem(w, http.StatusNotFound, "404 Project Not Found")
	case strings.HasPrefix(path, "packages/"):
		c.packages(w, r)
	case !isToken:
		problem(w, http.StatusNotFound, "404 Not Found")
	case given != password && given != replaced || r.Header.Get("Authorization") != "":
		problem(w, http.StatusUnauthorized, "401 Unauthorized")
	case rest == "" && r.Method == http.MethodPost:
		c.create(w, r)
	case rest == "" && r.Method == http.MethodGet:
		c.list(w, r)
	case r.Method == http.MethodDelete:
		id, _ := strconv.ParseInt(strings.TrimPrefix(rest, "/"), 10, 64)
		before := len(c.tokens)
		c.tokens = slices.DeleteFunc(c.tokens, func(m madeToken) bool { return m.id == id })
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
func (c *contract) create(w http.ResponseWriter, r *http.Request) {
	var q createRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	bad := r.Header.Get("Content-Type") != "application/json" || dec.Decode(&q) != nil || q.Name == "" || len(q.Scopes) != 1 || !slices.Contains(scopes, q.Scopes[0])
	ends, err := time.Parse(time.DateOnly, q.ExpiresAt)
	if bad || err != nil || !ends.After(c.now()) {
		problem(w, http.StatusBadRequest, "400 Bad request")
		return
	}
	made := c.add(madeToken{name: q.Name, username: q.Username, scope: q.Scopes[0], ends: ends})
	a := map[string]any{
		"id": made.id, "name": made.name, "username": made.username, "expires_at": ends.Format("2006-01-02T15:04:05.000Z"), "token": made.secret,
		"revoked": false, "expired": false, "scopes": []string{made.scope},
	}
	if c.change != nil {
		c.change(a)
	}
	answer(w, http.StatusCreated, a)
}

// add keeps a token; the lock is held.
func (c *contract) add(m madeToken) madeToken {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	c.last++
	m.id, m.secret = c.last, "gldt-"+hex.EncodeToString(b)
	c.tokens = append(c.tokens, m)
	return m
}

// list is GET: pages of at most 100.
func (c *contract) list(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	all := []map[string]any{}
	for _, m := range c.tokens {
		if c.now().Before(m.ends) || r.URL.Query().Get("active") != "true" {
			all = append(all, map[string]any{"id": m.id, "name": m.name, "username": m.username, "scopes": []string{m.scope}})
		}
	}
	size = min(size, 100)
	all = all[min(len(all), (page-1)*size):]
	answer(w, http.StatusOK, all[:min(len(all), size)])
}

// packages is the package registry: a token of the header, or of a Basic credential with its user's name, with the scope for it.
func (c *contract) packages(w http.ResponseWriter, r *http.Request) {
	m, found := c.find(r.Header)
	switch {
	case !found || !c.now().Before(m.ends):
		problem(w, http.StatusUnauthorized, "401 Unauthorized")
	case r.Method == http.MethodGet && m.scope != "read_package_registry" || r.Method != http.MethodGet && m.scope != "write_package_registry":
		problem(w, http.StatusForbidden, "403 Forbidden")
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

// find is the token that a request has; the lock is held.
func (c *contract) find(h http.Header) (madeToken, bool) {
	r := http.Request{Header: h}
	user, secret, basic := r.BasicAuth()
	for _, m := range c.tokens {
		value := h.Get("Authorization")
		if basic && user == m.username && secret == m.secret || h.Get("Deploy-Token") == m.secret || value == "Bearer "+m.secret || value == m.secret {
			return m, true
		}
	}
	return madeToken{}, false
}

// token is that of a credential.
func (c *contract) token(got model.Credential) (madeToken, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(got.Header)
}

// names are those of the tokens.
func (c *contract) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{}
	for _, m := range c.tokens {
		names = append(names, m.name)
	}
	return names
}

// strand leaves a token behind.
func (c *contract) strand(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(madeToken{name: name, username: name, scope: "write_package_registry", ends: c.now().AddDate(0, 0, 1)})
}
