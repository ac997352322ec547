package pypi

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// The features of PEP 807.
const (
	featureSingleUse = "single-use-token"
	featureMultiUse  = "multi-use-token"
)

// maxToken bounds a token in the body of an exchange, in bytes.
const maxToken = 32 << 10

// pytpPath is an endpoint of PEP 807, which names its registry.
var pytpPath = regexp.MustCompile(`^` + rootPytp + `([0-9A-Za-z._~-]+)/(audience|mint-token)$`)

// rootRoutes are the endpoints that name no registry.
var rootRoutes = map[string]struct {
	method string
	op     model.Operation
}{
	rootExchange + "audience":          {http.MethodGet, model.Operation{Kind: model.OperationDiscover, Name: opAudience}},
	rootExchange + "mint-token":        {http.MethodPost, model.Operation{Kind: model.OperationExchange, Name: opMint}},
	rootExchange + "github/mint-token": {http.MethodPost, model.Operation{Kind: model.OperationExchange, Name: opMint}},
	rootExchange + "burn-token":        {http.MethodPost, model.Operation{Kind: model.OperationRevoke, Name: opBurn}},
	rootDiscovery:                      {http.MethodGet, model.Operation{Kind: model.OperationDiscover, Name: opDiscover}},
}

// ClassifyRoot names an exchange, a revocation or a discovery.
func (*protocol) ClassifyRoot(method, path string, _ url.Values, header http.Header) (model.Operation, error) {
	route, ok := rootRoutes[path]
	if m := pytpPath.FindStringSubmatch(path); !ok && m != nil {
		ok = true
		route = rootRoutes[rootExchange+m[2]]
		route.op.Name, route.op.Registry = opPytpAud, m[1]
		if m[2] == opMint {
			route.op.Name = opPytpMint
		}
	}
	if !ok {
		return model.Operation{Kind: model.OperationDiscover}, model.Deny(model.CodeNotFound).Differ("path", brief(path), "an endpoint of the exchange")
	}
	if method != route.method && (method != http.MethodHead || route.method != http.MethodGet) {
		return route.op, model.Deny(model.CodeUnsupportedOperation).Differ("method of "+path, brief(method), route.method)
	}
	if ofPytp(route.op) && !acceptsPytp(header.Values("Accept")) {
		return route.op, model.Deny(model.CodeNotAcceptable).Differ("Accept", brief(strings.Join(header.Values("Accept"), ", ")), mediaPytp)
	}
	return route.op, nil
}

// ofPytp is true for the endpoints of PEP 807.
func ofPytp(op model.Operation) bool { return strings.HasPrefix(op.Name, opDiscover) }

// acceptsPytp is true where no Accept was sent, or one of its ranges takes the type of PEP 807.
func acceptsPytp(accept []string) bool {
	if len(accept) == 0 {
		return true
	}
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, params, _ := strings.Cut(entry, ";")
		if strings.ReplaceAll(params, " ", "") == "q=0" {
			continue
		}
		if slices.Contains([]string{mediaPytp, "application/*", "*/*"}, strings.ToLower(strings.TrimSpace(media))) {
			return true
		}
	}
	return false
}

// ParseExchange reads the JSON body of an exchange or a revocation, whatever its Content-Type says, as clients send several.
func (*protocol) ParseExchange(op model.Operation, _ http.Header, body []byte) (model.Exchange, error) {
	var in struct {
		Token    string   `json:"token"`
		Features []string `json:"features"`
	}
	// The decoder's error may quote the body, which holds a token, so it is dropped.
	if err := json.Unmarshal(body, &in); err != nil {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).
			Differ("body", "something else", `one JSON object with each name once, as in {"token": "..."}`)
	}
	if in.Token == "" || len(in.Token) > maxToken || strings.ContainsFunc(in.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("token in the body", "no token", "the token, without spaces or line breaks")
	}
	ex := model.Exchange{Token: in.Token}
	if op.Kind != model.OperationExchange {
		return ex, nil
	}
	for _, f := range in.Features {
		if f != featureSingleUse && f != featureMultiUse {
			return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("feature", brief(f), featureSingleUse+" or "+featureMultiUse)
		}
	}
	ex.SingleUse = slices.Contains(in.Features, featureSingleUse)
	if ex.SingleUse && slices.Contains(in.Features, featureMultiUse) {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("features", "both", featureSingleUse+" or "+featureMultiUse)
	}
	return ex, nil
}

// Minted answers an exchange.
func (*protocol) Minted(op model.Operation, token string, expiry time.Time) model.Reply {
	if ofPytp(op) {
		return pytpReply(http.StatusOK, struct {
			Token   string `json:"token"`
			Expires int64  `json:"expires"`
		}{token, expiry.Unix()})
	}
	return jsonReply(http.StatusOK, "application/json", struct {
		Success bool   `json:"success"`
		Token   string `json:"token"`
		Expires int64  `json:"expires"`
	}{true, token, expiry.Unix()})
}

// Revoked answers a revocation.
func (*protocol) Revoked(model.Operation) model.Reply {
	return model.Reply{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}
}

// Discover answers the audience endpoints and PEP 807's discovery.
func (*protocol) Discover(op model.Operation, query url.Values, registries []ecosystem.Discoverable) (model.Reply, error) {
	if len(registries) == 0 {
		return model.Reply{}, model.Deny(model.CodeNotFound).Differ("registry", op.Registry, "one of this host")
	}
	if op.Name != opDiscover {
		answer := struct {
			Audience string `json:"audience"`
		}{audience(registries)}
		if ofPytp(op) {
			return pytpReply(http.StatusOK, answer), nil
		}
		return jsonReply(http.StatusOK, "application/json", answer), nil
	}
	if len(query["discover"]) != 1 {
		return model.Reply{}, model.Deny(model.CodeBadRequest).Differ("discover in the query", brief(strings.Join(query["discover"], ", ")), "the path of the publish URL, once")
	}
	want := query.Get("discover")
	for _, r := range registries {
		if samePath(want, r.Public) {
			return pytpReply(http.StatusOK, discovery(r)), nil
		}
	}
	return model.Reply{}, model.Deny(model.CodeNotFound).Differ("path of the publish URL", brief(want), "that of a registry of this host")
}

// audience is the one that most of the registries show, the first of several: clients that ask at the host's root name none.
func audience(registries []ecosystem.Discoverable) string {
	votes := map[string]int{}
	for _, r := range registries {
		votes[r.Audience]++
	}
	return slices.MaxFunc(registries, func(a, b ecosystem.Discoverable) int { return cmp.Compare(votes[a.Audience], votes[b.Audience]) }).Audience
}

// samePath compares the path of an upload URL with a registry's, without the final slash that clients drop or add.
func samePath(path string, public *url.URL) bool {
	path = strings.TrimSuffix(path, "/")
	return path == strings.TrimSuffix(public.Path, "/") || path == strings.TrimSuffix(public.EscapedPath(), "/")
}

type discovered struct {
	Audience string   `json:"audience-endpoint"`
	Mint     string   `json:"token-mint-endpoint"`
	Features []string `json:"features"`
	Default  []string `json:"default-features"`
}

func discovery(r ecosystem.Discoverable) discovered {
	base := r.Public.Scheme + "://" + r.Public.Host + rootPytp + url.PathEscape(r.Name) + "/"
	return discovered{
		Audience: base + opAudience, Mint: base + opMint,
		Features: []string{featureSingleUse, featureMultiUse}, Default: []string{featureMultiUse},
	}
}

func pytpReply(status int, v any) model.Reply { return jsonReply(status, mediaPytp, v) }

// jsonReply writes an answer of that media type.
func jsonReply(status int, media string, v any) model.Reply {
	reply := ecosystem.JSON(status, v)
	reply.Header.Set("Content-Type", media)
	return reply
}
