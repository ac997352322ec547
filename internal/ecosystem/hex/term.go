package hex

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/trustpub/trustpub/internal/model"
)

// The keys that name a release.
const (
	keyName    = "name"
	keyVersion = "version"
)

const (
	// maxDepth bounds how deep terms lie in each other, maxTerms how many there are.
	maxDepth = 16
	maxTerms = 100_000
)

// metadata reads metadata.config: terms of Erlang, each a tuple of a key and a value and a dot behind it. It takes the part of the language
// that Hex's clients write, and of it only what all readers read in one way: hex_core's own scanner knows no comments, and other escapes
// than Erlang's. The values are texts where they are binaries of plain ASCII without an escape, else nil.
func metadata(text []byte) (map[string]*string, error) {
	if !utf8.Valid(text) {
		return nil, notTerms("bytes that are no UTF-8", "UTF-8")
	}
	p := &terms{text: text}
	fields := map[string]*string{}
	for p.blank(); p.at < len(p.text); p.blank() {
		key, value, err := p.field()
		if err != nil {
			return nil, err
		}
		if _, there := fields[key]; there {
			return nil, model.Deny(model.CodeDuplicateField).Differ("key in "+entryMetadata, brief(key), "once")
		}
		fields[key] = value
	}
	return fields, nil
}

func notTerms(got, want string) *model.Denial { return malformed(entryMetadata, got, want) }

// terms parses terms of Erlang.
type terms struct {
	text  []byte
	at    int
	count int
}

// blank skips what stands between terms.
func (p *terms) blank() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\n' || p.text[p.at] == '\r' || p.text[p.at] == '\t') {
		p.at++
	}
}

// next is true where these bytes come next, which are then taken.
func (p *terms) next(want string) bool {
	p.blank()
	if !bytes.HasPrefix(p.text[p.at:], []byte(want)) {
		return false
	}
	p.at += len(want)
	return true
}

// unexpected names what comes next.
func (p *terms) unexpected(want string) error {
	p.blank()
	got := "its end"
	if rest := p.text[p.at:]; len(rest) > 0 {
		got = fmt.Sprintf("%q at byte %d", rest[:min(12, len(rest))], p.at)
	}
	return notTerms(got, want)
}

// field reads {<<"key">>, value} and its dot.
func (p *terms) field() (key string, value *string, err error) {
	const form = `{<<"key">>, value}. as Hex's clients write it`
	if !p.next("{") || !p.next("<<") {
		return "", nil, p.unexpected(form)
	}
	name, err := p.binary()
	if err != nil {
		return "", nil, err
	}
	if name == nil || *name == "" {
		return "", nil, notTerms("a key that is no plain text", form)
	}
	if !p.next(",") {
		return "", nil, p.unexpected(form)
	}
	if value, err = p.term(1); err != nil {
		return "", nil, err
	}
	if !p.next("}") || !p.next(".") {
		return "", nil, p.unexpected(form)
	}
	// A dot ends a term for Erlang only where a blank follows.
	if at := p.at; at < len(p.text) {
		if p.blank(); p.at == at {
			return "", nil, p.unexpected("a line break behind a dot")
		}
	}
	return *name, value, nil
}

// term reads a value; it is a text where it is a binary of plain text.
func (p *terms) term(depth int) (*string, error) {
	if p.count++; depth > maxDepth || p.count > maxTerms {
		return nil, model.Deny(model.CodeTooLarge).Differ(entryMetadata, "more", fmt.Sprintf("at most %d terms, %d deep", maxTerms, maxDepth))
	}
	switch {
	case p.next("<<"):
		return p.binary()
	case p.next("["):
		return nil, p.sequence("]", depth)
	case p.next("{"):
		return nil, p.sequence("}", depth)
	}
	return nil, p.plain()
}

// sequence reads the elements of a list or tuple up to its end.
func (p *terms) sequence(end string, depth int) error {
	if p.next(end) {
		return nil
	}
	for {
		if _, err := p.term(depth + 1); err != nil {
			return err
		}
		switch {
		case p.next(end):
			return nil
		case !p.next(","):
			return p.unexpected("',' or '" + end + "'")
		}
	}
}

// atoms are those that metadata has. Others are refused by hex_core, unless it happens to know them.
var atoms = []string{"true", "false", "nil", "undefined"}

// plain reads an atom or a whole number.
func (p *terms) plain() error {
	p.blank()
	from := p.at
	for p.at < len(p.text) && isWord(p.text[p.at], p.at == from) {
		p.at++
	}
	word := string(p.text[from:p.at])
	for _, a := range atoms {
		if word == a {
			return nil
		}
	}
	if isNumber(word) {
		return nil
	}
	p.at = from
	return p.unexpected("a binary, list, tuple or number, true, false, nil or undefined")
}

func isWord(c byte, first bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '@' || first && c == '-'
}

// maxDigits bounds a number, in digits.
const maxDigits = 20

func isNumber(word string) bool {
	if len(word) > 0 && word[0] == '-' {
		word = word[1:]
	}
	for i := range len(word) {
		if word[i] < '0' || word[i] > '9' {
			return false
		}
	}
	return len(word) > 0 && len(word) <= maxDigits
}

// binary reads what follows "<<": nothing, one text, or bytes as numbers. It is a text where it is plain.
func (p *terms) binary() (*string, error) {
	p.blank()
	switch {
	case p.next(">>"):
		return new(string), nil
	case p.next(`"`):
		text, plain, err := p.quoted()
		if err != nil {
			return nil, err
		}
		if p.next("/") && !p.next("utf8") {
			return nil, p.unexpected("utf8")
		}
		if !p.next(">>") {
			return nil, p.unexpected("'>>'")
		}
		if !plain {
			return nil, nil
		}
		return &text, nil
	}
	for {
		if err := p.byte(); err != nil {
			return nil, err
		}
		switch {
		case p.next(">>"):
			return nil, nil
		case !p.next(","):
			return nil, p.unexpected("',' or '>>'")
		}
	}
}

// byte reads a number of a binary.
func (p *terms) byte() error {
	p.blank()
	value, from := 0, p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' && p.at-from < 3 {
		value = value*10 + int(p.text[p.at]-'0')
		p.at++
	}
	if p.at == from || value > 255 {
		p.at = from
		return p.unexpected("a text or bytes from 0 to 255")
	}
	return nil
}

// escapes are what Erlang writes behind a backslash. Readers differ in what "\^" takes with it, and so in where a text ends.
const escapes = `"\\nrtvbfesd01234567x`

// quoted reads a text behind its first quote. It is plain where it has nothing but ASCII that is shown, and no escape.
func (p *terms) quoted() (text string, plain bool, err error) {
	from, plain := p.at, true
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			text = string(p.text[from:p.at])
			p.at++
			return text, plain, nil
		case c == '\\':
			plain = false
			if p.at++; p.at == len(p.text) || bytes.IndexByte([]byte(escapes), p.text[p.at]) < 0 {
				p.at--
				return "", false, p.unexpected("an escape that Erlang writes")
			}
		case c < ' ' || c > '~':
			plain = false
		}
	}
	return "", false, notTerms("a text without its end", "a quote at its end")
}
