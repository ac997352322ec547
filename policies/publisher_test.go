package policies

import (
	"strings"
	"testing"
)

// Policies of platforms beyond those of the other tests: fields that must be there, tags that prove nothing, claims by path.
func TestPublishersRefused(t *testing.T) {
	env := testEnv()
	for _, name := range []string{"circleci", "codefresh", "oidc"} {
		env.Issuers = append(env.Issuers, Issuer{Name: name + "-one", Provider: name})
	}
	policy := func(publisher ...string) string {
		return "policies:\n  - name: x\n    registry: internal-pypi\n    packages: [acme-widget]\n    issuer: oidc-one\n    " + strings.Join(publisher, "\n    ") + "\n"
	}
	other := func(text, issuer string) string { return strings.Replace(text, "oidc-one", issuer, 1) }
	tests := []struct{ name, text, says string }{
		{"a path", policy(`publisher: {oidc: {subject: a, claims: {/ci.example.com/id: "1"}}}`), ""},
		{"a key with a slash", policy(`publisher: {oidc: {subject: a, claims: {ci.example.com/id: "1"}}}`), ""},
		{"a path of one key", policy(`publisher: {oidc: {subject: a, claims: {/id: "1"}}}`), "6:45: policies[0].publisher.oidc.claims./id: \"/id\" is a claim at the top; write it without the slash, \"id\""},
		{"a path to a claim with a field", policy(`publisher: {oidc: {subject: a, claims: {/sub: "1"}}}`), "write it without the slash"},
		{"a path with a stray tilde", policy(`publisher: {oidc: {subject: a, claims: {/a~/b: "1"}}}`), "a tilde that is neither"},
		{"a path with an empty key", policy(`publisher: {oidc: {subject: a, claims: {/a//b: "1"}}}`), "an empty key"},
		{"an audience as a path", policy(`publisher: {oidc: {subject: a, claims: {/aud: "1"}}}`), "write it without the slash"},
		{"a needed field", other(policy(`publisher: {circleci: {vcs_origin: github.com/acme/widget, project_id: "1"}}`), "circleci-one"), ""},
		{"without a needed field", other(policy(`publisher: {circleci: {project_id: "1", org_id: "2"}}`), "circleci-one"), "6:27: policies[0].publisher.circleci: vcs_origin is missing, without which a stranger's run could match; add it"},
		{"without it, unpinned", other(policy(`publisher: {circleci: {project_id: "1", org_id: "2"}}`, "allow_unpinned: true"), "circleci-one"), "vcs_origin is missing"},
		{"a tag that the caller chooses", other(policy(`publisher: {codefresh: {pipeline: a/b, pipeline_id: "1"}}`, `tag: "v{version}"`), "codefresh-one"), "7:10: policies[0].tag: whoever starts a run of the provider codefresh names its tag, so that it proves nothing; leave tag out"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := loadText(t, test.text, env)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}
