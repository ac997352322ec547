package rubygems

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/model"
)

// The tags of a gem's metadata. No other is there, and no object is ever made of one.
const (
	tagSpecification = "!ruby/object:Gem::Specification"
	tagVersion       = "!ruby/object:Gem::Version"
)

var tags = []string{tagVersion, "!ruby/object:Gem::Requirement", "!ruby/object:Gem::Dependency"}

// attributes are those of a specification. Gem sets an instance variable for each key it finds, so that an unknown one could
// stand for what it works out itself, as the full name.
var attributes = strings.Fields(`
	authors autorequire bindir cert_chain date default_executable dependencies description email executables extensions
	extra_rdoc_files files has_rdoc homepage licenses metadata name platform post_install_message rdoc_options require_paths
	required_ruby_version required_rubygems_version requirements rubyforge_project rubygems_version signing_key
	specification_version summary test_files version`)

const (
	// maxDepth bounds the nesting of a document.
	maxDepth = 16
	// maxMarks bounds the bytes at which a value may begin: each costs the parser some hundred bytes of memory, and a text of nothing
	// else packs to a thousandth.
	maxMarks = 50_000
)

// marks begin or end a value, a line or a comment.
const marks = "\n,[]{}#"

// parsing bounds how many documents are parsed at a time, and with it their memory together: this comes before any policy is asked.
var parsing = make(chan struct{}, 4)

// pair is a key of a mapping and its value.
type pair struct {
	key   string
	value *yaml.Node
}

// specification reads name, version and platform of a gem's metadata.
func specification(text []byte) (name, version, platform string, err error) {
	root, err := parse(text, "--- "+tagSpecification)
	if err != nil {
		return "", "", "", err
	}
	all, err := pairs(root, entryMetadata)
	if err != nil {
		return "", "", "", err
	}
	values := map[string]string{}
	for _, p := range all {
		if !slices.Contains(attributes, p.key) {
			return "", "", "", notGem("an attribute "+brief(p.key), "those of a specification")
		}
		switch p.key {
		case "name", "platform":
			values[p.key], err = plainText(p.key, p.value)
		case "version":
			values[p.key], err = versionText(p.value)
		}
		if err != nil {
			return "", "", "", err
		}
	}
	for _, key := range []string{"name", "version", "platform"} {
		if values[key] == "" {
			return "", "", "", model.Deny(model.CodeMissingField).Differ(key+" in the metadata", "", "one")
		}
	}
	return values["name"], values["version"], values["platform"], nil
}

// versionText reads a Gem::Version.
func versionText(n *yaml.Node) (string, error) {
	fields, err := pairs(n, "version in the metadata")
	if err != nil {
		return "", err
	}
	if n.Tag != tagVersion || len(fields) != 1 || fields[0].key != "version" {
		return "", notGem("another kind of version", tagVersion+" with a version and nothing more")
	}
	return plainText("version", fields[0].value)
}

// otherwise are unquoted scalars that some reader of YAML 1.1, YAML 1.2 or Ruby takes for a number, a date, a truth or nothing.
var otherwise = regexp.MustCompile(`(?i)^(?:[0-9_,]*\.?[0-9_,]*(?:e[+-]?[0-9_]+)?|0[xob][0-9a-f_]+|[0-9]{4}-.*|y|n|yes|no|on|off|true|false|null|~)$`)

// plainText is a scalar that every reader takes for the same text.
func plainText(field string, n *yaml.Node) (string, error) {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || !quoted && (n.ShortTag() != "!!str" || otherwise.MatchString(n.Value)) {
		return "", notGem(brief(n.Value)+" as "+field, "text, in quotes where it could be a number")
	}
	return n.Value, nil
}

// parse reads the only document of a text, which begins with that line and has nothing that readers of YAML take for different
// things.
func parse(text []byte, first string) (*yaml.Node, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if strings.TrimRight(string(line), " ") != first {
		return nil, notGem("a document that begins with "+brief(string(line)), first)
	}
	if !utf8.Valid(text) || bytes.ContainsFunc(text, breaksLine) {
		return nil, notGem("control characters in a document", "UTF-8 text")
	}
	n := 0
	for i := range len(marks) {
		n += bytes.Count(text, []byte{marks[i]})
	}
	if n > maxMarks {
		return nil, model.Deny(model.CodeTooLarge).Differ("values in a document", "more", fmt.Sprintf("at most %d", maxMarks))
	}
	parsing <- struct{}{}
	defer func() { <-parsing }()
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, model.Deny(model.CodeInternal).Because(err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil {
		return nil, notGem("a document that is not YAML", "YAML as gem build writes it").Because(err)
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		return nil, notGem("a second document", "one")
	}
	if len(doc.Content) != 1 {
		return nil, notGem("an empty document", "one")
	}
	return doc.Content[0], unambiguous(doc.Content[0], 0)
}

func breaksLine(r rune) bool {
	return r != '\t' && r != '\n' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// unambiguous refuses anchors, aliases, merges, doubled keys, and tags where they don't belong.
func unambiguous(n *yaml.Node, depth int) error {
	tagged := n.Style&yaml.TaggedStyle != 0
	switch {
	case depth > maxDepth:
		return notGem("a document that is nested deeper", "at most 16 levels")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return notGem("an anchor or alias in a document", "each value written out")
	case tagged && (depth > 0 || n.Tag != tagSpecification) && !slices.Contains(tags, n.Tag), tagged && n.Kind != yaml.MappingNode:
		return notGem("a tag "+brief(n.Tag), "those of a specification")
	}
	if n.Kind == yaml.MappingNode {
		if _, err := pairs(n, "a mapping"); err != nil {
			return err
		}
	}
	for _, child := range n.Content {
		if err := unambiguous(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// pairs gives the keys and values of a mapping, whose keys are texts, each there once.
func pairs(n *yaml.Node, field string) ([]pair, error) {
	if n.Kind != yaml.MappingNode {
		return nil, notGem(field+" that is no mapping", "keys and values")
	}
	seen := map[string]bool{}
	var all []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "<<" || key.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0:
			return nil, notGem("another key than a text", "plain keys")
		case seen[key.Value]:
			return nil, model.Deny(model.CodeDuplicateField).Differ("key in the gem", brief(key.Value), "once")
		}
		seen[key.Value] = true
		all = append(all, pair{key.Value, value})
	}
	return all, nil
}
