package gitea

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// pageSize is the most that Gitea lists at once by default.
const pageSize = 50

// api are Gitea's calls for a user's own tokens. They take the password only, no token.
type api struct {
	*mintapi.API
	user     string
	password model.Secret
}

// token is one as Gitea shows it; its secret only when it is made.
type token struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Secret string `json:"sha1"`
}

// create makes a token with one scope.
func (a api) create(ctx context.Context, name, scope string) (made token, err error) {
	err = a.call(ctx, mintapi.Call{
		Method: http.MethodPost, JSON: map[string]any{"name": name, "scopes": []string{scope}}, Expect: []int{http.StatusCreated},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			if made.ID <= 0 {
				return mintapi.Unfit("the answer has no id of a token: does url lead to Gitea?")
			}
			return mintapi.CheckSecret("token", made.Secret)
		},
	}, "")
	return made, err
}

// list gives one page of the user's tokens, the newest first; pages count from one.
func (a api) list(ctx context.Context, page int) (tokens []token, err error) {
	query := "?limit=" + strconv.Itoa(pageSize) + "&page=" + strconv.Itoa(page)
	err = a.call(ctx, mintapi.Call{Method: http.MethodGet, Expect: []int{http.StatusOK}, Read: mintapi.JSON(&tokens)}, query)
	return tokens, err
}

// remove deletes a token; one that is gone already is as good.
func (a api) remove(ctx context.Context, id int64) error {
	return a.call(ctx, mintapi.Call{
		Method: http.MethodDelete, Expect: []int{http.StatusNoContent, http.StatusNotFound},
	}, "/"+strconv.FormatInt(id, 10))
}

// call is one with the password, below the user's tokens.
func (a api) call(ctx context.Context, c mintapi.Call, rest string) error {
	password, err := a.password.Resolve()
	if err != nil {
		return err
	}
	c.Path = "/api/v1/users/" + url.PathEscape(a.user) + "/tokens" + rest
	c.User, c.Password, c.Hint = a.user, password, a.hint
	_, err = a.Do(ctx, c)
	return err
}

// hint says what a status means here.
func (a api) hint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("check user %s and the password in %s; a bot has no second factor", a.user, a.password)
	case http.StatusNotFound:
		return "is there a user " + a.user + ", and does url lead to Gitea?"
	}
	return ""
}
