package format

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/policies"
)

// env knows what the seeds name.
func env() policies.Env {
	return policies.Env{
		Registries: map[string]string{"internal-pypi": "pypi", "r": "pypi"},
		Issuers: []policies.Issuer{
			{Name: "github", Provider: "github"}, {Name: "gitlab", Provider: "gitlab"}, {Name: "oidc", Provider: "oidc"},
		},
	}
}

// run is a run that many of the fuzzer's policies look at.
func run() *policies.Identity {
	const ref = "a/b/.github/workflows/r.yml@refs/tags/v1"
	return &policies.Identity{Issuer: "github", Provider: "github", Claims: map[string]any{
		"repository": "a/b", "repository_id": "1", "repository_owner": "a", "repository_owner_id": "2", "event_name": "push",
		"ref": "refs/tags/v1", "ref_type": "tag", "workflow_ref": ref, "job_workflow_ref": ref, "environment": "release",
	}}
}

// load loads a text; what it says of a run is without the places in the file.
func load(t *testing.T, name, text string) ([]string, policies.Explanation, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := policies.Load([]string{path}, env())
	if err != nil {
		return nil, policies.Explanation{}, err
	}
	e := set.Explain(run(), policies.Target{Ecosystem: "pypi", Registry: "r", Package: "a", Version: "1", Action: policies.ActionPublish})
	for i := range e.Policies {
		e.Policies[i].File, e.Policies[i].Line = "", 0
	}
	names := set.Names()
	slices.Sort(names)
	return names, e, nil
}

// FuzzSource: what is formatted is formatted for good, has the comments that were there, and loads to the same policies.
func FuzzSource(f *testing.F) {
	for _, seed := range []string{
		"policies: []\n",
		"# a\npolicies:  # b\n  - # c\n    name: x\n    # d\n  -\n    packages: [a, # e\n      b] # f\n# g\n",
		"policies:\n- {name: x, registry: [r], packages: a, publisher: {github: {workflow: r.yml, repository: a/b, repository_id: \"1\"}}}\n",
		"policies:\n- name: x\n  when: |-\n    a\n\n     b # c\n  tag: >+\n    d\n\n\n  x: 'a''b'\n  y: \"a\\\n    b\"\n",
		"policies:\r\n  - name: a\n      b\n    x: [\n  {a: b}]\n",
		"a: 'b\n  # c'\n# d\n",
	} {
		f.Add(seed)
	}
	examples, err := policies.Files([]string{"../examples"})
	if err != nil || len(examples) == 0 {
		f.Fatal("no examples", err)
	}
	for _, path := range examples {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := Source(in)
		names, explained, loads := load(t, "in.yaml", in)
		if err != nil {
			if loads == nil {
				t.Fatalf("loads, and cannot be formatted: %v", err)
			}
			return
		}
		if again, err := Source(out); err != nil || again != out {
			t.Fatalf("formatted twice it differs: %v\n%s", err, cmp.Diff(out, again))
		}
		namesOut, explainedOut, loadsOut := load(t, "out.yaml", out)
		if loads == nil && loadsOut != nil {
			t.Fatalf("it loads no more: %v\n%s", loadsOut, out)
		}
		if loads != nil {
			return
		}
		if diff := cmp.Diff(names, namesOut); diff != "" {
			t.Errorf("policies (-in +out):\n%s", diff)
		}
		if diff := cmp.Diff(explained, explainedOut); diff != "" {
			t.Errorf("explanation (-in +out):\n%s", diff)
		}
	})
}
