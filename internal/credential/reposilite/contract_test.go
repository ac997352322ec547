package reposilite

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// contract is Reposilite as its documentation and sources state it: access tokens with routes, and uploads and downloads that are
// judged by them. What is not documented it refuses.
type contract struct {
	// managers are names and secrets.
	managers map[string][]string
	now      func() time.Time
	// change alters an answer, for what must be noticed.
	change func(answer map[string]any)

	mu     sync.Mutex
	tokens map[string]madeToken
	files  map[string][]byte
}

// madeToken is one of a manager's making.
type madeToken struct {
	secret, path, permission string
	ends                     time.Time
}

func newContract() *contract {
	return &contract{
		managers: map[string][]string{"manager": {password, replaced}}, now: time.Now, tokens: map[string]madeToken{}, files: map[string][]byte{},
	}
}

func (c *contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, isToken := strings.CutPrefix(r.URL.Path, "/sub/api/tokens/")
	switch {
	case !isToken:
		c.file(w, r, strings.TrimPrefix(r.URL.Path, "/sub"))
	case !c.manager(r):
		http.Error(w, `{"status":401,"message":"Invalid authorization credentials"}`, http.StatusUnauthorized)
	case r.Method == http.MethodPut:
		c.upsert(w, r, name)
	case r.Method == http.MethodDelete:
		if _, found := c.tokens[name]; !found {
			http.Error(w, `{"status":404,"message":"Token not found"}`, http.StatusNotFound)
			return
		}
		delete(c.tokens, name)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (c *contract) manager(r *http.Request) bool {
	user, secret, _ := r.BasicAuth()
	return slices.Contains(c.managers[user], secret)
}

// upsert is PUT /api/tokens/{name}: 400 for a body that it can't read and for permissions that it does not know.
func (c *contract) upsert(w http.ResponseWriter, r *http.Request, name string) {
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
		len(q.Permissions) != 0 || len(q.Routes) != 1 || len(q.Routes[0].Permissions) != 1 || q.ExpiresAt == nil
	if bad || !slices.Contains([]string{"r", "w"}, q.Routes[0].Permissions[0]) || !strings.HasPrefix(q.Routes[0].Path, "/") {
		http.Error(w, `{"status":400,"message":"Failed to read body"}`, http.StatusBadRequest)
		return
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	made := madeToken{secret: hex.EncodeToString(b), path: q.Routes[0].Path, permission: q.Routes[0].Permissions[0], ends: *q.ExpiresAt}
	c.tokens[name] = made
	identifier := map[string]string{"r": "route:read", "w": "route:write"}[made.permission]
	answer := map[string]any{
		"accessToken": map[string]any{
			"identifier": map[string]any{"type": "TEMPORARY", "value": len(c.tokens)}, "name": name, "createdAt": []int{2026, 11, 23},
			"description": q.Description, "expiresAt": q.ExpiresAt.UTC().Format(time.RFC3339),
		},
		"permissions": []any{}, "secret": made.secret,
		"routes": []any{map[string]any{"path": made.path, "permission": map[string]string{"identifier": identifier, "shortcut": made.permission}}},
	}
	if c.change != nil {
		c.change(answer)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// file is a path in a repository: Basic only; a route is a prefix, whatever the case of its letters; 409 where the file exists.
func (c *contract) file(w http.ResponseWriter, r *http.Request, path string) {
	user, secret, _ := r.BasicAuth()
	t, found := c.tokens[user]
	need := map[string]string{http.MethodGet: "r", http.MethodPut: "w"}[r.Method]
	if !found || t.secret != secret || !c.now().Before(t.ends) || t.permission != need || !strings.HasPrefix(strings.ToLower(path), strings.ToLower(t.path)) {
		http.Error(w, `{"status":401,"message":"Unauthorized access request"}`, http.StatusUnauthorized)
		return
	}
	_, exists := c.files[path]
	switch {
	case r.Method == http.MethodPut && exists && !strings.Contains(path, "/maven-metadata.xml"):
		http.Error(w, `{"status":409,"message":"Redeployment is not allowed"}`, http.StatusConflict)
	case r.Method == http.MethodPut:
		c.files[path] = nil
	case !exists:
		http.NotFound(w, r)
	}
}

// status is the answer to a request with a credential.
func (c *contract) status(base, method, path string, got model.Credential) int {
	req, err := http.NewRequest(method, base+path, http.NoBody)
	if err != nil {
		panic(err) // the paths are ours
	}
	req.Header = got.Header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// token is that of a credential.
func (c *contract) token(got model.Credential) (madeToken, bool) {
	r := http.Request{Header: got.Header}
	user, secret, _ := r.BasicAuth()
	c.mu.Lock()
	defer c.mu.Unlock()
	t, found := c.tokens[user]
	return t, found && t.secret == secret
}
