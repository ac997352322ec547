package hexpm

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

// api are hexpm's calls for keys, which a key with api:write may make. OAuth tokens would be no better: hexpm gives none for a package, and
// asks those of a person for a second factor.
type api struct {
	*mintapi.API
	organization string
	key          model.Secret
}

// permission is what a key may do: of a domain, in a resource.
type permission struct {
	Domain   string `json:"domain"`
	Resource string `json:"resource"`
}

// createRequest is the body of POST …/keys.
type createRequest struct {
	Name        string       `json:"name"`
	Permissions []permission `json:"permissions"`
	RevokeAt    string       `json:"revoke_at"`
}

// created is what is needed of the answer.
type created struct {
	Name        string       `json:"name"`
	Secret      string       `json:"secret"`
	Permissions []permission `json:"permissions"`
	RevokeAt    string       `json:"revoke_at"`
}

// check refuses a key that does more, or lives longer, than it was asked for.
func (c created) check(name string, wanted []permission, ends time.Time) error {
	if err := mintapi.CheckSecret("secret", c.Secret); err != nil {
		return err
	}
	switch at, err := time.Parse(time.RFC3339, c.RevokeAt); {
	case c.Name != name:
		return mintapi.Unfit("the answer's name is another than the one that was asked for")
	case !slices.Equal(c.Permissions, wanted):
		return mintapi.Unfit("the answer's permissions are others than those that were asked for")
	case err != nil || at.After(ends):
		return mintapi.Unfit("the answer's revoke_at is absent or later than what was asked for: does this hexpm know keys that end (since April 2026)?")
	}
	return nil
}

// create makes a key. Where hexpm has made another than the one that was asked for, it is deleted again.
func (a api) create(ctx context.Context, name string, wanted []permission, ends time.Time) (string, error) {
	var made created
	answered := false
	err := a.call(ctx, a.account(), mintapi.Call{
		Method: http.MethodPost, Expect: []int{http.StatusCreated},
		JSON: createRequest{Name: name, Permissions: wanted, RevokeAt: ends.Format(time.RFC3339)},
		Read: func(answer []byte) error {
			answered = true
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(name, wanted, ends)
		},
		Hint: func(status int) string { return a.hint(status, wanted) },
	})
	if err != nil {
		if answered {
			_ = a.remove(ctx, name) // what matters is the error above
		}
		return "", err
	}
	return made.Secret, nil
}

// remove deletes a key; one that has ended is gone already, which is as good.
func (a api) remove(ctx context.Context, name string) error {
	return a.call(ctx, a.account()+"/"+url.PathEscape(name), mintapi.Call{
		Method: http.MethodDelete, Expect: []int{http.StatusOK, http.StatusNotFound},
		Hint: func(status int) string { return a.hint(status, nil) },
	})
}

// exists asks whether there is a package.
func (a api) exists(ctx context.Context, repository, name string) (bool, error) {
	path := "/packages/" + url.PathEscape(name)
	if repository != public {
		path = "/repos/" + url.PathEscape(repository) + path
	}
	found := false
	err := a.call(ctx, path, mintapi.Call{
		Method: http.MethodGet, Expect: []int{http.StatusOK, http.StatusNotFound},
		Read: func(answer []byte) error {
			var pkg struct {
				Name   string `json:"name"`
				Status int    `json:"status"`
			}
			if err := mintapi.JSON(&pkg)(answer); err != nil {
				return err
			}
			switch {
			case pkg.Name == name:
				found = true
			case pkg.Status != http.StatusNotFound:
				return mintapi.Unfit("the answer is neither a package of this name nor hexpm's own 404: does url lead to hexpm?")
			}
			return nil
		},
		Hint: func(status int) string { return a.hint(status, nil) },
	})
	return found, err
}

// account is where the keys are.
func (a api) account() string {
	if a.organization == "" {
		return "/keys"
	}
	return "/orgs/" + url.PathEscape(a.organization) + "/keys"
}

// call is one below /api, with the key as hexpm takes it: without a scheme.
func (a api) call(ctx context.Context, path string, c mintapi.Call) error {
	key, err := a.key.Resolve()
	if err != nil {
		return err
	}
	c.Path, c.Header = "/api"+path, http.Header{"Authorization": {key}}
	_, err = a.Do(ctx, c)
	return err
}

// hint says what a status means here.
func (a api) hint(status int, wanted []permission) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("is the key in %s one of %s, not revoked, with the permission api:write?", a.key, a.owner())
	case http.StatusNotFound:
		return fmt.Sprintf("does url lead to hexpm, and is %s whose key it is?", a.owner())
	case http.StatusUnprocessableEntity:
		if len(wanted) > 0 {
			return fmt.Sprintf("may %s write %s?", a.owner(), wanted[len(wanted)-1].Resource)
		}
	}
	return ""
}

func (a api) owner() string {
	if a.organization == "" {
		return "a person"
	}
	return "the organisation " + a.organization
}
