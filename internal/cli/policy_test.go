package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/policies"
)

// TestInference: what files name is found in those that can be read, and nothing stops at those that cannot.
func TestInference(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "policies:\n- {registry: one, publisher: {github: {}}}\n- {registry: [two, three], issuer: ghes, publisher: {github: {}}}\n")
	write("below/b.yml", "policies:\n- {registry: one, publisher: {gitlab: {}}}\n- {publisher: {nowhere: {}}}\n- {publisher: x}\n- x\n")
	write("broken.yaml", "policies: [")
	write("empty.yaml", "")
	write("list.yaml", "- a\n")
	write("notes.txt", "policies:\n- {registry: four}\n")
	got, err := checkEnv([]string{dir, filepath.Join(dir, "*.yaml"), filepath.Join(dir, "missing.yaml"), "["}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := policies.Env{
		Registries: map[string]string{"one": "pypi", "two": "pypi", "three": "pypi"},
		Issuers:    []policies.Issuer{{Name: "ghes", Provider: "github"}, {Name: "gitlab", Provider: "gitlab"}},
		AnyMode:    true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// TestInferredEcosystems: a registry that no flag names has the ecosystem in which the most can be said of what policies say of it.
func TestInferredEcosystems(t *testing.T) {
	for _, c := range []struct {
		name string
		said spoken
		want string
	}{
		{"nothing", spoken{}, "pypi"},
		{"a name that many have", spoken{packages: []string{"acme-widget"}, actions: []string{"publish"}}, "pypi"},
		{"a scope", spoken{packages: []string{"@acme/widget"}}, "npm"},
		{"a scope, and a name that many have", spoken{packages: []string{"acme-widget", "@acme/*"}}, "npm"},
		{"a repository", spoken{packages: []string{"acme/widget"}}, "oci"},
		{"repositories", spoken{packages: []string{"team/*"}}, "oci"},
		{"a repository of a claim", spoken{packages: []string{"acme/{claims.repository_name}"}}, "oci"},
		{"coordinates", spoken{packages: []string{"com.example:widget-*"}}, "maven"},
		{"an action", spoken{packages: []string{"acme-widget"}, actions: []string{"publish", "tag"}}, "npm"},
		{"an action that none has", spoken{packages: []string{"acme-widget"}, actions: []string{"tga"}}, "pypi"},
		{"one name that is wrong", spoken{packages: []string{"com.example:widget", "com.example:gadget", "a b"}}, "maven"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.said.ecosystem(); got != c.want {
				t.Errorf("got %s, expected %s", got, c.want)
			}
		})
	}
}

// TestEveryErrorIsShown: the load's own text stops after some.
func TestEveryErrorIsShown(t *testing.T) {
	var all policies.Errors
	for range 50 {
		all = append(all, policies.Error{File: "a.yaml", Line: 1, Column: 2, Message: "x"})
	}
	got := invalid(all).Error()
	if want := "50 errors" + strings.Repeat("\na.yaml:1:2: x", 50); got != want {
		t.Errorf("got %q", got)
	}
	if got := invalid(all[:1]).Error(); got != "1 error\na.yaml:1:2: x" {
		t.Errorf("got %q", got)
	}
	if err := errors.New("y"); !errors.Is(invalid(err), err) {
		t.Error("another error must stay as it is")
	}
}
