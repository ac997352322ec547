// Package policytest runs tests of policies: files beside the policies (*_test.yaml) that say which run may publish what. A
// test takes the sample claims of a CI provider, changes some of them, and expects a decision.
package policytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// Expect is the decision that a test expects.
type Expect string

// The expectations.
const (
	Allow Expect = "allow"
	// AllowExisting: granted only if the registry has the package already.
	AllowExisting Expect = "allow_existing"
	Deny          Expect = "deny"
)

// File is one test file.
type File struct {
	Path string
	// Policies are the paths under test, relative to the file's folder; empty: all of that folder.
	Policies []string
	Tests    []Test
}

// Test is one question and the decision that it expects.
type Test struct {
	Name string
	// File, Line and Column are the test's place.
	File         string
	Line, Column int
	// Issuer is the configured issuer of the token, Provider the one whose sample the claims begin with; either may be empty
	// where the other tells it.
	Issuer, Provider string
	// Claims replace those of the sample; a nil value removes one.
	Claims []Claim
	// Registry may be empty where the gateway has one only; Package is empty for an exchange.
	Registry, Package, Version string
	Action                     policies.Action
	// At is the moment of the run; zero: now.
	At time.Time

	Expect Expect
	// Code, Policy and Field are what the decision must name; empty: anything.
	Code, Policy, Field string
}

// Claim is one claim that a test sets.
type Claim struct {
	Name         string
	Value        any
	Line, Column int
}

// Load reads a test file strictly. What is wrong is in the error, all of it, with file, line and column (policies.Errors).
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, policies.MaxFileSize+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > policies.MaxFileSize {
		return nil, fmt.Errorf("%s: the file has more than %d bytes", path, policies.MaxFileSize)
	}
	return Parse(path, data)
}

// Parse reads the text of a test file.
func Parse(path string, data []byte) (*File, error) {
	r := &reader{file: &File{Path: path}}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		return nil, policies.Errors{{File: path, Message: "is no YAML document: " + strings.Join(strings.Fields(err.Error()), " ")}}
	}
	if len(doc.Content) != 1 {
		return nil, policies.Errors{{File: path, Line: 1, Column: 1, Message: "is empty, expected a mapping with tests"}}
	}
	r.top(doc.Content[0])
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	return r.file, nil
}

type reader struct {
	file *File
	errs policies.Errors
}

func (r *reader) fail(n *yaml.Node, field, format string, args ...any) {
	r.errs = append(r.errs, policies.Error{File: r.file.Path, Line: n.Line, Column: n.Column, Field: field, Message: fmt.Sprintf(format, args...)})
}

// mapping visits the entries of a mapping; known nil: any key.
func (r *reader) mapping(n *yaml.Node, field string, known []string, visit func(key string, at, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode || n.Anchor != "" {
		r.fail(n, field, "expected a mapping")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Anchor != "":
			r.fail(key, field, "expected a name")
		case seen[key.Value]:
			r.fail(key, field, "%q is written twice", key.Value)
		case known != nil && !slices.Contains(known, key.Value):
			r.fail(key, field, "unknown field %q, expected one of %s", key.Value, strings.Join(known, ", "))
		default:
			seen[key.Value] = true
			visit(key.Value, key, value)
		}
	}
}

func (r *reader) list(n *yaml.Node, field string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode || n.Anchor != "" || len(n.Content) == 0 {
		r.fail(n, field, "expected a list that is not empty")
		return nil
	}
	return n.Content
}

// text reads a text, which must not be something else to YAML.
func (r *reader) text(n *yaml.Node, field string) string {
	if n.Kind != yaml.ScalarNode || n.Anchor != "" || n.ShortTag() != "!!str" || n.Value == "" {
		r.fail(n, field, "expected a text; write numbers, dates and empty words in quotes, or leave the field out")
		return ""
	}
	return n.Value
}

func (r *reader) top(n *yaml.Node) {
	found := false
	r.mapping(n, "", []string{"policies", "tests"}, func(key string, _, value *yaml.Node) {
		if key == "policies" {
			for _, one := range r.list(value, key) {
				r.file.Policies = append(r.file.Policies, r.text(one, key))
			}
			return
		}
		found = true
		for i, one := range r.list(value, key) {
			r.test(one, fmt.Sprintf("tests[%d]", i))
		}
	})
	if !found && len(r.errs) == 0 {
		r.fail(n, "tests", "is missing")
	}
	names := map[string]bool{}
	for _, t := range r.file.Tests {
		if names[t.Name] && t.Name != "" {
			r.errs = append(r.errs, policies.Error{File: t.File, Line: t.Line, Column: t.Column, Field: "name", Message: fmt.Sprintf("the name %q is used twice", t.Name)})
		}
		names[t.Name] = true
	}
}

var testFields = []string{"name", "issuer", "provider", "claims", "registry", "package", "version", "action", "at", "expect", "code", "policy", "field"}

func (r *reader) test(n *yaml.Node, field string) {
	t := Test{File: r.file.Path, Line: n.Line, Column: n.Column, Action: policies.ActionPublish}
	into := map[string]*string{
		"name": &t.Name, "issuer": &t.Issuer, "provider": &t.Provider, "registry": &t.Registry, "package": &t.Package,
		"version": &t.Version, "code": &t.Code, "policy": &t.Policy, "field": &t.Field,
	}
	r.mapping(n, field, testFields, func(key string, _, value *yaml.Node) {
		at := field + "." + key
		switch key {
		case "claims":
			r.claims(&t, value, at)
		case "at":
			t.At = r.moment(value, at)
		case "expect":
			t.Expect = Expect(r.text(value, at))
			if t.Expect != Allow && t.Expect != Deny && t.Expect != AllowExisting {
				r.fail(value, at, "got %q, expected allow, allow_existing or deny", t.Expect)
			}
		case "action":
			if t.Action = policies.Action(r.text(value, at)); !slices.Contains(model.Actions(), t.Action) {
				r.fail(value, at, "got %q, expected one of %v", t.Action, model.Actions())
			}
		default:
			*into[key] = r.text(value, at)
		}
	})
	switch {
	case n.Kind != yaml.MappingNode:
	case t.Name == "":
		r.fail(n, field+".name", "is missing")
	case t.Expect == "":
		r.fail(n, field+".expect", "is missing")
	case t.Code != "" && t.Expect != Deny:
		r.fail(n, field+".code", "only a denial has a code; expected expect: deny")
	}
	r.file.Tests = append(r.file.Tests, t)
}

func (r *reader) moment(n *yaml.Node, field string) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, n.Value); err == nil && n.Kind == yaml.ScalarNode {
			return at
		}
	}
	r.fail(n, field, "expected a moment such as 2027-01-31T12:00:00Z, or a date")
	return time.Time{}
}

func (r *reader) claims(t *Test, n *yaml.Node, field string) {
	r.mapping(n, field, nil, func(key string, at, value *yaml.Node) {
		t.Claims = append(t.Claims, Claim{Name: key, Value: r.value(value, field+"."+key), Line: at.Line, Column: at.Column})
	})
}

// value reads a claim's value with the types that verified claims have.
func (r *reader) value(n *yaml.Node, field string) any {
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		r.fail(n, field, "anchors and aliases are not read; write the value where it is used")
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, one := range n.Content {
			list[i] = r.value(one, field)
		}
		return list
	case n.Kind == yaml.MappingNode:
		object := map[string]any{}
		r.mapping(n, field, nil, func(key string, _, value *yaml.Node) { object[key] = r.value(value, field+"."+key) })
		return object
	case n.ShortTag() == "!!str":
		return n.Value
	case n.ShortTag() == "!!null":
		return nil
	case n.ShortTag() == "!!bool":
		is, err := strconv.ParseBool(n.Value)
		if err == nil {
			return is
		}
		fallthrough
	case n.ShortTag() == "!!int" && json.Valid([]byte(n.Value)):
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
		fallthrough
	default:
		r.fail(n, field, "expected a text in quotes, a whole number, true, false, null, a list or a mapping")
	}
	return nil
}
