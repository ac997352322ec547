package format

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// kind says what a line holds.
type kind uint8

const (
	// content: a part of a value or key, with or without a comment behind it.
	content kind = iota
	// blank: nothing.
	blank
	// remark: a comment and nothing else.
	remark
	// inside: a further line of a value in quotes or of a block of text.
	inside
)

// line is one line of a text.
type line struct {
	kind kind
	// start is the offset of the line's first byte in the text, end that of its last one and one.
	start, end int
	// comment is the comment's text from its "#" on, without blanks at its end; empty where there is none. at is its offset.
	comment string
	at      int
}

// Comment is a comment of a policy file.
type Comment struct {
	// Line and Column are where its "#" stands, counted from 1; columns count characters.
	Line, Column int
	// Text is all from the "#" to the line's end, without blanks at the end.
	Text string
	// Own is true where nothing else stands on the line.
	Own bool
}

// Comments finds the comments of a policy file, and nothing that only looks like one inside a value. Errors are of type *Error.
func Comments(text string) ([]Comment, error) {
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	var all []Comment
	for i, l := range d.lines {
		if l.comment != "" {
			column := 1 + utf8.RuneCountInString(d.text[l.start:l.at])
			all = append(all, Comment{Line: i + 1, Column: column, Text: l.comment, Own: l.kind == remark})
		}
	}
	return all, nil
}

// scanner finds what in a text is opaque: quoted values and blocks of text, in which a "#" is no comment.
type scanner struct {
	text   string
	lines  []line
	opaque []span
}

// span is a range of offsets.
type span struct{ from, to int }

// scan tells what each line holds.
func scan(text string, root *yaml.Node) []line {
	s := &scanner{text: text}
	for start := 0; start <= len(text); {
		end := len(text)
		if n := strings.IndexByte(text[start:], '\n'); n >= 0 {
			end = start + n
		}
		s.lines = append(s.lines, line{start: start, end: end})
		start = end + 1
	}
	s.walk(root, 0)
	next := 0
	for i := range s.lines {
		next = s.classify(&s.lines[i], next)
	}
	return s.lines
}

// offset is a node's place as an offset.
func (s *scanner) offset(n *yaml.Node) int { return offset(s.text, s.lines, n.Line, n.Column) }

// offset turns a place that counts characters into an offset.
func offset(text string, lines []line, row, column int) int {
	if row < 1 || row > len(lines) {
		return len(text)
	}
	at, end := lines[row-1].start, lines[row-1].end
	for ; column > 1 && at < end; column-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// walk visits the values in the order of the text; indent is the column (from 0) of the mapping or list around.
func (s *scanner) walk(n *yaml.Node, indent int) {
	switch {
	case n.Kind == yaml.ScalarNode && isQuoted(n):
		s.quoted(n)
	case n.Kind == yaml.ScalarNode && isBlock(n):
		s.block(n, indent)
	case n.Kind == yaml.MappingNode, n.Kind == yaml.SequenceNode:
		if !isFlow(n) {
			indent = n.Column - 1
		}
		for _, child := range n.Content {
			s.walk(child, indent)
		}
	}
}

// quoted finds the end of a quoted value.
func (s *scanner) quoted(n *yaml.Node) {
	from := s.offset(n)
	if from >= len(s.text) {
		return
	}
	quote := s.text[from]
	for at := from + 1; at < len(s.text); at++ {
		switch c := s.text[at]; {
		case c == '\\' && quote == '"':
			at++
		case c == quote && quote == '\'' && at+1 < len(s.text) && s.text[at+1] == quote:
			at++
		case c == quote:
			s.opaque = append(s.opaque, span{from, at + 1})
			return
		}
	}
}

// block finds the lines of a block of text: those below its "|" or ">" that are blank or stand deeper than the indent around.
func (s *scanner) block(n *yaml.Node, indent int) {
	deep := 0
	last := n.Line // the last line that belongs to the block, counted from 1
	for row := n.Line; row < len(s.lines); row++ {
		text := s.text[s.lines[row].start:s.lines[row].end]
		body := strings.TrimLeft(text, " ")
		if body == "" {
			continue
		}
		here := len(text) - len(body)
		if deep == 0 {
			deep = here
			if explicit := s.explicit(n); explicit > 0 {
				deep = indent + explicit
			}
			if deep <= indent {
				break
			}
		}
		if here < deep {
			break
		}
		last = row + 1
	}
	if last > n.Line {
		s.opaque = append(s.opaque, span{s.lines[n.Line].start, s.lines[last-1].end})
	}
}

// explicit is the digit in a block's header, as in "|2"; 0 without one.
func (s *scanner) explicit(n *yaml.Node) int {
	for at := s.offset(n) + 1; at < len(s.text); at++ {
		switch c := s.text[at]; {
		case c >= '1' && c <= '9':
			return int(c - '0')
		case c != '+' && c != '-':
			return 0
		}
	}
	return 0
}

// classify fills in a line; next is the first opaque span that does not lie before it.
func (s *scanner) classify(l *line, next int) int {
	for next < len(s.opaque) && s.opaque[next].to <= l.start {
		next++
	}
	if next < len(s.opaque) && s.opaque[next].from < l.start && l.start < s.opaque[next].to {
		l.kind = inside
	} else if next < len(s.opaque) && s.opaque[next].from == l.start && s.isBlockLine(next) {
		l.kind = inside
	}
	at := s.remark(l, next)
	if at >= 0 {
		l.at = at
		l.comment = strings.TrimRight(s.text[at:l.end], " \t")
	}
	if l.kind == inside {
		return next
	}
	text := s.text[l.start:l.end]
	switch {
	case strings.TrimLeft(text, " \t") == "":
		l.kind = blank
	case at >= 0 && strings.TrimLeft(s.text[l.start:at], " \t") == "":
		l.kind = remark
	}
	return next
}

// isBlockLine is true where an opaque span is a block of text rather than a quoted value that begins at the first column.
func (s *scanner) isBlockLine(i int) bool {
	c := s.text[s.opaque[i].from]
	return c == ' ' || c == '\n'
}

// remark finds a line's comment: a "#" at its start or behind a blank, outside of everything opaque.
func (s *scanner) remark(l *line, next int) int {
	for at := l.start; at < l.end; at++ {
		for next < len(s.opaque) && s.opaque[next].to <= at {
			next++
		}
		if next < len(s.opaque) && s.opaque[next].from <= at {
			at = s.opaque[next].to - 1
			continue
		}
		if s.text[at] == '#' && (at == l.start || s.text[at-1] == ' ' || s.text[at-1] == '\t') {
			return at
		}
	}
	return -1
}
