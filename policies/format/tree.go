package format

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/policies"
)

// element is an entry of a mapping or an item of a list, with the comments that belong to it.
type element struct {
	// key is nil for an item of a list.
	key, value *yaml.Node
	parent     *element
	children   []*element
	// line and column are where it begins, from 1; for an item that is its dash.
	line, column int
	// head are the comments above it and tail is the one behind it; foot are comments below it that stand as deep as it does.
	// An empty text in head and foot is a blank line.
	head, foot []string
	tail       string
}

// grow builds the tree, gives each comment to an element, and brings the fields into their order.
func (d *document) grow() {
	var order []*element
	d.top = d.branch(nil, d.root, &order)
	d.attach(order)
	var list *element
	for _, e := range d.top {
		if e.key.Value == "policies" {
			list = e
		}
	}
	if list == nil || list.value.Kind != yaml.SequenceNode {
		return
	}
	for _, policy := range list.children {
		arrange(policy.children, policies.FieldNames())
		for _, field := range policy.children {
			if field.key == nil || field.key.Value != "publisher" {
				continue
			}
			for _, provider := range field.children {
				if provider.key != nil {
					arrange(provider.children, policies.PublisherFieldNames(provider.key.Value))
				}
			}
		}
	}
}

// arrange sorts entries by a list of names; what it does not name comes last, in the order of the text.
func arrange(entries []*element, names []string) {
	place := func(e *element) int {
		if e.key != nil {
			if i := slices.Index(names, e.key.Value); i >= 0 {
				return i
			}
		}
		return len(names)
	}
	slices.SortStableFunc(entries, func(a, b *element) int { return place(a) - place(b) })
}

// branch makes the elements of a mapping or list, and appends all of them to order as they come in the text.
func (d *document) branch(parent *element, n *yaml.Node, order *[]*element) []*element {
	var children []*element
	add := func(key, value *yaml.Node, line, column int) {
		e := &element{key: key, value: value, parent: parent, line: line, column: column}
		*order = append(*order, e)
		e.children = d.branch(e, value, order)
		children = append(children, e)
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			add(n.Content[i], n.Content[i+1], n.Content[i].Line, n.Content[i].Column)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if isFlow(n) {
				add(nil, item, item.Line, item.Column)
			} else {
				add(nil, item, d.dash(n, item), n.Column)
			}
		}
	}
	return children
}

// dash is the line of an item's dash, which may stand above the item.
func (d *document) dash(list, item *yaml.Node) int {
	for row := item.Line; row > 0; row-- {
		at := offset(d.text, d.lines, row, list.Column)
		if at < d.lines[row-1].end && d.text[at] == '-' && d.lines[row-1].kind == content {
			return row
		}
	}
	return item.Line
}

// attach gives comments and blank lines to elements, which come in the order of the text.
func (d *document) attach(order []*element) {
	next := 0 // the first element that begins below the current line
	var gap []int
	for i, l := range d.lines {
		row := i + 1
		first := next
		for next < len(order) && order[next].line <= row {
			next++
		}
		switch {
		case l.kind == blank || l.kind == remark:
			gap = append(gap, i)
			continue
		case first < next:
			d.settle(gap, previous(order, first), order[first])
			gap = gap[:0]
		case l.kind == content && next > 0:
			// A line of a value that goes on, or its closing bracket: what stands above it stays above the value.
			d.settle(gap, nil, order[next-1])
			gap = gap[:0]
		}
		if l.comment != "" && next > 0 {
			d.trail(order[next-1], row, l)
		}
	}
	d.settle(gap, previous(order, len(order)), nil)
}

func previous(order []*element, i int) *element {
	if i == 0 {
		return nil
	}
	return order[i-1]
}

// settle gives the comments and blank lines between two elements to one of them: to the one above where a comment stands
// deeper than what follows, and else to the one below.
func (d *document) settle(gap []int, above, below *element) {
	var blanks bool
	heads := below != nil && (above == nil || below.parent == above)
	for _, i := range gap {
		l := d.lines[i]
		if l.kind == blank {
			blanks = true
			continue
		}
		column := l.at - l.start + 1
		heads = heads || below != nil && column <= below.column
		var list *[]string
		if heads {
			list = &below.head
		} else {
			to := above
			for to.column > column && to.parent != nil {
				to = to.parent
			}
			list = &to.foot
		}
		if blanks {
			*list = append(*list, "")
		}
		blanks = false
		*list = append(*list, l.comment)
	}
	if blanks && below != nil {
		below.head = append(below.head, "")
	}
}

// trail gives a comment behind something to the entry that ends there.
func (d *document) trail(e *element, row int, l line) {
	from := l.start
	if e.line == row {
		from = offset(d.text, d.lines, e.value.Line, e.value.Column)
	}
	closed := d.closed(from, l.at)
	for e.parent != nil && e.inFlow() && (closed > 0 || e.line < row) {
		e = e.parent
		closed--
	}
	if e.tail != "" || e.key == nil && len(e.children) > 0 {
		e.head = append(e.head, l.comment)
		return
	}
	e.tail = l.comment
}

// inFlow is true for a part of a list or mapping in brackets.
func (e *element) inFlow() bool { return e.parent != nil && isFlow(e.parent.value) }

// closed counts the brackets that are closed between two offsets, less those that are opened.
func (d *document) closed(from, to int) int {
	count := 0
	var quote byte
	for ; from < to; from++ {
		switch c := d.text[from]; {
		case quote != 0:
			if c == '\\' && quote == '"' {
				from++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte("]}", c) >= 0:
			count++
		case strings.IndexByte("[{", c) >= 0:
			count--
		}
	}
	return count
}
