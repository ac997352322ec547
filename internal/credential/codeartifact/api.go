package codeartifact

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	artifacts "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// make assumes the role for the job, within the policy, and gets the authorization token of the session. Both end together.
func (s *source) make(ctx context.Context, policy string, id *model.Identity, token model.IdentityToken) (string, time.Time, error) {
	session, err := s.assume(ctx, policy, id, token)
	if err != nil {
		return "", time.Time{}, err
	}
	return s.authorize(ctx, session)
}

// assumed is the XML of an answer of STS, as far as it concerns us.
type assumed struct {
	Credentials []struct {
		AccessKeyID     []string `xml:"AccessKeyId"`
		SecretAccessKey []string `xml:"SecretAccessKey"`
		SessionToken    []string `xml:"SessionToken"`
	} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
}

// check refuses an answer without exactly one of each, before the SDK reads it.
func (a *assumed) check(answer []byte) error {
	if err := xml.Unmarshal(answer, a); err != nil || len(a.Credentials) != 1 {
		return mintapi.Unfit("the answer is not that of STS: does sts lead to it?")
	}
	for _, field := range []struct {
		name   string
		values []string
	}{
		{"AccessKeyId", a.Credentials[0].AccessKeyID}, {"SecretAccessKey", a.Credentials[0].SecretAccessKey}, {"SessionToken", a.Credentials[0].SessionToken},
	} {
		if len(field.values) != 1 {
			return mintapi.Unfit("the answer has %d of %s, expected one: does sts lead to STS?", len(field.values), field.name)
		}
		if err := mintapi.CheckSecret(field.name, field.values[0]); err != nil {
			return err
		}
	}
	return nil
}

// assume is AssumeRoleWithWebIdentity. The session's name leads from AWS's own log to the audit: it has the beginning of the token's digest.
func (s *source) assume(ctx context.Context, policy string, id *model.Identity, token model.IdentityToken) (aws.Credentials, error) {
	lent := mintapi.Lend(mintapi.Lent{API: s.sts, Call: mintapi.Call{
		Method: http.MethodPost, Path: "/", Expect: []int{http.StatusOK}, Refusal: s.refusedBySTS,
		Read: func(answer []byte) error { return new(assumed).check(answer) },
	}})
	client := sts.New(sts.Options{
		Region: s.Region, BaseEndpoint: &s.STS, HTTPClient: lent, Retryer: aws.NopRetryer{}, Logger: logging.Nop{}, Credentials: aws.AnonymousCredentials{},
	})
	out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &s.Role, RoleSessionName: aws.String(sessionName(id)), WebIdentityToken: aws.String(token.Reveal()),
		DurationSeconds: aws.Int32(int32(s.lifetime / time.Second)), Policy: &policy, //nolint:gosec // at most 12 hours
	})
	if err != nil {
		return aws.Credentials{}, lent.Cause(err)
	}
	if out.Credentials == nil {
		return aws.Credentials{}, lent.Cause(errors.New("no credentials"))
	}
	return aws.Credentials{
		AccessKeyID: aws.ToString(out.Credentials.AccessKeyId), SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey),
		SessionToken: aws.ToString(out.Credentials.SessionToken),
	}, nil
}

// sessionName is the name of a job's session of the role.
func sessionName(id *model.Identity) string { return "trustpub-" + id.DigestHex()[:32] }

// authorize is GetAuthorizationToken, for the rest of the session.
func (s *source) authorize(ctx context.Context, session aws.Credentials) (string, time.Time, error) {
	started := s.now()
	var answer struct {
		Token string  `json:"authorizationToken"`
		Ends  float64 `json:"expiration"`
	}
	lent := mintapi.Lend(mintapi.Lent{API: s.api, Call: mintapi.Call{
		Method: http.MethodPost, Path: "/v1/authorization-token", Expect: []int{http.StatusOK},
		Read: func(b []byte) error {
			if err := mintapi.JSON(&answer)(b); err != nil {
				return err
			}
			if answer.Ends <= 0 {
				return mintapi.Unfit("the answer has no expiration: does endpoint lead to CodeArtifact?")
			}
			return mintapi.CheckSecret("authorizationToken", answer.Token)
		},
		Hint: s.refusedByCodeArtifact,
	}})
	client := artifacts.New(artifacts.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, HTTPClient: lent, Retryer: aws.NopRetryer{}, Logger: logging.Nop{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return session, nil }),
	})
	out, err := client.GetAuthorizationToken(ctx, &artifacts.GetAuthorizationTokenInput{Domain: &s.Domain, DomainOwner: &s.Owner, DurationSeconds: aws.Int64(0)})
	if err != nil {
		return "", time.Time{}, lent.Cause(err)
	}
	if aws.ToString(out.AuthorizationToken) != answer.Token || out.Expiration == nil {
		return "", time.Time{}, lent.Cause(errors.New("the SDK reads another token than we do"))
	}
	ends := *out.Expiration
	if latest := started.Add(s.lifetime); ends.After(latest) {
		ends = latest
	}
	return answer.Token, ends, nil
}

// refusals are what STS calls its refusals, and what to do about each.
var refusals = map[string]string{
	"AccessDenied":            "does the role's trust policy have the issuer as its principal, and conditions that this job meets? Its audience is the one that the gateway accepts",
	"InvalidIdentityToken":    "is there an identity provider of IAM for this issuer, with the audience that the gateway accepts among its client ids?",
	"ExpiredTokenException":   "the identity token has expired: compare the clocks, or publish sooner",
	"IDPRejectedClaim":        "the issuer rejects the token, or a claim is not what the provider of IAM takes",
	"IDPCommunicationError":   "STS can't reach the issuer's keys: is the issuer's URL reachable from AWS?",
	"MalformedPolicyDocument": "STS does not take the session's policy: write whole_repository",
	"PackedPolicyTooLarge":    "the session's policy and the role's tags are too large together: write whole_repository",
	"RegionDisabledException": "STS is not active in the region for the role's account",
	"ValidationError":         "lifetime is longer than the role's maximum session duration, or a name has a form that STS does not take",
}

// refusedBySTS finds the code in the XML of a refusal, and gives our own words for it.
func (s *source) refusedBySTS(status int, answer []byte) string {
	var document struct {
		Error struct {
			Code string `xml:"Code"`
		} `xml:"Error"`
	}
	if xml.Unmarshal(answer, &document) == nil {
		if hint := refusals[document.Error.Code]; hint != "" {
			return document.Error.Code + ", role " + s.Role + ": " + hint
		}
	}
	if status == http.StatusBadRequest || status == http.StatusForbidden {
		return "STS does not let the job assume role " + s.Role
	}
	return ""
}

func (s *source) refusedByCodeArtifact(status int) string {
	switch status {
	case http.StatusForbidden:
		return "role " + s.Role + " needs codeartifact:GetAuthorizationToken on the domain and sts:GetServiceBearerToken"
	case http.StatusNotFound:
		return "is there a domain " + s.Domain + " of account " + s.Owner + " in " + s.Region + "?"
	case http.StatusBadRequest:
		return "CodeArtifact does not take a token of " + strconv.Itoa(int(s.lifetime/time.Second)) + " seconds for this domain"
	}
	return ""
}
