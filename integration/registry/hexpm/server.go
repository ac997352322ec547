// Package hexpm is a server that keeps the contract of hexpm, the program behind Hex's registries, as its sources state it, for tests: keys with
// permissions and an end, and the API of releases that is judged by them. What those sources don't have it refuses.
package hexpm

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Permission is what a key may do: of a domain, in a resource.
type Permission struct {
	Domain   string  `json:"domain"`
	Resource *string `json:"resource"`
}

// String is the permission as an OAuth scope has it.
func (p Permission) String() string {
	if p.Resource == nil {
		return p.Domain
	}
	return p.Domain + ":" + *p.Resource
}

// Key is one of an account.
type Key struct {
	Name, Secret string
	Permissions  []Permission
	// Ends is when it is revoked; zero: never.
	Ends time.Time
}

// Server is one hexpm.
type Server struct {
	// Base is the path before all others, as in "/sub".
	Base string
	// Organization is whose keys Masters are, which may write all that it has; empty: those of a person who owns every package.
	Organization string
	Masters      []string
	// Change alters an answer about a new key, for what must be noticed.
	Change func(answer map[string]any)

	mu      sync.Mutex
	now     func() time.Time
	keys    map[string]Key    // by name
	made    []Key             // all that ever were
	files   map[string][]byte // by REPOSITORY/FILE
	retired map[string]string
}

// New makes one that nobody serves yet.
func New() *Server {
	return &Server{now: time.Now, keys: map[string]Key{}, files: map[string][]byte{}, retired: map[string]string{}}
}

// Clock sets the clock.
func (s *Server) Clock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Now is what the clock says.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// ServeHTTP has the calls about keys and the API of packages, below /api.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, below := strings.CutPrefix(r.URL.Path, s.Base+"/api")
	if !below {
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
		return
	}
	account := "/keys"
	if s.Organization != "" {
		account = "/orgs/" + s.Organization + "/keys"
	}
	if rest, isKeys := strings.CutPrefix(path, account); isKeys {
		s.account(w, r, strings.TrimPrefix(rest, "/"))
		return
	}
	s.api(w, r, path)
}

// account has POST …/keys and DELETE …/keys/NAME, for which api:write is needed.
func (s *Server) account(w http.ResponseWriter, r *http.Request, name string) {
	_, found := s.keys[name]
	switch key, ok := s.authenticate(r); {
	case !ok:
		s.unauthorized(w, r, "invalid API key")
	case !key.may("api:write"):
		s.unauthorized(w, r, "key not authorized for this action")
	case r.Method == http.MethodPost && name == "":
		s.create(w, r)
	case r.Method == http.MethodDelete && found:
		delete(s.keys, name)
		s.answer(w, r, http.StatusOK, "", nil)
	default:
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
	}
}

// create is POST …/keys.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name        string       `json:"name"`
		Permissions []Permission `json:"permissions"`
		RevokeAt    *time.Time   `json:"revoke_at"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	errors := map[string]any{}
	switch {
	case r.Header.Get("Content-Type") != "application/json" || dec.Decode(&q) != nil:
		s.answer(w, r, http.StatusBadRequest, "Bad request", nil)
		return
	case q.Name == "":
		errors["name"] = "can't be blank"
	case q.RevokeAt != nil && !q.RevokeAt.After(s.now()):
		errors["revoke_at"] = "must be in the future"
	}
	if len(q.Permissions) == 0 {
		q.Permissions = []Permission{{Domain: "api"}}
	}
	for _, p := range q.Permissions {
		if problem := s.problem(p); problem != "" {
			errors["permissions"] = map[string]string{"resource": problem}
		}
	}
	if len(errors) > 0 {
		s.answer(w, r, http.StatusUnprocessableEntity, "Validation error(s)", errors)
		return
	}
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	made := Key{Name: q.Name, Secret: hex.EncodeToString(b), Permissions: q.Permissions}
	answer := map[string]any{
		"name": q.Name, "authing_key": false, "secret": made.Secret, "permissions": q.Permissions, "revoke_at": nil,
		"inserted_at": s.now().UTC().Format(time.RFC3339Nano), "updated_at": s.now().UTC().Format(time.RFC3339Nano), "url": "/api/keys/" + q.Name,
	}
	if q.RevokeAt != nil {
		made.Ends = *q.RevokeAt
		answer["revoke_at"] = made.Ends.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	s.keys[q.Name] = made
	s.made = append(s.made, made)
	if s.Change != nil {
		s.Change(answer)
	}
	w.Header().Set("Location", "/api/keys/"+q.Name)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(answer)
}

// problem is why an account may not make a key with a permission.
func (s *Server) problem(p Permission) string {
	resource := ""
	if p.Resource != nil {
		resource = *p.Resource
	}
	repository, _, _ := strings.Cut(resource, "/")
	switch p.Domain {
	case "api":
		if p.Resource == nil || resource == "read" || resource == "write" {
			return ""
		}
	case "repository":
		if s.Organization == "" || resource == s.Organization {
			return ""
		}
		return "you do not have access to this repository"
	case "package":
		if s.exists(resource) && (s.Organization == "" || repository == s.Organization) {
			return ""
		}
		return "you do not have access to this package"
	}
	return "invalid resource for given domain"
}

// exists is true for a package that has a release.
func (s *Server) exists(pkg string) bool {
	for file := range s.files {
		if strings.HasPrefix(file, pkg+"-") && strings.HasSuffix(file, ".tar") {
			return true
		}
	}
	return false
}

// authenticate finds the key of a request: as it is, without a scheme.
func (s *Server) authenticate(r *http.Request) (Key, bool) {
	secret := r.Header.Get("Authorization")
	if secret == "" || len(r.Header.Values("Authorization")) != 1 {
		return Key{}, false
	}
	if slices.Contains(s.Masters, secret) {
		return Key{Permissions: []Permission{{Domain: "api"}}}, true
	}
	for _, k := range s.keys {
		if k.Secret == secret && (k.Ends.IsZero() || s.now().Before(k.Ends)) {
			return k, true
		}
	}
	return Key{}, false
}

// may says whether a key has what a call needs: "api:read", "api:write", or a package, which implies to read.
func (k Key) may(need string) bool {
	return slices.ContainsFunc(k.Permissions, func(p Permission) bool {
		switch got := p.String(); got {
		case "api", "api:write":
			return true
		case "api:read":
			return need == got
		default:
			return got == need || p.Domain == "package" && need == "api:read"
		}
	})
}

func (s *Server) unauthorized(w http.ResponseWriter, r *http.Request, message string) {
	w.Header().Set("WWW-Authenticate", "Basic realm=hex")
	s.answer(w, r, http.StatusUnauthorized, message, nil)
}

// answer writes an error, or a success without a message, in the form that the client asks for.
func (*Server) answer(w http.ResponseWriter, r *http.Request, status int, message string, more map[string]any) {
	body := map[string]any{}
	if message != "" {
		body["status"], body["message"] = status, message
		if more != nil {
			body["errors"] = more
		}
	} else {
		maps.Copy(body, more)
	}
	if strings.Contains(r.Header.Get("Accept"), "application/vnd.hex+erlang") {
		w.Header().Set("Content-Type", "application/vnd.hex+erlang; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(append([]byte{131}, term(body)...)) // a client that went away has nobody to tell
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Key is that of a request's credential; false where it is good for nothing.
func (s *Server) Key(h http.Header) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authenticate(&http.Request{Header: h})
}

// Made are all keys that were ever made, Left those of them that were not deleted.
func (s *Server) Made() (all []Key, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.made), len(s.keys)
}

// Has puts a file there without a request.
func (s *Server) Has(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[file] = []byte(file)
}

// Files are the names, REPOSITORY/FILE, with the SHA-256 of what they hold; a release that is retired has one more.
func (s *Server) Files() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for name, content := range s.files {
		out[name] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	for name, reason := range s.retired {
		out[name+" retired"] = fmt.Sprintf("%x", sha256.Sum256([]byte(reason)))
	}
	return out
}
