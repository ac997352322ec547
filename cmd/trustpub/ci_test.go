package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// ciSteps reads a file of docs/ci and returns the shell commands in it that run trustpub or git, in their order.
func ciSteps(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "ci", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Jobs map[string]struct {
			Steps []struct {
				Run string `yaml:"run"`
			} `yaml:"steps"`
		} `yaml:"jobs"`
		Policies struct {
			Script []string `yaml:"script"`
		} `yaml:"policies"`
		Repos []struct {
			Hooks []struct {
				Entry string `yaml:"entry"`
			} `yaml:"hooks"`
		} `yaml:"repos"`
	}
	if err := yaml.Load(data, &file); err != nil {
		t.Fatal(err)
	}
	steps := file.Policies.Script
	for _, job := range file.Jobs {
		for _, step := range job.Steps {
			if step.Run != "" && !strings.HasPrefix(step.Run, "go install ") {
				steps = append(steps, step.Run)
			}
		}
	}
	for _, repo := range file.Repos {
		for _, hook := range repo.Hooks {
			steps = append(steps, hook.Entry)
		}
	}
	return steps
}

// TestFilesForCI runs the very commands of docs/ci in a repository with the policies of policies/examples: on a change that
// widens nothing all of them pass, and on one that does, the comparison alone fails.
func TestFilesForCI(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps int
		fails string // the command that fails where something widens; empty: none
	}{
		{"github.yml", 4, "trustpub policy diff"},
		{"gitlab.yml", 5, "trustpub policy diff"},
		{"pre-commit.yml", 3, ""},
	} {
		for _, widens := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				steps := ciSteps(t, c.name)
				if len(steps) != c.steps {
					t.Fatalf("got %d commands, expected %d: %q", len(steps), c.steps, steps)
				}
				repo := newPolicyRepository(t)
				if widens {
					repo.edit("environment: release", "environment: [release, staging]")
				} else {
					repo.edit("# A package", "# The package")
				}
				for _, step := range steps {
					out, err := repo.sh(step)
					if want := widens && c.fails != "" && strings.HasPrefix(step, c.fails); (err != nil) != want {
						t.Errorf("%q, widens %v: %v\n%s", step, widens, err, out)
					}
				}
			})
		}
	}
}

// policyRepository is a git repository with policies, as it is checked out in a job.
type policyRepository struct {
	t         *testing.T
	dir, base string
}

func newPolicyRepository(t *testing.T) *policyRepository {
	t.Helper()
	r := &policyRepository{t: t, dir: t.TempDir()}
	if err := os.CopyFS(filepath.Join(r.dir, "policies"), os.DirFS(filepath.Join("..", "..", "policies", "examples"))); err != nil {
		t.Fatal(err)
	}
	r.must("chmod -R go-w policies && git init -q && git add . && git -c user.name=t -c user.email=t@example.com -c commit.gpgsign=false commit -qm base")
	r.base = strings.TrimSpace(r.must("git rev-parse HEAD"))
	return r
}

// edit changes the policy of the examples.
func (r *policyRepository) edit(from, to string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "policies", "widget.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	changed := strings.Replace(string(data), from, to, 1)
	if changed == string(data) {
		r.t.Fatalf("the example has no %q", from)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// sh runs a command with the variables of a job.
func (r *policyRepository) sh(command string) (string, error) {
	cmd := exec.Command("sh", "-ec", command)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "BASE="+r.base, "CI_MERGE_REQUEST_DIFF_BASE_SHA="+r.base, "RUNNER_TEMP="+filepath.Join(r.dir, ".git"),
		"GITHUB_STEP_SUMMARY="+filepath.Join(r.dir, ".git", "summary.md"), "GIT_CONFIG_GLOBAL="+os.DevNull)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r *policyRepository) must(command string) string {
	r.t.Helper()
	out, err := r.sh(command)
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}
