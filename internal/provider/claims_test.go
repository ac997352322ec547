package provider

import (
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a platform's sample with some claims replaced; nil removes one.
func sample(t *testing.T, name string, over map[string]any) (*Provider, map[string]any) {
	t.Helper()
	p, ok := Get(name)
	if !ok {
		t.Fatalf("no provider %s", name)
	}
	claims := maps.Clone(p.Sample)
	maps.Copy(claims, over)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return p, claims
}

func TestText(t *testing.T) {
	p, err := Load([]byte(`name: x
title: X
source: https://ci.example.com
issuer: {default: "https://ci.example.com"}
jti: never
claims:
  s: {kind: string}
  b: {kind: bool}
  bs: {kind: bool_string}
  n: {kind: number}
  l: {kind: list}
  o: {kind: object}
  deep: {kind: string, path: [o.io, a/b, c]}
  last: {kind: string, path: [s], after: /}
required: [s]
publisher: [{name: s, claim: s}]
sample: {s: a}
`))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, claim string
		claims      map[string]any
		want        string
		ok          bool
	}{
		{"a string", "s", map[string]any{"s": "a"}, "a", true},
		{"an empty string", "s", map[string]any{"s": ""}, "", true},
		{"absent", "s", nil, "", false},
		{"null", "s", map[string]any{"s": nil}, "", false},
		{"another case", "s", map[string]any{"S": "a"}, "", false},
		{"a number for a string", "s", map[string]any{"s": json.Number("1")}, "", false},
		{"a bool for a string", "s", map[string]any{"s": true}, "", false},
		{"a bool", "b", map[string]any{"b": true}, "true", true},
		{"a string for a bool", "b", map[string]any{"b": "true"}, "", false},
		{"a bool as a string", "bs", map[string]any{"bs": "false"}, "false", true},
		{"another string for it", "bs", map[string]any{"bs": "True"}, "", false},
		{"a bool for it", "bs", map[string]any{"bs": true}, "", false},
		{"a number", "n", map[string]any{"n": json.Number("12")}, "12", true},
		{"a string for a number", "n", map[string]any{"n": "12"}, "", false},
		{"a list", "l", map[string]any{"l": []any{"a"}}, "", false},
		{"an object", "o", map[string]any{"o": map[string]any{}}, "", false},
		{"deep inside", "deep", map[string]any{"o.io": map[string]any{"a/b": map[string]any{"c": "d"}}}, "d", true},
		{"not so deep", "deep", map[string]any{"o.io": map[string]any{"a/b": "c"}}, "", false},
		{"after a separator", "last", map[string]any{"s": "a/b/c"}, "c", true},
		{"after none", "last", map[string]any{"s": "abc"}, "", false},
		{"after it nothing", "last", map[string]any{"s": "a/"}, "", true},
		{"after it in a number", "last", map[string]any{"s": json.Number("1")}, "", false},
		{"a claim that the file does not know", "other", map[string]any{"other": "x"}, "x", true},
		{"and of another kind", "other", map[string]any{"other": json.Number("1")}, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := p.Text(test.claims, test.claim)
			if ok != test.ok || ok && got != test.want {
				t.Errorf("got %q, %t; want %q, %t", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	tests := []struct {
		name           string
		over           map[string]any
		claim, problem string
	}{
		{"nothing", nil, "", ""},
		{"absent", map[string]any{"repository_id": nil}, "repository_id", ""},
		{"of another kind", map[string]any{"repository_id": json.Number("111")}, "repository_id", "not a string"},
		{"empty", map[string]any{"repository_id": ""}, "repository_id", "an empty string"},
		{"a list", map[string]any{"sub": []any{"a"}}, "sub", "not a string"},
		{"one that may be absent", map[string]any{"environment": nil}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, claims := sample(t, "github", test.over)
			claim, problem, missing := p.Missing(claims)
			if claim != test.claim || problem != test.problem || missing != (test.claim != "") {
				t.Errorf("got %q, %q, %t", claim, problem, missing)
			}
		})
	}
}

func TestTagOf(t *testing.T) {
	tests := []struct {
		name, provider string
		over           map[string]any
		want           string
		ok             bool
	}{
		{"github", "github", nil, "v1", true},
		{"github with a slash", "github", map[string]any{"ref": "refs/tags/widget/v1"}, "widget/v1", true},
		{"github, a branch", "github", map[string]any{"ref": "refs/heads/main", "ref_type": "branch"}, "", false},
		{"github, a branch called like a tag", "github", map[string]any{"ref": "refs/heads/refs/tags/v1", "ref_type": "branch"}, "", false},
		{"github, ref and type differ", "github", map[string]any{"ref_type": "branch"}, "", false},
		{"github, no type", "github", map[string]any{"ref_type": nil}, "", false},
		{"github, an empty tag", "github", map[string]any{"ref": "refs/tags/"}, "", false},
		{"github, no ref", "github", map[string]any{"ref": nil}, "", false},
		{"gitlab", "gitlab", nil, "v1", true},
		{"gitlab, a branch called v1", "gitlab", map[string]any{"ref_type": "branch", "ref_path": "refs/heads/v1"}, "", false},
		{"oidc knows no tags", "oidc", map[string]any{"ref": "refs/tags/v1", "ref_type": "tag"}, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, claims := sample(t, test.provider, test.over)
			if got, ok := p.TagOf(claims); got != test.want || ok != test.ok {
				t.Errorf("got %q, %t; want %q, %t", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestTemplates(t *testing.T) {
	const v1 = "@refs/tags/v1"
	tests := []struct {
		name, provider, field, value string
		over                         map[string]any
		want                         string // the filled in template; empty: cannot be
		equal                        bool
	}{
		{"github", "github", "workflow", "release.yml", nil, "acme/widget/.github/workflows/release.yml" + v1, true},
		{"another file", "github", "workflow", "ci.yml", nil, "acme/widget/.github/workflows/ci.yml" + v1, false},
		{"a prefix of the file", "github", "workflow", "release", nil, "acme/widget/.github/workflows/release" + v1, false},
		{"another repository's file", "github", "workflow", "release.yml", map[string]any{"job_workflow_ref": "evil/widget/.github/workflows/release.yml" + v1}, "acme/widget/.github/workflows/release.yml" + v1, false},
		{"another ref", "github", "workflow", "release.yml", map[string]any{"job_workflow_ref": "acme/widget/.github/workflows/release.yml@refs/heads/main"}, "acme/widget/.github/workflows/release.yml" + v1, false},
		{"something behind", "github", "workflow", "release.yml", map[string]any{"job_workflow_ref": "acme/widget/.github/workflows/release.yml" + v1 + "x"}, "acme/widget/.github/workflows/release.yml" + v1, false},
		{"another case", "github", "workflow", "Release.yml", nil, "acme/widget/.github/workflows/Release.yml" + v1, false},
		{"no ref", "github", "workflow", "release.yml", map[string]any{"ref": nil}, "", false},
		{"an empty ref", "github", "workflow", "release.yml", map[string]any{"ref": ""}, "", false},
		{"no value", "github", "workflow", "", nil, "", false},
		{"gitlab", "gitlab", "config", ".gitlab-ci.yml", map[string]any{"iss": "https://gitlab.com"}, "gitlab.com/grp/prj//.gitlab-ci.yml" + v1, true},
		{"another instance", "gitlab", "config", ".gitlab-ci.yml", map[string]any{"iss": "https://gitlab.example.com"}, "gitlab.example.com/grp/prj//.gitlab-ci.yml" + v1, false},
		{"no iss", "gitlab", "config", ".gitlab-ci.yml", nil, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, claims := sample(t, test.provider, test.over)
			f, ok := p.Field(test.field)
			if !ok {
				t.Fatal("no such field")
			}
			want, ok := p.Expand(f.Equals, claims, test.value)
			if want != test.want || ok != (test.want != "") {
				t.Errorf("expanded to %q, %t; want %q", want, ok, test.want)
			}
			got, _ := p.Text(claims, f.EqualClaims[len(f.EqualClaims)-1])
			if equal := p.Equal(f.Equals, claims, test.value, got); equal != test.equal {
				t.Errorf("equal is %t", equal)
			}
		})
	}
	p, claims := sample(t, "github", nil)
	f, _ := p.Field("workflow")
	if diff := cmp.Diff("{repository}/.github/workflows/{value}@{ref}", f.Equals.String()); diff != "" {
		t.Error(diff)
	}
	got := claims["workflow_ref"].(string)
	if n := testing.AllocsPerRun(100, func() { p.Equal(f.Equals, claims, "release.yml", got) }); n != 0 {
		t.Errorf("comparing allocates %v times", n)
	}
}

func TestRunClaims(t *testing.T) {
	p, claims := sample(t, "gitlab", map[string]any{"environment": nil, "user_login": "", "user_id": json.Number("1")})
	want := map[string]string{
		"project_path": "grp/prj", "project_id": "20", "namespace_path": "grp", "namespace_id": "72", "ref_path": "refs/tags/v1",
		"ref_type": "tag", "ref_protected": "true", "environment_protected": "true",
		"ci_config_ref_uri": "gitlab.com/grp/prj//.gitlab-ci.yml@refs/tags/v1", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
		"pipeline_source": "push", "pipeline_id": "574", "job_id": "302",
	}
	if diff := cmp.Diff(want, p.RunClaims(claims)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIssuerURL(t *testing.T) {
	tests := []struct {
		provider, url, want string // want empty: refused
	}{
		{"github", "", "https://token.actions.githubusercontent.com"},
		{"github", "https://token.actions.githubusercontent.com", "https://token.actions.githubusercontent.com"},
		{"github", "https://token.actions.githubusercontent.com/acme-corp", "https://token.actions.githubusercontent.com/acme-corp"},
		{"github", "https://ghes.example.com/_services/token", "https://ghes.example.com/_services/token"},
		{"github", "https://ghes.example.com:8443/_services/token", "https://ghes.example.com:8443/_services/token"},
		{"github", "https://token.actions.acme.ghe.com", "https://token.actions.acme.ghe.com"},
		{"github", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"github", "http://localhost:8080", "http://localhost:8080"},
		{"github", "http://[::1]:8080", "http://[::1]:8080"},
		{"github", "https://token.actions.githubusercontent.com/", ""},
		{"github", "https://token.actions.githubusercontent.com/a/b", ""},
		{"github", "https://token.actions.githubusercontent.com.evil.example.com", ""},
		{"github", "https://token.actions.a.b.ghe.com", ""},
		{"github", "https://ghes.example.com", ""},
		{"gitlab", "", "https://gitlab.com"},
		{"gitlab", "https://gitlab.example.com", "https://gitlab.example.com"},
		{"gitlab", "https://example.com/gitlab", "https://example.com/gitlab"},
		{"gitlab", "https://gitlab.example.com/", ""},
		{"gitlab", "http://gitlab.example.com", ""},
		{"gitlab", "https://GitLab.example.com", ""},
		{"gitlab", "HTTPS://gitlab.example.com", ""},
		{"gitlab", "https://gitlab.example.com:443", ""},
		{"gitlab", "https://gitlab.example.com:", ""},
		{"gitlab", "https://gitlab.example.com.", ""},
		{"gitlab", "https://u:p@gitlab.example.com", ""},
		{"gitlab", "https://gitlab.example.com?x=y", ""},
		{"gitlab", "https://gitlab.example.com?", ""},
		{"gitlab", "https://gitlab.example.com#", ""},
		{"gitlab", "https://gitlab.example.com/a/../b", ""},
		{"gitlab", "https://gitlab.example.com//a", ""},
		{"gitlab", "https://gitlab.example.com/%61", ""},
		{"gitlab", "https://gitlab.example.com/a b", ""},
		{"gitlab", "gitlab.example.com", ""},
		{"gitlab", "https://", ""},
		{"azure-devops", "https://vstoken.dev.azure.com/0b7d1c6e-2f4a-4e8b-9c3d-5a6b7c8d9e0f", "https://vstoken.dev.azure.com/0b7d1c6e-2f4a-4e8b-9c3d-5a6b7c8d9e0f"},
		{"azure-devops", "https://vstoken.dev.azure.com/", ""},
		{"azure-devops", "https://login.example.com/0b7d1c6e", ""},
		{"bitbucket", "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"},
		{"bitbucket", "https://api.bitbucket.org/2.0/workspaces/a/b/pipelines-config/identity/oidc", ""},
		{"bitbucket", "", ""},
		{"buildkite", "", "https://agent.buildkite.com"},
		{"buildkite", "https://agent.buildkite.example.com", ""},
		{"circleci", "", "https://oidc.circleci.com"},
		{"circleci", "https://oidc.circleci.com/org/8f1e2c44", "https://oidc.circleci.com/org/8f1e2c44"},
		{"circleci", "https://oidc.circleci.com/8f1e2c44", ""},
		{"forgejo", "https://git.example.com/api/actions", "https://git.example.com/api/actions"},
		{"forgejo", "https://example.com/git/api/actions", "https://example.com/git/api/actions"},
		{"forgejo", "https://git.example.com", ""},
		{"google", "https://accounts.google.com.example.com", ""},
		{"jenkins", "https://jenkins.example.com/oidc/job/a/job/b", "https://jenkins.example.com/oidc/job/a/job/b"},
		{"kubernetes", "https://oidc.eks.eu-central-1.amazonaws.com/id/D539D463", "https://oidc.eks.eu-central-1.amazonaws.com/id/D539D463"},
		{"kubernetes", "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c", "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c"},
		{"kubernetes", "https://westeurope.oic.prod-aks.azure.com/t/g/", "https://westeurope.oic.prod-aks.azure.com/t/g/"},
		{"kubernetes", "https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc.cluster.local"},
		{"kubernetes", "https://10.0.0.1:6443", "https://10.0.0.1:6443"},
		{"kubernetes", "http://kubernetes.default.svc", ""},
		{"semaphore", "https://acme.semaphoreci.com", "https://acme.semaphoreci.com"},
		{"spacelift", "https://acme.app.spacelift.io", "https://acme.app.spacelift.io"},
		{"oidc", "", ""},
		{"oidc", "https://issuer.example.com", "https://issuer.example.com"},
		{"oidc", "https://issuer.example.com/", "https://issuer.example.com/"},
		{"oidc", "https://issuer.example.com/tenant/id/", "https://issuer.example.com/tenant/id/"},
		{"oidc", "https://issuer.example.com/tenant//", ""},
		{"oidc", "ftp://127.0.0.1", ""},
	}
	for _, test := range tests {
		t.Run(test.provider+" "+test.url, func(t *testing.T) {
			p, _ := Get(test.provider)
			got, err := p.IssuerURL(test.url)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "10.0.0.1": false, "::": false, "0.0.0.0": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: got %t", host, got)
		}
	}
}

// Whatever is accepted for a platform with a host of its own is on that host, and has one spelling.
func FuzzIssuerURL(f *testing.F) {
	hosts := map[string]string{
		"azure-devops": "vstoken.dev.azure.com", "bitbucket": "api.bitbucket.org", "buildkite": "agent.buildkite.com", "circleci": "oidc.circleci.com",
		"codefresh": "oidc.codefresh.io", "google": "accounts.google.com", "activestate": "platform.activestate.com",
	}
	for name := range hosts {
		p, _ := Get(name)
		for _, form := range append(p.Issuer.Forms, p.Issuer.Default) {
			f.Add(strings.NewReplacer("{segment}", "acme").Replace(form))
		}
	}
	f.Add("https://oidc.circleci.com@example.com/org/a")
	f.Add("https://oidc.circleci.com/org/..%2fa")
	f.Add("http://127.0.0.1:1/x")
	f.Fuzz(func(t *testing.T, s string) {
		for name, host := range hosts {
			p, _ := Get(name)
			got, err := p.IssuerURL(s)
			if err != nil || s == "" {
				continue
			}
			u, err := url.Parse(s)
			if err != nil || got != s || u.String() != s || u.Hostname() != host && !IsLoopback(u.Hostname()) || u.User != nil || u.RawQuery != "" {
				t.Errorf("%s accepts %q as %q: %v", name, s, got, err)
			}
		}
	})
}
