package gateway

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// headerIdentity carries an identity token beside a foreign credential while an organisation moves over.
const headerIdentity = "X-Trustpub-Identity"

// hopHeaders never travel on: RFC 9110 section 7.6.1 and what Caddy's reverse proxy removes.
var hopHeaders = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Upgrade",
	"Http2-Settings", "Alt-Svc",
}

// shapingHeaders let a client choose what URL, user or method a registry sees, so they are removed from every request.
var shapingHeaders = []string{
	"X-Outside-Url", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
	"X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Original-Url", "X-Original-Uri",
	"X-Original-Host", "X-Rewrite-Url", "X-Script-Name", "Script-Name", "X-Host", "Front-End-Https",
	"X-Remote-User", "Remote-User", "X-Webauth-User", "X-Webauth-Email", "X-Webauth-Fullname", "X-Forwarded-User", "X-Forwarded-Email",
	"X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups",
	"X-Authenticated-User", "X-User", "X-Rut-User",
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Method", "X-Forwarded-Method",
	// What servers behind one take for their own settings: the proxy of CGI programs, Rack's way to send files, Next.js' inner requests.
	"Proxy", "X-Sendfile-Type", "X-Accel-Mapping", "X-Middleware-Subrequest",
	"X-Jfrog-Override-Base-Url", "X-Artifactory-Override-Base-Url",
	"Idempotency-Key", headerIdentity,
}

// credentialHeaders are read as credentials by one registry or another, beside what an ecosystem names.
var credentialHeaders = []string{
	"Authorization", "X-Devpi-Auth", "X-Jfrog-Art-Api", "X-Nuget-Apikey", "Private-Token", "Job-Token", "Deploy-Token", "X-Api-Key", "Cookie",
}

// CredentialHeaders are the headers that are read as credentials whatever the ecosystem, which adds its own.
func CredentialHeaders() []string { return slices.Clone(credentialHeaders) }

// credentialKeys are query keys that one registry or another reads as a credential.
var credentialKeys = []string{"token", "access_token", "job_token", "private_token", "api_key", "apikey", "auth"}

// unsafeHeaders may travel with an unsafe request of any ecosystem.
var unsafeHeaders = []string{"Accept", "Accept-Language", "Content-Type", "User-Agent", "X-Forwarded-For"}

// clean makes the header of the forwarded request: a copy without hop-by-hop, shaping and connection-named headers, without those
// that only the gateway sets, and without names that servers fold onto others, as X_Remote_User or X!Remote!User onto X-Remote-User.
// The original stays as it is, since error routes see it again.
func (g *Gateway) clean(in http.Header) http.Header {
	lines := 0
	for _, values := range in {
		lines += len(values)
	}
	room := make([]string, 0, lines) // of all values, as http.Header.Clone has it
	out := make(http.Header, len(in)+usualAdditions)
	for name, values := range in {
		if _, drops := neverForwarded[name]; drops || slices.Contains(g.reserved, name) || !plainName(name) {
			continue
		}
		if values == nil { // tells a proxy not to set it
			out[name] = nil
			continue
		}
		from := len(room)
		room = append(room, values...)
		out[name] = room[from:len(room):len(room)]
	}
	for _, line := range in["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			// A client that names Authorization here would make a later proxy drop the credential that we set.
			out.Del(textproto.TrimString(token))
		}
	}
	return out
}

// usualAdditions are the headers that the gateway sets, for the room that a small map has at once.
const usualAdditions = 2

// neverForwarded are hopHeaders and shapingHeaders.
var neverForwarded = func() map[string]struct{} {
	all := map[string]struct{}{}
	for _, name := range slices.Concat(hopHeaders, shapingHeaders) {
		all[http.CanonicalHeaderKey(name)] = struct{}{}
	}
	return all
}()

// plainName is true for a name of letters, digits and '-'.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && (!unreserved(c) || c == '.' || c == '_' || c == '~') {
			return false
		}
	}
	return true
}

// checkConnection refuses a Connection that names headers of the request itself, which must then not be forwarded: without its
// Content-Type, the form that was judged is a urlencoded form to some registries, with other fields.
func checkConnection(h http.Header) error {
	for _, line := range h.Values("Connection") {
		for token := range strings.SplitSeq(line, ",") {
			token = textproto.TrimString(token)
			if token != "" && !strings.EqualFold(token, "close") && !slices.Contains(hopHeaders, textproto.CanonicalMIMEHeaderKey(token)) {
				return model.Deny(model.CodeUnsupportedFraming).Differ("Connection", model.OneLine(token, 80), "close or keep-alive")
			}
		}
	}
	return nil
}

// dropCredentials removes every carrier of a credential.
func (g *Gateway) dropCredentials(h http.Header) {
	for _, name := range g.carriers {
		delete(h, name)
	}
}

// keepOnly leaves the named headers.
func keepOnly(h http.Header, lists ...[]string) {
	for name := range h {
		if !slices.ContainsFunc(lists, func(list []string) bool {
			return slices.ContainsFunc(list, func(want string) bool { return strings.EqualFold(want, name) })
		}) {
			delete(h, name)
		}
	}
}

// keepQuery leaves the named keys of a query, in their order and spelling.
func keepQuery(raw string, keep func(key string) bool) string {
	if raw == "" {
		return ""
	}
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(key); err == nil && keep(name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

func isCredentialKey(key string) bool {
	return slices.ContainsFunc(credentialKeys, func(k string) bool { return strings.EqualFold(k, key) })
}

// forwarded makes the request that goes on, without a body plan: cleaned headers, no trailers.
func (g *Gateway) forwarded(r *http.Request) *http.Request {
	out := new(http.Request)
	*out = *r
	out.Header = g.clean(r.Header)
	out.Trailer = nil
	out.TransferEncoding = nil
	return out
}

// withQuery replaces the query of a forwarded request.
func withQuery(out *http.Request, raw string) {
	if raw == out.URL.RawQuery {
		return
	}
	u := *out.URL
	u.RawQuery, u.ForceQuery = raw, false
	out.URL = &u
	out.RequestURI = u.RequestURI()
}

// anonymous strips a forwarded read of everything that could be a credential.
func (g *Gateway) anonymous(out *http.Request) {
	g.dropCredentials(out.Header)
	withQuery(out, keepQuery(out.URL.RawQuery, func(k string) bool { return !isCredentialKey(k) }))
}

// restrict leaves an unsafe request only what the operation allows.
func (g *Gateway) restrict(out *http.Request, reg *Registry, op model.Operation, extra ...string) {
	var foreign http.Header
	for _, name := range extra {
		if v := out.Header.Values(name); len(v) > 0 {
			if foreign == nil {
				foreign = http.Header{}
			}
			foreign[http.CanonicalHeaderKey(name)] = v
		}
	}
	g.dropCredentials(out.Header)
	keepOnly(out.Header, unsafeHeaders, op.Headers, reg.Headers)
	for name, v := range foreign {
		out.Header[name] = v
	}
	withQuery(out, keepQuery(out.URL.RawQuery, func(k string) bool {
		return slices.Contains(op.Query, k) || slices.Contains(reg.Query, k)
	}))
}
