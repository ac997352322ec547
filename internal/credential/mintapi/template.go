package mintapi

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/model"
)

// answerStart begins a placeholder for a part of the API's answer: {answer:/pointer}.
const answerStart = "answer:"

// Values are what the placeholders stand for in one call: those of a name, and the answer to the call before, nil where there is none.
type Values struct {
	Named  map[string]string
	Answer any
}

// TargetNames are the placeholders that TargetValues fills.
func TargetNames() []string {
	return []string{"registry", "ecosystem", "action", "package", "version", "file"}
}

// TargetValues are the parts of a target.
func TargetValues(t model.Target) map[string]string {
	return map[string]string{
		"registry": t.Registry, "ecosystem": t.Ecosystem, "action": string(t.Action), "package": t.Package, "version": t.Version, "file": t.File,
	}
}

func (v Values) of(name string) (string, error) {
	if pointer, ok := strings.CutPrefix(name, answerStart); ok {
		return TextAt(v.Answer, pointer)
	}
	return v.Named[name], nil
}

// Allowed says which placeholders a template may have.
type Allowed struct {
	// Names are those of Values.Named.
	Names []string
	// Answer allows {answer:/pointer}.
	Answer bool
}

// fileShorthand is what the Caddyfile makes of {file}, before any directive sees it.
var fileShorthand = strings.NewReplacer("{http.request.uri.path.file}", "{file}")

// Template is a text with placeholders in braces: the literal parts, and between them the names.
type Template struct{ literals, names []string }

// ParseTemplate reads a text with placeholders. A brace that begins none is an error, so that no mistake is sent as it stands; the error
// goes on behind "has".
func ParseTemplate(text string, allowed Allowed) (Template, error) {
	var t Template
	text = fileShorthand.Replace(text)
	for {
		before, rest, found := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return t, errors.New("a closing brace without an opening one")
		}
		t.literals = append(t.literals, before)
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if err := allowed.check(name, closed); err != nil {
			return t, err
		}
		t.names, text = append(t.names, name), after
	}
}

func (a Allowed) check(name string, closed bool) error {
	pointer, ofAnswer := strings.CutPrefix(name, answerStart)
	switch {
	case !closed:
		return errors.New("an opening brace without a closing one")
	case ofAnswer && !a.Answer:
		return fmt.Errorf("the placeholder {%s}, where there is no answer", model.OneLine(name, 60))
	case ofAnswer:
		return CheckPointer(pointer)
	case !slices.Contains(a.Names, name):
		return fmt.Errorf("the placeholder {%s}, expected one of {%s}", model.OneLine(name, 60), strings.Join(a.Names, "}, {"))
	}
	return nil
}

// Constant is true for a template without placeholders.
func (t Template) Constant() bool { return len(t.names) == 0 }

// Text puts the values in as they are.
func (t Template) Text(v Values) (string, error) { return t.fill(v, asIs) }

// fill puts the values in, each escaped for the place where it stands.
func (t Template) fill(v Values, escape func(string) (string, error)) (string, error) {
	var b strings.Builder
	for i, literal := range t.literals {
		b.WriteString(literal)
		if i == len(t.names) {
			break
		}
		value, err := v.of(t.names[i])
		if err == nil {
			value, err = escape(value)
		}
		if err != nil {
			return "", fmt.Errorf("{%s}: %w", t.names[i], err)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

func asIs(s string) (string, error) { return s, nil }

// inPath escapes one segment of a path, with all that some servers read a meaning into, as parameters behind a semicolon. What they read as
// another folder, or as none, is refused, also between slashes: many decode a path before they look at its parts.
func inPath(s string) (string, error) {
	for part := range strings.SplitSeq(strings.ReplaceAll(s, `\`, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return "", errors.New("it is empty, or has a part that is empty or dots alone, which no path can carry")
		}
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
}

func inQuery(s string) (string, error) { return url.QueryEscape(s), nil }

// Path is the path and the query of a call, with placeholders.
type Path struct{ path, query Template }

// ParsePath reads one, which begins with a slash. The error goes on behind "has".
func ParsePath(text string, allowed Allowed) (Path, error) {
	path, query, _ := strings.Cut(text, "?")
	var p Path
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(text, "# \t") || strings.Contains(path+"/", "/../") {
		return p, fmt.Errorf("a path %q, expected one below url like /tokens, without a fragment", model.OneLine(text, 100))
	}
	var err error
	if p.path, err = ParseTemplate(path, allowed); err != nil {
		return p, err
	}
	p.query, err = ParseTemplate(query, allowed)
	return p, err
}

// Fill puts the values in: each is one segment of the path, or a part of a value of the query.
func (p Path) Fill(v Values) (string, error) {
	path, err := p.path.fill(v, inPath)
	if err != nil {
		return "", err
	}
	query, err := p.query.fill(v, inQuery)
	if err != nil || query == "" {
		return path, err
	}
	return path + "?" + query, nil
}

// Body is a JSON document whose texts may have placeholders. It is parsed before they are filled in and written afterwards, so that
// no value can be read as anything but a text.
type Body struct {
	document any
	allowed  Allowed
}

// numberStart begins a text that becomes a number: "{number:expires_unix}".
const numberStart = "{number:"

// ParseBody reads one. The error goes on behind "has".
func ParseBody(text string, allowed Allowed) (Body, error) {
	b := Body{allowed: allowed}
	if err := json.Unmarshal([]byte(text), &b.document); err != nil {
		return b, fmt.Errorf("a text that is no JSON document: %w", err)
	}
	_, err := walk(b.document, func(text string) (any, error) {
		if name, ok := number(text); ok {
			return nil, allowed.check(name, true)
		}
		_, err := ParseTemplate(text, allowed)
		return nil, err
	})
	return b, err
}

func number(text string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(text, numberStart)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "}")
}

// Fill is the document with the values.
func (b Body) Fill(v Values) (any, error) {
	return walk(b.document, func(text string) (any, error) {
		if name, ok := number(text); ok {
			value, err := v.of(name)
			if err != nil {
				return nil, err
			}
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("{number:%s} is no whole number", name)
			}
			return n, nil
		}
		t, err := ParseTemplate(text, b.allowed)
		if err != nil {
			return nil, err
		}
		return t.fill(v, asIs)
	})
}

// walk makes a copy of a document in which each text is replaced. Names of members stay as they are.
func walk(document any, text func(string) (any, error)) (any, error) {
	switch d := document.(type) {
	case string:
		return text(d)
	case []any:
		out := make([]any, len(d))
		for i, element := range d {
			var err error
			if out[i], err = walk(element, text); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(d))
		for name, member := range d {
			var err error
			if out[name], err = walk(member, text); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return document, nil
}
