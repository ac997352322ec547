package provider

import (
	"errors"
	"fmt"
	"strings"
)

// Unescaping of a JSON pointer (RFC 6901), so that a key with a slash or a tilde has one spelling and no other path has the same.
var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// Below finds a value by a JSON pointer (RFC 6901) through objects: "/kubernetes.io/serviceaccount/name"; in a key, ~1 is a
// slash and ~0 a tilde. It does not look into lists. It is false where the value is absent or null.
func Below(claims map[string]any, pointer string) (any, bool) {
	var v any = claims
	for rest := pointer; rest != ""; {
		var key string
		key, rest = nextKey(rest)
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		v = object[key]
	}
	return v, v != nil
}

// nextKey cuts the first key from a pointer, which begins with a slash.
func nextKey(pointer string) (key, rest string) {
	key = pointer[1:]
	if at := strings.IndexByte(key, '/'); at >= 0 {
		key, rest = key[:at], key[at:]
	}
	if strings.Contains(key, "~") {
		key = unescape.Replace(key)
	}
	return key, rest
}

// CheckPointer says what is wrong with a pointer to a claim: it must lead at least two keys deep, since a key at the top is
// written as it is, unless that begins with a slash; and a tilde is ~0 and nothing else but ~1.
func CheckPointer(pointer string) error {
	if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(pointer), "~") {
		return fmt.Errorf("%q has a tilde that is neither ~0 (a tilde) nor ~1 (a slash)", pointer)
	}
	first, rest := nextKey(pointer)
	switch {
	case rest == "" && !strings.HasPrefix(first, "/"):
		return fmt.Errorf("%q is a claim at the top; write it without the slash, %q", pointer, first)
	case strings.Contains(pointer, "//") || strings.HasSuffix(pointer, "/"):
		return errors.New("a path of claims has an empty key")
	}
	return nil
}
