package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds the nesting of a JSON document; no token or key set comes near.
const maxDepth = 32

// parseObject reads one JSON object with nothing after it. What two parsers could read differently is refused: a key that
// is there twice (compared after unescaping), invalid UTF-8, anything that RFC 8259 does not allow. Numbers keep
// their spelling as json.Number.
//
// The library judges the whole document at once, and what it has found good is read without asking again. All else is read token by
// token, which says what is wrong.
func parseObject(data []byte) (map[string]any, error) {
	if jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)) {
		r := validReader{text: string(data)}
		if v, ok := r.value(0); ok {
			if object, ok := v.(map[string]any); ok {
				return object, nil
			}
		}
	}
	return parseTokens(data)
}

// parseTokens is parseObject by tokens.
func parseTokens(data []byte) (map[string]any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	if d.PeekKind() != '{' {
		return nil, errors.New("not a JSON object")
	}
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	object, _ := v.(map[string]any)
	return object, nil
}

func parseValue(d *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested deeper than %d", maxDepth)
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, jsonError(err)
	}
	switch token.Kind() {
	case '{':
		return parseMembers(d, depth)
	case '[':
		return parseElements(d, depth)
	case '"':
		return token.String(), nil
	case '0':
		return json.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil
	}
}

func parseMembers(d *jsontext.Decoder, depth int) (any, error) {
	object := make(map[string]any, 16)
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, jsonError(err)
		}
		// The token is only good until the next read.
		key := name.String()
		if object[key], err = parseValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	return object, nil
}

func parseElements(d *jsontext.Decoder, depth int) (any, error) {
	list := []any{}
	for d.PeekKind() != ']' {
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	return list, nil
}

// jsonError keeps the kind of a syntax error and drops the text that it quotes, which is part of a token.
func jsonError(err error) error {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return errors.New("JSON has a key twice in one object")
	case errors.As(err, &syntactic):
		return fmt.Errorf("JSON is malformed at byte %d", syntactic.ByteOffset)
	default:
		return errors.New("JSON is cut off")
	}
}

// mentionsIssuer is true where some top-level "iss" of a payload is one of the known ones. It is lenient where parseObject is
// strict: a token of ours in a wrong spelling must be recognised, to be refused instead of being passed on as foreign.
func mentionsIssuer(payload []byte, known func(string) bool) bool {
	d := jsontext.NewDecoder(bytes.NewReader(payload), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return false
		}
		if name.String() != "iss" || d.PeekKind() != '"' {
			if err := d.SkipValue(); err != nil {
				return false
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil {
			return false
		}
		if known(value.String()) {
			return true
		}
	}
	return false
}
