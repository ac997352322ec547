package gateway

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// pythonEscapes turns HTML's escapes as Go writes them into those of Python.
var pythonEscapes = strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;")

// quotable are the texts of a credential that an answer could quote.
type quotable struct {
	header http.Header
	texts  []string
}

// is true where they are those of that credential.
func (q *quotable) is(header http.Header) bool {
	return q != nil && maps.EqualFunc(q.header, header, slices.Equal[[]string])
}

// secrets are secretsOf a credential, which are remembered for the next request where it is one that does not change: nothing ends it and
// nobody has said how long it is good.
func (reg *registry) secrets(cred model.Credential) []string {
	if cred.Revoke != nil || cred.Refused != nil || !cred.Expiry.IsZero() {
		return secretsOf(cred)
	}
	if known := reg.quoted.Load(); known.is(cred.Header) {
		return known.texts
	}
	known := &quotable{header: cred.Header.Clone(), texts: secretsOf(cred)}
	reg.quoted.Store(known)
	return known.texts
}

// secretsOf lists the texts by which an answer could quote a credential: as it is, and as JSON, HTML and URLs escape it.
func secretsOf(cred model.Credential) []string {
	var out []string
	add := func(s string) {
		if len(s) < minSecret {
			return
		}
		out = append(out, s)
		if isBase64(strings.TrimRight(s, "=")) {
			return // most tokens: there is nothing to escape
		}
		quoted, page := strconv.Quote(s), html.EscapeString(s)
		for _, form := range []string{quoted[1 : len(quoted)-1], page, pythonEscapes.Replace(page), url.QueryEscape(s), url.PathEscape(s)} {
			if !slices.Contains(out, form) {
				out = append(out, form)
			}
		}
	}
	for _, values := range cred.Header {
		for _, v := range values {
			scheme, rest, ok := strings.Cut(v, " ")
			if !ok {
				add(v)
				continue
			}
			add(rest)
			if strings.EqualFold(scheme, "Basic") {
				if b, err := base64.StdEncoding.DecodeString(rest); err == nil {
					_, password, _ := strings.Cut(string(b), ":")
					add(password)
				}
			}
		}
	}
	return out
}

// quotedInHeader is true where the answer's header, of an answer of any size, quotes the credential.
func (g *guard) quotedInHeader() bool {
	for _, secret := range g.secrets {
		for _, values := range g.header {
			if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, secret) }) {
				return true
			}
		}
	}
	return false
}

// maxPlain bounds what a held answer is unpacked to, in bytes.
const maxPlain = 4 << 20

// encodedError is an answer in a form that nobody asked for, as its cause.
type encodedError string

func (e encodedError) Error() string {
	return fmt.Sprintf("the registry answered in Content-Encoding %.40q, which was not asked for and can't be searched for the credential", string(e))
}

// plainText undoes the encodings of a held answer, as far as it is there, so that it can be searched: some registries and caches
// compress whatever was asked for. One that can't be undone is an error.
func plainText(held []byte, encodings []string) ([]byte, error) {
	all := strings.FieldsFunc(strings.ToLower(strings.Join(encodings, ",")), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	text := held
	for _, encoding := range slices.Backward(all) { // the last was applied last
		var r io.Reader
		var err error
		switch encoding {
		case "identity":
			continue
		case "gzip", "x-gzip":
			r, err = gzip.NewReader(bytes.NewReader(text))
		case "deflate":
			r, err = zlib.NewReader(bytes.NewReader(text))
		default:
			err = encodedError(encoding)
		}
		if len(text) == 0 {
			return nil, nil // the answer to a HEAD, or an empty one
		}
		if err != nil {
			return nil, encodedError(encoding)
		}
		text, _ = io.ReadAll(io.LimitReader(r, maxPlain)) // the end may be still to come
	}
	return text, nil
}
