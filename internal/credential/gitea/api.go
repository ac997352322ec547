package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// callTimeout bounds one call, beside the caller's own limit.
	callTimeout = 10 * time.Second
	// maxAnswer bounds an answer in bytes; a page of tokens has about 15 kB.
	maxAnswer = 1 << 20
	// pageSize is the most that Gitea lists at once by default.
	pageSize = 50
)

// api are Gitea's calls for a user's own tokens. They take the password only, no token.
type api struct {
	base, user string
	password   model.Secret
	client     *http.Client
}

// token is one as Gitea shows it; its secret only when it is made.
type token struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Secret string `json:"sha1"`
}

func newAPI(base, user string, password model.Secret) api {
	return api{base: base, user: user, password: password, client: &http.Client{
		Transport: &http.Transport{ // no proxy of the environment: the password is for Gitea alone
			TLSHandshakeTimeout: callTimeout, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// secret is what Gitea's tokens look like; nothing else may come into a header.
var secret = regexp.MustCompile(`^[0-9A-Za-z_-]{16,256}$`)

// create makes a token with one scope.
func (a api) create(ctx context.Context, name, scope string) (token, error) {
	body, err := json.Marshal(map[string]any{"name": name, "scopes": []string{scope}})
	if err != nil {
		return token{}, err
	}
	answer, err := a.call(ctx, http.MethodPost, "", body, http.StatusCreated)
	if err != nil {
		return token{}, err
	}
	var made token
	if err := json.Unmarshal(answer, &made); err != nil || made.ID <= 0 || !secret.MatchString(made.Secret) {
		return token{}, errors.New("POST " + a.where("") + ": the answer has no token: does url lead to Gitea?")
	}
	return made, nil
}

// list gives one page of the user's tokens, the newest first; pages count from one.
func (a api) list(ctx context.Context, page int) ([]token, error) {
	query := "?limit=" + strconv.Itoa(pageSize) + "&page=" + strconv.Itoa(page)
	answer, err := a.call(ctx, http.MethodGet, query, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var tokens []token
	if err := json.Unmarshal(answer, &tokens); err != nil {
		return nil, errors.New("GET " + a.where("") + ": the answer is no list of tokens")
	}
	return tokens, nil
}

// remove deletes a token; one that is gone already is as good.
func (a api) remove(ctx context.Context, id int64) error {
	_, err := a.call(ctx, http.MethodDelete, "/"+strconv.FormatInt(id, 10), nil, http.StatusNoContent, http.StatusNotFound)
	return err
}

func (a api) where(rest string) string {
	return a.base + "/api/v1/users/" + url.PathEscape(a.user) + "/tokens" + rest
}

// call returns the answer of one of the expected statuses. Errors name the call and the status, and nothing of the answer.
func (a api) call(ctx context.Context, method, rest string, body []byte, expected ...int) ([]byte, error) {
	password, err := a.password.Resolve()
	if err != nil {
		return nil, err
	}
	where := a.where(rest)
	req, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(a.user, password)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err // it names method and URL, which hold no secret
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, where, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("%s %s: the answer is larger than %d bytes", method, where, maxAnswer)
	}
	for _, status := range expected {
		if res.StatusCode == status {
			return answer, nil
		}
	}
	return nil, fmt.Errorf("%s %s: got %d, expected %d%s", method, where, res.StatusCode, expected[0], a.hint(res.StatusCode))
}

// hint says what a status means here.
func (a api) hint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf(": check user %s and the password in %s; a bot has no second factor", a.user, a.password)
	case http.StatusNotFound:
		return ": is there a user " + a.user + ", and does url lead to Gitea?"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return ": redirects are not followed, write url as it is served"
	}
	return ""
}
