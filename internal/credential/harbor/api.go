package harbor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	// pageSize is the most that Harbor lists at once.
	pageSize = 100
	// days is the shortest life of a robot, and slack is for Harbor's clock.
	days  = 1
	slack = time.Hour
)

// api are Harbor's calls for robots.
type api struct {
	*mintapi.API
	user     string
	password model.Secret
}

// createRequest is the body of POST /api/v2.0/robots.
type createRequest struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Level       string       `json:"level"`
	Duration    int          `json:"duration"`
	Disable     bool         `json:"disable"`
	Permissions []permission `json:"permissions"`
}

// permission is what a robot may do in one project.
type permission struct {
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Access    []access `json:"access"`
}

type access struct {
	Resource string `json:"resource"`
	Action   string `json:"action"`
}

// robot is one as Harbor shows it; its secret only when it is made.
type robot struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Secret    string `json:"secret"`
	ExpiresAt int64  `json:"expires_at"`
}

// check refuses a robot that does not end, or that can't be used.
func (r robot) check(name, project string, started time.Time) error {
	if err := mintapi.CheckSecret("secret", r.Secret); err != nil {
		return err
	}
	switch {
	case r.ID <= 0:
		return mintapi.Unfit("the answer has no id of a robot: does url lead to Harbor?")
	case shortName(r.Name, project) != name || len(r.Name) > 512 || credential.CheckUser(r.Name) != nil:
		return mintapi.Unfit("the answer's name is another than that of a robot of this project with the name that was asked for")
	case r.ExpiresAt <= 0 || time.Unix(r.ExpiresAt, 0).After(started.AddDate(0, 0, days).Add(slack)):
		return mintapi.Unfit("the answer's expires_at is not within the %d day that was asked for: compare the clocks of the gateway and of Harbor", days)
	case !time.Unix(r.ExpiresAt, 0).After(started):
		return mintapi.Unfit("the answer's expires_at has passed: compare the clocks of the gateway and of Harbor")
	}
	return nil
}

// create makes a robot of a project. Where Harbor has made another than the one that was asked for, it is deleted again.
func (a api) create(ctx context.Context, name, project string, actions []string, started time.Time) (robot, error) {
	var all []access
	for _, action := range actions {
		all = append(all, access{"repository", action})
	}
	var made robot
	err := a.call(ctx, "/robots", mintapi.Call{
		Method: http.MethodPost, Expect: []int{http.StatusCreated},
		JSON: createRequest{
			Name: name, Description: "trustpub, for one upload", Level: "project", Duration: days,
			Permissions: []permission{{"project", project, all}},
		},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(name, project, started)
		},
		Hint: func(status int) string { return a.hint(status, project) },
	})
	if err != nil {
		if shortName(made.Name, project) == name && made.ID > 0 { // it is ours, whatever else it is
			_ = a.remove(ctx, made.ID) // what matters is the error above
		}
		return robot{}, err
	}
	return made, nil
}

// projectID is a project's number, which lists of robots are asked by.
func (a api) projectID(ctx context.Context, project string) (int64, error) {
	var answer struct {
		ID   int64  `json:"project_id"`
		Name string `json:"name"`
	}
	err := a.call(ctx, "/projects/"+url.PathEscape(project), mintapi.Call{
		Method: http.MethodGet, Expect: []int{http.StatusOK}, Header: http.Header{"X-Is-Resource-Name": {"true"}},
		Read: func(body []byte) error {
			if err := mintapi.JSON(&answer)(body); err != nil {
				return err
			}
			if answer.ID <= 0 || answer.Name != project {
				return mintapi.Unfit("the answer is no project of this name")
			}
			return nil
		},
		Hint: func(int) string { return fmt.Sprintf("may %s read the project %s?", a.user, project) },
	})
	return answer.ID, err
}

// list gives one page of a project's robots; pages count from one.
func (a api) list(ctx context.Context, project int64, page int) (robots []robot, err error) {
	query := url.Values{
		"q":    {"Level=project,ProjectID=" + strconv.FormatInt(project, 10)},
		"page": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(pageSize)},
	}
	err = a.call(ctx, "/robots?"+query.Encode(), mintapi.Call{
		Method: http.MethodGet, Expect: []int{http.StatusOK}, Read: mintapi.JSON(&robots),
		Hint: func(int) string { return fmt.Sprintf("may %s list the robots of the project?", a.user) },
	})
	return robots, err
}

// remove deletes a robot; one that is gone already is as good.
func (a api) remove(ctx context.Context, id int64) error {
	return a.call(ctx, "/robots/"+strconv.FormatInt(id, 10), mintapi.Call{
		Method: http.MethodDelete, Expect: []int{http.StatusOK, http.StatusNotFound},
		Hint: func(int) string { return fmt.Sprintf("may %s delete robots?", a.user) },
	})
}

// call is one below the API of version 2.
func (a api) call(ctx context.Context, path string, c mintapi.Call) error {
	password, err := a.password.Resolve()
	if err != nil {
		return err
	}
	c.Path, c.User, c.Password = "/api/v2.0"+path, a.user, password
	_, err = a.Do(ctx, c)
	return err
}

// hint says what a status means where a robot is made.
func (a api) hint(status int, project string) string {
	switch status {
	case http.StatusBadRequest:
		return "does this Harbor know robots of projects (2.2 or later)?"
	case http.StatusUnauthorized:
		return fmt.Sprintf("check user %s and the secret in %s; has the account expired?", strings.TrimSpace(a.user), a.password)
	case http.StatusForbidden:
		return fmt.Sprintf("may %s make robots in the project %s, and has it the rights itself that it gives?", a.user, project)
	case http.StatusNotFound:
		return fmt.Sprintf("is there a project %s, and does url lead to Harbor?", project)
	}
	return ""
}
