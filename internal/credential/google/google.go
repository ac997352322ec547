// Package google is the credential source for Google's Artifact Registry. It exchanges the identity token of the job at Google's Security
// Token Service (workload identity federation), acts as a service account with what it is given where one is named, and sends the upload
// with that access token. No key of Google's is at the gateway.
package google

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// The lifetimes of a service account's access token, as Google bounds them: more than an hour needs a policy of the organisation.
const (
	DefaultLifetime = 15 * time.Minute
	MinLifetime     = time.Minute
	MaxLifetime     = 12 * time.Hour
)

// maxFederated is the longest life of a federated token that is believed.
const maxFederated = time.Hour

// Kind registers the source.
var Kind = credential.Kind{Name: "google", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// Provider is the workload identity provider that trusts the issuer:
	// `provider projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/NAME`. Required.
	Provider string `json:"provider"`
	// ServiceAccount is whom jobs act as: `service_account NAME@PROJECT.iam.gserviceaccount.com`. Without one they act as the federated
	// identity itself.
	ServiceAccount string `json:"service_account,omitempty"`
	// Lifetime of a service account's token. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`
	// STS and IAM are where the gateway reaches the two services. Default: Google's.
	STS string `json:"sts,omitempty"`
	IAM string `json:"iam,omitempty"`
	// CA is a PEM file with the certificate authority of both. Default: the system's.
	CA string `json:"ca,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// Where Google's services are.
const (
	defaultSTS = "https://sts.googleapis.com"
	defaultIAM = "https://iamcredentials.googleapis.com"
)

var (
	providerName   = regexp.MustCompile(`^projects/[0-9]{1,20}/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$`)
	serviceAccount = regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z0-9.:-]{4,120}\.gserviceaccount\.com$`)
)

// ecosystems are those that Artifact Registry takes uploads of with an access token.
var ecosystems = []string{"maven", "npm", "oci", "pypi"}

// source federates.
type source struct {
	Config
	registry, ecosystem string
	lifetime            time.Duration
	sts, iam            *mintapi.API
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
		return nil, fmt.Errorf("credential google of registry %q: %w", env.Registry, err)
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
		return nil, fmt.Errorf("the registry's ecosystem is %s, expected one that Artifact Registry takes uploads of: %v", env.Ecosystem, ecosystems)
	case !providerName.MatchString(c.Provider):
		return nil, fmt.Errorf("provider is %q, expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/NAME, with the project's number", model.OneLine(c.Provider, 150))
	case c.ServiceAccount != "" && !serviceAccount.MatchString(c.ServiceAccount):
		return nil, fmt.Errorf("service_account is %q, expected one like publisher@acme-prod.iam.gserviceaccount.com", model.OneLine(c.ServiceAccount, 100))
	case c.ServiceAccount == "" && c.Lifetime != 0:
		return nil, errors.New("lifetime does nothing here: it goes with service_account, and Google says how long a federated token lives")
	case c.ServiceAccount == "" && c.IAM != "":
		return nil, errors.New("iam does nothing here: it goes with service_account")
	}
	var err error
	if s.lifetime, err = c.Lifetime.Within("lifetime", DefaultLifetime, MinLifetime, MaxLifetime); err != nil {
		return nil, err
	}
	for _, to := range []struct {
		name, fallback string
		url            *string
		api            **mintapi.API
	}{{"sts", defaultSTS, &s.STS, &s.sts}, {"iam", defaultIAM, &s.IAM, &s.iam}} {
		if *to.url == "" {
			*to.url = to.fallback
		}
		if *to.url, err = mintapi.CheckURL(*to.url, to.fallback); err != nil {
			return nil, fmt.Errorf("%s: %w", to.name, err)
		}
		if *to.api, err = mintapi.New(*to.url, mintapi.Options{CAFile: s.CA, Now: s.now}); err != nil {
			return nil, err
		}
	}
	if s.STS == s.IAM { // they share what is known of the host
		s.iam = s.sts
	}
	// What a token is made of ends before it could be renewed.
	s.tokens = lease.New(lease.Options{Logger: env.Logger, Now: s.now, NoRenewal: true})
	return s, nil
}

// Kept are the tokens, and what is known of the APIs.
func (s *source) Kept() []credential.Kept {
	kept := []credential.Kept{s.tokens.Kept(Kind.Name, s.STS, s.IAM, s.Provider, s.ServiceAccount, s.ecosystem, s.lifetime.String()), s.sts.Kept()}
	if s.iam != s.sts && s.ServiceAccount != "" {
		kept = append(kept, s.iam.Kept())
	}
	return kept
}

var errNoToken = errors.New("credential google: the identity token of the job is exchanged, which is absent")

// Issue is refused: without the identity token there is nothing to exchange.
func (s *source) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errNoToken
}

// IssueFederated gives the access token of a job, the same one for all that it publishes, and another one for what it reads; none for a
// read that names no package.
func (s *source) IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	return credential.IssueForJob(Kind.Name, errNoToken, targets, token, func() (model.Credential, error) {
		return s.issue(ctx, targets, id, token)
	})
}

// The scopes of access tokens.
const (
	scopeRead  = "https://www.googleapis.com/auth/cloud-platform.read-only"
	scopeWrite = "https://www.googleapis.com/auth/cloud-platform"
)

func (s *source) issue(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, targets...); err != nil {
		return model.Credential{}, err
	}
	scope := scopeRead
	for _, t := range targets {
		if t.Action != model.ActionRead {
			scope = scopeWrite
		}
	}
	return s.tokens.Get(ctx, lease.Key(id.Issuer, id.DigestHex(), token.Reveal(), scope), func(ctx context.Context) (model.Credential, error) {
		secret, ends, err := s.make(ctx, scope, token)
		if err != nil {
			return model.Credential{}, err
		}
		c := model.Basic("oauth2accesstoken", secret)
		if s.ecosystem == "npm" || s.ecosystem == "oci" {
			c = model.Bearer(secret)
		}
		c.Expiry = ends
		return c, nil
	})
}
