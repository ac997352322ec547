package policies

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// TestLikeness: a pattern never covers a name that some registry takes for a package that another policy names.
func TestLikeness(t *testing.T) {
	env := testEnv()
	env.Registries["crates"] = "cargo"
	set, err := loadText(t, `policies:
  - name: widget
    registry: crates
    packages: [acme-widget]
    publisher: {github: {repository_id: "5"}}
  - name: others
    registry: [crates, internal-pypi]
    packages: ["acme_*", both_named]
    new_packages: true
    actions: [publish, read]
    publisher: {github: {repository_id: "111"}}
  - name: both
    registry: crates
    packages: [both-named]
    publisher: {github: {repository_id: "5"}}
`, env)
	if err != nil {
		t.Fatal(err)
	}
	target := func(pkg string, action model.Action) Target {
		return Target{Ecosystem: "cargo", Registry: "crates", Package: pkg, Version: "1.0.0", Action: action}
	}
	refused := Decision{
		Code: model.CodeNoMatchingPolicy, Policy: "widget", Field: "package", Got: "acme_widget", Want: "acme-widget",
		Hint: "some registries take the two spellings for one package: name this one in a policy of its own, where both are meant",
	}
	allowed := Decision{Allow: true, Policy: "others"}
	for _, tc := range []struct {
		name   string
		target Target
		want   Decision
	}{
		{"a name of the pattern's own", target("acme_gadget", model.ActionPublish), allowed},
		{"one that another policy names in another spelling", target("acme_widget", model.ActionPublish), refused},
		{"a read of it", target("acme_widget", model.ActionRead), allowed},
		{"one that is named in both spellings", target("both_named", model.ActionPublish), allowed},
	} {
		if diff := cmp.Diff(tc.want, set.Evaluate(identity("github", githubClaims()), tc.target)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	for pkg, want := range map[string]bool{"acme_widget": true, "acme-widget": true, "acme-other": false} {
		if got := set.Protected("crates", pkg); got != want {
			t.Errorf("%s protected: %v", pkg, got)
		}
	}
}

// TestLikenessInCase: where a registry may keep packages without their case, a pattern never covers a name in another case.
func TestLikenessInCase(t *testing.T) {
	env := testEnv()
	env.Registries["files"], env.Registries["jars"] = "generic", "maven"
	set, err := loadText(t, `policies:
  - name: files
    registry: files
    packages: [widget]
    publisher: {github: {repository_id: "5"}}
  - name: jars
    registry: jars
    packages: ["com.example:widget"]
    publisher: {github: {repository_id: "5"}}
  - name: files-of-others
    registry: files
    packages: ["W*"]
    new_packages: true
    publisher: {github: {repository_id: "111"}}
  - name: jars-of-others
    registry: jars
    packages: ["com.example:W*"]
    new_packages: true
    publisher: {github: {repository_id: "111"}}
`, env)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ecosystem, registry, pkg string
		allow                    bool
	}{
		{"generic", "files", "Widget", false},
		{"generic", "files", "Wodget", true},
		{"maven", "jars", "com.example:Widget", false},
		{"maven", "jars", "com.example:Wodget", true},
	} {
		d := set.Evaluate(identity("github", githubClaims()), Target{Ecosystem: tc.ecosystem, Registry: tc.registry, Package: tc.pkg, Version: "1.0", Action: model.ActionPublish})
		if d.Allow != tc.allow {
			t.Errorf("%s in %s: %+v", tc.pkg, tc.registry, d)
		}
	}
}

// TestRivals: a file that could be one of another policy's package is refused, whatever it says of itself.
func TestRivals(t *testing.T) {
	env := testEnv()
	env.Registries["gems"] = "rubygems"
	set, err := loadText(t, `policies:
  - name: foo
    registry: gems
    packages: [foo, "bar-*"]
    new_packages: true
    actions: [publish, yank, read]
    publisher: {github: {repository_id: "111"}}
  - name: theirs
    registry: gems
    packages: [foo-1-a, bar]
    publisher: {github: {repository_id: "5"}}
  - name: mine
    registry: gems
    packages: [baz, baz-1-a]
    publisher: {github: {repository_id: "111"}}
`, env)
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(policy string) Decision { return Decision{Allow: true, Policy: policy} }
	refused := func(policy, file, name string) Decision {
		return Decision{
			Code: model.CodeNoMatchingPolicy, Policy: policy, Field: "file", Got: file, Want: "one that could not be of " + name,
			Hint: "this file could be one of another package, which another policy names: choose another version or platform, or name both packages in one policy",
		}
	}
	for _, tc := range []struct {
		pkg, version, platform string
		action                 model.Action
		want                   Decision
	}{
		{"foo", "1", "a-2", model.ActionPublish, refused("theirs", "foo-1-a-2.gem", "foo-1-a")},
		{"foo", "1", "a-2", model.ActionYank, refused("theirs", "foo-1-a-2.gem", "foo-1-a")},
		{"foo", "1", "a-2", model.ActionRead, allowed("foo")},
		{"foo", "1", "a-2-linux", model.ActionPublish, refused("theirs", "foo-1-a-2-linux.gem", "foo-1-a")},
		{"foo", "1", "a-x", model.ActionPublish, allowed("foo")},
		{"foo", "1", "", model.ActionPublish, allowed("foo")},
		{"foo", "2", "a-2", model.ActionPublish, allowed("foo")},
		{"foo", "1.0", "x86_64-darwin-22", model.ActionPublish, allowed("foo")},
		{"bar-1-a", "2", "", model.ActionPublish, refused("theirs", "bar-1-a-2.gem", "bar")},
		{"bar-x", "2", "", model.ActionPublish, allowed("foo")},
		{"baz", "1", "a-2", model.ActionPublish, allowed("mine")},
	} {
		file, err := model.GemFile(tc.pkg, tc.version, tc.platform)
		if err != nil {
			t.Fatal(err)
		}
		target := Target{Ecosystem: "rubygems", Registry: "gems", Package: tc.pkg, Version: tc.version, File: file, Action: tc.action}
		if diff := cmp.Diff(tc.want, set.Evaluate(identity("github", githubClaims()), target)); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", tc.action, file, diff)
		}
	}
}
