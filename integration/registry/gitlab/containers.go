package gitlab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/integration/registry/images"
)

const (
	// Service is the name by which the registry of containers asks for tokens.
	Service = "container_registry"
	// bearerLife is GitLab's default.
	bearerLife = 5 * time.Minute
)

// Access is one entry of what a bearer token is good for.
type Access struct {
	Type    string            `json:"type"`
	Name    string            `json:"name"`
	Actions []string          `json:"actions"`
	Meta    map[string]string `json:"meta"`
}

// bearer is a token that the realm has made.
type bearer struct {
	access []Access
	ends   time.Time
}

// newImages is the registry of containers, whose challenge names the realm of this GitLab.
func (c *Server) newImages() *images.Store {
	return &images.Store{May: c.mayImage, Challenge: func(r *http.Request) string {
		realm := "http://" + r.Host + c.Base + "/jwt/auth"
		if c.Realm != "" {
			realm = c.Realm
		}
		return fmt.Sprintf("Bearer realm=%q,service=%q", realm, Service)
	}}
}

// path is the project's, with which the names of its images begin.
func (c *Server) path() string {
	if c.Path != "" {
		return c.Path
	}
	return c.Project
}

// scope is a scope of a repository.
var scope = regexp.MustCompile(`^repository:([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):([a-z*]+(?:,[a-z*]+)*)$`)

// auth is GET /jwt/auth: 401 for a credential that is none, 403 for one without any right on containers, 404 for another service. What the
// credential may not do is left out of the token without a word, and a repository is made when a push to it is granted.
func (c *Server) auth(w http.ResponseWriter, r *http.Request) {
	c.auths++
	m, found := c.find(http.Header{"Authorization": r.Header["Authorization"]})
	_, _, basic := r.BasicAuth()
	query := r.URL.Query()
	switch {
	case r.Method != http.MethodGet:
		problem(w, http.StatusMethodNotAllowed, "405 Method Not Allowed")
	case !basic || !found || !c.Now().Before(m.Ends):
		denied(w, http.StatusUnauthorized, "UNAUTHORIZED", "HTTP Basic: Access denied")
	case len(query["service"]) != 1 || query.Get("service") != Service:
		w.WriteHeader(http.StatusNotFound)
	case !slices.Contains(m.Scopes, "read_registry") && !slices.Contains(m.Scopes, "write_registry"):
		denied(w, http.StatusForbidden, "DENIED", "access forbidden")
	default:
		granted := []Access{}
		for _, text := range query["scope"] {
			if a, ok := c.grant(m, text); ok {
				granted = append(granted, a)
			}
		}
		if c.Grant != nil {
			granted = c.Grant(granted)
		}
		answer(w, http.StatusOK, map[string]string{"token": c.sign(m, granted)})
	}
}

func denied(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// grant is what of a scope a deploy token of the project may do; the lock is held.
func (c *Server) grant(m Token, text string) (Access, bool) {
	s := scope.FindStringSubmatch(text)
	if s == nil || s[1] != c.path() && !strings.HasPrefix(s[1], c.path()+"/") {
		return Access{}, false
	}
	a := Access{Type: "repository", Name: s[1], Meta: map[string]string{"project_path": c.path()}}
	for action := range strings.SplitSeq(s[2], ",") {
		if action == "pull" && slices.Contains(m.Scopes, "read_registry") || action == "push" && slices.Contains(m.Scopes, "write_registry") {
			a.Actions = append(a.Actions, action)
		}
	}
	if slices.Contains(a.Actions, "push") && !slices.Contains(c.repositories, a.Name) {
		c.repositories = append(c.repositories, a.Name)
	}
	return a, len(a.Actions) > 0
}

// sign makes a token of the form that GitLab's have. The registry here knows them all, and verifies none; the lock is held.
func (c *Server) sign(m Token, granted []Access) string {
	ends := c.Now().Add(bearerLife)
	part := func(v any) string {
		b, _ := json.Marshal(v) // maps of strings and lists
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]string{"typ": "JWT", "alg": "RS256"}) + "." + part(map[string]any{
		"iss": "gitlab-issuer", "aud": Service, "sub": "", "jti": random(16), "iat": c.Now().Unix(), "nbf": c.Now().Unix() - 5, "exp": ends.Unix(),
		"auth_type": "deploy_token", "access": granted,
	}) + "." + random(64)
	c.bearers[text] = bearer{granted, ends}
	return text
}

// mayImage judges a request below /v2/ by its bearer token; nothing else is a credential there.
func (c *Server) mayImage(r *http.Request, repository, action string) int {
	c.mu.Lock()
	c.seen = append(c.seen, r.Header.Clone())
	c.mu.Unlock()
	need := "push"
	if action == images.Read {
		need = "pull"
	}
	if c.Granted(r.Header, repository, need) {
		return http.StatusOK
	}
	return http.StatusUnauthorized
}

// Granted is true for a request's bearer token that has not ended and is good for an action on a repository.
func (c *Server) Granted(h http.Header, repository, action string) bool {
	raw, _ := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	c.mu.Lock()
	defer c.mu.Unlock()
	b, there := c.bearers[raw]
	return there && c.Now().Before(b.ends) && slices.ContainsFunc(b.access, func(a Access) bool { return a.Name == repository && slices.Contains(a.Actions, action) })
}

// Seen are the headers of the requests that reached the containers.
func (c *Server) Seen() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// Auths is how often the realm was asked.
func (c *Server) Auths() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.auths
}

// registries is the API of the project's repositories of containers: the list with their tags, and a tag with its digest.
func (c *Server) registries(w http.ResponseWriter, r *http.Request, path string) {
	if r.Method != http.MethodGet {
		problem(w, http.StatusMethodNotAllowed, "405 Method Not Allowed")
		return
	}
	if path == "" {
		all := []map[string]any{}
		for i, name := range c.repositories {
			tags := []map[string]string{}
			for _, tag := range c.images.Tags(name) {
				tags = append(tags, map[string]string{"name": tag, "path": name + ":" + tag})
			}
			all = append(all, map[string]any{"id": i + 1, "path": name, "tags": tags})
		}
		answer(w, http.StatusOK, all)
		return
	}
	id, tag, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/tags/")
	number, _ := strconv.Atoi(id)
	if number < 1 || number > len(c.repositories) || c.images.Digest(c.repositories[number-1], tag) == "" {
		problem(w, http.StatusNotFound, "404 Tag Not Found")
		return
	}
	answer(w, http.StatusOK, map[string]string{"name": tag, "digest": c.images.Digest(c.repositories[number-1], tag)})
}
