package azure

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// signedIn is Entra ID's answer.
type signedIn struct {
	Token string `json:"access_token"`
	Type  string `json:"token_type"`
	Life  int64  `json:"expires_in"`
}

func (a *signedIn) read(answer []byte) error {
	if err := mintapi.JSON(a)(answer); err != nil {
		return err
	}
	if a.Type != "Bearer" || a.Life <= 0 {
		return mintapi.Unfit("the answer has no bearer token with a life: does authority lead to Entra ID?")
	}
	return mintapi.CheckSecret("access_token", a.Token)
}

// signIn is the sign-in of the application, with the identity token as its assertion.
func (s *source) signIn(ctx context.Context, scope string, token model.IdentityToken) (string, time.Time, error) {
	started := s.now()
	var got signedIn
	endpoint := s.Authority + "/" + s.Tenant + signInPath
	lent := mintapi.Lend(
		mintapi.Lent{API: s.entra, Call: mintapi.Call{
			Method: http.MethodGet, Path: "/" + s.Tenant + discoveryPath, Expect: []int{http.StatusOK}, Refusal: s.refusedByEntra,
			Read: func(answer []byte) error {
				var document struct {
					Endpoint string `json:"token_endpoint"`
				}
				if err := mintapi.JSON(&document)(answer); err != nil {
					return err
				}
				if document.Endpoint != endpoint {
					return mintapi.Unfit("the answer's token_endpoint is not that of authority and tenant: does authority lead to Entra ID?")
				}
				return nil
			},
		}},
		mintapi.Lent{API: s.entra, Call: mintapi.Call{
			Method: http.MethodPost, Path: "/" + s.Tenant + signInPath, Expect: []int{http.StatusOK}, Read: got.read, Refusal: s.refusedByEntra,
		}},
	)
	application, err := azidentity.NewClientAssertionCredential(s.Tenant, s.Client,
		func(context.Context) (string, error) { return token.Reveal(), nil },
		&azidentity.ClientAssertionCredentialOptions{
			// The tenant's own document is read, at the authority that is configured; no other is asked which authorities there are.
			DisableInstanceDiscovery: true,
			ClientOptions: azcore.ClientOptions{
				Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: s.Authority}, Transport: lent,
				Retry: policy.RetryOptions{MaxRetries: -1}, Telemetry: policy.TelemetryOptions{Disabled: true},
			},
		})
	if err != nil {
		return "", time.Time{}, lent.Cause(err)
	}
	out, err := application.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return "", time.Time{}, lent.Cause(err)
	}
	if out.Token != got.Token {
		return "", time.Time{}, lent.Cause(errors.New("the library reads another token than we do"))
	}
	return got.Token, started.Add(min(time.Duration(got.Life)*time.Second, maxLife)), nil
}

// refusals are the numbers of Entra ID's refusals, and what to do about each.
var refusals = map[int]string{
	70021:   "no federated credential of the application matches issuer, audience and subject of this job",
	700211:  "no federated credential of the application has this issuer, byte for byte",
	700212:  "no federated credential with this issuer has the audience that the gateway accepts",
	700213:  "no federated credential with this issuer and audience has the subject of this job",
	700024:  "the identity token has expired, or is not valid yet: compare the clocks",
	50013:   "the issuer's signature is not accepted: can Entra ID reach the issuer's keys?",
	700016:  "is there such an application in the tenant?",
	90002:   "is there such a tenant?",
	7000112: "the application is disabled",
	500011:  "the resource has no service principal in the tenant",
	53003:   "a Conditional Access policy refuses the sign-in: does it know the gateway's address?",
}

// refusedByEntra finds the number in a refusal, and gives our own words for it.
func (s *source) refusedByEntra(_ int, answer []byte) string {
	var document struct {
		Codes []int `json:"error_codes"`
	}
	if json.Unmarshal(answer, &document) != nil {
		return ""
	}
	for _, code := range document.Codes {
		if hint := refusals[code]; hint != "" {
			return "AADSTS" + strconv.Itoa(code) + ", application " + s.Client + " of tenant " + s.Tenant + ": " + hint
		}
	}
	return ""
}

// forRepositories exchanges the application's token for one of the container registry that is good for these scopes only.
func (s *source) forRepositories(ctx context.Context, scopes []string, token model.IdentityToken) (model.Credential, error) {
	signed, ends, err := s.signIn(ctx, scopeRegistry, token)
	if err != nil {
		return model.Credential{}, err
	}
	refresh, err := s.registryToken(ctx, "/oauth2/exchange", "refresh_token", url.Values{
		"grant_type": {"access_token"}, "service": {s.Registry}, "tenant": {s.Tenant}, "access_token": {signed},
	})
	if err != nil {
		return model.Credential{}, err
	}
	started := s.now()
	access, err := s.registryToken(ctx, "/oauth2/token", "access_token", url.Values{
		"grant_type": {"refresh_token"}, "service": {s.Registry}, "scope": scopes, "refresh_token": {refresh},
	})
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Bearer(access)
	c.Expiry = ends
	if end := expiryOf(access); end.After(started) && end.Before(ends) {
		c.Expiry = end
	}
	return c, nil
}

// registryToken is one call of the container registry's own token service.
func (s *source) registryToken(ctx context.Context, path, member string, form url.Values) (string, error) {
	secret := ""
	_, err := s.acr.Do(ctx, mintapi.Call{
		Method: http.MethodPost, Path: path, Form: form, Expect: []int{http.StatusOK},
		Read: func(answer []byte) error {
			var document map[string]any
			if err := mintapi.JSON(&document)(answer); err != nil {
				return err
			}
			secret, _ = document[member].(string)
			return mintapi.CheckSecret(member, secret)
		},
		Hint: func(status int) string {
			if status == http.StatusUnauthorized || status == http.StatusForbidden {
				return "application " + s.Client + " needs a role on the container registry that lets it push (AcrPush), and the registry must take Entra ID's tokens"
			}
			return ""
		},
	})
	return secret, err
}

// expiryOf is the exp of a JWT; zero where there is none.
func expiryOf(token string) time.Time {
	var claims struct {
		Expiry int64 `json:"exp"`
	}
	if mintapi.UnverifiedClaims(token, &claims) != nil || claims.Expiry <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expiry, 0)
}
