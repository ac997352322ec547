package migration

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// editor puts fields into a YAML text at places of its nodes, and touches nothing else.
type editor struct {
	lines []string // each with its line break
	// inserts are what is put before a byte of a line.
	inserts []insert
}

type insert struct {
	line, at int
	text     string
}

func newEditor(text string) *editor { return &editor{lines: strings.SplitAfter(text, "\n")} }

// errLayout is an error of a layout that is not edited; a text that was formatted has none.
var errLayout = errors.New("the publisher is written in a way that cannot be edited safely; run trustpub policy fmt -w first")

// insert adds a field to a mapping behind one of its values.
func (e *editor) insert(mapping, after *yaml.Node, field, value string) error {
	if mapping.Style&yaml.FlowStyle != 0 {
		line, at, ok := e.end(after)
		if !ok {
			return errLayout
		}
		e.inserts = append(e.inserts, insert{line, at, ", " + field + ": " + value})
		return nil
	}
	// A block: a line of its own, below the value, as far in as the mapping's first key.
	line := lastLine(after)
	if after.Kind == yaml.ScalarNode && after.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || line < 1 || line > len(e.lines) {
		return errLayout
	}
	if after.Kind == yaml.SequenceNode && after.Style&yaml.FlowStyle != 0 {
		var ok bool
		if line, _, ok = e.end(after); !ok {
			return errLayout
		}
		line++
	}
	text := e.lines[line-1]
	ending := "\n"
	if strings.HasSuffix(text, "\r\n") {
		ending = "\r\n"
	}
	entry := strings.Repeat(" ", mapping.Content[0].Column-1) + field + ": " + value
	if !strings.HasSuffix(text, "\n") {
		e.inserts = append(e.inserts, insert{line - 1, len(text), ending + entry})
		return nil
	}
	e.inserts = append(e.inserts, insert{line, 0, entry + ending})
	return nil
}

// lastLine is the last line on which something of a node begins.
func lastLine(n *yaml.Node) int {
	line := n.Line
	for _, c := range n.Content {
		line = max(line, lastLine(c))
	}
	return line
}

// end is the place right behind a node: a line's index and a byte of it.
func (e *editor) end(n *yaml.Node) (line, at int, ok bool) {
	if n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 {
		line, at, ok = e.end(n.Content[len(n.Content)-1])
		if !ok {
			return 0, 0, false
		}
		// Only blanks and a comma may stand before the bracket on the same line.
		rest := strings.TrimLeft(e.lines[line][at:], " ,")
		if !strings.HasPrefix(rest, "]") {
			return 0, 0, false
		}
		return line, len(e.lines[line]) - len(rest) + 1, true
	}
	if n.Kind != yaml.ScalarNode || n.Line < 1 || n.Line > len(e.lines) {
		return 0, 0, false
	}
	line = n.Line - 1
	at = bytesOf(e.lines[line], n.Column-1)
	quote := ""
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		quote = `"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		quote = `'`
	}
	// What needs an escape, or goes on in the next line, is not as it is read, and so is not found.
	source := quote + n.Value + quote
	if !strings.HasPrefix(e.lines[line][at:], source) {
		return 0, 0, false
	}
	return line, at + len(source), true
}

// bytesOf is the number of bytes of a line's first characters.
func bytesOf(line string, characters int) int {
	for i := range line {
		if characters == 0 {
			return i
		}
		characters--
	}
	return len(line)
}

// text is the edited text.
func (e *editor) text() string {
	lines := slices.Clone(e.lines)
	// From the end to the beginning, so that places stay where they are.
	slices.SortStableFunc(e.inserts, func(a, b insert) int {
		if a.line != b.line {
			return b.line - a.line
		}
		return b.at - a.at
	})
	for _, i := range e.inserts {
		if i.line == len(lines) {
			lines = append(lines, "")
		}
		lines[i.line] = lines[i.line][:i.at] + i.text + lines[i.line][i.at:]
	}
	return strings.Join(lines, "")
}
