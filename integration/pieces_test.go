package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/toolbox"
)

// piece reads a file of docs/ci/publish.
func piece(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "ci", "publish", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bench is a folder with trustpub and what else a platform has on its PATH, and the variables of a job there.
type bench struct {
	t    *testing.T
	r    *rig
	home client.Home
	bin  string
}

func newBench(t *testing.T, r *rig) *bench {
	t.Helper()
	program, err := command()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, r: r, home: r.home(nil), bin: t.TempDir()}
	if err := os.Symlink(program, filepath.Join(b.bin, "trustpub")); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs a step of a job, and looks for what is left.
func (b *bench) run(env map[string]string, program string, args ...string) client.Result {
	b.t.Helper()
	all := []string{"PATH=" + b.bin + ":/usr/local/bin:/usr/bin:/bin", "TRUSTPUB_CA_FILE=" + b.home.CA}
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	got, err := b.home.Run(b.t.Context(), all, program, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// upload is a job's command that publishes a version to a store of files.
func (b *bench) upload(version string) string {
	file := filepath.Join(b.home.Dir, "widget-"+version)
	if err := os.WriteFile(file, []byte("content of "+version), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return "curl --silent --show-error --fail-with-body --cacert '" + b.home.CA + "' --upload-file '" + file + "' " + b.r.site.Public() + "acme-widget/" + version + "/widget"
}

// stored fails the test unless just these versions are there.
func (b *bench) stored(versions ...string) {
	b.t.Helper()
	var want []string
	for _, v := range versions {
		want = append(want, "acme-widget/"+v+"/widget")
	}
	if got := b.r.paths(); strings.Join(got, " ") != strings.Join(want, " ") {
		b.t.Errorf("the store holds %v, expected %v", got, want)
	}
	nothingLeft(b.t, b.home.Dir)
}

// inputs replaces a platform's references to its inputs.
func inputs(text string, pattern *regexp.Regexp, values map[string]string) string {
	return pattern.ReplaceAllStringFunc(text, func(m string) string { return values[pattern.FindStringSubmatch(m)[1]] })
}

// TestGitHubAction runs the last step of the composite action in a job of GitHub's.
func TestGitHubAction(t *testing.T) {
	t.Parallel()
	var action struct {
		Inputs map[string]struct {
			Default  string `yaml:"default"`
			Required bool   `yaml:"required"`
		} `yaml:"inputs"`
		Runs struct {
			Steps []struct {
				Shell string            `yaml:"shell"`
				Run   string            `yaml:"run"`
				Env   map[string]string `yaml:"env"`
			} `yaml:"steps"`
		} `yaml:"runs"`
	}
	if err := yaml.Load(piece(t, "action.yml"), &action); err != nil {
		t.Fatal(err)
	}
	step := action.Runs.Steps[len(action.Runs.Steps)-1]
	for _, s := range action.Runs.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Errorf("an input stands in the text of a script: %s", s.Run)
		}
	}
	b := newBench(t, genericRig(t))
	run := func(claims map[string]any, version string) client.Result {
		job := b.r.job(t, try{claims: claims})
		values := map[string]string{"registry": b.r.site.Public(), "for": "curl", "run": b.upload(version)}
		env := map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": job.RequestURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": job.RequestToken}
		for name, value := range step.Env {
			env[name] = inputs(value, regexp.MustCompile(`\$\{\{ inputs\.(\w+) \}\}`), values)
		}
		return b.run(env, step.Shell, "-c", step.Run)
	}
	if got := run(nil, "1.0"); got.Code != 0 || !strings.HasPrefix(got.Output, "::add-mask::tpub_") {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := run(otherRepository, "2.0"); got.Code != 125 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	b.stored("1.0")
}

// TestGitLabComponent runs the component's job in an environment of GitLab's.
func TestGitLabComponent(t *testing.T) {
	t.Parallel()
	b := newBench(t, genericRig(t))
	text := piece(t, "gitlab.yml")
	_, text, found := bytes.Cut(text, []byte("\n---\n"))
	if !found {
		t.Fatal("the component has no second document")
	}
	run := func(token, version string) client.Result {
		var jobs map[string]struct {
			Tokens map[string]struct {
				Audience string `yaml:"aud"`
			} `yaml:"id_tokens"`
			Variables map[string]struct {
				Value  string `yaml:"value"`
				Expand bool   `yaml:"expand"`
			} `yaml:"variables"`
			Script []string `yaml:"script"`
		}
		values := map[string]string{"registry": b.r.site.Public(), "audience": b.r.site.Host(), "for": "curl", "run": b.upload(version), "job": "publish", "image": "debian", "stage": "deploy"}
		if err := yaml.Load([]byte(inputs(string(text), regexp.MustCompile(`\$\[\[ inputs\.(\w+) \]\]`), values)), &jobs); err != nil {
			t.Fatal(err)
		}
		job := jobs["publish"]
		env := map[string]string{"GITLAB_CI": "true"}
		for name, declared := range job.Tokens {
			if declared.Audience == b.r.site.Host() {
				env[name] = token
			}
		}
		for name, v := range job.Variables {
			if v.Expand {
				t.Errorf("%s would be expanded", name)
			}
			env[name] = v.Value
		}
		return b.run(env, "sh", "-c", strings.Join(job.Script, "\n"))
	}
	token := b.r.identity(nil)
	if got := run(token, "1.0"); got.Code != 0 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	// The variable of a job is good for one exchange.
	if got := run(token, "2.0"); got.Code != 125 || !strings.Contains(got.Output, "each run of this command needs one of its own") {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := run("", "2.0"); got.Code != 125 || !strings.Contains(got.Output, "id_tokens:") {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	b.stored("1.0")
}

// TestBuildkitePlugin runs the plugin's hook beside an agent that gives tokens for the audience that it is asked for.
func TestBuildkitePlugin(t *testing.T) {
	t.Parallel()
	b := newBench(t, genericRig(t))
	agent := `#!/bin/sh
[ "$1 $2 $3 $5 $6" = "oidc request-token --audience --claim organization_id,pipeline_id" ] || { echo "asked for $*" >&2; exit 1; }
curl -fsS -H "Authorization: bearer $REQUEST_TOKEN" "$REQUEST_URL&audience=$4" | sed 's/.*"value":"\([^"]*\)".*/\1/'
`
	if err := os.WriteFile(filepath.Join(b.bin, "buildkite-agent"), []byte(agent), 0o755); err != nil {
		t.Fatal(err)
	}
	hook, err := filepath.Abs(filepath.Join("..", "docs", "ci", "publish", "buildkite", "hooks", "command"))
	if err != nil {
		t.Fatal(err)
	}
	var plugin struct {
		Configuration struct {
			Properties map[string]any `yaml:"properties"`
		} `yaml:"configuration"`
	}
	if err := yaml.Load(piece(t, "buildkite/plugin.yml"), &plugin); err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`BUILDKITE_PLUGIN_TRUSTPUB_(\w+)`).FindAllStringSubmatch(string(piece(t, "buildkite/hooks/command")), -1)
	for _, m := range used {
		if _, ok := plugin.Configuration.Properties[strings.ToLower(m[1])]; !ok {
			t.Errorf("the hook reads %s, which the plugin does not have", m[1])
		}
	}
	run := func(claims map[string]any, version string) client.Result {
		job := b.r.job(t, try{claims: claims})
		return b.run(map[string]string{
			"BUILDKITE": "true", "REQUEST_URL": job.RequestURL, "REQUEST_TOKEN": job.RequestToken, "BUILDKITE_COMMAND": b.upload(version),
			"BUILDKITE_PLUGIN_TRUSTPUB_REGISTRY": b.r.site.Public(), "BUILDKITE_PLUGIN_TRUSTPUB_FOR": "curl",
		}, hook)
	}
	if got := run(nil, "1.0"); got.Code != 0 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := run(otherRepository, "2.0"); got.Code != 125 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	b.stored("1.0")
}

// TestJenkinsStage runs the step of the stage with the variable that its credential is bound to.
func TestJenkinsStage(t *testing.T) {
	t.Parallel()
	r := newRig(t, "pypiserver")
	b := newBench(t, r)
	m := regexp.MustCompile(`variable: '(\w+)'\)\]\) \{\s*sh '([^']+)'`).FindSubmatch(piece(t, "Jenkinsfile"))
	if m == nil {
		t.Fatal("the stage has no step within withCredentials")
	}
	twine, err := toolbox.Twine.Program(t.Context(), "twine")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(twine, filepath.Join(b.bin, "twine")); err != nil {
		t.Fatal(err)
	}
	wheel := newWheel(t, "acme-widget", "1.0")
	dist := filepath.Join(b.home.Dir, "dist")
	if err := os.MkdirAll(dist, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dist, wheel.file), wheel.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	step := strings.Replace(string(m[2]), "https://pypi.example.com/publisher/prod/", r.site.Public(), 1)
	got := b.run(map[string]string{string(m[1]): r.identity(nil), "REQUESTS_CA_BUNDLE": b.home.CA}, "sh", "-c", step)
	if got.Code != 0 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	r.holds(t, wheel)
	nothingLeft(t, b.home.Dir)
}
