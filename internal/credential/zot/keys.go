package zot

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// keysPath are zot's calls for API keys, all of which are about those of whom asks.
const keysPath = "/zot/auth/apikey"

// origin is what both ways share.
type origin struct {
	*mintapi.API
	registry string
	now      func() time.Time
}

// minter makes keys of one account.
type minter struct {
	origin
	user     string
	password model.Secret
	lifetime time.Duration
	logger   *slog.Logger
	sweeper  mintapi.Sweeper[string]
}

var (
	_ credential.Source = (*minter)(nil)
	_ credential.Joint  = (*minter)(nil)
	_ credential.Keeper = (*minter)(nil)
)

// Kept is what is known of the API.
func (m *minter) Kept() []credential.Kept { return []credential.Kept{m.API.Kept()} }

// Issue makes a key for one target.
func (m *minter) Issue(ctx context.Context, target model.Target, id *model.Identity) (model.Credential, error) {
	return m.IssueAll(ctx, []model.Target{target}, id)
}

// IssueAll makes a key for what a request touches; none for a read that names no repository.
func (m *minter) IssueAll(ctx context.Context, targets []model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := m.issue(ctx, targets)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential zot: %w", err)
	}
	return c, nil
}

func (m *minter) issue(ctx context.Context, targets []model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(m.registry, targets...); err != nil {
		return model.Credential{}, err
	}
	var scopes []string
	for _, t := range targets {
		if t.Package != "" && !slices.Contains(scopes, t.Package) {
			scopes = append(scopes, t.Package)
		}
	}
	if len(scopes) == 0 {
		if len(targets) > 0 && targets[0].Action == model.ActionRead {
			return model.Credential{}, nil
		}
		return model.Credential{}, fmt.Errorf("package is absent, expected the name of a repository")
	}
	started := m.now()
	expires := started.Add(m.lifetime).UTC().Truncate(time.Second)
	made, err := m.create(ctx, mintapi.TemporaryName(expires), scopes, started, expires)
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Basic(m.user, made.Key)
	c.Expiry = expires
	c.Revoke = func(ctx context.Context) error {
		if err := m.remove(ctx, made.UUID); err != nil {
			return fmt.Errorf("credential zot: %w", err)
		}
		return nil
	}
	m.sweeper.Sweep(ctx, m.now(), m.lifetime, mintapi.Account[string]{List: m.list, Remove: m.remove, Logger: m.logger})
	return c, nil
}

// createRequest is the body of POST /zot/auth/apikey. zot keeps the scopes, and does not look at them when a key is used.
type createRequest struct {
	Label          string   `json:"label"`
	Scopes         []string `json:"scopes"`
	ExpirationDate string   `json:"expirationDate"`
}

// key is one as zot shows it; the key itself only when it is made.
type key struct {
	UUID           string    `json:"uuid"`
	Key            string    `json:"apiKey"`
	Label          string    `json:"label"`
	ExpirationDate time.Time `json:"expirationDate"`
}

var plainUUID = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)

// check refuses a key that is another, or lives longer, than the one that was asked for.
func (k key) check(label string, started, expires time.Time) error {
	if err := mintapi.CheckSecret("apiKey", k.Key); err != nil {
		return err
	}
	switch {
	case !plainUUID.MatchString(k.UUID):
		return mintapi.Unfit("the answer has no uuid of a key: does url lead to zot?")
	case !strings.HasPrefix(k.Key, "zak_"):
		return mintapi.Unfit("the answer's apiKey is no key of zot's")
	case k.Label != label:
		return mintapi.Unfit("the answer's label is another than the one that was asked for")
	case !k.ExpirationDate.After(started) || k.ExpirationDate.After(expires):
		return mintapi.Unfit("the answer's expirationDate is not what was asked for: compare the clocks of the gateway and of zot")
	}
	return nil
}

// create makes a key. Where zot has made another than the one that was asked for, it is deleted again.
func (m *minter) create(ctx context.Context, label string, scopes []string, started, expires time.Time) (made key, err error) {
	err = m.call(ctx, mintapi.Call{
		Method: http.MethodPost, Path: keysPath, Expect: []int{http.StatusCreated},
		JSON: createRequest{Label: label, Scopes: scopes, ExpirationDate: expires.Format(time.RFC3339)},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(label, started, expires)
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusBadRequest:
				return "is zot's clock ahead of the gateway's, so that the key has expired already?"
			case http.StatusNotFound, http.StatusMethodNotAllowed:
				return "does zot make API keys (http.auth.apikey: true), and is url its base?"
			case http.StatusUnauthorized:
				return fmt.Sprintf("check user %s and the secret in %s", m.user, m.password)
			}
			return ""
		},
	})
	if err != nil {
		if made.Label == label && plainUUID.MatchString(made.UUID) { // it is ours, whatever else it is
			_ = m.remove(ctx, made.UUID) // what matters is the error above
		}
		return key{}, err
	}
	return made, nil
}

// list gives the account's keys; zot shows all of them at once.
func (m *minter) list(ctx context.Context, _ int) (all []mintapi.Named[string], last bool, err error) {
	var answer struct {
		Keys []key `json:"apiKeys"`
	}
	err = m.call(ctx, mintapi.Call{Method: http.MethodGet, Path: keysPath, Expect: []int{http.StatusOK}, Read: mintapi.JSON(&answer)})
	for _, k := range answer.Keys {
		if plainUUID.MatchString(k.UUID) {
			all = append(all, mintapi.Named[string]{ID: k.UUID, Name: k.Label})
		}
	}
	return all, true, err
}

// remove deletes a key; zot says the same where there is none.
func (m *minter) remove(ctx context.Context, uuid string) error {
	return m.call(ctx, mintapi.Call{Method: http.MethodDelete, Path: keysPath + "?" + url.Values{"id": {uuid}}.Encode(), Expect: []int{http.StatusOK}})
}

// call is one as the account.
func (m *minter) call(ctx context.Context, c mintapi.Call) error {
	password, err := m.password.Resolve()
	if err != nil {
		return err
	}
	c.User, c.Password = m.user, password
	_, err = m.Do(ctx, c)
	return err
}
