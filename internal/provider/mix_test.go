package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// urls are two issuer URLs of each provider that can have two.
var urls = map[string][2]string{
	"azure-devops": {"https://vstoken.dev.azure.com/a", "https://vstoken.dev.azure.com/b"},
	"bitbucket":    {"https://api.bitbucket.org/2.0/workspaces/a/pipelines-config/identity/oidc", "https://api.bitbucket.org/2.0/workspaces/b/pipelines-config/identity/oidc"},
	"circleci":     {"", "https://oidc.circleci.com/org/a"},
	"forgejo":      {"https://a.example.com/api/actions", "https://b.example.com/api/actions"},
	"github":       {"", "https://token.actions.githubusercontent.com/acme"},
	"gitlab":       {"", "https://gitlab.example.com"},
	"jenkins":      {"https://jenkins.example.com/oidc", "https://jenkins.example.com/oidc/job/folder"},
	"kubernetes":   {"https://a.example.com", "https://a.example.com/"},
	"oidc":         {"https://ci.example.com", "https://ci.example.com/"},
	"semaphore":    {"https://a.semaphoreci.com", "https://b.semaphoreci.com"},
	"spacelift":    {"https://a.app.spacelift.io", "https://b.app.spacelift.io"},
	"spiffe":       {"https://a.example.org", "https://b.example.org"},
}

// Two issuers of one provider whose tokens say the same, with the same jti, under keys of the same id, share nothing.
func TestIssuersNeverMix(t *testing.T) {
	for name, pair := range urls {
		t.Run(name, func(t *testing.T) {
			one, two := newPlatform(t, name, "one", pair[0], 0), newPlatform(t, name, "two", pair[1], 1)
			if one.signer.KeyID("ES256") != two.signer.KeyID("ES256") {
				t.Fatal("the two issuers have keys of different ids")
			}
			// The policy is for issuer one; the policy of issuer two grants another package.
			text := strings.Replace(one.Docs.Policy, "    publisher:", "    issuer: one\n    publisher:", 1)
			text += strings.NewReplacer("policies:\n", "", "widget-release", "other-release", "acme-widget", "other-package", "issuer: one", "issuer: two").Replace(text)
			set := load(t, text, policies.Env{
				Registries: map[string]string{"internal-pypi": "pypi"},
				Issuers:    []policies.Issuer{{Name: "one", Provider: name}, {Name: "two", Provider: name}},
			})
			v := verifier(t, one, two)
			rawOne, rawTwo := one.sign(t, one.same(two)), two.sign(t, two.same(two))
			for range 2 { // the second time both are remembered
				idOne, idTwo := one.verified(t, v, rawOne), two.verified(t, v, rawTwo)
				if diff := cmp.Diff([]string{"one", "two"}, []string{idOne.Issuer, idTwo.Issuer}); diff != "" {
					t.Errorf("issuers (-want +got):\n%s", diff)
				}
				if idOne.ReplayKey() == idTwo.ReplayKey() {
					t.Error("the two tokens have one replay key")
				}
				if d := set.Evaluate(idOne, upload()); !d.Allow {
					t.Errorf("issuer one is refused: %+v", d)
				}
				d := set.Evaluate(idTwo, upload())
				if d.Allow || d.Field != "issuer" && d.Field != "package" && d.Field != "config" { // GitLab's file has the issuer's address
					t.Errorf("issuer two publishes with the policy of issuer one, or is refused for another reason: %+v", d)
				}
			}
			one.refuses(t, v, two, model.CodeInvalidToken)
			two.refuses(t, v, one, model.CodeInvalidToken)
			alone := verifier(t, one)
			if _, err := alone.Verify(t.Context(), rawTwo, []string{two.audience}); code(err) != model.CodeUnknownIssuer {
				t.Errorf("a verifier without issuer two: got %v", err)
			}
		})
	}
}

// same are claims that differ from those of the other issuer in iss and audience only; claims that quote the issuer's address stay.
func (p *platform) same(other *platform) map[string]any {
	claims := other.claims()
	claims["iss"], claims["aud"] = p.url, p.audience
	claims["jti"] = "the same"
	return claims
}

func (p *platform) verified(t *testing.T, v *identity.Verifier, raw string) *model.Identity {
	t.Helper()
	id, err := v.Verify(t.Context(), raw, []string{p.audience})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// refuses signs a token of this issuer with the other's key of the same id.
func (p *platform) refuses(t *testing.T, v *identity.Verifier, other *platform, want model.Code) {
	t.Helper()
	forged := other.sign(t, p.claims())
	if _, err := v.Verify(context.Background(), forged, []string{p.audience}); code(err) != want {
		t.Errorf("%s signed by the key of %s: got %v", p.issuer.Name(), other.issuer.Name(), err)
	}
}

func code(err error) model.Code {
	var d *model.Denial
	if errors.As(err, &d) {
		return d.Code
	}
	return ""
}

// A policy that does not say which of two issuers it means is no policy.
func TestTwoIssuersNeedAName(t *testing.T) {
	for name := range urls {
		p, _ := provider.Get(name)
		_, err := tryLoad(t, p.Docs.Policy, policies.Env{
			Registries: map[string]string{"internal-pypi": "pypi"},
			Issuers:    []policies.Issuer{{Name: "one", Provider: name}, {Name: "two", Provider: name, Disabled: true}},
		})
		if err == nil || !strings.Contains(err.Error(), "one, two") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The audience that a platform fixes is good in that platform's tokens and in nobody else's.
func TestFixedAudience(t *testing.T) {
	azure := newPlatform(t, "azure-devops", "azure", "https://vstoken.dev.azure.com/a", 0)
	github := newPlatform(t, "github", "github", "", 1)
	v := verifier(t, azure, github)
	accepted := []string{"pypi.example.com", azure.audience}
	if _, err := v.Verify(t.Context(), azure.sign(t, azure.claims()), accepted); err != nil {
		t.Errorf("refused: %v", err)
	}
	claims := github.claims()
	claims["aud"] = azure.audience
	_, err := v.Verify(t.Context(), github.sign(t, claims), accepted)
	var d *model.Denial
	if !errors.As(err, &d) || d.Code != model.CodeWrongAudience || d.Field != "aud" {
		t.Errorf("a token of GitHub for %s: got %v", azure.audience, err)
	}
}

// GitHub's subject comes in three forms; none decides anything.
func TestGitHubSubjects(t *testing.T) {
	one := newPlatform(t, "github", "github", "", 0)
	v, set := verifier(t, one), load(t, one.Docs.Policy, env(one.Provider))
	for _, sub := range []string{
		"repo:acme/widget:environment:release",
		"repo:acme@222/widget@111:environment:release",
		"repository_owner_id:222:workflow_ref:acme/widget/.github/workflows/release.yml@refs/tags/v1",
		"repo:acme/widget:environment:re%3Alease",
		"repo:other/thing:pull_request",
	} {
		claims := one.claims()
		claims["sub"] = sub
		if d := one.publish(t, v, set, one.sign(t, claims)); !d.Allow {
			t.Errorf("%s: %+v", sub, d)
		}
		claims["repository_id"], claims["repository_owner_id"] = "112", "223"
		if d := one.publish(t, v, set, one.sign(t, claims)); d.Allow {
			t.Errorf("%s: published with other ids", sub)
		}
	}
}

// A stranger acme-2/widget-1 of Forgejo has the very subject that acme/widget of the ids 2 and 1 has, and publishes nothing.
func TestForgejoSubjectIsNoIdentity(t *testing.T) {
	p, _ := provider.Get("forgejo")
	for _, f := range p.Fields {
		if f.Claim == "sub" {
			t.Errorf("the field %s compares sub", f.Name)
		}
	}
	one := newPlatform(t, "forgejo", "forgejo", pageIssuer(p), 0)
	v, set := verifier(t, one), load(t, p.Docs.Policy, env(p))
	claims := one.claims()
	claims["repository"], claims["repository_owner"] = "acme-2/widget-1", "acme-2"
	claims["repository_id"], claims["repository_owner_id"] = "71", "72"
	claims["workflow_ref"] = "acme-2/widget-1/.forgejo/workflows/release.yml@refs/tags/v1"
	if claims["sub"] != one.claims()["sub"] {
		t.Fatal("the subjects differ")
	}
	if d := one.publish(t, v, set, one.sign(t, claims)); d.Allow || d.Field != "repository" {
		t.Errorf("got %+v", d)
	}
}

// What a page's notes promise to be refused.
func TestStrangersAreRefused(t *testing.T) {
	tests := []struct {
		name, provider string
		over           map[string]any
		field          string
	}{
		{"a fork's build", "circleci", map[string]any{"oidc.circleci.com/vcs-origin": "github.com/stranger/widget"}, "vcs_origin"},
		{"a custom webhook", "circleci", map[string]any{"oidc.circleci.com/vcs-origin": nil, "oidc.circleci.com/vcs-ref": nil}, "vcs_origin"},
		{"a shell in the job", "circleci", map[string]any{"oidc.circleci.com/ssh-rerun": true}, "ssh_rerun"},
		{"a pull request", "azure-devops", map[string]any{"rpo_ref": "refs/pull/1/merge"}, "ref"},
		{"a pull request", "semaphore", map[string]any{"ref_type": "pull-request", "ref": "refs/pull/1/merge", "tag": ""}, "ref_type"},
		{"a debug job", "semaphore", map[string]any{"job_type": "debug_job"}, "job_type"},
		{"a pull request", "codefresh", map[string]any{"scm_pull_request_target_branch": "main"}, "when"},
		{"a proposed run", "spacelift", map[string]any{"runType": "PROPOSED"}, "run_type"},
		{"the plan of a run", "spacelift", map[string]any{"scope": "read"}, "scope"},
		{"by hand", "buildkite", map[string]any{"build_source": "ui"}, "build_source"},
		{"of another pipeline", "buildkite", map[string]any{"build_source": "trigger_job"}, "build_source"},
		{"a pull request", "forgejo", map[string]any{"event_name": "pull_request_target"}, "event_name"},
		{"without ids", "forgejo", map[string]any{"repository_id": nil}, "repository_id"},
		{"without ids", "buildkite", map[string]any{"pipeline_id": nil}, "pipeline_id"},
		{"a person's token", "google", map[string]any{"email": "dev@example.com", "sub": "998877"}, "account_id"},
		{"two audiences", "bitbucket", map[string]any{"aud": []any{"pypi.example.com", "sts.example.com"}}, "aud"},
		{"two audiences", "kubernetes", map[string]any{"aud": []any{"pypi.example.com", "https://kubernetes.default.svc"}}, "aud"},
		{"the same keys without the dot", "kubernetes", map[string]any{"kubernetes.io": nil, "kubernetes": map[string]any{"io": map[string]any{"namespace": "ci"}}}, "namespace"},
	}
	for _, test := range tests {
		t.Run(test.provider+" "+test.name, func(t *testing.T) {
			p, _ := provider.Get(test.provider)
			one := newPlatform(t, p.Name, p.Name, pageIssuer(p), 0)
			v, set := verifier(t, one), load(t, p.Docs.Policy, env(p))
			claims := one.claims()
			for claim, value := range test.over {
				put(claims, []string{claim}, value)
			}
			if d := one.publish(t, v, set, one.sign(t, claims)); d.Allow || d.Field != test.field {
				t.Errorf("got %+v, want a denial that names %s", d, test.field)
			}
		})
	}
}
