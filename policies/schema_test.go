package policies

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write docs/policy.schema.json")

const schemaPage = "../docs/policy.schema.json"

func TestSchemaIsPublished(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaPage, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/policy.schema.json is old: run go test ./policies -run TestSchemaIsPublished -update (-want +got):\n%s", diff)
	}
}

// validator knows the words of JSON Schema that ours uses, and fails at any other.
type validator struct{ root map[string]any }

// check is what is wrong with a value; empty where nothing is.
func (v validator) check(schema, value any, at string) string {
	if allow, is := schema.(bool); is {
		if allow {
			return ""
		}
		return at + ": not allowed"
	}
	s := schema.(map[string]any)
	for _, word := range slices.Sorted(maps.Keys(s)) {
		if wrong := v.word(word, s, value, at); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (v validator) word(word string, s map[string]any, value any, at string) string {
	arg := s[word]
	ok := true
	text, isText := value.(string)
	list, isList := value.([]any)
	object, isObject := value.(map[string]any)
	size := func(n int) bool { return arg.(float64) >= float64(n) }
	switch word {
	case "$schema", "title", "description", "definitions", "then":
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/definitions/")
		return v.check(v.root["definitions"].(map[string]any)[name], value, at)
	case "type":
		_, isBool := value.(bool)
		ok = map[string]bool{"string": isText, "array": isList, "object": isObject, "boolean": isBool}[arg.(string)]
	case "enum":
		ok = slices.Contains(arg.([]any), value)
	case "pattern":
		ok = !isText || regexp.MustCompile(arg.(string)).MatchString(text)
	case "minLength":
		ok = !isText || arg.(float64) <= float64(utf8.RuneCountInString(text))
	case "maxLength":
		ok = !isText || size(utf8.RuneCountInString(text))
	case "minItems":
		ok = !isList || arg.(float64) <= float64(len(list))
	case "maxItems":
		ok = !isList || size(len(list))
	case "minProperties":
		ok = !isObject || arg.(float64) <= float64(len(object))
	case "maxProperties":
		ok = !isObject || size(len(object))
	case "required":
		for _, name := range arg.([]any) {
			if _, there := object[name.(string)]; isObject && !there {
				return at + "." + name.(string) + ": missing"
			}
		}
	case "items":
		for i, one := range list {
			if wrong := v.check(arg, one, fmt.Sprintf("%s[%d]", at, i)); wrong != "" {
				return wrong
			}
		}
	case "properties", "additionalProperties":
		return v.properties(word, s, object, at)
	case "anyOf":
		ok = slices.ContainsFunc(arg.([]any), func(one any) bool { return v.check(one, value, at) == "" })
	case "allOf":
		for _, one := range arg.([]any) {
			if wrong := v.check(one, value, at); wrong != "" {
				return wrong
			}
		}
	case "if":
		if v.check(arg, value, at) == "" {
			return v.check(s["then"], value, at)
		}
	default:
		return "the schema has the word " + word
	}
	if !ok {
		return at + ": " + word
	}
	return ""
}

func (v validator) properties(word string, s, object map[string]any, at string) string {
	known, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		one, is := known[name]
		if word == "additionalProperties" {
			one = s[word]
		}
		if is == (word == "properties") {
			if wrong := v.check(one, object[name], at+"."+name); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// validate is what the schema says of a file.
func validate(t *testing.T, content string) string {
	t.Helper()
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(schema, &root); err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Load([]byte(content), &doc); err != nil {
		t.Fatal(err)
	}
	return validator{root}.check(root, plainValue(doc.Content[0]), "")
}

// plainValue is a node as an editor sees it: dates are text.
func plainValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			object[n.Content[i].Value] = plainValue(n.Content[i+1])
		}
		return object
	case yaml.SequenceNode:
		list := []any{}
		for _, one := range n.Content {
			list = append(list, plainValue(one))
		}
		return list
	}
	switch n.Tag {
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		return 1.0
	case "!!null":
		return nil
	}
	return n.Value
}

// What loads is valid: the examples of the documentation, of the pages of all providers, and the example files.
func TestSchemaTakesWhatLoads(t *testing.T) {
	var texts []string
	pages, err := filepath.Glob("../docs/issuers/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, docsPage) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(data), "```yaml\n")[1:] {
			if block, _, _ = strings.Cut(block, "```"); strings.HasPrefix(strings.TrimLeft(block, "# "), "policies:") || strings.Contains(block, "\npolicies:") {
				texts = append(texts, block)
			}
		}
	}
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if IsTestFile(file) {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	if len(texts) < 20 {
		t.Errorf("only %d examples", len(texts))
	}
	for _, text := range append(texts, "policies: []\n", release, reports, build) {
		if wrong := validate(t, text); wrong != "" {
			t.Errorf("%s\n%s", wrong, text)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	with := func(more string) string { return strings.TrimSuffix(valid, "\n") + "\n    " + more + "\n" }
	swap := func(old, new string) string { return strings.Replace(valid, old, new, 1) }
	for _, tc := range []struct{ name, content, want string }{
		{"no policies", "other: []\n", ".other: not allowed"},
		{"an unknown field", with("pakages: [x]"), ".policies[0].pakages: not allowed"},
		{"a field that is missing", swap("    packages: [acme-widget]\n", ""), ".policies[0].packages: missing"},
		{"a name with blanks", swap("widget-release", "widget release"), ".policies[0].name: pattern"},
		{"an empty list", swap("[acme-widget]", "[]"), ".policies[0].packages: anyOf"},
		{"an unknown action", with("actions: [pubish]"), ".policies[0].actions: anyOf"},
		{"an id that is a number", swap(`"222"`, "222"), ".policies[0].publisher.github.repository_owner_id: anyOf"},
		{"an id with a pattern", swap(`"222"`, `"2*"`), ".policies[0].publisher.github.repository_owner_id: anyOf"},
		{"a list with a number", swap(`"222"`, `["222", 223]`), ".policies[0].publisher.github.repository_owner_id: anyOf"},
		{"an unknown provider", swap("      github:", "      githib:"), ".policies[0].publisher.githib: not allowed"},
		{"an unknown publisher field", swap("workflow:", "workflw:"), ".policies[0].publisher.github.workflw: not allowed"},
		{"no provider", "policies:\n  - {name: x, registry: r, packages: p, publisher: {}}\n", ".policies[0].publisher: minProperties"},
		{"two providers", with("  gitlab: {project_id: \"1\"}"), ".policies[0].publisher: maxProperties"},
		{"a boolean in quotes", with(`exclusive: "true"`), ".policies[0].exclusive: type"},
		{"a boolean claim without them", with("    ref_protected: true"), ".policies[0].publisher.github.ref_protected: anyOf"},
		{"an event of another provider", with("events: [merge_request_event]"), ".policies[0].events: anyOf"},
		{"a tag without tags", "policies:\n  - {name: x, registry: r, packages: p, publisher: {oidc: {subject: x}}, tag: v1}\n", ".policies[0].tag: not allowed"},
		{"events without triggers", "policies:\n  - {name: x, registry: r, packages: p, publisher: {oidc: {subject: x}}, events: [push]}\n", ".policies[0].events: not allowed"},
		{"no date", with("not_after: never"), ".policies[0].not_after: pattern"},
		{"no date for new packages", with("new_packages: {}"), ".policies[0].new_packages: anyOf"},
		{"claims that are empty", "policies:\n  - {name: x, registry: r, packages: p, publisher: {oidc: {claims: {}}}}\n", ".policies[0].publisher.oidc.claims: minProperties"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, validate(t, tc.content)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := loadText(t, tc.content, testEnv()); err == nil {
				t.Error("the loader takes what the schema refuses")
			}
		})
	}
}
