package format

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// width is the longest line, in characters, on which a list in brackets stays one line.
const width = 100

// printer writes elements in the canonical form.
type printer struct {
	d   *document
	out strings.Builder
	err error
}

// print is the document in the canonical form.
func (d *document) print() (string, error) {
	p := &printer{d: d}
	p.entries(d.top, 0)
	if p.err != nil {
		return "", p.err
	}
	return strings.TrimLeft(p.out.String(), "\n"), nil
}

// entries writes the entries of a mapping, or the items of a list, at an indent.
func (p *printer) entries(all []*element, indent int) {
	for i, e := range all {
		p.remarks(e.heads(), indent, i == 0 && indent > 0)
		p.out.WriteString(strings.Repeat(" ", indent))
		if e.key == nil {
			p.item(e, indent)
		} else {
			p.entry(e, indent)
		}
		p.remarks(e.foot, indent, false)
	}
}

// heads are the comments above an element. Those above an item's first field stand above its dash, since nothing else can.
func (e *element) heads() []string {
	if e.key != nil || !e.opens() {
		return e.head
	}
	all := e.head
	for _, text := range e.children[0].head {
		if text != "" {
			all = append(all[:len(all):len(all)], text)
		}
	}
	return all
}

// opens is true for an item that is a mapping, whose first field stands behind the dash.
func (e *element) opens() bool {
	return e.value.Kind == yaml.MappingNode && len(e.children) > 0
}

// remarks writes comments and blank lines; the first of a list has no blank line above.
func (p *printer) remarks(list []string, indent int, first bool) {
	empty := false
	for i, text := range list {
		if text == "" {
			if empty || first && i == 0 {
				continue
			}
			empty = true
			p.out.WriteString("\n")
			continue
		}
		empty = false
		p.out.WriteString(strings.Repeat(" ", indent) + text + "\n")
	}
}

// item writes an item of a list behind its indent.
func (p *printer) item(e *element, indent int) {
	p.out.WriteString("- ")
	switch {
	case e.opens():
		p.entry(e.children[0], indent+2)
		p.remarks(e.children[0].foot, indent+2, false)
		for _, child := range e.children[1:] {
			p.remarks(child.head, indent+2, false)
			p.out.WriteString(strings.Repeat(" ", indent+2))
			p.entry(child, indent+2)
			p.remarks(child.foot, indent+2, false)
		}
	case e.value.Kind == yaml.ScalarNode && !isBlock(e.value):
		p.out.WriteString(p.scalar(e, false))
		p.end(e)
	default:
		p.fail(e, "an item that is neither a value nor a mapping with fields")
	}
}

// entry writes a key and its value behind their indent.
func (p *printer) entry(e *element, indent int) {
	p.out.WriteString(p.text(e.key, false) + ":")
	children := e.children
	if single := e.single(); single != nil {
		e, children = &element{key: e.key, value: single, parent: e.parent, tail: e.tail}, nil
	}
	switch {
	case e.value.Kind == yaml.ScalarNode && isBlock(e.value):
		p.block(e, indent)
	case e.value.Kind == yaml.ScalarNode && e.listed():
		p.out.WriteString(" [" + p.scalar(e, true) + "]")
		p.end(e)
	case e.value.Kind == yaml.ScalarNode:
		if text := p.scalar(e, false); text != "" {
			p.out.WriteString(" " + text)
		}
		p.end(e)
	case e.brief(indent):
		p.out.WriteString(" " + p.flow(e))
		p.end(e)
	default:
		p.end(e)
		p.entries(children, indent+2)
	}
}

// end writes the comment behind an element and ends its line.
func (p *printer) end(e *element) {
	if e.tail != "" {
		p.out.WriteString("  " + e.tail)
	}
	p.out.WriteString("\n")
}

func (p *printer) fail(e *element, what string) {
	if p.err == nil {
		p.err = &Error{e.line, e.column, what + " has no canonical form"}
	}
}

// ofPolicy is true for a field of a policy itself.
func (e *element) ofPolicy() bool {
	item := e.parent
	return item != nil && item.key == nil && item.parent != nil && item.parent.key != nil && item.parent.parent == nil &&
		item.parent.key.Value == "policies"
}

// single is the only value of a list that is written as one value; nil where the list stays a list.
func (e *element) single() *yaml.Node {
	if e.value.Kind != yaml.SequenceNode || len(e.children) != 1 || e.key.Value != "registry" || !e.ofPolicy() {
		return nil
	}
	only := e.children[0]
	if only.value.Kind != yaml.ScalarNode || isBlock(only.value) || only.remarked() {
		return nil
	}
	return only.value
}

// listed is true for one value that is written as a list of one.
func (e *element) listed() bool {
	return e.ofPolicy() && lists[e.key.Value] && e.key.Value != "registry" && e.value.Value != ""
}

// remarked is true where comments belong to an element itself.
func (e *element) remarked() bool {
	for _, list := range [][]string{e.head, e.foot, {e.tail}} {
		for _, text := range list {
			if text != "" {
				return true
			}
		}
	}
	return false
}

// brief is true for what is written in brackets on one line: what is empty, a list of values that was in brackets and fits,
// and the small mapping of a field that takes one value too.
func (e *element) brief(indent int) bool {
	if len(e.children) == 0 {
		return true
	}
	if !isFlow(e.value) || e.value.Kind == yaml.MappingNode && !e.ofPolicy() || e.key.Value == "publisher" || e.key.Value == "policies" {
		return false
	}
	for _, child := range e.children {
		if child.value.Kind != yaml.ScalarNode || child.remarked() {
			return false
		}
	}
	p := &printer{}
	length := indent + len(e.key.Value) + len(": ") + utf8.RuneCountInString(p.flow(e))
	return length <= width || e.value.Kind == yaml.MappingNode
}

// flow writes values in brackets.
func (p *printer) flow(e *element) string {
	list := make([]string, len(e.children))
	for i, child := range e.children {
		list[i] = p.scalar(child, true)
		if child.key != nil {
			list[i] = p.text(child.key, true) + ": " + list[i]
		}
	}
	if e.value.Kind == yaml.MappingNode {
		return "{" + strings.Join(list, ", ") + "}"
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// bare is text that means itself without quotes, wherever it stands.
var bare = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// meaningful are words that YAML, or some version of it, takes for something else than text.
var meaningful = map[string]bool{
	"true": true, "false": true, "null": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true,
}

// scalar writes an element's value; flow is true between brackets.
func (p *printer) scalar(e *element, flow bool) string {
	n := e.value
	switch {
	case n.Tag != "!!str" && !isQuoted(n) && !isBlock(n):
		return n.Value
	case isQuoted(n) && (e.inPublisher() || e.key != nil && e.key.Value == "when"):
		return p.quote(n)
	}
	return p.text(n, flow)
}

// inPublisher is true below a policy's publisher, where ids must stay in quotes.
func (e *element) inPublisher() bool {
	for ; e != nil; e = e.parent {
		if e.key != nil && e.key.Value == "publisher" {
			return true
		}
	}
	return false
}

// text writes a string: without quotes where it is a plain word, as it was where it had none and needs none, and else quoted.
func (p *printer) text(n *yaml.Node, flow bool) string {
	if bare.MatchString(n.Value) && !meaningful[strings.ToLower(n.Value)] {
		return n.Value
	}
	special := "*{}"
	if flow {
		special += ",[]:"
	}
	if !isQuoted(n) && !isBlock(n) && !strings.ContainsAny(n.Value, special) && onOneLine(n.Value) {
		return n.Value
	}
	return p.quote(n)
}

// onOneLine is true for text that was plain on several lines and can be so on one.
func onOneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

// quote writes a string in quotes: double ones, or single ones where it has double quotes and backslashes only.
func (p *printer) quote(n *yaml.Node) string {
	if strings.ContainsAny(n.Value, `"\`) && !strings.Contains(n.Value, "'") && onOneLine(n.Value) {
		return "'" + n.Value + "'"
	}
	return strconv.Quote(n.Value)
}

// block writes a block of text. Its lines stay as they are, two deeper than their key.
func (p *printer) block(e *element, indent int) {
	n := e.value
	deep := strings.Repeat(" ", indent+2)
	header := "|"
	text, ended := strings.CutSuffix(n.Value, "\n")
	if !ended {
		header = "|-"
	}
	raw := strings.Split(text, "\n")
	if n.Style&yaml.FoldedStyle != 0 {
		header = strings.Replace(header, "|", ">", 1)
		raw = p.d.rawBlock(n)
	}
	if text == "" || strings.HasSuffix(text, "\n") || strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\n") {
		// Blocks that begin with a blank or end with blank lines need indicators that nobody reads right.
		p.out.WriteString(" " + strconv.Quote(n.Value))
		p.end(e)
		return
	}
	p.out.WriteString(" " + header)
	p.end(e)
	for _, l := range raw {
		p.out.WriteString(strings.TrimRight(deep+l, " ") + "\n")
		if l != strings.TrimRight(l, " ") {
			p.fail(e, "text with blanks at the end of a line")
		}
	}
}

// rawBlock are the lines of a block without their indent.
func (d *document) rawBlock(n *yaml.Node) []string {
	var list []string
	deep := -1
	for row := n.Line; row < len(d.lines) && d.lines[row].kind == inside; row++ {
		text := d.text[d.lines[row].start:d.lines[row].end]
		body := strings.TrimLeft(text, " ")
		if deep < 0 && body != "" {
			deep = len(text) - len(body)
		}
		list = append(list, strings.TrimRight(text[min(max(deep, 0), len(text)):], " "))
	}
	return list
}
