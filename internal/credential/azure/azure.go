// Package azure is the credential source for Azure Artifacts and Azure Container Registry. It signs in at Entra ID as an application with the
// identity token of the job (workload identity federation), and sends the upload with the access token; for containers it exchanges that
// for a token of the registry that is good for the request's repositories only. No secret of the application's is at the gateway.
package azure

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// maxLife is the longest life of a token that is believed.
const maxLife = 24 * time.Hour

// Kind registers the source.
var Kind = credential.Kind{Name: "azure", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// Tenant is the id of the directory, Client that of the application (or of the managed identity) whose federated credentials trust
	// the issuer. Required.
	Tenant string `json:"tenant"`
	Client string `json:"client"`
	// Registry is the login server of an Azure Container Registry: `registry acme.azurecr.io`. Required for containers.
	Registry string `json:"registry,omitempty"`
	// Authority is where Entra ID is. Default: https://login.microsoftonline.com.
	Authority string `json:"authority,omitempty"`
	// CA is a PEM file with the certificate authority of both. Default: the system's.
	CA string `json:"ca,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

const defaultAuthority = "https://login.microsoftonline.com"

// The resources that access tokens are for.
const (
	scopeDevOps    = "499b84ac-1321-427f-aa17-267ca6975798/.default"
	scopeRegistry  = "https://containerregistry.azure.net/.default"
	containers     = "oci"
	basicUser      = "trustpub" // Azure Artifacts takes any
	signInPath     = "/oauth2/v2.0/token"
	discoveryPath  = "/v2.0/.well-known/openid-configuration"
	registryPort   = `(:[0-9]{1,5})?$`
	registryLabels = `^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]+`
)

var (
	guid      = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	loginHost = regexp.MustCompile(registryLabels + registryPort)
)

// ecosystems are those that have a place in Azure; all but containers are in Azure Artifacts.
var ecosystems = []string{"cargo", "maven", "npm", "nuget", containers, "pypi"}

// source federates.
type source struct {
	Config
	registry, ecosystem string
	entra, acr          *mintapi.API
	tokens              *lease.Cache
}

var (
	_ credential.Config    = (*Config)(nil)
	_ credential.Source    = (*source)(nil)
	_ credential.Federated = (*source)(nil)
	_ credential.Keeper    = (*source)(nil)
)

// Provision checks the configuration.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential azure of registry %q: %w", env.Registry, err)
	}
	return s, nil
}

func (c *Config) source(env credential.Env) (*source, error) {
	s := &source{Config: *c, registry: env.Registry, ecosystem: env.Ecosystem}
	if s.now == nil {
		s.now = time.Now
	}
	switch {
	case !slices.Contains(ecosystems, env.Ecosystem):
		return nil, fmt.Errorf("the registry's ecosystem is %s, expected one that Azure has: %v", env.Ecosystem, ecosystems)
	case !guid.MatchString(c.Tenant):
		return nil, fmt.Errorf("tenant is %q, expected the id of the directory, as in 72f988bf-86f1-41af-91ab-2d7cd011db47", model.OneLine(c.Tenant, 60))
	case !guid.MatchString(c.Client):
		return nil, fmt.Errorf("client is %q, expected the client id of the application, as in 11111111-2222-3333-4444-555555555555", model.OneLine(c.Client, 60))
	case env.Ecosystem == containers && !loginHost.MatchString(c.Registry):
		return nil, fmt.Errorf("registry is %q, expected the login server of the container registry: registry acme.azurecr.io", model.OneLine(c.Registry, 100))
	case env.Ecosystem != containers && c.Registry != "":
		return nil, fmt.Errorf("registry does nothing here: it goes with containers, and the registry's ecosystem is %s", env.Ecosystem)
	}
	if s.Authority == "" {
		s.Authority = defaultAuthority
	}
	var err error
	if s.Authority, err = mintapi.CheckURL(s.Authority, defaultAuthority); err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	s.Authority = strings.ToLower(s.Authority) // as the library writes it
	if !strings.HasPrefix(s.Authority, "https://") || strings.Count(s.Authority, "/") != 2 {
		return nil, fmt.Errorf("authority is %q, expected https and a host alone, as in %s", model.OneLine(s.Authority, 100), defaultAuthority)
	}
	options := mintapi.Options{CAFile: s.CA, Now: s.now}
	if s.entra, err = mintapi.New(s.Authority, options); err != nil {
		return nil, err
	}
	if base := "https://" + s.Registry; s.Registry != "" && base == s.Authority { // they share what is known of the host
		s.acr = s.entra
	} else if s.Registry != "" {
		if s.acr, err = mintapi.New(base, options); err != nil {
			return nil, err
		}
	}
	// What a token is made of ends before it could be renewed.
	s.tokens = lease.New(lease.Options{Logger: env.Logger, Now: s.now, NoRenewal: true})
	return s, nil
}

// Kept are the tokens, and what is known of the services.
func (s *source) Kept() []credential.Kept {
	kept := []credential.Kept{s.tokens.Kept(Kind.Name, s.Authority, s.Tenant, s.Client, s.Registry, s.ecosystem), s.entra.Kept()}
	if s.acr != nil && s.acr != s.entra {
		kept = append(kept, s.acr.Kept())
	}
	return kept
}

var errNoToken = errors.New("credential azure: the application signs in with the identity token of the job, which is absent")

// Issue is refused: without the identity token there is no sign-in.
func (s *source) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errNoToken
}

// IssueFederated gives the access token of a job: for Azure Artifacts the same one for all that it does, for containers one that is good for
// the repositories of the request; none for a read that names no package.
func (s *source) IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	return credential.IssueForJob(Kind.Name, errNoToken, targets, token, func() (model.Credential, error) {
		return s.issue(ctx, targets, id, token)
	})
}

func (s *source) issue(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	scopes, err := s.scopes(targets)
	if err != nil {
		return model.Credential{}, err
	}
	key := lease.Key(append([]string{id.Issuer, id.DigestHex(), token.Reveal()}, scopes...)...)
	return s.tokens.Get(ctx, key, func(ctx context.Context) (model.Credential, error) {
		if s.ecosystem == containers {
			return s.forRepositories(ctx, scopes, token)
		}
		secret, ends, err := s.signIn(ctx, scopeDevOps, token)
		if err != nil {
			return model.Credential{}, err
		}
		c := model.Basic(basicUser, secret)
		if s.ecosystem == "npm" || s.ecosystem == "cargo" {
			c = model.Bearer(secret)
		}
		c.Expiry = ends
		return c, nil
	})
}

// scopes are what a container registry's token must be good for, one for each repository; none for Azure Artifacts, which has no such.
func (s *source) scopes(targets []model.Target) ([]string, error) {
	if s.ecosystem == containers {
		return credential.RepositoryScopes(s.registry, targets)
	}
	return nil, credential.CheckTargets(s.registry, targets...)
}
