// Package codeartifact is the credential source for AWS CodeArtifact. It assumes a role with the identity token of the job, narrows the
// session to the package of the request, and gets an authorization token that ends with the session. No secret of AWS is at the gateway.
package codeartifact

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	artifacts "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// The lifetimes of a session, as AWS bounds them.
const (
	DefaultLifetime = 15 * time.Minute
	MinLifetime     = 15 * time.Minute
	MaxLifetime     = 12 * time.Hour
)

// Kind registers the source.
var Kind = credential.Kind{Name: "codeartifact", New: func() credential.Config { return new(Config) }}

// Config is the configuration.
type Config struct {
	// Domain is the domain, Owner the 12 digits of the account that it belongs to, Region where it is. Required.
	Domain string `json:"domain"`
	Owner  string `json:"owner"`
	Region string `json:"region"`
	// Role is the ARN of the role that jobs assume. Required.
	Role string `json:"role"`
	// Repository is the name of the repository. Default: from the public URL, as in /pypi/NAME/.
	Repository string `json:"repository,omitempty"`
	// WholeRepository leaves a session as wide as the repository, instead of the one package.
	WholeRepository bool `json:"whole_repository,omitempty"`
	// Lifetime of a session. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`
	// STS and Endpoint are where the gateway reaches STS and CodeArtifact's API, as through endpoints of its own network. Default: the
	// region's.
	STS      string `json:"sts,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	// CA is a PEM file with the certificate authority of both. Default: the system's.
	CA string `json:"ca,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

var (
	domainName     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,48}[a-z0-9]$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	regionName     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	roleARN        = regexp.MustCompile(`^arn:(aws|aws-[a-z-]+):iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,99}$`)
)

// formats are CodeArtifact's names of the protocols that take a token.
var formats = map[string]string{"pypi": "pypi", "npm": "npm", "maven": "maven", "nuget": "nuget", "cargo": "cargo", "rubygems": "ruby"}

// source federates.
type source struct {
	Config
	registry, ecosystem string
	format, partition   string
	lifetime            time.Duration
	sts, api            *mintapi.API
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
		return nil, fmt.Errorf("credential codeartifact of registry %q: %w", env.Registry, err)
	}
	return s, nil
}

func (c *Config) source(env credential.Env) (*source, error) {
	s := &source{Config: *c, registry: env.Registry, ecosystem: env.Ecosystem, format: formats[env.Ecosystem]}
	if s.now == nil {
		s.now = time.Now
	}
	if s.format == "" {
		return nil, fmt.Errorf("the registry's ecosystem is %s, expected one that CodeArtifact takes tokens for: cargo, maven, npm, nuget, pypi or rubygems", env.Ecosystem)
	}
	if s.Repository == "" {
		s.Repository = repositoryOf(env.Public, s.format)
	}
	for _, field := range []struct {
		name, value, example string
		grammar              *regexp.Regexp
	}{
		{"domain", s.Domain, "domain acme", domainName},
		{"owner", s.Owner, "the account of the domain: owner 111122223333", accountID},
		{"region", s.Region, "region eu-central-1", regionName},
		{"role", s.Role, "role arn:aws:iam::111122223333:role/publish", roleARN},
		{"repository", s.Repository, "the public URL to have it, as in /" + s.format + "/NAME/, or repository NAME", repositoryName},
	} {
		if !field.grammar.MatchString(field.value) {
			return nil, fmt.Errorf("%s is %q, expected %s", field.name, model.OneLine(field.value, 100), field.example)
		}
	}
	_, partition, _ := strings.Cut(s.Role, ":")
	s.partition, _, _ = strings.Cut(partition, ":")
	var err error
	if s.lifetime, err = c.Lifetime.Within("lifetime", DefaultLifetime, MinLifetime, MaxLifetime); err != nil {
		return nil, err
	}
	if err := s.reach(); err != nil {
		return nil, err
	}
	// What a token is made of ends before it could be renewed.
	s.tokens = lease.New(lease.Options{Logger: env.Logger, Now: s.now, NoRenewal: true})
	return s, nil
}

// repositoryOf reads the name out of a public URL, which is CodeArtifact's own path: /FORMAT/NAME/.
func repositoryOf(public *url.URL, format string) string {
	if public == nil {
		return ""
	}
	segments := strings.Split(strings.Trim(public.Path, "/"), "/")
	at := slices.Index(segments, format)
	if at < 0 || at+1 >= len(segments) {
		return ""
	}
	return segments[at+1]
}

// reach finds the two endpoints; where they are one host, they share what is known of it.
func (s *source) reach() error {
	ctx := context.Background() // the SDK's tables, no network
	no := false
	if s.STS == "" {
		at, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: &s.Region, UseDualStack: &no, UseFIPS: &no, UseGlobalEndpoint: &no})
		if err != nil {
			return fmt.Errorf("region is %q, of which the SDK knows no STS: write sts URL", s.Region)
		}
		s.STS = at.URI.String()
	}
	if s.Endpoint == "" {
		at, err := artifacts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, artifacts.EndpointParameters{Region: &s.Region, UseDualStack: &no, UseFIPS: &no})
		if err != nil {
			return fmt.Errorf("region is %q, of which the SDK knows no CodeArtifact: write endpoint URL", s.Region)
		}
		s.Endpoint = at.URI.String()
	}
	for _, to := range []struct {
		name string
		url  *string
		api  **mintapi.API
	}{{"sts", &s.STS, &s.sts}, {"endpoint", &s.Endpoint, &s.api}} {
		base, err := mintapi.CheckURL(*to.url, "https://vpce-1a2b3c4d.sts.eu-central-1.vpce.amazonaws.com")
		if err != nil {
			return fmt.Errorf("%s: %w", to.name, err)
		}
		*to.url = base
		if *to.api, err = mintapi.New(base, mintapi.Options{CAFile: s.CA, Now: s.now}); err != nil {
			return err
		}
	}
	if s.STS == s.Endpoint {
		s.api = s.sts
	}
	return nil
}

// Kept are the tokens, and what is known of the APIs.
func (s *source) Kept() []credential.Kept {
	kept := []credential.Kept{
		s.tokens.Kept(Kind.Name, s.STS, s.Endpoint, s.Role, s.Domain, s.Owner, s.Region, s.Repository, s.ecosystem, s.lifetime.String(), fmt.Sprint(s.WholeRepository)),
		s.sts.Kept(),
	}
	if s.api != s.sts {
		kept = append(kept, s.api.Kept())
	}
	return kept
}

var errNoToken = errors.New("credential codeartifact: the role is assumed with the identity token of the job, which is absent")

// Issue is refused: without the identity token there is no session.
func (s *source) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errNoToken
}

// IssueFederated gives the token for what a request touches, the same one for all requests of a run that touch the same package in the
// same way; none for a read that names no package.
func (s *source) IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	return credential.IssueForJob(Kind.Name, errNoToken, targets, token, func() (model.Credential, error) {
		return s.issue(ctx, targets, id, token)
	})
}

func (s *source) issue(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	policy, err := s.policy(targets)
	if err != nil {
		return model.Credential{}, err
	}
	return s.tokens.Get(ctx, lease.Key(id.Issuer, id.DigestHex(), token.Reveal(), policy), func(ctx context.Context) (model.Credential, error) {
		secret, ends, err := s.make(ctx, policy, id, token)
		if err != nil {
			return model.Credential{}, err
		}
		c := s.form(secret)
		c.Expiry = ends
		return c, nil
	})
}

// form is how CodeArtifact takes a token from the clients of a protocol.
func (s *source) form(token string) model.Credential {
	switch s.ecosystem {
	case "npm", "rubygems":
		return model.Bearer(token)
	case "cargo": // whose token is the whole header
		c := model.Bearer(token)
		c.Header.Set("Authorization", token)
		return c
	}
	return model.Basic("aws", token)
}
