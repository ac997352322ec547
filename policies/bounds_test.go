package policies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// teamA are the bounds of one team's folder.
func teamA(path string) Bounds {
	return Bounds{
		Path: path, Registries: []string{"internal-pypi"}, Packages: []string{"acme-a-*", "Acme_A"}, Actions: []string{"publish"},
		Issuers: []string{"github"}, Publisher: map[string][]string{"repository_owner_id": {"222"}, "repository": {"acme/*"}},
	}
}

func bounded(b ...Bounds) Env {
	env := testEnv()
	env.Bounds = b
	return env
}

func TestBounds(t *testing.T) {
	policy := func(registry, packages, publisher string, rest ...string) string {
		return lines(append([]string{"policies:", "  - name: p", "    registry: " + registry, "    packages: " + packages, "    publisher: " + publisher}, rest...)...)
	}
	const publisher = `{github: {repository: acme/widget, repository_owner_id: "222"}}`
	const hint = "; change the policy, or have the bounds changed in the gateway's configuration"
	for _, tc := range []struct{ name, content, want string }{
		{"within", policy("internal-pypi", "[acme-a, acme-a-x]", publisher), ""},
		{"a pattern within", policy("internal-pypi", `["acme-a-*"]`, publisher), ""},
		{"a narrower pattern", policy("internal-pypi", `["acme-a-*-x"]`, publisher), ""},
		{"a template within", policy("internal-pypi", `["acme-a-{claims.repository_name}"]`, publisher), ""},
		{"a narrower pattern of repositories", policy("internal-pypi", "acme-a", `{github: {repository: ["acme/w*", acme/x], repository_owner_id: "222"}}`), ""},
		{"another registry", policy("[internal-pypi, staging-pypi]", "acme-a", publisher), `F:3:31: policies[0].registry: registry "staging-pypi" is beyond the bounds of F (registry internal-pypi)` + hint},
		{"another package", policy("internal-pypi", "[acme-a, acme-b]", publisher), `F:4:24: policies[0].packages[1]: package "acme-b" is beyond the bounds of F (packages acme-a-* Acme_A)` + hint},
		{"a wider pattern", policy("internal-pypi", `["acme-*"]`, publisher), `F:4:16: policies[0].packages[0]: package "acme-*" is beyond the bounds of F (packages acme-a-* Acme_A)` + hint},
		{"a pattern that overlaps", policy("internal-pypi", `["*-a-x"]`, publisher), `F:4:16: policies[0].packages[0]: package "*-a-x" is beyond the bounds of F (packages acme-a-* Acme_A)` + hint},
		{"any package", policy("internal-pypi", `["*"]`, publisher, "    allow_any_package: true"), `F:4:16: policies[0].packages[0]: package "*" is beyond the bounds of F (packages acme-a-* Acme_A)` + hint},
		{"a wider template", policy("internal-pypi", `["acme-{claims.repository_name}"]`, publisher), `F:4:16: policies[0].packages[0]: package "acme-{claims.repository_name}" is beyond the bounds of F (packages acme-a-* Acme_A)` + hint},
		{"another action", policy("internal-pypi", "acme-a", publisher, "    actions: [publish, read]"), `F:6:14: policies[0].actions: action "read" is beyond the bounds of F (actions publish)` + hint},
		{"another owner", policy("internal-pypi", "acme-a", `{github: {repository: acme/widget, repository_owner_id: "223"}}`), `F:5:72: policies[0].publisher.github.repository_owner_id: repository_owner_id "223" is beyond the bounds of F (repository_owner_id 222)` + hint},
		{"another owner beside", policy("internal-pypi", "acme-a", `{github: {repository: acme/widget, repository_owner_id: ["222", "223"]}}`), `F:5:80: policies[0].publisher.github.repository_owner_id: repository_owner_id "223" is beyond the bounds of F (repository_owner_id 222)` + hint},
		{"no owner", policy("internal-pypi", "acme-a", `{github: {repository: acme/widget, repository_id: "111"}}`), `F:5:16: policies[0].publisher.github.repository_owner_id: a publisher without repository_owner_id is beyond the bounds of F (repository_owner_id 222)` + hint},
		{"another repository", policy("internal-pypi", "acme-a", `{github: {repository: "acme*/widget", repository_owner_id: "222"}}`), `F:5:38: policies[0].publisher.github.repository: repository "acme*/widget" is beyond the bounds of F (repository acme/*)` + hint},
		{"another provider", policy("internal-pypi", "acme-a", `{gitlab: {project_id: "1"}}`), `F:5:16: policies[0].issuer: issuer "gitlab" is beyond the bounds of F (issuer github)` + hint},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "p.yaml")
			writeFile(t, path, tc.content)
			_, err := Load([]string{path}, bounded(teamA(path)))
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(strings.ReplaceAll(err.Error(), path, "F"), "\n")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The bounds of a path are those of all files below it, however the path is spelled, and of no other.
func TestBoundsOfPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	const outside = "policies:\n  - {name: NAME, registry: staging-pypi, packages: b, publisher: {github: {repository_id: \"111\"}}}\n"
	for _, name := range []string{"teams/a/x.yaml", "teams/a/deep/y.yaml", "teams/b/z.yaml", "teams/ab.yaml"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, name, strings.ReplaceAll(outside, "NAME", strings.NewReplacer("/", "-").Replace(name)))
	}
	abs, err := filepath.Abs("teams/a")
	if err != nil {
		t.Fatal(err)
	}
	both := []string{"teams/a/deep/y.yaml", "teams/a/x.yaml"}
	all := []string{"teams/a/deep/y.yaml", "teams/a/x.yaml", "teams/ab.yaml", "teams/b/z.yaml"}
	for _, tc := range []struct {
		path string
		want []string
	}{
		{"teams/a", both},
		{"./teams/b/../a/", both},
		{abs, both},
		{"teams/a/x.yaml", []string{"teams/a/x.yaml"}},
		{"teams/a*", []string{"teams/a/deep/y.yaml", "teams/a/x.yaml", "teams/ab.yaml"}},
		{"*/b/*.yaml", []string{"teams/b/z.yaml"}},
		{".", all},
		{"/", all},
		{"teams/c", nil},
	} {
		t.Run(tc.path, func(t *testing.T) {
			_, err := Load([]string{"teams"}, bounded(Bounds{Path: tc.path, Registries: []string{"internal-pypi"}}))
			var got []string
			if errs, is := err.(Errors); is {
				for _, e := range errs {
					got = append(got, e.File)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("files beyond (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBoundsThatMeanNothing(t *testing.T) {
	with := func(change func(*Bounds)) Env {
		b := teamA("a")
		change(&b)
		return bounded(b)
	}
	two := with(func(b *Bounds) { b.Issuers = nil })
	two.Issuers = append(two.Issuers, Issuer{Name: "ghes", Provider: "github"})
	for _, tc := range []struct {
		name string
		env  Env
		want string
	}{
		{"nothing bounded", bounded(Bounds{Path: "a"}), "bounds of a: nothing is bounded; name a path, and registry, packages, actions, issuer or a field of publishers"},
		{"unknown registry", with(func(b *Bounds) { b.Registries = []string{"internal"} }), `bounds of a: registry "internal" is not configured; known are internal-pypi, staging-pypi`},
		{"unknown action", with(func(b *Bounds) { b.Actions = []string{"push"} }), `bounds of a: action "push" is unknown`},
		{"unknown issuer", with(func(b *Bounds) { b.Issuers = []string{"githib"} }), `bounds of a: issuer "githib" is not configured; did you mean "github"?`},
		{"a package that is none", with(func(b *Bounds) { b.Packages = []string{"a b"} }), `bounds of a: packages: package name is "a b", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit at both ends`},
		{"a pattern that is none", with(func(b *Bounds) { b.Packages = []string{"a/*"} }), `bounds of a: packages: "a/*" is not a pattern of package names of the ecosystem pypi: "*" would have to stand for part of a name`},
		{"a field that nobody has", with(func(b *Bounds) { b.Publisher = map[string][]string{"owner": {"1"}} }), `bounds of a: publishers of no configured issuer have owner`},
		{"fields of two providers", with(func(b *Bounds) {
			b.Publisher = map[string][]string{"repository_owner_id": {"1"}, "project_id": {"1"}}
		}), `bounds of a: publishers of no configured issuer have project_id and repository_owner_id`},
		{"a field without a value", with(func(b *Bounds) { b.Publisher["repository_owner_id"] = nil }), `bounds of a: repository_owner_id has no value`},
		{"an id with a pattern", with(func(b *Bounds) { b.Publisher["repository_owner_id"] = []string{"2*"} }), `bounds of a: repository_owner_id is "2*", expected an exact value`},
		{"a field of two issuers", two, "bounds of a: publishers of the issuers ghes and github can have repository and repository_owner_id, and an id is unique within one issuer only; add issuer and the one that is meant"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(nil, tc.env)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// What lies within bounds covers no name that the bounds do not.
func TestPropertyWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.StringMatching(`[ab*-]{1,6}`)
		outer, inner := &grant{ecosystem: "pypi"}, &grant{ecosystem: "pypi"}
		pattern := draw.Draw(t, "inner")
		if outer.bound(draw.Draw(t, "outer")) != nil || inner.bound(pattern) != nil {
			return
		}
		one := Package{Pattern: pattern, Glob: isGlob(pattern), Any: inner.any}
		switch {
		case len(inner.globs) > 0:
			one.Pattern = inner.globs[0].pattern
		default:
			one.Pattern = inner.packages[0]
		}
		name := rapid.StringMatching(`[ab]([ab-]{0,6}[ab])?`).Draw(t, "name")
		if outer.within(one) && inner.covers(name, nil, nil) && !outer.covers(name, nil, nil) {
			t.Fatalf("%q is within the bounds and covers %q, which they do not", pattern, name)
		}
	})
}

// A file that others than its owner can write is not read; a watcher keeps what it had.
func TestFilesThatOthersCanWrite(t *testing.T) {
	for _, tc := range []struct {
		mode os.FileMode
		good bool
	}{{0o600, true}, {0o644, true}, {0o444, true}, {0o755, true}, {0o664, false}, {0o646, false}, {0o666, false}, {0o620, false}} {
		path := filepath.Join(t.TempDir(), "p.yaml")
		writeFile(t, path, valid)
		if err := os.Chmod(path, tc.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load([]string{path}, testEnv())
		if (err == nil) != tc.good {
			t.Errorf("mode %o: %v", tc.mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), "run chmod go-w on it") {
			t.Errorf("mode %o: %v", tc.mode, err)
		}
		env := testEnv()
		env.AnyMode = true
		if _, err := Load([]string{path}, env); err != nil {
			t.Errorf("mode %o, taken on purpose: %v", tc.mode, err)
		}
	}
}

// A mounted ConfigMap is a link to a link; what counts is the file at its end, though links have all bits.
func TestLinkedFilesAreReadByTheirTarget(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..2026"), 0o777),
		os.Symlink("..2026", filepath.Join(dir, "..data")),
		os.Symlink("..data/p.yaml", filepath.Join(dir, "p.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(dir, "..2026", "p.yaml")
	writeFile(t, target, valid)
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	if set, err := Load([]string{dir}, testEnv()); err != nil || set.Len() != 1 {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(target, 0o664); err != nil {
		t.Fatal(err)
	}
	if _, err := Load([]string{dir}, testEnv()); err == nil {
		t.Error("a link hides a file that others can write")
	}
}
