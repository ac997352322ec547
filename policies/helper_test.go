package policies

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noon is the clock of the tests.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// testEnv is a gateway with two registries and one issuer of each provider.
func testEnv() Env {
	return Env{
		Registries: map[string]string{"internal-pypi": "pypi", "staging-pypi": "pypi"},
		Issuers: []Issuer{
			{Name: "github", Provider: "github"},
			{Name: "gitlab", Provider: "gitlab"},
			{Name: "build", Provider: "oidc"},
		},
		Now: func() time.Time { return noon },
	}
}

func writeFile(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// loadText loads one file with the given content.
func loadText(tb testing.TB, content string, env Env) (*Set, error) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "policies.yaml")
	writeFile(tb, path, content)
	return Load([]string{path}, env)
}

// mustLoad loads content that has to be good.
func mustLoad(tb testing.TB, content string) *Set {
	tb.Helper()
	set, err := loadText(tb, content, testEnv())
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// with is the claims with some replaced; nil removes one.
func with(claims map[string]any, changes map[string]any) map[string]any {
	out := maps.Clone(claims)
	for name, v := range changes {
		if v == nil {
			delete(out, name)
			continue
		}
		out[name] = v
	}
	return out
}

// githubClaims are those of a release of acme/widget from the tag v1.0.0.
func githubClaims() map[string]any {
	const ref = "acme/widget/.github/workflows/release.yml@refs/tags/v1.0.0"
	return map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/widget:environment:release", "jti": "1",
		"repository": "acme/widget", "repository_id": "111", "repository_owner": "acme", "repository_owner_id": "222",
		"event_name": "push", "ref": "refs/tags/v1.0.0", "ref_type": "tag", "ref_protected": "true", "environment": "release",
		"workflow_ref": ref, "job_workflow_ref": ref, "actor_id": "333", "run_id": "9", "runner_environment": "github-hosted",
	}
}

// gitlabClaims are those of a release of acme/reports from the tag v2.1.
func gitlabClaims() map[string]any {
	return map[string]any{
		"iss": "https://gitlab.example.com", "sub": "project_path:acme/reports:ref_type:tag:ref:v2.1", "jti": "1",
		"project_path": "acme/reports", "project_id": "4711", "namespace_path": "acme", "namespace_id": "72",
		"pipeline_source": "push", "ref": "v2.1", "ref_type": "tag", "ref_path": "refs/tags/v2.1", "ref_protected": "true",
		"ci_config_ref_uri": "gitlab.example.com/acme/reports//.gitlab-ci.yml@refs/tags/v2.1", "user_access_level": "maintainer",
	}
}

func identity(issuer string, claims map[string]any) *Identity {
	provider := issuer
	if issuer == "build" {
		provider = "oidc"
	}
	return &Identity{Issuer: issuer, Provider: provider, Claims: claims}
}

// widgetUpload is the upload of acme-widget 1.0.0.
func widgetUpload() Target {
	return Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "acme-widget", Version: "1", Action: ActionPublish}
}

// lines joins the lines of a file.
func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
