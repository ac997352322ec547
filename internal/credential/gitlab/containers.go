package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// ecosystemOCI is that of GitLab's registry of containers, which takes the bearer tokens of GitLab's token realm alone.
const ecosystemOCI = "oci"

// realmPath is the realm, below GitLab's base.
const realmPath = "/jwt/auth"

// maxBearer is the longest life of a bearer token that is believed; GitLab's live for five minutes where nobody set it otherwise.
const maxBearer = 24 * time.Hour

// containers is the source for the registry of containers. A deploy token is made, shown to the realm for a bearer token of exactly the
// repositories of the request, and revoked at once; the bearer token serves further requests for the same until it ends.
type containers struct {
	*source
	registry *mintapi.API // of containers
	realm    string       // as the registry names it
	tokens   *lease.Cache
}

var (
	_ credential.Source = (*containers)(nil)
	_ credential.Joint  = (*containers)(nil)
	_ credential.Keeper = (*containers)(nil)
)

// containers makes the source of one that makes deploy tokens.
func (c *Config) containers(s *source, env credential.Env) (*containers, error) {
	base, err := mintapi.CheckURL(c.Containers, "https://registry.internal.example.com")
	if err != nil {
		return nil, fmt.Errorf("containers: %w; it is where the gateway reaches the registry of containers", err)
	}
	out := &containers{source: s, registry: s.api.API, realm: s.api.Base() + realmPath}
	if c.Realm != "" {
		if out.realm, err = mintapi.CheckURL(c.Realm, "https://gitlab.example.com"+realmPath); err != nil {
			return nil, fmt.Errorf("realm: %w", err)
		}
	}
	if base != s.api.Base() { // else they share what is known of the host
		if out.registry, err = mintapi.New(base, mintapi.Options{CAFile: c.CA, Now: s.now}); err != nil {
			return nil, err
		}
	}
	out.tokens = lease.New(lease.Options{Logger: env.Logger, Now: s.now})
	return out, nil
}

// Kept are the tokens, and what is known of GitLab and of the registry.
func (c *containers) Kept() []credential.Kept {
	kept := append(c.source.Kept(), c.tokens.Kept(Kind.Name, c.api.Base(), c.registry.Base(), c.realm, c.api.project))
	if c.registry != c.api.API {
		kept = append(kept, c.registry.Kept())
	}
	return kept
}

// Issue gives a bearer token for one target.
func (c *containers) Issue(ctx context.Context, target model.Target, id *model.Identity) (model.Credential, error) {
	return c.IssueAll(ctx, []model.Target{target}, id)
}

// IssueAll gives a bearer token for what a request touches; none for a read that names no repository.
func (c *containers) IssueAll(ctx context.Context, targets []model.Target, _ *model.Identity) (model.Credential, error) {
	if len(targets) > 0 && targets[0].Action == model.ActionRead && targets[0].Package == "" {
		return model.Credential{}, nil
	}
	cred, err := c.issueAll(ctx, targets)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential gitlab: %w", err)
	}
	return cred, nil
}

func (c *containers) issueAll(ctx context.Context, targets []model.Target) (model.Credential, error) {
	scopes, err := credential.RepositoryScopes(c.source.registry, targets)
	if err != nil {
		return model.Credential{}, err
	}
	if len(scopes) == 0 {
		return model.Credential{}, errors.New("the request names no repository")
	}
	rights, err := c.scopes(targets[0].Action)
	if err != nil {
		return model.Credential{}, err
	}
	secret, err := c.api.token.Resolve()
	if err != nil {
		return model.Credential{}, err
	}
	return c.tokens.Get(ctx, lease.Key(append([]string{secret}, scopes...)...), func(ctx context.Context) (model.Credential, error) {
		return c.exchange(ctx, rights, scopes)
	})
}

// exchange makes a deploy token for as long as the realm is asked.
func (c *containers) exchange(ctx context.Context, rights, scopes []string) (model.Credential, error) {
	service, err := c.service(ctx)
	if err != nil {
		return model.Credential{}, err
	}
	made, _, err := c.make(ctx, rights)
	if err != nil {
		return model.Credential{}, err
	}
	cred, err := c.bearer(ctx, made, service, scopes)
	if removed := c.api.remove(context.WithoutCancel(ctx), made.ID); removed != nil {
		c.logger.Warn("a deploy token could not be revoked; it is once it has expired", "error", removed)
	}
	return cred, err
}

// service is the name by which the registry asks for tokens. Its challenge also names the realm, which must be the one that is
// configured: a deploy token is shown to nobody else, whatever a registry answers.
func (c *containers) service(ctx context.Context) (string, error) {
	var service string
	_, err := c.registry.Do(ctx, mintapi.Call{
		Method: http.MethodGet, Path: "/v2/", Expect: []int{http.StatusUnauthorized},
		Look: func(header http.Header) error {
			asked, err := readChallenge(header.Values("WWW-Authenticate"))
			if err != nil {
				return err
			}
			if asked.realm != c.realm {
				return mintapi.Unfit("its challenge names another realm than %s: where that is GitLab's address outside, write it as realm", c.realm)
			}
			service = asked.service
			return nil
		},
		Hint: func(status int) string {
			if status == http.StatusOK || status == http.StatusNotFound {
				return "does containers lead to GitLab's registry of containers, whose /v2/ asks for a token?"
			}
			return ""
		},
	})
	return service, err
}

// bearer shows a deploy token to the realm.
func (c *containers) bearer(ctx context.Context, made token, service string, scopes []string) (model.Credential, error) {
	var answer struct {
		Token string `json:"token"`
	}
	_, err := c.api.Do(ctx, mintapi.Call{
		Method: http.MethodGet, Path: realmPath + "?" + url.Values{"service": {service}, "scope": scopes}.Encode(),
		User: made.Username, Password: made.Token, Expect: []int{http.StatusOK},
		Read: func(body []byte) error {
			if err := mintapi.JSON(&answer)(body); err != nil {
				return err
			}
			return mintapi.CheckSecret("token", answer.Token)
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusForbidden:
				return "is the repository protected against pushes of deploy tokens?"
			case http.StatusNotFound:
				return "has this GitLab its registry of containers enabled?"
			}
			return ""
		},
	})
	if err != nil {
		return model.Credential{}, err
	}
	ends, err := c.check(answer.Token, scopes)
	if err != nil {
		return model.Credential{}, err
	}
	cred := model.Bearer(answer.Token)
	cred.Expiry = ends
	return cred, nil
}

// check reads what a bearer token is good for and when it ends. GitLab leaves out of it, without a word, what a deploy token may not.
func (c *containers) check(bearer string, scopes []string) (time.Time, error) {
	var claims struct {
		Expiry int64 `json:"exp"`
		Access []struct {
			Type    string   `json:"type"`
			Name    string   `json:"name"`
			Actions []string `json:"actions"`
		} `json:"access"`
	}
	if err := mintapi.UnverifiedClaims(bearer, &claims); err != nil {
		return time.Time{}, errors.New("the token of " + realmPath + " is no JWT, which would say what it is good for")
	}
	ends := time.Unix(claims.Expiry, 0)
	if now := c.now(); claims.Expiry <= 0 || !ends.After(now) || ends.After(now.Add(maxBearer)) {
		return time.Time{}, fmt.Errorf("the token of %s does not end within the next %d hours: compare the clocks of the gateway and of GitLab", realmPath, int(maxBearer.Hours()))
	}
	var granted []string
	for _, a := range claims.Access {
		granted = append(granted, a.Type+":"+a.Name+":"+strings.Join(slices.Sorted(slices.Values(a.Actions)), ","))
	}
	slices.Sort(granted)
	if !slices.Equal(granted, slices.Sorted(slices.Values(scopes))) {
		return time.Time{}, fmt.Errorf("GitLab's token is not good for exactly %s: is the repository below the path of the project %s, and has the project its container registry enabled?",
			strings.Join(scopes, " and "), c.api.project)
	}
	return ends, nil
}
