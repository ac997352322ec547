package policies

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// The caps of the format. They are far above what people write and keep a hostile file from costing much.
const (
	// MaxFileSize bounds one file, MaxTotalSize all files together.
	MaxFileSize  = 32 << 20
	MaxTotalSize = 256 << 20
	// MaxFiles bounds the number of files.
	MaxFiles = 20_000
	// maxText bounds one value, maxList the entries of one list, maxKeys the keys of one mapping, maxErrors the errors kept for one file.
	maxText   = 1024
	maxKeys   = 64
	maxList   = 10_000
	maxErrors = 100
)

// source is one file on its way from bytes to policies; it gathers what is wrong with it.
type source struct {
	file   string
	data   string
	errors Errors
}

// fail notes an error at a node; a nil node means the whole file.
func (s *source) fail(n *yaml.Node, field, format string, args ...any) {
	if len(s.errors) >= maxErrors {
		return
	}
	e := Error{File: s.file, Field: field, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	if slices.Contains(s.errors, e) {
		return // a package is read once for each registry
	}
	s.errors = append(s.errors, e)
}

// failAt notes an error at a place of its own.
func (s *source) failAt(line, column int, field, format string, args ...any) {
	s.fail(&yaml.Node{Line: line, Column: column}, field, format, args...)
}

// document parses the file's only document; nil after an error.
func (s *source) document() *yaml.Node {
	switch {
	case len(s.data) > MaxFileSize:
		s.fail(nil, "", "the file has %d bytes, at most %d are read; split it", len(s.data), MaxFileSize)
		return nil
	case !utf8.ValidString(s.data):
		s.fail(nil, "", "the file is not UTF-8 text")
		return nil
	case strings.HasPrefix(s.data, "\ufeff"):
		s.failAt(1, 1, "", "the file begins with a byte order mark; save it without")
		return nil
	}
	if root, ok := readPlain(s.data); ok {
		return root
	}
	return s.library()
}

// library parses with the YAML library.
func (s *source) library() *yaml.Node {
	loader, err := yaml.NewLoader(strings.NewReader(s.data), yaml.WithUniqueKeys(false))
	if err != nil {
		s.fail(nil, "", "%v", err)
		return nil
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil {
		s.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		s.fail(&second, "", "a second document begins here; write one document per file")
		return nil
	case !errors.Is(err, io.EOF):
		s.syntax(err)
		return nil
	}
	if len(doc.Content) != 1 {
		s.fail(nil, "", "the file is empty; write policies: [] where no policy is meant")
		return nil
	}
	return doc.Content[0]
}

// syntax notes what the YAML parser says.
func (s *source) syntax(err error) {
	if errors.Is(err, io.EOF) {
		s.fail(nil, "", "the file is empty; write policies: [] where no policy is meant")
		return
	}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		s.fail(nil, "", "not YAML: %v", err)
		return
	}
	message := load.Message
	if load.ContextMsg != "" {
		message = load.ContextMsg + ": " + message
	}
	s.failAt(load.Mark.Line, load.Mark.Column, "", "not YAML: %s", message)
}

// plain refuses what makes a node mean something else than it says: anchors, aliases and tags. It notes the error.
func (s *source) plain(n *yaml.Node, field string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		s.fail(n, field, "aliases (*%s) are not allowed; write the value out", n.Value)
	case n.Anchor != "":
		s.fail(n, field, "anchors (&%s) are not allowed; write the value out", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		s.fail(n, field, "tags (%s) are not allowed; quote the value to make it a string", n.Tag)
	default:
		return true
	}
	return false
}

// entry is one key of a mapping with its value.
type entry struct {
	key   string
	name  *yaml.Node
	value *yaml.Node
}

// mapping reads a mapping whose keys are unique strings; known lists the keys that are allowed, nil allows all.
func (s *source) mapping(n *yaml.Node, field string, known []string) []entry {
	if !s.plain(n, field) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		s.fail(n, field, "%s, expected a mapping (key: value)", describe(n))
		return nil
	}
	if len(n.Content)/2 > maxKeys {
		s.fail(n, field, "%d keys, at most %d are allowed", len(n.Content)/2, maxKeys)
		return nil
	}
	entries := make([]entry, 0, len(n.Content)/2)
next:
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !s.plain(key, field) {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" || key.Value == "" {
			s.fail(key, field, "%s as a key, expected a name", describe(key))
			continue
		}
		for _, have := range entries {
			if have.key == key.Value {
				s.fail(key, join(field, key.Value), "the key is written twice; the first is in line %d", have.name.Line)
				continue next
			}
		}
		if known != nil && !contains(known, key.Value) {
			s.fail(key, join(field, key.Value), "unknown field%s", suggest(key.Value, known))
			continue
		}
		entries = append(entries, entry{key: key.Value, name: key, value: value})
	}
	return entries
}

// list reads a list of values; with single, one value alone stands for a list of one.
func (s *source) list(n *yaml.Node, field string, single bool) []*yaml.Node {
	if !s.plain(n, field) {
		return nil
	}
	switch {
	case single && n.Kind == yaml.ScalarNode:
		return []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		s.fail(n, field, "%s, expected a list", describe(n))
		return nil
	case len(n.Content) > maxList:
		s.fail(n, field, "%d entries, at most %d are allowed", len(n.Content), maxList)
		return nil
	case len(n.Content) == 0:
		s.fail(n, field, "the list is empty; leave the field out or name at least one value")
		return nil
	}
	return n.Content
}

// text reads a string. What YAML takes for a number, a date or a boolean must be quoted, so that no digit changes on the way.
func (s *source) text(n *yaml.Node, field string) (string, bool) {
	return s.bounded(n, field, maxText)
}

// bounded reads a string of at most limit bytes.
func (s *source) bounded(n *yaml.Node, field string, limit int) (string, bool) {
	if !s.plain(n, field) {
		return "", false
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		s.fail(n, field, "%s, expected a string", describe(n))
	case n.Tag != "!!str":
		s.fail(n, field, "%s, expected a string: write %q in quotes", describe(n), n.Value)
	case n.Value == "":
		s.fail(n, field, "the value is empty; an absent claim never matches, so leave the field out or name a value")
	case len(n.Value) > limit:
		s.fail(n, field, "the value has %d bytes, at most %d are allowed", len(n.Value), limit)
	case strings.ContainsFunc(n.Value, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' || r == 0x7f }):
		s.fail(n, field, "the value holds a control character")
	default:
		return n.Value, true
	}
	return "", false
}

// line reads a string without line breaks, tabs or blanks at its ends.
func (s *source) line(n *yaml.Node, field string) (string, bool) {
	v, ok := s.text(n, field)
	if !ok {
		return "", false
	}
	if strings.ContainsAny(v, "\n\t") || strings.TrimSpace(v) != v {
		s.fail(n, field, "the value %q holds a line break, a tab or blanks at its ends, which no claim has", v)
		return "", false
	}
	return v, true
}

// quoted reads a stable id, which must be written in quotes: an id that passes through a number may lose digits.
func (s *source) quoted(n *yaml.Node, field string) (string, bool) {
	if !s.plain(n, field) {
		return "", false
	}
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		s.fail(n, field, "ids are quoted strings: write %q with its quotes", n.Value)
		return "", false
	}
	return s.line(n, field)
}

// boolean reads true or false.
func (s *source) boolean(n *yaml.Node, field string) (value, ok bool) {
	if !s.plain(n, field) {
		return false, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || (n.Value != "true" && n.Value != "false") {
		s.fail(n, field, "%s, expected true or false", describe(n))
		return false, false
	}
	return n.Value == "true", true
}

// describe names what a node holds, for errors.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "got a mapping"
	case yaml.SequenceNode:
		return "got a list"
	}
	switch n.Tag {
	case "!!null":
		return "got nothing"
	case "!!int", "!!float":
		return "got the number " + clip(n.Value)
	case "!!bool":
		return "got the boolean " + clip(n.Value)
	case "!!timestamp":
		return "got the date " + clip(n.Value)
	case "!!merge":
		return "got a merge key"
	}
	return fmt.Sprintf("got %q", clip(n.Value))
}

// clip bounds a value that an error quotes.
func clip(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	for cut := limit; ; cut-- {
		if utf8.RuneStart(s[cut]) {
			return s[:cut] + "..."
		}
	}
}

// join makes the path of a field.
func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// suggest ends an error with what is known, the likely one first.
func suggest(got string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	best, distance := "", 3
	for _, k := range known {
		if d := edits(got, k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	shown := known
	if len(shown) > maxShownErrors {
		shown = shown[:maxShownErrors]
	}
	return "; known are " + strings.Join(shown, ", ")
}

// edits is the Levenshtein distance of two short words, capped where they are too long to be a slip.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
