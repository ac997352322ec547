package cargo

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// ClassifyRoot is never called: there are no root paths.
func (*protocol) ClassifyRoot(method, path string, _ url.Values, _ http.Header) (model.Operation, error) {
	return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).Differ("operation", brief(method+" "+path), "one of a registry")
}

// ParseExchange takes the identity token from the body, and the publish token to revoke from the Authorization header.
func (*protocol) ParseExchange(op model.Operation, header http.Header, body []byte) (model.Exchange, error) {
	if op.Kind == model.OperationRevoke {
		value := header.Get("Authorization")
		if scheme, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "Bearer") {
			value = token
		}
		if value == "" || len(header.Values("Authorization")) > 1 || len(body) > 0 {
			return model.Exchange{}, model.Deny(model.CodeNoCredential).Differ("Authorization", "something else", "the token to revoke, and no body")
		}
		return model.Exchange{Token: value}, nil
	}
	return ecosystem.ParseJWT(body)
}

// Minted answers an exchange as the public registry does; the action looks for nothing else.
func (*protocol) Minted(_ model.Operation, token string, _ time.Time) model.Reply {
	return ecosystem.JSON(http.StatusOK, struct {
		Token string `json:"token"`
	}{token})
}

// Revoked answers a revocation, which the action asks for when its job ends.
func (*protocol) Revoked(model.Operation) model.Reply {
	return model.Reply{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}
}

// Discover is never called: cargo discovers nothing.
func (*protocol) Discover(op model.Operation, _ url.Values, _ []ecosystem.Discoverable) (model.Reply, error) {
	return model.Reply{}, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one of a registry")
}

// Render writes a denial as cargo and the action print it. After a 401 to a read without a token, cargo asks again with one.
func (*protocol) Render(_ model.Operation, d *model.Denial) model.Reply {
	type detail struct {
		Detail string `json:"detail"`
	}
	reply := ecosystem.JSON(d.Status, struct {
		Errors []detail `json:"errors"`
	}{[]detail{{d.Sentence()}}})
	if d.Status == http.StatusUnauthorized {
		reply.Header.Set("WWW-Authenticate", "Cargo")
	}
	return reply
}
