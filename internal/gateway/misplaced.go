package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// tokenStart is how every publish token begins: the prefix and the JSON of its header. The prefix alone may be a part of the
	// name of a package.
	tokenStart = "tpub_eyJ" //nolint:gosec // no token
	// minPayload is the shortest middle part of an identity token that is looked for, in base64 digits. The claims that every
	// token has are longer.
	minPayload = 64
)

// misplaced refuses one of our tokens where no credential belongs: a cookie, the path or the query, which end up in logs, or a
// header that the gateway does not read. Nobody would judge it there, and the registry would get it. A usual request costs a
// search for dots, and no memory.
func (g *Gateway) misplaced(r *http.Request, query url.Values) error {
	if g.bears(r.URL.Path) {
		return displaced("path")
	}
	for key, values := range query {
		if g.bears(key) || slices.ContainsFunc(values, g.hides) {
			return displaced("query")
		}
	}
	for name, values := range r.Header {
		if name != headerIdentity && (name == "Cookie" || !slices.Contains(g.carriers, name)) && slices.ContainsFunc(values, g.hides) {
			return displaced(model.OneLine(name, 80))
		}
	}
	return nil
}

func displaced(where string) error {
	return model.Deny(model.CodeTokenMisplaced).Differ("place of the token", where, "Authorization")
}

// bears is true for a text that holds one of our tokens as it is.
func (g *Gateway) bears(s string) bool {
	if strings.Contains(s, tokenStart) {
		return true
	}
	for {
		_, rest, ok := strings.Cut(s, ".")
		if !ok {
			return false
		}
		if end := strings.IndexByte(rest, '.'); end >= minPayload && isBase64(rest[:end]) && g.Verifier.Ours(s[len(s)-len(rest)-1:][:end+2]) {
			return true
		}
		s = rest
	}
}

// hides is bears for a value that may also be encoded: by percent signs, or in base64 as Basic credentials are.
func (g *Gateway) hides(value string) bool {
	if g.bears(value) {
		return true
	}
	if strings.Contains(value, "%") {
		if plain, err := url.PathUnescape(value); err == nil && g.bears(plain) {
			return true
		}
	}
	for word := range strings.FieldsFuncSeq(value, isSeparator) {
		// A cookie is NAME=VALUE, and base64 may end in '='.
		if name, after, ok := strings.Cut(strings.TrimRight(word, "="), "="); ok && name != "" {
			word = after
		}
		if len(word) < minPayload || !isBase64(strings.TrimRight(word, "=")) {
			continue
		}
		if user, password, ok := userPassword(word); ok && (g.bears(user) || g.bears(password)) {
			return true
		}
	}
	return false
}

func isSeparator(r rune) bool { return r <= ' ' || r == ';' || r == ',' || r == '"' }

// isBase64 is true for digits of base64 in either alphabet, without padding.
func isBase64(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '+' || c == '/':
		default:
			return false
		}
	}
	return true
}
