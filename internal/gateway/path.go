package gateway

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// checkMethod refuses what is never part of a package protocol.
func checkMethod(r *http.Request) error {
	switch r.Method {
	case http.MethodConnect, http.MethodTrace:
		return model.Deny(model.CodeUnsupportedFraming).Differ("method", r.Method, "a method of the ecosystem")
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if r.ContentLength != 0 {
			return model.Deny(model.CodeUnsupportedFraming).Differ("body of a "+r.Method, "present", "none")
		}
	}
	return nil
}

// checkPath refuses a request target that two parsers could read in two ways. It judges the escaped path as it was sent.
func checkPath(r *http.Request, original *url.URL) error {
	u := r.URL
	if original != nil {
		if original.EscapedPath() != u.EscapedPath() || original.RawQuery != u.RawQuery {
			return model.Deny(model.CodeRewrittenPath).Differ("path", u.EscapedPath(), original.EscapedPath())
		}
		u = original
	}
	if u.Host != "" || u.Scheme != "" || u.Opaque != "" {
		return ambiguous("request target", "absolute form", "a path")
	}
	for i := 0; i < len(r.RequestURI); i++ {
		if c := r.RequestURI[i]; c <= 0x20 || c >= 0x7f || c == '\\' || c == '#' {
			return ambiguous("request target", "a control, backslash, '#' or non-ASCII character", "printable ASCII")
		}
	}
	if err := checkEscaped(u.EscapedPath()); err != nil {
		return err
	}
	for _, c := range []byte(u.Path) {
		if c < 0x20 || c >= 0x7f || c == '\\' || c == '%' {
			return ambiguous("path", "an encoded control, backslash, percent or non-ASCII character", "printable ASCII")
		}
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return ambiguous("query", "malformed", "key=value pairs joined by '&'")
	}
	return nil
}

// checkEscaped looks at the escaped path alone.
func checkEscaped(path string) error {
	if path == "" || path[0] != '/' {
		return ambiguous("path", path, "a path that begins with '/'")
	}
	if strings.Contains(path, "//") || strings.Contains(path, ";") {
		return ambiguous("path", "a doubled slash or a semicolon", "neither")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return ambiguous("path", "a dot segment", "none")
		}
	}
	for i := 0; i+2 < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		c := unhex(path[i+1])<<4 | unhex(path[i+2])
		switch {
		case c == '/' && npmScope(path, i):
		case c == '/' || c == '\\' || c == '%' || c == ';' || c < 0x20 || c >= 0x7f:
			return ambiguous("path", "an encoded separator or control character", "none")
		case unreserved(c):
			return ambiguous("path", "an encoded letter, digit, '-', '.', '_' or '~'", "the character itself")
		}
		i += 2
	}
	return nil
}

// npmScope is true where the "%2f" at i stands between an npm scope and its name, as in /@scope%2fname, or /%40scope%2fname as some
// registries write it into the addresses of their files.
func npmScope(path string, i int) bool {
	scope, rest := path[strings.LastIndexByte(path[:i], '/')+1:i], path[i+3:]
	name, ok := strings.CutPrefix(scope, "@")
	if !ok {
		name, ok = strings.CutPrefix(scope, "%40")
	}
	// A name never begins with a dot, and a server that decodes first would take one or two for a step.
	return ok && rest != "" && rest[0] != '/' && rest[0] != '.' && !strings.Contains(name, "%")
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}

// unreserved is RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func ambiguous(field, got, want string) error {
	return model.Deny(model.CodeAmbiguousPath).Differ(field, got, want)
}

// sameHost compares a request's Host with a public URL's, leaving out the scheme's default port.
func sameHost(host string, public *url.URL) bool {
	host = strings.ToLower(host)
	if name, port, err := net.SplitHostPort(host); err == nil {
		if public.Scheme == "https" && port == "443" || public.Scheme == "http" && port == "80" {
			host = name
			if strings.Contains(name, ":") {
				host = "[" + name + "]"
			}
		}
	}
	return host == public.Host
}

// route is where a request belongs.
type route struct {
	// registry is set for a path inside a registry; path is then relative to it.
	registry *registry
	path     string
	// candidates are the registries of this host.
	candidates []*registry
}

// route finds the registry by host and the longest prefix of the escaped path.
func (g *Gateway) route(host, path string) (route, error) {
	var out route
	best := -1
	for i := range g.registries {
		reg := &g.registries[i]
		if !sameHost(host, reg.Public) {
			continue
		}
		out.candidates = append(out.candidates, reg)
		if rel, ok := under(path, reg.prefix); ok && len(reg.prefix) > best {
			best, out.registry, out.path = len(reg.prefix), reg, rel
		}
	}
	if out.candidates == nil {
		return out, model.Deny(model.CodeUnknownHost).Differ("host", host, "")
	}
	return out, nearMiss(path, out.candidates, best)
}

// under cuts a prefix that ends in a slash: the prefix without its slash gives "", else what is left begins with "/".
func under(path, prefix string) (string, bool) {
	if path+"/" == prefix {
		return "", true
	}
	if strings.HasPrefix(path, prefix) {
		return path[len(prefix)-1:], true
	}
	return "", false
}

// nearMiss refuses a path that would be inside a registry of a longer prefix if it were decoded or written in lower case: an upstream
// may well read it so.
func nearMiss(path string, candidates []*registry, best int) error {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return ambiguous("path", "malformed", "a valid path")
	}
	folded := strings.ToLower(decoded)
	for _, reg := range candidates {
		if len(reg.prefix) <= best {
			continue
		}
		if _, ok := under(folded, strings.ToLower(reg.Public.Path)); ok {
			return ambiguous("path", path, "the spelling of "+reg.Public.EscapedPath())
		}
	}
	return nil
}
