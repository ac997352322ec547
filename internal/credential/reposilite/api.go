package reposilite

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// api are Reposilite's calls for access tokens, which a manager may make.
type api struct {
	*mintapi.API
	user     string
	password model.Secret
}

// createRequest is the body of PUT /api/tokens/NAME.
type createRequest struct {
	Type        string         `json:"type"`
	SecretType  string         `json:"secretType"`
	Permissions []string       `json:"permissions"`
	Routes      []requestRoute `json:"routes"`
	ExpiresAt   string         `json:"expiresAt"`
	Description string         `json:"description"`
}

// requestRoute is a path, and what may be done below it: r or w.
type requestRoute struct {
	Path        string   `json:"path"`
	Permissions []string `json:"permissions"`
}

// created is what is needed of the answer.
type created struct {
	AccessToken struct {
		Name string `json:"name"`
		// ExpiresAt is a moment as text, or as seconds, as Jackson's settings have it.
		ExpiresAt any `json:"expiresAt"`
	} `json:"accessToken"`
	Permissions []any `json:"permissions"`
	Routes      []struct {
		Path       string `json:"path"`
		Permission struct {
			Shortcut string `json:"shortcut"`
		} `json:"permission"`
	} `json:"routes"`
	Secret string `json:"secret"`
}

// check refuses a token that does more, or lives longer, than it was asked for.
func (c created) check(name, path string, permissions []string, expires time.Time) error {
	if err := mintapi.CheckSecret("secret", c.Secret); err != nil {
		return err
	}
	switch {
	case c.AccessToken.Name != name:
		return mintapi.Unfit("the answer's name is another than the one that was asked for")
	case len(c.Permissions) != 0:
		return mintapi.Unfit("the answer has permissions, expected none: the token would be a manager's")
	case !c.routed(path, permissions):
		return mintapi.Unfit("the answer's routes are others than the one that was asked for: does this Reposilite take routes with a new token?")
	}
	ends, ok := moment(c.AccessToken.ExpiresAt)
	if !ok || ends.After(expires) {
		return mintapi.Unfit("the answer's expiresAt is absent or later than what was asked for: does this Reposilite know tokens that expire?")
	}
	return nil
}

// routed is true where the routes are one for each permission, all with the path.
func (c created) routed(path string, permissions []string) bool {
	var got []string
	for _, route := range c.Routes {
		if route.Path != path {
			return false
		}
		got = append(got, route.Permission.Shortcut)
	}
	slices.Sort(got)
	return slices.Equal(got, permissions)
}

func moment(v any) (time.Time, bool) {
	switch v := v.(type) {
	case string:
		at, err := time.Parse(time.RFC3339, v)
		return at, err == nil
	case float64:
		if v > 0 && v < 1<<40 {
			return time.Unix(int64(v), 0), true
		}
	}
	return time.Time{}, false
}

// create makes a token for one path, with permissions in alphabetical order. Where Reposilite has made another than the one that was asked for, it is deleted again.
func (a api) create(ctx context.Context, name, path string, permissions []string, expires time.Time) (string, error) {
	var made created
	answered := false
	err := a.call(ctx, name, mintapi.Call{
		Method: http.MethodPut, Expect: []int{http.StatusOK},
		JSON: createRequest{
			Type: "TEMPORARY", SecretType: "RAW", Permissions: []string{}, Routes: []requestRoute{{path, permissions}},
			ExpiresAt: expires.Format(time.RFC3339), Description: "trustpub, for one upload",
		},
		Read: func(answer []byte) error {
			answered = true
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(name, path, permissions, expires)
		},
	})
	if err != nil && answered {
		_ = a.remove(ctx, name) // what matters is the error above
	}
	return made.Secret, err
}

// remove deletes a token; one that has expired is gone already, which is as good.
func (a api) remove(ctx context.Context, name string) error {
	return a.call(ctx, name, mintapi.Call{Method: http.MethodDelete, Expect: []int{http.StatusOK, http.StatusNoContent, http.StatusNotFound}})
}

// call is one about a token, as the manager.
func (a api) call(ctx context.Context, name string, c mintapi.Call) error {
	password, err := a.password.Resolve()
	if err != nil {
		return err
	}
	c.Path = "/api/tokens/" + url.PathEscape(name)
	c.User, c.Password, c.Hint = a.user, password, a.hint
	_, err = a.Do(ctx, c)
	return err
}

// hint says what a status means here.
func (a api) hint(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "does this Reposilite know routes and expiresAt of new tokens?"
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("is %s the name of an access token with the permission of a manager, and its secret in %s?", a.user, a.password)
	}
	return ""
}
