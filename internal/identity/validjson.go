package identity

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// validReader reads JSON that is known to be valid, without a key that is there twice. All its texts are parts of one piece of
// memory, which is what a claim costs least in and what a remembered token holds fewest pieces by.
type validReader struct {
	text string
	at   int
}

// value reads the next value; false for one that is nested too deeply, or that this reader was not made for.
func (r *validReader) value(depth int) (any, bool) {
	if depth > maxDepth {
		return nil, false
	}
	switch c := r.next(); c {
	case '{':
		return r.members(depth)
	case '[':
		return r.elements(depth)
	case '"':
		return r.str()
	case 't':
		return true, r.skip("true")
	case 'f':
		return false, r.skip("false")
	case 'n':
		return nil, r.skip("null")
	default:
		return r.number()
	}
}

func (r *validReader) members(depth int) (any, bool) {
	room := 0
	if depth == 0 {
		room = strings.Count(r.text, ",") + 1 // of the claims, or somewhat more
	}
	object := make(map[string]any, min(room, maxRoom))
	r.at++
	if r.next() == '}' {
		r.at++
		return object, true
	}
	for {
		if r.next() != '"' {
			return nil, false
		}
		name, ok := r.str()
		if !ok || r.next() != ':' {
			return nil, false
		}
		r.at++
		v, ok := r.value(depth + 1)
		if !ok {
			return nil, false
		}
		object[name] = v
		if more, ok := r.more('}'); !more {
			return object, ok
		}
	}
}

// maxRoom bounds the room that is made for members before they are read.
const maxRoom = 64

func (r *validReader) elements(depth int) (any, bool) {
	list := []any{}
	r.at++
	if r.next() == ']' {
		r.at++
		return list, true
	}
	for {
		v, ok := r.value(depth + 1)
		if !ok {
			return nil, false
		}
		list = append(list, v)
		if more, ok := r.more(']'); !more {
			return list, ok
		}
	}
}

// more reads the comma before the next, or the end.
func (r *validReader) more(end byte) (more, ok bool) {
	c := r.next()
	r.at++
	return c == ',', c == end
}

// str reads a text, with its quotation marks.
func (r *validReader) str() (string, bool) {
	from := r.at
	rest := r.text[from+1:]
	end := strings.IndexByte(rest, '"')
	if end < 0 {
		return "", false
	}
	if plain := rest[:end]; strings.IndexByte(plain, '\\') < 0 {
		r.at = from + end + 2
		return plain, true
	}
	for end = 0; end < len(rest) && rest[end] != '"'; end++ {
		if rest[end] == '\\' {
			end++
		}
	}
	if end >= len(rest) {
		return "", false
	}
	r.at = from + end + 2
	text, err := jsontext.AppendUnquote(nil, r.text[from:r.at])
	return string(text), err == nil
}

func (r *validReader) number() (any, bool) {
	from := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.0123456789Ee", r.text[r.at]) >= 0 {
		r.at++
	}
	return json.Number(r.text[from:r.at]), r.at > from
}

func (r *validReader) skip(word string) bool {
	r.at += len(word)
	return r.at <= len(r.text)
}

// next is the next character that is no space; zero at the end.
func (r *validReader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		if c := r.text[r.at]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}
