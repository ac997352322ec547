package policytest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/policies"
)

// TestParseRefuses: one broken thing a case, told with its place.
func TestParseRefuses(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"no YAML", "tests: [", "t_test.yaml: is no YAML document"},
		{"empty", "", "t_test.yaml: is no YAML document"},
		{"a list", "- a\n", "t_test.yaml:1:1: expected a mapping"},
		{"no tests", "policies: [a.yaml]\n", "t_test.yaml:1:1: tests: is missing"},
		{"no test", "tests: []\n", "t_test.yaml:1:8: tests: expected a list that is not empty"},
		{"unknown field", "tests: [{name: a, expect: deny}]\nx: 1\n", `t_test.yaml:2:1: unknown field "x", expected one of policies, tests`},
		{"unknown field of a test", "tests:\n- name: a\n  expect: deny\n  pakage: x\n", `t_test.yaml:4:3: tests[0]: unknown field "pakage"`},
		{"twice", "tests:\n- name: a\n  name: b\n  expect: deny\n", `t_test.yaml:3:3: tests[0]: "name" is written twice`},
		{"no name", "tests: [{expect: deny}]\n", "t_test.yaml:1:9: tests[0].name: is missing"},
		{"no expectation", "tests: [{name: a}]\n", "t_test.yaml:1:9: tests[0].expect: is missing"},
		{"another expectation", "tests: [{name: a, expect: maybe}]\n", `tests[0].expect: got "maybe", expected allow, allow_existing or deny`},
		{"a code without a denial", "tests: [{name: a, expect: allow, code: x}]\n", "tests[0].code: only a denial has a code"},
		{"two of a name", "tests: [{name: a, expect: deny}, {name: a, expect: deny}]\n", `t_test.yaml:1:34: name: the name "a" is used twice`},
		{"a number for a text", "tests: [{name: a, expect: deny, version: 1.0}]\n", "t_test.yaml:1:42: tests[0].version: expected a text"},
		{"another action", "tests: [{name: a, expect: deny, action: push}]\n", `tests[0].action: got "push"`},
		{"no moment", "tests: [{name: a, expect: deny, at: soon}]\n", "tests[0].at: expected a moment"},
		{"a fraction", "tests: [{name: a, expect: deny, claims: {x: 1.5}}]\n", "t_test.yaml:1:45: tests[0].claims.x: expected a text in quotes"},
		{"an anchor", "tests: [{name: a, expect: deny, claims: {x: &a b}}]\n", "anchors and aliases are not read"},
		{"a claim twice", "tests: [{name: a, expect: deny, claims: {x: a, x: b}}]\n", `"x" is written twice`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("t_test.yaml", []byte(c.text))
			var errs policies.Errors
			if !errors.As(err, &errs) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, expected %s", err, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	file, err := Parse("t_test.yaml", []byte(`policies: [a.yaml]
tests:
  - name: a
    provider: oidc
    claims: {s: "1", n: 7, b: true, gone: null, l: [x], o: {k: v}}
    action: read
    at: 2027-01-31
    expect: deny
    code: no_matching_policy
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &File{Path: "t_test.yaml", Policies: []string{"a.yaml"}, Tests: []Test{{
		Name: "a", File: "t_test.yaml", Line: 3, Column: 5, Provider: "oidc", Action: "read", At: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), Expect: Deny, Code: "no_matching_policy",
		Claims: []Claim{
			{"s", "1", 5, 14},
			{"n", json.Number("7"), 5, 22},
			{"b", true, 5, 28},
			{"gone", nil, 5, 37},
			{"l", []any{"x"}, 5, 49},
			{"o", map[string]any{"k": "v"}, 5, 57},
		},
	}}}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func testGateway(t *testing.T) *Gateway {
	t.Helper()
	clock := &Clock{Real: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	g := &Gateway{Registries: map[string]string{"r": "pypi"}, Issuers: []policies.Issuer{{Name: "github", Provider: "github"}, {Name: "work", Provider: "gitlab"}}, Clock: clock}
	set, err := policies.Parse(map[string]string{"p.yaml": `policies:
  - name: p
    registry: r
    packages: [x, "x-*"]
    not_after: 2026-12-31
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
`}, policies.Env{Registries: g.Registries, Issuers: g.Issuers, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	g.Set = set
	return g
}

// TestRun: a good test passes, and one changed thing makes it fail with what was got.
func TestRun(t *testing.T) {
	good := Test{
		Name: "a", Provider: "github", Package: "X", Version: "1.0", Action: "publish", Expect: Allow, Policy: "p",
		Claims: []Claim{{Name: "repository", Value: "acme/widget"}, {Name: "repository_owner_id", Value: "222"}, {Name: "event_name", Value: "push"}},
	}
	deny := func(t *Test) { t.Expect, t.Package = Deny, "other" }
	cases := []struct {
		name   string
		change func(*Test)
		want   string
	}{
		{"good", func(*Test) {}, ""},
		{"denied as expected", deny, ""},
		{"only what is there", func(t *Test) { t.Package, t.Expect = "x-y", AllowExisting }, ""},
		{"later", func(t *Test) {
			t.At, t.Expect, t.Field = time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC), Deny, "not_after"
		}, ""},
		{"allowed after all", func(t *Test) { t.Expect = Deny }, "got allow by policy p, expected deny"},
		{"denied after all", func(t *Test) { t.Package = "other" }, `got deny: no policy allows this publisher to do this: package is "other", expected one of x, x-* (policy p)`},
		{"more than expected", func(t *Test) { t.Expect = AllowExisting }, "got allow by policy p, expected allow_existing"},
		{"another policy", func(t *Test) { t.Policy = "q" }, `policy is "p", expected "q"`},
		{"another code", func(t *Test) { deny(t); t.Code = "replayed" }, `code is "no_matching_policy", expected "replayed"`},
		{"another field", func(t *Test) { deny(t); t.Field = "tag" }, `field is "package", expected "tag"`},
		{"no issuer", func(t *Test) { t.Provider = "" }, "expected what names one of the issuers github, work"},
		{"another issuer", func(t *Test) { t.Issuer = "x" }, `issuer is "x"`},
		{"another registry", func(t *Test) { t.Registry = "x" }, `registry is "x", expected one of r`},
		{"no name", func(t *Test) { t.Package = "/" }, "package: "},
		{"no version", func(t *Test) { t.Version = "?" }, "version: "},
		{"no such claim", func(t *Test) { t.Claims = []Claim{{Name: "surroundings", Value: "x", Line: 7}} }, "line 7: claims.surroundings: tokens of the provider github have no such claim"},
		{"another type", func(t *Test) { t.Claims = []Claim{{Name: "repository_id", Value: json.Number("1")}} }, "claims.repository_id: tokens have a string there; is it a matter of quotes?"},
		{"half a claim", func(t *Test) { t.Claims = []Claim{{Name: "repository_name", Value: "x"}} }, "claims.repository_name is the last part of repository; set that"},
	}
	g := testGateway(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			one := good
			c.change(&one)
			got := strings.Join(g.Run(one).Failures, "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, expected %q", got, c.want)
			}
		})
	}
}

// TestSamplesStay: a test changes a copy of its provider's sample.
func TestSamplesStay(t *testing.T) {
	g := testGateway(t)
	id, _, err := g.question(Test{Provider: "github", Claims: []Claim{{Name: "repository", Value: "x/y"}, {Name: "environment"}}})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := g.question(Test{Provider: "github"})
	if err != nil || id.Claims["repository"] == again.Claims["repository"] {
		t.Errorf("the sample changed: %v", err)
	}
	if _, there := id.Claims["environment"]; there {
		t.Error("a claim of null is still there")
	}
}

func TestCoverageAndJUnit(t *testing.T) {
	g := testGateway(t)
	r := g.Run(Test{Name: `a<"b`, Provider: "github", Package: "other", Action: "publish", Expect: Allow, Line: 3})
	if len(r.Failures) != 1 {
		t.Fatalf("failures %v", r.Failures)
	}
	// The second part is the same set once more, of which nothing was asked: each policy counts once.
	c := Cover([]Part{{Set: g.Set, Results: []Result{r}}, {Set: g.Set}})
	want := Coverage{Policies: 1, NeverAllowed: []string{"p (p.yaml:2)"}, Denied: 1}
	if diff := cmp.Diff(want, c); diff != "" || c.Complete() {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := JUnit(&b, []Suite{{File: "t_test.yaml", Results: []Result{r}}}); err != nil {
		t.Fatal(err)
	}
	var back junitSuites
	if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if s := back.Suites[0]; s.Failures != 1 || s.Cases[0].Name != `a<"b` || !strings.Contains(s.Cases[0].Failure.Message, "no_matching_policy") {
		t.Errorf("got %+v", s)
	}
}

// FuzzParse: no text makes the reader panic, and whatever it takes has names and expectations.
func FuzzParse(f *testing.F) {
	f.Add("tests: [{name: a, expect: deny, claims: {x: {y: [1, true, null]}}}]\n")
	f.Add("policies: [a]\ntests:\n- {name: a, expect: allow, at: 2027-01-01}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("t_test.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, one := range file.Tests {
			if one.Name == "" || one.Expect == "" {
				t.Fatalf("%+v", one)
			}
		}
	})
}
