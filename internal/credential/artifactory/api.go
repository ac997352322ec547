package artifactory

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	maxDescription = 200
	grantExchange  = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken    = "urn:ietf:params:oauth:token-type:id_token" //nolint:gosec // a type's name
	typeAccess     = "urn:ietf:params:oauth:token-type:access_token"
	// audience keeps a token from the other services of the platform.
	audience = "jfrt@*"
)

// createRequest is the body of POST /access/api/v1/tokens.
type createRequest struct {
	GrantType      string `json:"grant_type"`
	Username       string `json:"username,omitempty"`
	Scope          string `json:"scope"`
	ExpiresIn      int64  `json:"expires_in"`
	Refreshable    bool   `json:"refreshable"`
	Description    string `json:"description"`
	Audience       string `json:"audience"`
	ProjectKey     string `json:"project_key,omitempty"`
	ForceRevocable bool   `json:"force_revocable,omitempty"`
}

// created is what is needed of its answer.
type created struct {
	TokenID     string `json:"token_id"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
	TokenType   string `json:"token_type"`
}

// check refuses a token that does more than it was asked for, or that can't be used.
func (c created) check(scope string, lifetime int64) error {
	if err := mintapi.CheckSecret("access_token", c.AccessToken); err != nil {
		return err
	}
	want, got := strings.Fields(scope), strings.Fields(c.Scope)
	slices.Sort(want)
	slices.Sort(got)
	switch {
	case !strings.EqualFold(c.TokenType, "bearer"):
		return mintapi.Unfit("the answer's token_type is another than Bearer")
	case c.ExpiresIn <= 0 || c.ExpiresIn > lifetime:
		return mintapi.Unfit("the answer's expires_in is not between 1 and the %d seconds that were asked for", lifetime)
	case !slices.Equal(want, got):
		return mintapi.Unfit("the answer's scope is another than the one that was asked for: does this Artifactory know scopes of artifacts (7.38 or later)?")
	case len(c.TokenID) > 128 || strings.ContainsAny(c.TokenID, "/?#%. ") || c.TokenID == "":
		return mintapi.Unfit("the answer has no token_id")
	}
	return nil
}

// create makes a token.
func (m *minter) create(ctx context.Context, secret, scope, description string) (made created, err error) {
	seconds := int64(m.lifetime / time.Second)
	_, err = m.api.Do(ctx, mintapi.Call{
		Method: http.MethodPost, Path: "/access/api/v1/tokens", Bearer: secret, Expect: []int{http.StatusOK},
		JSON: createRequest{
			GrantType: "client_credentials", Username: m.user, Scope: scope, ExpiresIn: seconds, Audience: audience, ProjectKey: m.project,
			Description: model.OneLine(strings.TrimSpace(description), maxDescription), ForceRevocable: m.revocable,
		},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check(scope, seconds)
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusBadRequest:
				return "does this Artifactory know scopes of artifacts (7.38 or later), the repository and the user?"
			case http.StatusUnauthorized, http.StatusForbidden:
				return fmt.Sprintf("may the token in %s make tokens, with these rights on the repository?", m.token)
			case http.StatusNotFound:
				return "is url the base of the platform, where /access is?"
			}
			return ""
		},
	})
	return made, err
}

// revoke ends a token, as far as Artifactory can: one that it has not kept ends by itself.
func (m *minter) revoke(ctx context.Context, id string) error {
	secret, err := m.token.Resolve()
	if err != nil {
		return err
	}
	_, err = m.api.Do(ctx, mintapi.Call{
		Method: http.MethodDelete, Path: "/access/api/v1/tokens/" + url.PathEscape(id), Bearer: secret,
		Expect: []int{http.StatusOK, http.StatusNoContent, http.StatusNotFound},
	})
	return err
}

// exchangeRequest is the body of POST /access/api/v1/oidc/token.
type exchangeRequest struct {
	GrantType        string `json:"grant_type"`
	SubjectTokenType string `json:"subject_token_type"`
	SubjectToken     string `json:"subject_token"`
	ProviderName     string `json:"provider_name"`
	IdentityMapping  string `json:"identity_mapping_name,omitempty"`
	ProjectKey       string `json:"project_key,omitempty"`
}

// exchanged is what is needed of its answer.
type exchanged struct {
	AccessToken     string `json:"access_token"`
	ExpiresIn       int64  `json:"expires_in"`
	TokenType       string `json:"token_type"`
	IssuedTokenType string `json:"issued_token_type"`
	Username        string `json:"username"`
}

// maxExchanged is the longest life of a token that an identity mapping may give, in seconds.
const maxExchanged = int64(24 * time.Hour / time.Second)

func (e exchanged) check() error {
	if err := mintapi.CheckSecret("access_token", e.AccessToken); err != nil {
		return err
	}
	switch {
	case !strings.EqualFold(e.TokenType, "bearer"):
		return mintapi.Unfit("the answer's token_type is another than Bearer")
	case e.IssuedTokenType != typeAccess:
		return mintapi.Unfit("the answer's issued_token_type is another than that of an access token")
	case e.ExpiresIn <= 0 || e.ExpiresIn > maxExchanged:
		return mintapi.Unfit("the answer's expires_in is not between 1 and %d seconds: set a short one in the identity mapping", maxExchanged)
	}
	return nil
}

// exchange swaps the identity token.
func (f *federated) exchange(ctx context.Context, token model.IdentityToken) (made exchanged, err error) {
	_, err = f.api.Do(ctx, mintapi.Call{
		Method: http.MethodPost, Path: "/access/api/v1/oidc/token", Expect: []int{http.StatusOK},
		JSON: exchangeRequest{
			GrantType: grantExchange, SubjectTokenType: typeIDToken, SubjectToken: token.Reveal(),
			ProviderName: f.provider, IdentityMapping: f.mapping, ProjectKey: f.project,
		},
		Read: func(answer []byte) error {
			if err := mintapi.JSON(&made)(answer); err != nil {
				return err
			}
			return made.check()
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
				return fmt.Sprintf("does provider %s have this issuer and the gateway's audience, and an identity mapping that the run matches?", f.provider)
			case http.StatusNotFound:
				return fmt.Sprintf("is url the base of the platform, and is there a provider %s?", f.provider)
			}
			return ""
		},
	})
	return made, err
}
