// Package format gives policy files one canonical form: the order of fields, the indentation, the quotes and the form of
// lists. Comments stay with what they belong to, and the blank lines between things stay, one at most.
//
// What Source returns says the same as what it was given: it is read again and compared, value by value and comment by
// comment, before it is returned.
package format

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxRounds bounds how often a text is formatted until it stays as it is; one round is the usual.
const maxRounds = 4

// Error is a text that cannot be formatted, and where.
type Error struct {
	// Line and Column start at 1; they are 0 where the whole text is meant.
	Line, Column int
	// Message says what was found and what to do.
	Message string
}

// Error is "line:column: message", without the place where there is none.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

var _ error = (*Error)(nil)

// Source formats the text of a policy file. The text has to be YAML of the kind that policies are written in (one document,
// no anchors, aliases, tags or directives); whether its policies would load is not asked. Formatting the result again
// gives the result. All errors are of type *Error.
func Source(text string) (string, error) {
	d, err := parse(text)
	if err != nil {
		return "", err
	}
	first := d
	for range maxRounds {
		out, err := d.print()
		if err != nil {
			return "", err
		}
		again, err := parse(out)
		if err != nil {
			return "", &Error{Message: "the formatted text would not be readable, so nothing was changed: " + err.Error()}
		}
		if !first.same(again) {
			return "", &Error{Message: "the formatted text would say something else, so nothing was changed; write comments on lines of their own, and values on one line"}
		}
		if out == d.text {
			return out, nil
		}
		d = again
	}
	return "", &Error{Message: "the text has no stable form, so nothing was changed; write comments on lines of their own"}
}

// document is a text as it was read.
type document struct {
	text  string
	root  *yaml.Node
	lines []line
	top   []*element
}

// parse reads a text; CRLF counts as one line break.
func parse(text string) (*document, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	switch {
	case !utf8.ValidString(text):
		return nil, &Error{Message: "the file is not UTF-8 text"}
	case strings.HasPrefix(text, "\ufeff"):
		return nil, &Error{1, 1, "the file begins with a byte order mark; save it without"}
	case strings.ContainsAny(text, "\r\u0085\u2028\u2029"):
		return nil, &Error{Message: "the file has line breaks other than LF and CRLF; write LF"}
	case strings.HasPrefix(text, "%") || strings.Contains(text, "\n%"):
		return nil, &Error{Message: "the file has a directive (a line that begins with %); leave it out"}
	}
	root, err := library(text)
	if err != nil {
		return nil, err
	}
	d := &document{text: text, root: root}
	if err := plain(root, 0); err != nil {
		return nil, err
	}
	d.lines = scan(text, root)
	d.grow()
	return d, nil
}

// library parses with the YAML library.
func library(text string) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(strings.NewReader(text), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, &Error{Message: err.Error()}
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil {
		return nil, syntax(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, &Error{second.Line, max(second.Column, 1), "a second document begins here; write one document per file"}
	case !errors.Is(err, io.EOF):
		return nil, syntax(err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode || len(doc.Content[0].Content) == 0 {
		return nil, &Error{Message: "the file holds no mapping; write policies: and a list below it"}
	}
	return doc.Content[0], nil
}

func syntax(err error) error {
	if errors.Is(err, io.EOF) {
		return &Error{Message: "the file is empty; write policies: [] where no policy is meant"}
	}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return &Error{Message: "not YAML: " + err.Error()}
	}
	message := load.Message
	if load.ContextMsg != "" {
		message = load.ContextMsg + ": " + message
	}
	return &Error{load.Mark.Line, load.Mark.Column, "not YAML: " + message}
}

// maxDepth bounds the nesting; no policy needs half of it.
const maxDepth = 12

// plain refuses what the policies' loader refuses too and what a printer would have to understand.
func plain(n *yaml.Node, depth int) error {
	what := ""
	switch {
	case n.Kind == yaml.AliasNode:
		what = "an alias"
	case n.Anchor != "":
		what = "an anchor"
	case n.Style&yaml.TaggedStyle != 0:
		what = "a tag"
	case n.Tag == "!!merge":
		what = "a merge key"
	case depth > maxDepth:
		what = "deep nesting"
	}
	if what != "" {
		return &Error{n.Line, n.Column, what + " is not allowed in policies; write the value out"}
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && (child.Kind != yaml.ScalarNode || child.Value == "" || strings.ContainsAny(child.Value, "\n")) {
			return &Error{child.Line, child.Column, "a key is no name; write a field's name"}
		}
		if err := plain(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// same is true where two documents say the same: the same values, and the same comments in whatever order.
func (d *document) same(other *document) bool {
	mine, theirs := d.comments(), other.comments()
	slices.Sort(mine)
	slices.Sort(theirs)
	return slices.Equal(mine, theirs) && slices.Equal(meaning(nil, d.root, nil), meaning(nil, other.root, nil))
}

// comments are the texts of all comments.
func (d *document) comments() []string {
	var all []string
	for _, l := range d.lines {
		if l.comment != "" {
			all = append(all, l.comment)
		}
	}
	return all
}

// meaning spells a node out as the policies' loader reads it: fields in an order of their own, one value for a list of one,
// and whether an id was quoted.
func meaning(path []string, n *yaml.Node, out []string) []string {
	at := strings.Join(path, "\x00")
	switch n.Kind {
	case yaml.MappingNode:
		out = append(out, at+"{")
		keys := make([]int, len(n.Content)/2)
		for i := range keys {
			keys[i] = 2 * i
		}
		slices.SortStableFunc(keys, func(a, b int) int { return strings.Compare(n.Content[a].Value, n.Content[b].Value) })
		for _, i := range keys {
			key := n.Content[i]
			out = meaning(append(path, key.Tag, key.Value), n.Content[i+1], out)
		}
		return append(out, at+"}")
	case yaml.SequenceNode:
		single := len(n.Content) == 1 && n.Content[0].Kind == yaml.ScalarNode && lists[last(path)]
		if !single {
			out = append(out, at+"[")
		}
		for _, child := range n.Content {
			out = meaning(path, child, out)
		}
		if !single {
			out = append(out, at+"]")
		}
		return out
	}
	quoted := isQuoted(n) && slices.Contains(path, "publisher")
	return append(out, fmt.Sprintf("%s %s %v %q", at, n.Tag, quoted, n.Value))
}

func last(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[len(path)-1]
}

// lists are the fields of a policy in which one value may stand for a list of one.
var lists = map[string]bool{"registry": true, "packages": true, "actions": true, "events": true}

func isQuoted(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
}

func isBlock(n *yaml.Node) bool { return n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 }

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }
