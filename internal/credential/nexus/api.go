package nexus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	usersPath = "/service/rest/v1/security/users"
	// realm is where users are that Nexus keeps itself, and source its name in lists.
	realm = "default"
	// namePrefix begins all that mintapi.TemporaryName makes.
	namePrefix = "trustpub-"
)

// api are Nexus's calls for users and their tokens.
type api struct {
	*mintapi.API
	user     string
	password model.Secret
}

// createRequest is the body of POST /service/rest/v1/security/users. Nexus wants all of it.
type createRequest struct {
	UserID       string   `json:"userId"`
	FirstName    string   `json:"firstName"`
	LastName     string   `json:"lastName"`
	EmailAddress string   `json:"emailAddress"`
	Password     string   `json:"password"`
	Status       string   `json:"status"`
	Roles        []string `json:"roles"`
}

// user is one as Nexus shows it.
type user struct {
	UserID        string   `json:"userId"`
	Source        string   `json:"source"`
	Status        string   `json:"status"`
	Roles         []string `json:"roles"`
	ExternalRoles []string `json:"externalRoles"`
}

// check refuses a user who is another, or may do more, than the one that was asked for.
func (u user) check(name, role string) error {
	switch {
	case u.UserID != name:
		return mintapi.Unfit("the answer's userId is another than the one that was asked for: does url lead to Nexus?")
	case u.Source != realm || u.Status != "active":
		return mintapi.Unfit("the answer is no active user of Nexus's own")
	case !slices.Equal(u.Roles, []string{role}) || len(u.ExternalRoles) != 0:
		return mintapi.Unfit("the answer's roles are others than the one that was asked for: is there a role %s?", model.OneLine(role, 60))
	}
	return nil
}

// create makes a user, and returns his password. Where Nexus has made another than the one that was asked for, he is deleted again.
func (a api) create(ctx context.Context, name, role string) (string, error) {
	password, answered := newPassword(), false
	err := a.call(ctx, usersPath, mintapi.Call{
		Method: http.MethodPost, Expect: []int{http.StatusOK},
		JSON: createRequest{
			UserID: name, FirstName: "trustpub", LastName: "for one upload", EmailAddress: "trustpub@example.com",
			Password: password, Status: "active", Roles: []string{role},
		},
		Read: func(answer []byte) error {
			answered = true
			var made user
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(name, role)
		},
		Hint: func(status int) string { return a.hint(status, role) },
	})
	if err != nil && answered {
		_ = a.remove(ctx, name) // what matters is the error above
	}
	return password, err
}

// newPassword has what rules of passwords ask for.
func newPassword() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return "Tp1-" + hex.EncodeToString(b)
}

// userToken is one as Nexus shows it when it is made.
type userToken struct {
	NameCode string `json:"nameCode"`
	PassCode string `json:"passCode"`
	Expires  string `json:"expires"`
}

func (t userToken) check(now time.Time) error {
	for what, code := range map[string]string{"nameCode": t.NameCode, "passCode": t.PassCode} {
		if err := mintapi.CheckSecret(what, code); err != nil {
			return err
		}
	}
	if credential.CheckUser(t.NameCode) != nil {
		return mintapi.Unfit("the answer's nameCode has a character that no name of a Basic credential has")
	}
	if t.Expires == "" { // tokens that don't expire; the user's end is this one's too
		return nil
	}
	ends, err := time.Parse(time.RFC3339, t.Expires)
	if err != nil || !ends.After(now) {
		return mintapi.Unfit("the answer's expires is no moment to come: compare the clocks of the gateway and of Nexus")
	}
	return nil
}

// createToken makes a user's token.
func (a api) createToken(ctx context.Context, name string, now time.Time) (made userToken, err error) {
	err = a.call(ctx, tokenPath(name), mintapi.Call{
		Method: http.MethodPost, Expect: []int{http.StatusCreated},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(now)
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusBadRequest:
				return "are user tokens enabled in Nexus?"
			case http.StatusForbidden:
				return fmt.Sprintf("may %s make user tokens of others?", a.user)
			case http.StatusNotFound:
				return "does this Nexus make user tokens of others (3.91 or later, with a licence)?"
			}
			return ""
		},
	})
	return made, err
}

// list gives the users whose name begins as ours do; Nexus shows all of them at once.
func (a api) list(ctx context.Context, _ int) (all []mintapi.Named[string], last bool, err error) {
	var users []user
	query := url.Values{"source": {realm}, "userId": {namePrefix}}
	err = a.call(ctx, usersPath+"?"+query.Encode(), mintapi.Call{
		Method: http.MethodGet, Expect: []int{http.StatusOK}, Read: mintapi.JSON(&users),
		Hint: func(int) string { return fmt.Sprintf("may %s list users?", a.user) },
	})
	for _, u := range users {
		if u.Source == realm {
			all = append(all, mintapi.Named[string]{ID: u.UserID, Name: u.UserID})
		}
	}
	return all, true, err
}

// remove deletes a user; one who is gone already is as good.
func (a api) remove(ctx context.Context, name string) error {
	return a.call(ctx, usersPath+"/"+url.PathEscape(name), mintapi.Call{
		Method: http.MethodDelete, Expect: []int{http.StatusNoContent, http.StatusOK, http.StatusNotFound},
		Hint: func(int) string { return fmt.Sprintf("may %s delete users?", a.user) },
	})
}

// removeToken ends a user's token; one that is gone already is as good.
func (a api) removeToken(ctx context.Context, name string) error {
	return a.call(ctx, tokenPath(name), mintapi.Call{
		Method: http.MethodDelete, Expect: []int{http.StatusNoContent, http.StatusOK, http.StatusNotFound},
		Hint: func(int) string { return fmt.Sprintf("may %s delete user tokens of others?", a.user) },
	})
}

func tokenPath(name string) string {
	return usersPath + "/" + url.PathEscape(name) + "/" + realm + "/user-token"
}

// call is one as the account that makes users.
func (a api) call(ctx context.Context, path string, c mintapi.Call) error {
	password, err := a.password.Resolve()
	if err != nil {
		return err
	}
	c.Path, c.User, c.Password = path, a.user, password
	_, err = a.Do(ctx, c)
	return err
}

// hint says what a status means where a user is made.
func (a api) hint(status int, role string) string {
	switch status {
	case http.StatusBadRequest:
		return fmt.Sprintf("is there a role %s?", model.OneLine(role, 60))
	case http.StatusUnauthorized:
		return fmt.Sprintf("check user %s and the secret in %s", a.user, a.password)
	case http.StatusForbidden:
		return fmt.Sprintf("may %s make users (nx-users-create)?", a.user)
	case http.StatusNotFound:
		return "is url the base of Nexus, where /service/rest is?"
	}
	return ""
}
