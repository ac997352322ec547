package gateway

import (
	"net/url"
	"regexp"
	"strings"
)

// link is the address in a value of Link.
var link = regexp.MustCompile(`<([^<>]*)>`)

// addresses keeps addresses on the public host, turns those that name the registry's path behind another host into ours, and drops
// the rest, which would leak the registry's own address, or lead the client and its token elsewhere.
func (g *guard) addresses() {
	for _, name := range []string{"Location", "Content-Location"} {
		value := g.header.Get(name)
		if value == "" {
			continue
		}
		if public, ok := g.public(value); ok && len(g.header.Values(name)) == 1 {
			g.header.Set(name, public)
		} else {
			g.header.Del(name)
		}
	}
	lines := g.header.Values("Link") // the next page of a list
	g.header.Del("Link")
	for _, line := range lines {
		kept := true
		line = link.ReplaceAllStringFunc(line, func(at string) string {
			public, ok := g.public(at[1 : len(at)-1])
			kept = kept && ok
			return "<" + public + ">"
		})
		if kept {
			g.header.Add("Link", line)
		}
	}
}

// public is an address as a client may see it; false for one that is not on our host.
func (g *guard) public(value string) (string, bool) {
	u, err := url.Parse(value)
	own := g.t.route.candidates[0].Public
	if g.t.reg != nil {
		own = g.t.reg.Public
	}
	switch {
	case err != nil || strings.Contains(value, "\\"): // some clients take it for a slash, and what follows for a host
		return "", false
	case u.Host == "" && u.Scheme == "":
		return value, true
	case u.Opaque == "" && (sameHost(u.Host, own) || strings.HasPrefix(u.EscapedPath(), own.EscapedPath())):
		// With its scheme, or the client would send its token in clear text.
		u.Scheme, u.Host, u.User = own.Scheme, own.Host, nil
		return u.String(), true
	}
	return "", false
}
