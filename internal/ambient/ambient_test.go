package ambient

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden texts")

const audience = "pypi.example.com"

// jwt is a token in form; nothing here verifies one.
func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(claims)) + ".c2lnbmF0dXJl"
}

// job is a job with these variables alone, real endpoints and real programs in a folder of its own.
func job(t *testing.T, env map[string]string, files map[string]string) Job {
	t.Helper()
	j := Here()
	j.Getenv = func(name string) string { return env[name] }
	j.ReadFile = func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	j.Wait = func(context.Context, time.Duration) error { return nil }
	return j
}

// program puts an executable on the PATH, which has nothing else that a platform brings.
func program(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if name != "" {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

// endpoint is a platform's server, which says what it was asked.
func endpoint(t *testing.T, handle func(w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(handle))
	t.Cleanup(s.Close)
	return s.URL
}

func TestSources(t *testing.T) {
	agent := `echo "$@" > "$0.asked"; printf '%s\n' ` + jwt(`{"aud":"x"}`)
	type want struct {
		Name           string
		Fresh, Chooses bool
		Where          string
	}
	for _, tc := range []struct {
		name    string
		env     func(t *testing.T) map[string]string
		files   map[string]string
		program [2]string
		choice  string
		want    want
		token   string
	}{
		{
			name: "github",
			env: func(t *testing.T) map[string]string {
				at := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodGet || r.URL.Query().Get("audience") != audience || r.URL.Query().Get("api") != "1" || r.Header.Get("Authorization") != "Bearer request" {
						w.WriteHeader(http.StatusBadRequest)
						return
					}
					fmt.Fprintf(w, `{"count":1,"value":%q}`, jwt("github"))
				})
				return map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": at + "/token?api=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request"}
			},
			want: want{"github", true, true, "GitHub's token endpoint"}, token: jwt("github"),
		},
		{
			name: "gitlab, by our name",
			env: func(*testing.T) map[string]string {
				return map[string]string{"GITLAB_CI": "true", "TRUSTPUB_ID_TOKEN": jwt("ours"), "PYPI_EXAMPLE_COM_ID_TOKEN": jwt("derived")}
			},
			want: want{"env", false, false, "the variable TRUSTPUB_ID_TOKEN"}, token: jwt("ours"),
		},
		{
			name: "gitlab, by the audience",
			env: func(*testing.T) map[string]string {
				return map[string]string{"GITLAB_CI": "true", "PYPI_EXAMPLE_COM_ID_TOKEN": jwt("derived") + "\n"}
			},
			want: want{"gitlab", false, false, "the variable PYPI_EXAMPLE_COM_ID_TOKEN"}, token: jwt("derived"),
		},
		{
			name: "buildkite", program: [2]string{"buildkite-agent", agent},
			env:  func(*testing.T) map[string]string { return map[string]string{"BUILDKITE": "true"} },
			want: want{"buildkite", true, true, "buildkite-agent"}, token: jwt(`{"aud":"x"}`),
		},
		{
			name: "circleci", program: [2]string{"circleci", agent},
			env:  func(*testing.T) map[string]string { return map[string]string{"CIRCLECI": "true"} },
			want: want{"circleci", true, true, "circleci run oidc get"}, token: jwt(`{"aud":"x"}`),
		},
		{
			name: "circleci without its program",
			env: func(*testing.T) map[string]string {
				return map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": jwt("circle")}
			},
			want: want{"circleci", false, false, "the variable CIRCLE_OIDC_TOKEN_V2"}, token: jwt("circle"),
		},
		{
			name: "bitbucket",
			env: func(*testing.T) map[string]string {
				return map[string]string{"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_STEP_OIDC_TOKEN": jwt("bitbucket")}
			},
			want: want{"bitbucket", false, false, "the variable BITBUCKET_STEP_OIDC_TOKEN"}, token: jwt("bitbucket"),
		},
		{
			name: "azure-devops",
			env: func(t *testing.T) map[string]string {
				at := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodPost || r.URL.Query().Get("api-version") == "" || r.Header.Get("Authorization") != "Bearer access" || r.Header.Get("Content-Type") != "application/json" {
						w.WriteHeader(http.StatusBadRequest)
						return
					}
					fmt.Fprintf(w, `{"oidcToken":%q}`, jwt("azure"))
				})
				return map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": at + "/oidctoken", "SYSTEM_ACCESSTOKEN": "access"}
			},
			want: want{"azure-devops", true, false, "Azure Pipelines' token endpoint"}, token: jwt("azure"),
		},
		{
			name: "semaphore",
			env: func(*testing.T) map[string]string {
				return map[string]string{"SEMAPHORE": "true", "SEMAPHORE_OIDC_TOKEN": jwt("semaphore")}
			},
			want: want{"semaphore", false, false, "the variable SEMAPHORE_OIDC_TOKEN"}, token: jwt("semaphore"),
		},
		{
			name: "google",
			env: func(t *testing.T) map[string]string {
				at := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Query().Get("audience") != audience || r.URL.Query().Get("format") != "full" ||
						r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/identity" {
						w.WriteHeader(http.StatusForbidden)
						return
					}
					fmt.Fprint(w, jwt("google"))
				})
				return map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(at, "http://")}
			},
			want: want{"google", true, true, "Google's metadata server"}, token: jwt("google"),
		},
		{
			name:  "kubernetes",
			env:   func(*testing.T) map[string]string { return map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"} },
			files: map[string]string{"/var/run/secrets/trustpub/token": jwt("kubernetes")},
			want:  want{"kubernetes", true, false, "the file /var/run/secrets/trustpub/token"}, token: jwt("kubernetes"),
		},
		{
			name: "a file, before the platform",
			env: func(*testing.T) map[string]string {
				return map[string]string{"TRUSTPUB_ID_TOKEN_FILE": "/t", "GITHUB_ACTIONS": "true"}
			},
			files: map[string]string{"/t": jwt("file")},
			want:  want{"file", true, false, "the file /t"}, token: jwt("file"),
		},
		{
			name: "a named variable", choice: "env:OTHER",
			env: func(*testing.T) map[string]string {
				return map[string]string{"OTHER": jwt("other"), "GITHUB_ACTIONS": "true"}
			},
			want: want{"env", false, false, "the variable OTHER"}, token: jwt("other"),
		},
		{
			name: "a named file", choice: "file:/u", files: map[string]string{"/u": jwt("u")},
			env:  func(*testing.T) map[string]string { return nil },
			want: want{"file", true, false, "the file /u"}, token: jwt("u"),
		},
		{
			name: "a named platform", choice: "semaphore",
			env: func(*testing.T) map[string]string {
				return map[string]string{"SEMAPHORE_OIDC_TOKEN": jwt("s"), "GITLAB_CI": "true"}
			},
			want: want{"semaphore", false, false, "the variable SEMAPHORE_OIDC_TOKEN"}, token: jwt("s"),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program(t, tc.program[0], tc.program[1])
			s, err := Find(job(t, tc.env(t), tc.files), tc.choice)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Token(t.Context(), audience)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, want{s.Name, s.Fresh, s.Chooses, s.Where}); diff != "" {
				t.Error(diff)
			}
			if got != tc.token {
				t.Errorf("got %q", got)
			}
			if s.Paste(audience) == "" {
				t.Error("nothing to paste")
			}
		})
	}
}

// TestAgentsAreAskedForTheAudience: the arguments are those that the platforms document.
func TestAgentsAreAskedForTheAudience(t *testing.T) {
	for platform, want := range map[string]string{
		"buildkite": "oidc request-token --audience pypi.example.com --claim organization_id,pipeline_id\n",
		"circleci":  `run oidc get --claims {"aud":"pypi.example.com"} --root-issuer` + "\n",
	} {
		name := map[string]string{"buildkite": "buildkite-agent", "circleci": "circleci"}[platform]
		asked := filepath.Join(t.TempDir(), "asked")
		program(t, name, `echo "$@" > `+asked+"\necho "+jwt("{}"))
		s, err := Find(job(t, nil, nil), platform)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Token(t.Context(), audience); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(asked)
		if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
			t.Errorf("%s: %v %s", platform, err, diff)
		}
	}
}

// TestMissing is the golden text of each permission that a job can lack, and of each answer that is none.
func TestMissing(t *testing.T) {
	answers := func(status int, body string) func(t *testing.T) string {
		return func(t *testing.T) string {
			return endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			})
		}
	}
	for _, tc := range []struct {
		name    string
		env     map[string]string
		program [2]string
		choice  string
		// at is an endpoint whose address replaces AT in the variables.
		at func(t *testing.T) string
	}{
		{name: "no-platform"},
		{name: "unknown-choice", choice: "jenkins"},
		{name: "file-without-a-path", choice: "file"},
		{name: "file-that-is-absent", choice: "file:/absent"},
		{name: "env-that-is-not-set", choice: "env:ID_TOKEN"},
		{name: "env-without-a-token", choice: "env:ID_TOKEN", env: map[string]string{"ID_TOKEN": "hunter2 is no token"}},
		{name: "github-without-permission", env: map[string]string{"GITHUB_ACTIONS": "true"}},
		{name: "github-without-request-token", env: map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "http://x"}},
		{
			name: "github-refuses", at: answers(403, `{"message":"not allowed"}`),
			env: map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "AT", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"},
		},
		{
			name: "github-is-down", at: answers(503, "try later"),
			env: map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "AT", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"},
		},
		{
			name: "github-says-nothing", at: answers(200, `{}`),
			env: map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "AT", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"},
		},
		{name: "gitlab-without-id-tokens", env: map[string]string{"GITLAB_CI": "true"}},
		{name: "buildkite-without-agent", env: map[string]string{"BUILDKITE": "true"}},
		{name: "buildkite-refuses", env: map[string]string{"BUILDKITE": "true"}, program: [2]string{"buildkite-agent", "echo 'fatal: no job' >&2; exit 1\n"}},
		{name: "circleci-without-context", env: map[string]string{"CIRCLECI": "true"}},
		{name: "circleci-refuses", env: map[string]string{"CIRCLECI": "true"}, program: [2]string{"circleci", "echo 'Error: no oidc' >&2; exit 1\n"}},
		{name: "bitbucket-without-oidc", env: map[string]string{"BITBUCKET_BUILD_NUMBER": "7"}},
		{name: "azure-devops-without-endpoint", env: map[string]string{"TF_BUILD": "True"}},
		{name: "azure-devops-without-access-token", env: map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": "http://x"}},
		{
			name: "azure-devops-refuses", at: answers(401, "<html>sign in</html>"),
			env: map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": "AT", "SYSTEM_ACCESSTOKEN": "t"},
		},
		{
			name: "azure-devops-says-nothing", at: answers(200, `[]`),
			env: map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": "AT", "SYSTEM_ACCESSTOKEN": "t"},
		},
		{name: "semaphore-without-token", env: map[string]string{"SEMAPHORE": "true"}},
		{name: "google-without-service-account", at: answers(404, ""), env: map[string]string{"GCE_METADATA_HOST": "AT"}},
		{name: "google-refuses", at: answers(403, "no"), env: map[string]string{"GCE_METADATA_HOST": "AT"}},
		{name: "kubernetes-without-projection", env: map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program(t, tc.program[0], tc.program[1])
			env := map[string]string{}
			for name, value := range tc.env {
				if value == "AT" {
					value = tc.at(t)
				}
				if name == "GCE_METADATA_HOST" {
					value = strings.TrimPrefix(value, "http://")
				}
				env[name] = value
			}
			s, err := Find(job(t, env, nil), tc.choice)
			if err == nil {
				var token string
				if token, err = s.Token(t.Context(), audience); err == nil {
					t.Fatalf("got a token of %d bytes", len(token))
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error quotes what was found")
			}
			golden(t, tc.name, err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestPage: docs/clients/exec.md has a row for each source.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/clients/exec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sources, _ := strings.Cut(string(page), "## Where the identity token is found")
	for _, name := range Names() {
		if !strings.Contains(sources, "\n| `"+name+"` |") {
			t.Errorf("the page has no row of %s", name)
		}
	}
}

// TestEndpointsAreAskedAgain: one that is overloaded gets a second chance, one that refuses does not.
func TestEndpointsAreAskedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		statuses []int
		ok       bool
		asked    int
	}{
		"once":        {[]int{200}, true, 1},
		"overloaded":  {[]int{503, 200}, true, 2},
		"down":        {[]int{500, 502, 503, 200}, false, 3},
		"not allowed": {[]int{403, 200}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			at := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.statuses[asked])
				asked++
				fmt.Fprintf(w, `{"value":%q}`, jwt("{}"))
			})
			s, err := Find(job(t, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": at, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}, nil), "github")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Token(t.Context(), audience); (err == nil) != tc.ok || asked != tc.asked {
				t.Errorf("asked %d times: %v", asked, err)
			}
		})
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Here().Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// FuzzForm: no text passes for a token that could end a line, or stand in a file beside others.
func FuzzForm(f *testing.F) {
	f.Add(jwt("{}"))
	f.Add("a.b.c\nmachine example.com")
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, raw string) {
		if checkForm(raw) == nil && strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q passes", raw)
		}
	})
}
