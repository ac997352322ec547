package http

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

// names are the placeholders of the target and of the credential that is asked for. What the API has answered is {answer:/pointer}.
var names = []string{
	"registry", "ecosystem", "action", "package", "version", "file", "scope", "lifetime_seconds", "expires", "expires_unix", "random",
}

// answerStart begins a placeholder for a part of the API's answer.
const answerStart = "answer:"

// values are what the placeholders stand for in one call.
type values struct {
	named  map[string]string
	answer any // nil before there is one
}

func (v values) of(name string) (string, error) {
	if pointer, ok := strings.CutPrefix(name, answerStart); ok {
		return textAt(v.answer, pointer)
	}
	return v.named[name], nil
}

// template is a text with placeholders in braces: the literal parts, and between them the names.
type template struct{ literals, names []string }

// parseTemplate knows the placeholders; those of an answer only where there is one. A brace that begins none is an error, so that no
// mistake is sent as it stands.
func parseTemplate(text string, answered bool) (template, error) {
	var t template
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
		if err := checkName(name, closed, answered); err != nil {
			return t, err
		}
		t.names, text = append(t.names, name), after
	}
}

func checkName(name string, closed, answered bool) error {
	pointer, ofAnswer := strings.CutPrefix(name, answerStart)
	switch {
	case !closed:
		return errors.New("an opening brace without a closing one")
	case ofAnswer && !answered:
		return fmt.Errorf("the placeholder {%s}, before there is an answer", model.OneLine(name, 60))
	case ofAnswer:
		return checkPointer(pointer)
	case !slices.Contains(names, name):
		return fmt.Errorf("the placeholder {%s}, expected {%s} or {answer:/POINTER}", model.OneLine(name, 60), strings.Join(names, "}, {"))
	}
	return nil
}

// fill puts the values in, each escaped for the place where it stands.
func (t template) fill(v values, escape func(string) (string, error)) (string, error) {
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

// inPath escapes one segment of a path. What servers read as another folder, or as none, is refused.
func inPath(s string) (string, error) {
	if s == "" || s == "." || s == ".." {
		return "", errors.New("it is empty, or dots alone, which no path can carry")
	}
	return url.PathEscape(s), nil
}

func inQuery(s string) (string, error) { return url.QueryEscape(s), nil }

// target is the path and the query of a call.
type target struct{ path, query template }

func parseTarget(text string, answered bool) (target, error) {
	path, query, _ := strings.Cut(text, "?")
	var t target
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(text, "# \t") || strings.Contains("/"+path+"/", "/../") {
		return t, fmt.Errorf("a path %q, expected one below url like /tokens, without a fragment", model.OneLine(text, 100))
	}
	var err error
	if t.path, err = parseTemplate(path, answered); err != nil {
		return t, err
	}
	t.query, err = parseTemplate(query, answered)
	return t, err
}

func (t target) fill(v values) (string, error) {
	path, err := t.path.fill(v, inPath)
	if err != nil {
		return "", err
	}
	query, err := t.query.fill(v, inQuery)
	if err != nil || query == "" {
		return path, err
	}
	return path + "?" + query, nil
}

// body is a JSON document whose texts may have placeholders. It is parsed before they are filled in and written afterwards, so that
// no value can be read as anything but a text.
type body struct{ document any }

// numberStart begins a text that becomes a number: "{number:expires_unix}".
const numberStart = "{number:"

func parseBody(text string, answered bool) (body, error) {
	var b body
	if err := json.Unmarshal([]byte(text), &b.document); err != nil {
		return b, fmt.Errorf("a text that is no JSON document: %w", err)
	}
	_, err := walk(b.document, func(text string) (any, error) {
		if name, ok := number(text); ok {
			return nil, checkName(name, true, answered)
		}
		_, err := parseTemplate(text, answered)
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

func (b body) fill(v values) (any, error) {
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
		t, err := parseTemplate(text, true)
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
