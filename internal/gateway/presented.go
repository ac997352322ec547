package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// presentedKind is how a client proves itself.
type presentedKind string

const (
	presentedNone     presentedKind = "none"
	presentedIdentity presentedKind = "identity_token"
	presentedPublish  presentedKind = "publish_token"
	presentedForeign  presentedKind = "foreign"
)

// presented is the one credential of a request.
type presented struct {
	kind presentedKind
	// token is ours only; a foreign credential is never taken out of its carrier.
	token string
	// known is what the verifier has seen of it.
	known any
	// carrier is the header that carries a foreign credential; empty where it is a query key.
	carrier string
}

// ours is true for a token that is judged and never forwarded.
func (p presented) ours() bool { return p.kind == presentedIdentity || p.kind == presentedPublish }

// presented finds the credential of a request. Two lines of Authorization, or one of our tokens beside anything else, are
// refused; several foreign ones are returned with many set, since a read may pass as it is.
func (g *Gateway) presented(h http.Header, query url.Values) (p presented, many bool, err error) {
	if len(h.Values("Authorization")) > 1 {
		return p, true, model.Deny(model.CodeMultipleCredentials).Differ("Authorization", "more than one line", "one")
	}
	p.kind = presentedNone
	found, mine := 0, 0
	look := func(carrier string, values []string) error {
		for _, v := range values {
			found++
			one, err := g.recognise(v)
			if err != nil {
				return err
			}
			if one.ours() {
				mine++
			} else if g.hides(v) {
				return displaced("beside other text in " + carrier)
			}
			if p.kind == presentedNone || one.ours() {
				p = one
				p.carrier = carrier
			}
		}
		return nil
	}
	for _, name := range g.carriers {
		if name == "Cookie" {
			continue // a cookie alone proves nothing here, and never travels with an unsafe request
		}
		if err := look(name, h[name]); err != nil {
			return p, true, err
		}
	}
	for key, values := range query { // foreign ones: ours are refused there by misplaced
		if isCredentialKey(key) && len(values) > 0 {
			found += len(values)
			if p.kind == presentedNone {
				p.kind = presentedForeign
			}
		}
	}
	if mine > 0 && found > 1 {
		return p, true, model.Deny(model.CodeMultipleCredentials).Differ("credentials", "several", "one")
	}
	return p, found > 1, nil
}

// recognise tells our tokens from everything else, in whatever form a header carries them: Basic, a scheme and a token, a raw
// token, or base64 of user:password.
func (g *Gateway) recognise(value string) (presented, error) {
	value = strings.TrimSpace(value)
	scheme, rest, ok := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	pair := value
	if ok {
		pair = rest
		// Before the whole value: what is ours is recognised loosely, and would be with its scheme in front too.
		if p := g.token(rest); p.ours() && !strings.EqualFold(scheme, "Basic") {
			return p, nil
		}
	}
	if p := g.token(value); p.ours() {
		return p, nil
	}
	user, password, ok := userPassword(pair)
	if !ok {
		return presented{kind: presentedForeign}, nil
	}
	asUser, asPassword := g.token(user), g.token(password)
	switch {
	case asPassword.ours() && asUser.ours(), asUser.ours() && password != "":
		return presented{}, model.Deny(model.CodeMultipleCredentials).Differ("Basic credential", "a token as user beside a password", "user __token__ and the token as password")
	case asPassword.ours():
		return asPassword, nil
	case asUser.ours():
		return asUser, nil
	}
	return presented{kind: presentedForeign}, nil
}

// userPassword decodes base64 of user:password, with or without padding, in either alphabet.
func userPassword(s string) (user, password string, ok bool) {
	s = strings.TrimRight(s, "=")
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		if b, err = base64.RawURLEncoding.DecodeString(s); err != nil {
			return "", "", false
		}
	}
	return strings.Cut(string(b), ":")
}

// token is a text as one of our tokens, or as something foreign.
func (g *Gateway) token(raw string) presented {
	if raw == "" {
		return presented{kind: presentedForeign}
	}
	if g.Tokens.Ours(raw) {
		return presented{kind: presentedPublish, token: raw}
	}
	if seen, ours := g.Verifier.Look(raw); ours {
		return presented{kind: presentedIdentity, token: raw, known: seen.Known}
	}
	return presented{kind: presentedForeign}
}
