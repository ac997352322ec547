package policies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad feeds the loader arbitrary files: it must not panic, whatever is wrong must have a place in the file, and what
// loads must be pinned, have a name and be found by its own index.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "policies: []\n", valid, release, reports, build, policy("one", "two"), brokenFile, "policies:\n  - &a {name: *a}\n",
		"policies: [{name: x, registry: internal-pypi, packages: x, publisher: {github: {repository_id: \"1\"}}, when: 'claims.a == \"b\"'}]\n",
		following(`["{claims.repository_name}", "acme-{claims.repository_id}"]`, "    new_packages: {until: 2027-01-01}", "    not_before: 2026-01-01", "    not_after: 2026-12-31"),
		"policies:\n  - name: m\n    registry: [internal-pypi]\n    packages: [a, 'b-*']\n    tag: '{package}-v{version}'\n    actions: [publish, read]\n" +
			"    publisher:\n      github:\n        repository: [acme/a, 'acme/b*']\n        repository_owner_id: ['222', '223']\n        workflow: [a.yml, b.yml]\n",
	} {
		f.Add([]byte(seed))
	}
	examples, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatal("no examples", err)
	}
	for _, path := range examples {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := newEnvironment(testEnv())
		if err != nil {
			t.Fatal(err)
		}
		c := compileOne(file{path: "fuzz.yaml", data: string(data)}, env)
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1 // YAML counts both
		for _, e := range c.errors {
			if e.Message == "" || e.Line < 0 || e.Line > lines+1 || e.Line > 0 && e.Column < 1 {
				t.Errorf("error without a place or a message: %+v", e)
			}
		}
		if len(c.errors) > 0 {
			return
		}
		set := newSet(env, []*compiled{c})
		for _, p := range set.policies {
			if p.Name == "" || p.provider == nil || p.issuer.Name == "" || len(p.grants) == 0 || len(p.matches) == 0 || p.actions == 0 {
				t.Errorf("a policy without one of its parts: %+v", p)
			}
			for i := range p.grants {
				for _, pkg := range p.grants[i].packages {
					if p.exclusive && !set.Protected(p.grants[i].registry, pkg) {
						t.Errorf("policy %s claims %s, which is not protected", p.Name, pkg)
					}
				}
			}
		}
		if d := set.Evaluate(&Identity{Issuer: "github", Provider: "github"}, widgetUpload()); d.Allow {
			t.Errorf("a run without claims is allowed by %s", d.Policy)
		}
	})
}
