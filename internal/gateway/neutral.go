package gateway

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// The endpoints that every host has, whatever its registries' ecosystems. They lie before every registry, one at the root too.
const (
	pathDiscovery = "/.well-known/trusted-publishing"
	pathExchange  = pathDiscovery + "/exchange"
	pathRevoke    = pathDiscovery + "/revoke"
)

// discoveryVersion is that of the discovery's form. It grows only when a client that knows the old one would go wrong.
const discoveryVersion = 1

// discoveryAge is how long a cache may keep a discovery, in seconds as HTTP has it.
const discoveryAge = "public, max-age=300"

// neutralRoutes are the endpoints, each with its one method.
var neutralRoutes = map[string]struct {
	method string
	op     model.Operation
}{
	pathDiscovery: {http.MethodGet, model.Operation{Kind: model.OperationDiscover, Name: "discovery"}},
	pathExchange:  {http.MethodPost, model.Operation{Kind: model.OperationExchange, Name: "exchange"}},
	pathRevoke:    {http.MethodPost, model.Operation{Kind: model.OperationRevoke, Name: "revoke"}},
}

// discovered is a registry as the discovery shows it. Nothing of it is secret: it is what a client's configuration has.
type discovered struct {
	Name      string `json:"name"`
	Ecosystem string `json:"ecosystem"`
	URL       string `json:"url"`
	Audience  string `json:"audience"`
	Exchange  string `json:"exchange"`
	Revoke    string `json:"revoke"`
}

// neutral answers discovery, exchange and revocation for all registries of a host, of every ecosystem.
func (t *transaction) neutral() (handled bool, err error) {
	path := t.r.URL.EscapedPath()
	route, ok := neutralRoutes[path]
	if !ok {
		return false, nil
	}
	t.plainly, t.reg, t.op = true, nil, route.op
	t.event.Mode, t.event.Operation = "", route.op.Name
	if t.r.Method != route.method && (t.r.Method != http.MethodHead || route.method != http.MethodGet) {
		return true, model.Deny(model.CodeUnsupportedOperation).Differ("method of "+path, model.OneLine(t.r.Method, 20), route.method)
	}
	if route.op.Kind == model.OperationDiscover {
		t.discovery()
		return true, nil
	}
	body, err := t.exchangeBody()
	if err != nil {
		return true, err
	}
	ex, name, err := parseNeutral(route.op, body)
	if err != nil {
		return true, err
	}
	if route.op.Kind == model.OperationRevoke {
		if err := t.revoke(ex); err != nil {
			return true, err
		}
		t.reply(model.Reply{Status: http.StatusNoContent})
		return true, nil
	}
	group := t.route.candidates
	if name != "" {
		group = slices.DeleteFunc(slices.Clone(group), func(r *registry) bool { return r.Name != name })
		if len(group) == 0 {
			return true, model.Deny(model.CodeNotFound).Differ("registry", model.OneLine(name, 80), "one of this host, as GET "+pathDiscovery+" lists them")
		}
	}
	token, grant, err := t.mint(ex, group)
	if err != nil {
		return true, err
	}
	t.reply(ecosystem.JSON(http.StatusOK, struct {
		Token      string    `json:"token"`
		ExpiresAt  time.Time `json:"expires_at"`
		ExpiresIn  int64     `json:"expires_in"`
		Registries []string  `json:"registries"`
	}{token, grant.Expiry, max(1, int64(grant.Expiry.Sub(t.g.Now())/time.Second)), grant.Registries}))
	return true, nil
}

// discovery lists the registries of the host. It never says which of them a caller could publish to.
func (t *transaction) discovery() {
	t.silent = true
	out := struct {
		Version    int          `json:"version"`
		Registries []discovered `json:"registries"`
	}{Version: discoveryVersion}
	for _, reg := range t.route.candidates {
		base := reg.Public.Scheme + "://" + reg.Public.Host
		out.Registries = append(out.Registries, discovered{
			Name: reg.Name, Ecosystem: reg.Protocol, URL: reg.Public.String(), Audience: reg.Audiences[0],
			Exchange: base + pathExchange, Revoke: base + pathRevoke,
		})
	}
	reply := ecosystem.JSON(http.StatusOK, out)
	reply.Header.Set("Cache-Control", discoveryAge)
	t.reply(reply)
}

// maxNeutralToken bounds a token in the body of an exchange, in bytes.
const maxNeutralToken = 32 << 10

// parseNeutral reads the JSON body of an exchange or a revocation, whatever its Content-Type says.
func parseNeutral(op model.Operation, body []byte) (ex model.Exchange, registry string, err error) {
	var in struct {
		Token    string `json:"token"`
		Registry string `json:"registry"`
	}
	// The decoder's error may quote the body, which holds a token, so it is dropped.
	if err := json.Unmarshal(body, &in, json.RejectUnknownMembers(true)); err != nil {
		want := `one JSON object with each name once, as in {"token": "...", "registry": "internal-maven"}`
		if op.Kind == model.OperationRevoke {
			want = `one JSON object with each name once, as in {"token": "..."}`
		}
		return ex, "", model.Deny(model.CodeBadRequest).Differ("body", "something else", want)
	}
	if in.Registry != "" && op.Kind == model.OperationRevoke {
		return ex, "", model.Deny(model.CodeBadRequest).Differ("registry in the body", "present", "none: a token is revoked for all its registries")
	}
	if in.Token == "" || len(in.Token) > maxNeutralToken || slices.ContainsFunc([]byte(in.Token), func(c byte) bool { return c <= ' ' || c > '~' }) {
		return ex, "", model.Deny(model.CodeBadRequest).Differ("token in the body", "no token", "the token, without spaces or line breaks")
	}
	return model.Exchange{Token: in.Token}, in.Registry, nil
}

// neutralDenial is a denial in no ecosystem's dialect, as RFC 9457 has it.
func neutralDenial(d *model.Denial) model.Reply {
	reply := ecosystem.JSON(d.Status, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
		Event  string `json:"event,omitempty"`
	}{"about:blank", http.StatusText(d.Status), d.Status, d.Sentence(), string(d.Code), d.Event})
	reply.Header.Set("Content-Type", "application/problem+json")
	if d.Status == http.StatusUnauthorized {
		reply.Header.Set("WWW-Authenticate", `Bearer realm="trustpub"`)
	}
	return reply
}
