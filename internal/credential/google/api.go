package google

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/externalaccount"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// subject hands the identity token to Google's library.
type subject struct{ token model.IdentityToken }

// SubjectToken is the identity token.
func (s subject) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return s.token.Reveal(), nil
}

// exchanged is an answer of the STS.
type exchanged struct {
	Token  string `json:"access_token"`
	Type   string `json:"token_type"`
	Issued string `json:"issued_token_type"`
	Life   int64  `json:"expires_in"`
}

func (e *exchanged) read(answer []byte) error {
	if err := mintapi.JSON(e)(answer); err != nil {
		return err
	}
	if e.Type != "Bearer" || e.Issued != "urn:ietf:params:oauth:token-type:access_token" || e.Life <= 0 {
		return mintapi.Unfit("the answer has no bearer token with a life: does sts lead to Google's?")
	}
	return mintapi.CheckSecret("access_token", e.Token)
}

// impersonated is an answer of the IAM credentials API.
type impersonated struct {
	Token string `json:"accessToken"`
	Ends  string `json:"expireTime"`
	ends  time.Time
}

func (i *impersonated) read(answer []byte) (err error) {
	if err := mintapi.JSON(i)(answer); err != nil {
		return err
	}
	if i.ends, err = time.Parse(time.RFC3339, i.Ends); err != nil {
		return mintapi.Unfit("the answer has no expireTime: does iam lead to Google's?")
	}
	return mintapi.CheckSecret("accessToken", i.Token)
}

// make exchanges the identity token, and acts as the service account with what it gets where there is one.
func (s *source) make(ctx context.Context, scope string, token model.IdentityToken) (string, time.Time, error) {
	started := s.now()
	var first exchanged
	var second impersonated
	calls := []mintapi.Lent{{API: s.sts, Call: mintapi.Call{
		Method: http.MethodPost, Path: "/v1/token", Expect: []int{http.StatusOK}, Read: first.read, Refusal: s.refusedBySTS,
	}}}
	config := externalaccount.Config{ //nolint:gosec // names of kinds, and no secret
		Audience: "//iam.googleapis.com/" + s.Provider, SubjectTokenType: "urn:ietf:params:oauth:token-type:jwt", TokenURL: s.STS + "/v1/token",
		SubjectTokenSupplier: subject{token}, Scopes: []string{scope},
	}
	if s.ServiceAccount != "" {
		path := "/v1/projects/-/serviceAccounts/" + s.ServiceAccount + ":generateAccessToken"
		calls = append(calls, mintapi.Lent{API: s.iam, Call: mintapi.Call{
			Method: http.MethodPost, Path: path, Expect: []int{http.StatusOK}, Read: second.read, Hint: s.refusedByIAM,
		}})
		config.ServiceAccountImpersonationURL, config.ServiceAccountImpersonationLifetimeSeconds = s.IAM+path, int(s.lifetime/time.Second)
	}
	lent := mintapi.Lend(calls...)
	tokens, err := externalaccount.NewTokenSource(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: lent}), config)
	if err != nil {
		return "", time.Time{}, lent.Cause(err)
	}
	got, err := tokens.Token()
	if err != nil {
		return "", time.Time{}, lent.Cause(err)
	}
	secret, ends := first.Token, started.Add(min(time.Duration(first.Life)*time.Second, maxFederated))
	if s.ServiceAccount != "" {
		secret, ends = second.Token, second.ends
		if latest := started.Add(s.lifetime); ends.After(latest) {
			ends = latest
		}
	}
	if got.AccessToken != secret {
		return "", time.Time{}, lent.Cause(errors.New("the library reads another token than we do"))
	}
	return secret, ends, nil
}

// refusals are what the STS calls its refusals, and what to do about each.
var refusals = map[string]string{
	"invalid_grant":       "does the provider have this issuer, the audience that the gateway accepts among its allowed audiences, and an attribute condition that this job meets?",
	"invalid_target":      "is there such a provider, and is it enabled? It is named with the number of its project",
	"invalid_request":     "the provider does not take the token: are its issuer's keys reachable from Google, or pinned in the provider?",
	"unauthorized_client": "the provider's attribute condition, or a policy of the organisation, refuses this job",
}

// refusedBySTS finds the code in a refusal, and gives our own words for it.
func (s *source) refusedBySTS(_ int, answer []byte) string {
	var document struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &document) != nil {
		return ""
	}
	hint := refusals[document.Error]
	if hint == "" {
		return ""
	}
	return document.Error + ", " + s.Provider + ": " + hint
}

func (s *source) refusedByIAM(status int) string {
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return "the job's federated identity needs roles/iam.workloadIdentityUser on " + s.ServiceAccount
	case http.StatusNotFound:
		return "is there a service account " + s.ServiceAccount + "?"
	case http.StatusBadRequest:
		return "a lifetime of more than an hour needs a policy of the organisation"
	}
	return ""
}
