package policies

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// plainReader reads the plain part of YAML in which policies are mostly written: block mappings and lists, values of one line,
// lists of words in brackets, comments. It is about five times as fast as the YAML library. It gives up on everything else,
// and the library then reads the whole file; a fuzz target holds that where it does not give up, it reads what the library reads.
type plainReader struct {
	text string
	// at is the offset of the current line's first character that is no blank, row its number, indent the blanks before it.
	at, row, indent int
	// end is the offset of the line's end, next that of the line after; done is true behind the last line.
	end, next int
	done      bool

	nodes []yaml.Node
	links []*yaml.Node
	stack []*yaml.Node
}

// maxPlainDepth bounds the nesting that is read plainly; no policy needs half of it.
const maxPlainDepth = 12

// readPlain reads a document; ok is false where it is not plain.
func readPlain(text string) (root *yaml.Node, ok bool) {
	for i := range len(text) {
		if c := text[i]; c != '\n' && (c < ' ' || c > '~') {
			return nil, false
		}
	}
	r := &plainReader{text: text, row: 0}
	if !r.advance() || r.done || r.indent != 0 {
		return nil, false
	}
	root, ok = r.mapping(0, 0)
	return root, ok && r.done
}

// advance goes to the next line that holds something; it is false at a line that is not plain.
func (r *plainReader) advance() bool {
	for r.next < len(r.text) {
		start := r.next
		if n := strings.IndexByte(r.text[start:], '\n'); n < 0 {
			r.end, r.next = len(r.text), len(r.text)
		} else {
			r.end, r.next = start+n, start+n+1
		}
		r.row++
		r.at = start
		for r.at < r.end && r.text[r.at] == ' ' {
			r.at++
		}
		r.indent = r.at - start
		if r.at == r.end || r.text[r.at] == '#' {
			continue
		}
		// Document marks and directives mean something at the first column only.
		return r.indent > 0 || !strings.HasPrefix(r.text[r.at:r.end], "---") && !strings.HasPrefix(r.text[r.at:r.end], "...")
	}
	r.done = true
	return true
}

// column is an offset in the current line as a column.
func (r *plainReader) column(offset int) int { return offset - (r.at - r.indent) + 1 }

// node makes a node at an offset in the current line.
func (r *plainReader) node(kind yaml.Kind, tag string, offset int) *yaml.Node {
	if len(r.nodes) == 0 {
		r.nodes = make([]yaml.Node, 256)
	}
	n := &r.nodes[0]
	r.nodes = r.nodes[1:]
	n.Kind, n.Tag, n.Line, n.Column = kind, tag, r.row, r.column(offset)
	return n
}

// adopt makes what was pushed since base the content of a node.
func (r *plainReader) adopt(n *yaml.Node, base int) {
	count := len(r.stack) - base
	if len(r.links) < count {
		r.links = make([]*yaml.Node, max(512, count))
	}
	n.Content = r.links[:count:count]
	r.links = r.links[count:]
	copy(n.Content, r.stack[base:])
	r.stack = r.stack[:base]
}

// mapping reads a block mapping whose keys stand at an indent; the current line is its first key.
func (r *plainReader) mapping(indent, depth int) (*yaml.Node, bool) {
	if depth > maxPlainDepth {
		return nil, false
	}
	n := r.node(yaml.MappingNode, "!!map", r.at)
	base := len(r.stack)
	for !r.done && r.indent == indent {
		key, rest, ok := r.key()
		if !ok {
			return nil, false
		}
		value, ok := r.value(rest, indent, depth)
		if !ok {
			return nil, false
		}
		r.stack = append(r.stack, key, value)
	}
	r.adopt(n, base)
	return n, r.done || r.indent < indent
}

// key reads a key of lower-case letters, digits and "_", and its colon; rest is the offset behind.
func (r *plainReader) key() (key *yaml.Node, rest int, ok bool) {
	at := r.at
	for at < r.end && (r.text[at] >= 'a' && r.text[at] <= 'z' || at > r.at && (r.text[at] == '_' || r.text[at] >= '0' && r.text[at] <= '9')) {
		at++
	}
	if at == r.at || at == r.end || r.text[at] != ':' || !plainWord(r.text[r.at:at]) {
		return nil, 0, false
	}
	key = r.node(yaml.ScalarNode, "!!str", r.at)
	key.Value = r.text[r.at:at]
	return key, at + 1, true
}

// value reads what follows a key: on the same line, or below it.
func (r *plainReader) value(rest, indent, depth int) (*yaml.Node, bool) {
	if rest < r.end && r.text[rest] != ' ' {
		return nil, false
	}
	for rest < r.end && r.text[rest] == ' ' {
		rest++
	}
	if rest < r.end && r.text[rest] != '#' {
		n, ok := r.inline(rest)
		if !ok || !r.advance() {
			return nil, false
		}
		// A line that stands deeper would continue the value.
		return n, r.done || r.indent <= indent
	}
	if !r.advance() || r.done {
		return nil, false
	}
	switch dash := r.dash(); {
	case dash && r.indent >= indent:
		return r.list(r.indent, depth+1)
	case !dash && r.indent > indent:
		return r.mapping(r.indent, depth+1)
	}
	return nil, false
}

// dash is true where the current line is an item of a list.
func (r *plainReader) dash() bool {
	return r.text[r.at] == '-' && r.at+1 < r.end && r.text[r.at+1] == ' '
}

// list reads a block list whose dashes stand at an indent.
func (r *plainReader) list(indent, depth int) (*yaml.Node, bool) {
	if depth > maxPlainDepth {
		return nil, false
	}
	n := r.node(yaml.SequenceNode, "!!seq", r.at)
	base := len(r.stack)
	for !r.done && r.indent == indent && r.dash() {
		item, ok := r.item(indent, depth)
		if !ok {
			return nil, false
		}
		r.stack = append(r.stack, item)
	}
	r.adopt(n, base)
	// A key at the same indent goes on with the mapping around the list, which stands no deeper.
	return n, r.done || r.indent <= indent
}

// item reads one item: a mapping that begins behind the dash, or a value.
func (r *plainReader) item(indent, depth int) (*yaml.Node, bool) {
	at := r.at + 1
	for at < r.end && r.text[at] == ' ' {
		at++
	}
	if at == r.end || r.text[at] == '#' || r.text[at] == '-' {
		return nil, false
	}
	if key := r.at; r.keyAt(at) {
		// The mapping's keys stand where the first one does.
		r.indent += at - key
		r.at = at
		return r.mapping(r.indent, depth+1)
	}
	n, ok := r.inline(at)
	if !ok || !r.advance() {
		return nil, false
	}
	return n, r.done || r.indent <= indent
}

// keyAt is true where a key begins at an offset.
func (r *plainReader) keyAt(at int) bool {
	colon := strings.IndexByte(r.text[at:r.end], ':')
	return colon > 0 && (at+colon+1 == r.end || r.text[at+colon+1] == ' ') && strings.IndexByte(r.text[at:at+colon], ' ') < 0 &&
		r.text[at] >= 'a' && r.text[at] <= 'z'
}

// inline reads a value that ends on this line: words, a quoted text or a list in brackets.
func (r *plainReader) inline(at int) (*yaml.Node, bool) {
	switch r.text[at] {
	case '"', '\'':
		n, end, ok := r.quoted(at)
		return n, ok && r.ended(end)
	case '[':
		return r.brackets(at)
	}
	return r.words(at)
}

// ended is true where nothing but blanks and a comment follows.
func (r *plainReader) ended(at int) bool {
	rest := strings.TrimLeft(r.text[at:r.end], " ")
	return rest == "" || rest[0] == '#' && len(rest) < r.end-at
}

// quoted reads a text in quotes without escapes.
func (r *plainReader) quoted(at int) (n *yaml.Node, end int, ok bool) {
	quote := r.text[at]
	length := strings.IndexByte(r.text[at+1:r.end], quote)
	if length < 0 {
		return nil, 0, false
	}
	end = at + 1 + length + 1
	value := r.text[at+1 : end-1]
	if quote == '"' && strings.IndexByte(value, '\\') >= 0 || end < r.end && r.text[end] == quote {
		return nil, 0, false
	}
	n = r.node(yaml.ScalarNode, "!!str", at)
	n.Value = value
	n.Style = yaml.DoubleQuotedStyle
	if quote == '\'' {
		n.Style = yaml.SingleQuotedStyle
	}
	return n, end, true
}

// words reads the rest of the line as plain text. What could be a key, a comment inside, a number or a date is not plain.
func (r *plainReader) words(at int) (*yaml.Node, bool) {
	value := r.text[at:r.end]
	if comment := strings.IndexByte(value, '#'); comment >= 0 {
		if value[comment-1] != ' ' {
			return nil, false
		}
		value = value[:comment]
	}
	value = strings.TrimRight(value, " ")
	if strings.IndexByte(value, ':') >= 0 || value == "" {
		return nil, false
	}
	return r.plain(at, value)
}

// plain makes a node of plain text that begins like a name.
func (r *plainReader) plain(at int, value string) (*yaml.Node, bool) {
	first := value[0]
	if first == '.' && len(value) > 1 {
		first = value[1]
	}
	if !isLetter(first) {
		return nil, false
	}
	tag := "!!str"
	switch {
	case value == "true" || value == "false":
		tag = "!!bool"
	case !plainWord(value):
		return nil, false
	}
	n := r.node(yaml.ScalarNode, tag, at)
	n.Value = value
	return n, true
}

// plainWord is false for the words that YAML, or some version of it, takes for something else than text.
func plainWord(s string) bool {
	if len(s) > 5 {
		return true
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "inf", "nan":
		return false
	}
	return true
}

// brackets reads a list of words and quoted texts on one line.
func (r *plainReader) brackets(at int) (*yaml.Node, bool) {
	n := r.node(yaml.SequenceNode, "!!seq", at)
	n.Style = yaml.FlowStyle
	base := len(r.stack)
	for at++; ; at++ {
		at = r.blanks(at)
		if at == r.end {
			return nil, false
		}
		var item *yaml.Node
		var ok bool
		if c := r.text[at]; c == '"' || c == '\'' {
			item, at, ok = r.quoted(at)
		} else {
			item, at, ok = r.word(at)
		}
		if !ok {
			return nil, false
		}
		r.stack = append(r.stack, item)
		if at = r.blanks(at); at == r.end {
			return nil, false
		}
		switch r.text[at] {
		case ',':
		case ']':
			r.adopt(n, base)
			return n, r.ended(at + 1)
		default:
			return nil, false
		}
	}
}

// word reads one word of a list in brackets.
func (r *plainReader) word(at int) (n *yaml.Node, end int, ok bool) {
	for end = at; end < r.end; end++ {
		c := r.text[end]
		if !isLetter(c) && (c < '0' || c > '9') && !strings.ContainsRune("-_./", rune(c)) {
			break
		}
	}
	if end == at {
		return nil, 0, false
	}
	n, ok = r.plain(at, r.text[at:end])
	return n, end, ok
}

// blanks skips blanks.
func (r *plainReader) blanks(at int) int {
	for at < r.end && r.text[at] == ' ' {
		at++
	}
	return at
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
