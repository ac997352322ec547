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

	"github.com/trustpub/trustpub/internal/model"
)

// contract is Harbor as its OpenAPI document and its sources state it: robots of projects, and the part of /v2/ that judges them. What is
// not documented it refuses.
type contract struct {
	now func() time.Time
	// projects are numbers by name; prefix is that of robots' names.
	projects map[string]int64
	prefix   string
	// change alters the answer about a new robot, for what must be noticed.
	change func(answer map[string]any)

	mu     sync.Mutex
	last   int64
	robots []madeRobot
	calls  []string
}

// madeRobot is one with what it may do.
type madeRobot struct {
	id           int64
	name, secret string
	project      string
	actions      []string
	ends         time.Time
}

func newContract() *contract {
	return &contract{now: time.Now, projects: map[string]int64{"acme": 7, "tools": 8}, prefix: "robot$"}
}

func (c *contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, r.Method+" "+r.URL.Path)
	path, isAPI := strings.CutPrefix(r.URL.Path, "/sub/api/v2.0")
	if !isAPI {
		c.registry(w, r, strings.TrimPrefix(r.URL.Path, "/sub/v2/"))
		return
	}
	if user, given, _ := r.BasicAuth(); user != "robot$trustpub" || given != password && given != replaced {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	project, isProject := strings.CutPrefix(path, "/projects/")
	id, isRobot := strings.CutPrefix(path, "/robots/")
	switch {
	case isProject && r.Method == http.MethodGet:
		if c.projects[project] == 0 || r.Header.Get("X-Is-Resource-Name") != "true" {
			problem(w, http.StatusNotFound, "NOT_FOUND")
			return
		}
		answer(w, http.StatusOK, map[string]any{"project_id": c.projects[project], "name": project})
	case path == "/robots" && r.Method == http.MethodPost:
		c.create(w, r)
	case path == "/robots" && r.Method == http.MethodGet:
		c.list(w, r)
	case isRobot && r.Method == http.MethodDelete:
		number, _ := strconv.ParseInt(id, 10, 64)
		before := len(c.robots)
		c.robots = slices.DeleteFunc(c.robots, func(m madeRobot) bool { return m.id == number })
		if len(c.robots) == before {
			problem(w, http.StatusNotFound, "NOT_FOUND")
		}
	default:
		problem(w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	}
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
func (c *contract) create(w http.ResponseWriter, r *http.Request) {
	var q createRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || dec.Decode(&q) != nil || !robotName.MatchString(q.Name) || q.Duration != -1 && q.Duration < 1 ||
		q.Level != "project" || len(q.Permissions) != 1 || q.Permissions[0].Kind != "project" || len(q.Permissions[0].Access) == 0 {
		problem(w, http.StatusBadRequest, "BAD_REQUEST")
		return
	}
	made := madeRobot{project: q.Permissions[0].Namespace}
	for _, a := range q.Permissions[0].Access {
		if a.Resource != "repository" || !slices.Contains([]string{"pull", "push", "delete"}, a.Action) {
			problem(w, http.StatusBadRequest, "BAD_REQUEST")
			return
		}
		made.actions = append(made.actions, a.Action)
	}
	made.name = c.prefix + made.project + "+" + q.Name
	switch {
	case c.projects[made.project] == 0:
		problem(w, http.StatusNotFound, "NOT_FOUND")
		return
	case slices.ContainsFunc(c.robots, func(m madeRobot) bool { return m.name == made.name }):
		problem(w, http.StatusConflict, "CONFLICT")
		return
	}
	made = c.add(made, c.now().AddDate(0, 0, q.Duration))
	a := map[string]any{
		"id": made.id, "name": made.name, "secret": made.secret, "creation_time": c.now().UTC().Format(time.RFC3339), "expires_at": made.ends.Unix(),
	}
	if c.change != nil {
		c.change(a)
	}
	w.Header().Set("Location", "/api/v2.0/robots/"+strconv.FormatInt(made.id, 10))
	answer(w, http.StatusCreated, a)
}

// add keeps a robot; the lock is held.
func (c *contract) add(m madeRobot, ends time.Time) madeRobot {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	c.last++
	m.id, m.secret, m.ends = c.last, "Aa1"+hex.EncodeToString(b), ends
	c.robots = append(c.robots, m)
	return m
}

// list is GET /robots: 400 without the number of a project, at most 100 at once.
func (c *contract) list(w http.ResponseWriter, r *http.Request) {
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
		if c.projects[m.project] == project {
			all = append(all, map[string]any{"id": m.id, "name": m.name, "expires_at": m.ends.Unix(), "level": "project", "secret": ""})
		}
	}
	all = all[min(len(all), (page-1)*size):]
	answer(w, http.StatusOK, all[:min(len(all), size)])
}

// registry is /v2/PROJECT/REPOSITORY/...: the robot of a Basic credential, its end, its project and its actions.
func (c *contract) registry(w http.ResponseWriter, r *http.Request, path string) {
	user, secret, _ := r.BasicAuth()
	project, _, _ := strings.Cut(path, "/")
	need := map[string]string{http.MethodGet: "pull", http.MethodDelete: "delete"}[r.Method]
	if need == "" {
		need = "push"
	}
	for _, m := range c.robots {
		if m.name == user && m.secret == secret && c.now().Before(m.ends) && m.project == project && slices.Contains(m.actions, need) {
			w.WriteHeader(http.StatusAccepted)
			return
		}
	}
	problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
}

// robot is that of a credential.
func (c *contract) robot(got model.Credential) (madeRobot, bool) {
	r := http.Request{Header: got.Header}
	user, secret, _ := r.BasicAuth()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.robots {
		if m.name == user && m.secret == secret {
			return m, true
		}
	}
	return madeRobot{}, false
}
