package codeartifact

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// maxPolicy is what STS takes for the policy of a session, in characters.
const maxPolicy = 2048

// plainName is a package's name in which a policy sees no wildcard, no variable and no separator of its own.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._~+-]*$`)

// document is a policy of IAM.
type document struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Effect    string                       `json:"Effect"`
	Action    []string                     `json:"Action"`
	Resource  []string                     `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

// actions are those of IAM that an action of ours needs on the package, beside the right to read the repository.
var actions = map[model.Action][]string{
	model.ActionPublish:   {"codeartifact:PublishPackageVersion", "codeartifact:PutPackageMetadata"},
	model.ActionOverwrite: {"codeartifact:PublishPackageVersion", "codeartifact:PutPackageMetadata"},
	model.ActionTag:       {"codeartifact:PutPackageMetadata"},
	model.ActionYank:      {"codeartifact:PutPackageMetadata", "codeartifact:UpdatePackageVersionsStatus"},
	model.ActionDelete:    {"codeartifact:PutPackageMetadata", "codeartifact:DeletePackageVersions"},
}

// policy is what a session may do of what the role may: get the token, read the repository, and act on the packages of the targets.
func (s *source) policy(targets []model.Target) (string, error) {
	if err := credential.CheckTargets(s.registry, targets...); err != nil {
		return "", err
	}
	d := document{Version: "2012-10-17", Statement: []statement{
		{Effect: "Allow", Action: []string{"codeartifact:GetAuthorizationToken"}, Resource: []string{s.arn("domain", s.Domain)}},
		{
			Effect: "Allow", Action: []string{"sts:GetServiceBearerToken"}, Resource: []string{"*"},
			Condition: map[string]map[string]string{"StringEquals": {"sts:AWSServiceName": "codeartifact.amazonaws.com"}},
		},
		{Effect: "Allow", Action: []string{"codeartifact:ReadFromRepository"}, Resource: []string{s.arn("repository", s.Domain, s.Repository)}},
	}}
	for _, t := range targets {
		if t.Action == model.ActionRead {
			continue
		}
		may, known := actions[t.Action]
		if !known {
			return "", fmt.Errorf("action is %q, expected one that CodeArtifact has", t.Action)
		}
		resource, err := s.packageARN(t.Package)
		if err != nil {
			return "", err
		}
		more := statement{Effect: "Allow", Action: may, Resource: []string{resource}}
		if !slices.ContainsFunc(d.Statement, func(have statement) bool {
			return slices.Equal(have.Action, may) && slices.Equal(have.Resource, more.Resource)
		}) {
			d.Statement = append(d.Statement, more)
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	if len(text) > maxPolicy {
		return "", fmt.Errorf("the session's policy has %d characters, expected at most %d: write whole_repository", len(text), maxPolicy)
	}
	return string(text), nil
}

// packageARN is a package as IAM names it: its namespace, a scope without @ or a group, has a segment of its own, which may be empty.
func (s *source) packageARN(pkg string) (string, error) {
	if s.WholeRepository {
		return s.arn("package", s.Domain, s.Repository, s.format, "*"), nil
	}
	namespace, name := "", pkg
	switch s.ecosystem {
	case "npm":
		if scoped, ok := strings.CutPrefix(pkg, "@"); ok {
			namespace, name, _ = strings.Cut(scoped, "/")
		}
	case "maven":
		namespace, name, _ = strings.Cut(pkg, ":")
	}
	if !plainName.MatchString(name) || namespace != "" && !plainName.MatchString(namespace) {
		return "", fmt.Errorf("the session can't be narrowed: the package is %q, which a policy of IAM would read in another way", model.OneLine(pkg, 100))
	}
	return s.arn("package", s.Domain, s.Repository, s.format, namespace, name), nil
}

func (s *source) arn(kind string, path ...string) string {
	return "arn:" + s.partition + ":codeartifact:" + s.Region + ":" + s.Owner + ":" + kind + "/" + strings.Join(path, "/")
}
