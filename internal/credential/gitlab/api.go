package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// pageSize is the most that GitLab lists at once.
const pageSize = 100

// api are GitLab's calls for the deploy tokens of a project.
type api struct {
	*mintapi.API
	token   model.Secret
	project string
}

// createRequest is the body of POST /projects/ID/deploy_tokens.
type createRequest struct {
	Name      string   `json:"name"`
	ExpiresAt string   `json:"expires_at"`
	Username  string   `json:"username"`
	Scopes    []string `json:"scopes"`
}

// token is one as GitLab shows it; its secret only when it is made.
type token struct {
	ID        int64    `json:"id"`
	Name      string   `json:"name"`
	Username  string   `json:"username"`
	ExpiresAt string   `json:"expires_at"`
	Token     string   `json:"token"`
	Scopes    []string `json:"scopes"`
}

// check refuses a token that does more, or lives longer, than it was asked for.
func (t token) check(name string, scopes []string, ends time.Time) error {
	if err := mintapi.CheckSecret("token", t.Token); err != nil {
		return err
	}
	if t.ID <= 0 {
		return mintapi.Unfit("the answer has no id of a token: does url lead to GitLab?")
	}
	if t.Name != name || credential.CheckUser(t.Username) != nil || t.Username != name {
		return mintapi.Unfit("the answer's name or username is another than the one that was asked for")
	}
	if !slices.Equal(slices.Sorted(slices.Values(t.Scopes)), scopes) {
		return mintapi.Unfit("the answer's scopes are others than those that were asked for")
	}
	at, err := time.Parse(time.RFC3339, t.ExpiresAt)
	if err != nil {
		at, err = time.Parse(time.DateOnly, t.ExpiresAt)
	}
	if err != nil || at.After(ends) {
		return mintapi.Unfit("the answer's expires_at is absent or later than the day that was asked for")
	}
	return nil
}

// create makes a token with these scopes, in alphabetical order. Where GitLab has made another than the one that was asked for, it is revoked again.
func (a api) create(ctx context.Context, name string, scopes []string, ends time.Time) (token, error) {
	var made token
	err := a.call(ctx, "", mintapi.Call{
		Method: http.MethodPost, Expect: []int{http.StatusCreated},
		JSON: createRequest{Name: name, ExpiresAt: ends.Format(time.DateOnly), Username: name, Scopes: scopes},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(name, scopes, ends)
		},
	})
	if err != nil {
		if made.Name == name && made.ID > 0 { // it is ours, whatever else it is
			_ = a.remove(ctx, made.ID) // what matters is the error above
		}
		return token{}, err
	}
	return made, nil
}

// list gives one page of the project's tokens that have not ended; pages count from one.
func (a api) list(ctx context.Context, page int) (all []mintapi.Named[int64], last bool, err error) {
	var tokens []token
	err = a.call(ctx, "?active=true&per_page="+strconv.Itoa(pageSize)+"&page="+strconv.Itoa(page), mintapi.Call{
		Method: http.MethodGet, Expect: []int{http.StatusOK}, Read: mintapi.JSON(&tokens),
	})
	for _, t := range tokens {
		all = append(all, mintapi.Named[int64]{ID: t.ID, Name: t.Name})
	}
	return all, len(tokens) < pageSize, err
}

// remove revokes a token; one that is gone already is as good.
func (a api) remove(ctx context.Context, id int64) error {
	return a.call(ctx, "/"+strconv.FormatInt(id, 10), mintapi.Call{
		Method: http.MethodDelete, Expect: []int{http.StatusNoContent, http.StatusNotFound},
	})
}

// call is one below the project's tokens.
func (a api) call(ctx context.Context, rest string, c mintapi.Call) error {
	secret, err := a.token.Resolve()
	if err != nil {
		return err
	}
	c.Path = "/api/v4/projects/" + url.PathEscape(a.project) + "/deploy_tokens" + rest
	c.Header, c.Hint = http.Header{"Private-Token": {secret}}, a.hint
	_, err = a.Do(ctx, c)
	return err
}

// hint says what a status means here.
func (a api) hint(status int) string {
	switch status {
	case http.StatusBadRequest:
		return fmt.Sprintf("has the project %s its package registry enabled?", a.project)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("has the token in %s the scope api and the role Maintainer in the project %s, and has it not expired?", a.token, a.project)
	case http.StatusNotFound:
		return fmt.Sprintf("is there a project %s that the token in %s sees, and does url lead to GitLab?", a.project, a.token)
	}
	return ""
}
