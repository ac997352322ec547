// Package harbor is a server that keeps the contract of Harbor as its OpenAPI document and its sources state it, for tests: robots of projects, and
// the part of /v2/ that judges them. What is not documented it refuses.
package harbor

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/demo/oci"
)

// Server is one Harbor.
type Server struct {
	// Base is the path before all others, as in "/sub".
	Base string
	// User is the account that makes robots, Secrets are its secrets. It may do the same in the repositories.
	User    string
	Secrets []string
	// Projects are numbers by name; Prefix is that of robots' names.
	Projects map[string]int64
	Prefix   string
	// Now is the clock.
	Now func() time.Time
	// Change alters the answer about a new robot, for what must be noticed.
	Change func(answer map[string]any)

	images *oci.Registry

	mu     sync.Mutex
	last   int64
	robots []Robot
	made   []Robot
	calls  int
}

// Robot is one with what it may do.
type Robot struct {
	id int64
	// Name and Secret are its credential.
	Name, Secret string
	// Project is where it may do Actions.
	Project string
	Actions []string
	// Ends is its expiry.
	Ends time.Time
}

// Can is true for one of its actions.
func (r Robot) Can(action string) bool { return slices.Contains(r.Actions, action) }

// New makes one that nobody serves yet.
func New() *Server {
	s := &Server{Now: time.Now, Prefix: "robot$"}
	s.images = oci.NewRegistry(s.may, func(r *http.Request) string {
		return fmt.Sprintf("Bearer realm=%q,service=%q", "http://"+r.Host+"/service/token", "harbor-registry")
	})
	return s
}

// ServeHTTP has the calls about robots, and the repositories.
func (c *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isAPI := strings.CutPrefix(r.URL.Path, c.Base+"/api/v2.0")
	if !isAPI {
		http.StripPrefix(c.Base, c.images).ServeHTTP(w, r)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if !c.account(r) {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	project, isProject := strings.CutPrefix(path, "/projects/")
	id, isRobot := strings.CutPrefix(path, "/robots/")
	switch {
	case isProject && r.Method == http.MethodGet:
		if c.Projects[project] == 0 || r.Header.Get("X-Is-Resource-Name") != "true" {
			problem(w, http.StatusNotFound, "NOT_FOUND")
			return
		}
		answer(w, http.StatusOK, map[string]any{"project_id": c.Projects[project], "name": project})
	case path == "/robots" && r.Method == http.MethodPost:
		c.create(w, r)
	case path == "/robots" && r.Method == http.MethodGet:
		c.list(w, r)
	case isRobot && r.Method == http.MethodDelete:
		number, _ := strconv.ParseInt(id, 10, 64)
		before := len(c.robots)
		c.robots = slices.DeleteFunc(c.robots, func(m Robot) bool { return m.id == number })
		if len(c.robots) == before {
			problem(w, http.StatusNotFound, "NOT_FOUND")
		}
	default:
		problem(w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	}
}

// account is true for the credential of the account that makes robots.
func (c *Server) account(r *http.Request) bool {
	user, given, _ := r.BasicAuth()
	return user == c.User && slices.Contains(c.Secrets, given)
}

func problem(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": "no"}}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// robotName is Harbor's grammar.
var robotName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// create is POST /robots: 400 for a name, a duration, a level or a permission that is none, 404 for a project that is none, 409 for a name
// that is taken.
func (c *Server) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name        string `json:"name"`
		Duration    int    `json:"duration"`
		Level       string `json:"level"`
		Description string `json:"description"`
		Disable     bool   `json:"disable"`
		Permissions []struct {
			Kind      string `json:"kind"`
			Namespace string `json:"namespace"`
			Access    []struct {
				Resource string `json:"resource"`
				Action   string `json:"action"`
			} `json:"access"`
		} `json:"permissions"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || dec.Decode(&q) != nil || !robotName.MatchString(q.Name) || q.Duration != -1 && q.Duration < 1 ||
		q.Level != "project" || len(q.Permissions) != 1 || q.Permissions[0].Kind != "project" || len(q.Permissions[0].Access) == 0 {
		problem(w, http.StatusBadRequest, "BAD_REQUEST")
		return
	}
	made := Robot{Project: q.Permissions[0].Namespace}
	for _, a := range q.Permissions[0].Access {
		if a.Resource != "repository" || !slices.Contains([]string{"pull", "push", "delete"}, a.Action) {
			problem(w, http.StatusBadRequest, "BAD_REQUEST")
			return
		}
		made.Actions = append(made.Actions, a.Action)
	}
	made.Name = c.Prefix + made.Project + "+" + q.Name
	switch {
	case c.Projects[made.Project] == 0:
		problem(w, http.StatusNotFound, "NOT_FOUND")
		return
	case slices.ContainsFunc(c.robots, func(m Robot) bool { return m.Name == made.Name }):
		problem(w, http.StatusConflict, "CONFLICT")
		return
	}
	made = c.add(made, c.Now().AddDate(0, 0, q.Duration))
	c.made = append(c.made, made)
	a := map[string]any{
		"id": made.id, "name": made.Name, "secret": made.Secret, "creation_time": c.Now().UTC().Format(time.RFC3339), "expires_at": made.Ends.Unix(),
	}
	if c.Change != nil {
		c.Change(a)
	}
	w.Header().Set("Location", "/api/v2.0/robots/"+strconv.FormatInt(made.id, 10))
	answer(w, http.StatusCreated, a)
}

// add keeps a robot; the lock is held.
func (c *Server) add(m Robot, ends time.Time) Robot {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	c.last++
	m.id, m.Secret, m.Ends = c.last, "Aa1"+hex.EncodeToString(b), ends
	c.robots = append(c.robots, m)
	return m
}

// list is GET /robots: 400 without the number of a project, at most 100 at once.
func (c *Server) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var project int64
	_, err := fmt.Sscanf(query.Get("q"), "Level=project,ProjectID=%d", &project)
	page, _ := strconv.Atoi(query.Get("page"))
	size, _ := strconv.Atoi(query.Get("page_size"))
	if err != nil || page < 1 || size < 1 || size > 100 {
		problem(w, http.StatusBadRequest, "BAD_REQUEST")
		return
	}
	all := []map[string]any{}
	for _, m := range c.robots {
		if c.Projects[m.Project] == project {
			all = append(all, map[string]any{"id": m.id, "name": m.Name, "expires_at": m.Ends.Unix(), "level": "project", "secret": ""})
		}
	}
	all = all[min(len(all), (page-1)*size):]
	answer(w, http.StatusOK, all[:min(len(all), size)])
}

// may is what a robot's project and actions allow, and the account in every project; every repository begins with its project.
func (c *Server) may(r *http.Request, repository, action string) bool {
	if r.Method == http.MethodDelete {
		action = "delete"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.account(r) {
		return true
	}
	user, secret, _ := r.BasicAuth()
	project, _, _ := strings.Cut(repository, "/")
	for _, m := range c.robots {
		if m.Name == user && m.Secret == secret && c.Now().Before(m.Ends) && (repository == "" || m.Project == project && slices.Contains(m.Actions, action)) {
			return true
		}
	}
	return false
}

// Robot is that of a request's credential; false where there is none any more.
func (c *Server) Robot(h http.Header) (Robot, bool) {
	r := http.Request{Header: h}
	user, secret, _ := r.BasicAuth()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.robots {
		if m.Name == user && m.Secret == secret {
			return m, true
		}
	}
	return Robot{}, false
}

// Strand leaves a robot behind, as a crash does.
func (c *Server) Strand(project, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(Robot{Project: project, Name: c.Prefix + project + "+" + name}, c.Now().AddDate(0, 0, 1))
}

// Names are those of a project's robots, without what is in front.
func (c *Server) Names(project string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{}
	for _, m := range c.robots {
		if m.Project == project {
			_, name, _ := strings.Cut(m.Name, "+")
			names = append(names, name)
		}
	}
	return names
}

// Made are all robots that the account has ever made.
func (c *Server) Made() []Robot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.made)
}

// Calls is how often the API was called.
func (c *Server) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}
