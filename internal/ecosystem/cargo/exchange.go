package cargo

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

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
	var in struct {
		JWT string `json:"jwt"`
	}
	// The decoder's error may quote the body, which holds a token, so it is dropped.
	if err := json.Unmarshal(body, &in); err != nil || in.JWT == "" {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("body", "something else", `a JSON object with the identity token, as in {"jwt": "..."}`)
	}
	return model.Exchange{Token: in.JWT}, nil
}

// Minted answers an exchange as the public registry does; the action looks for nothing else.
func (*protocol) Minted(_ model.Operation, token string, _ time.Time) model.Reply {
	return jsonReply(http.StatusOK, struct {
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
	reply := jsonReply(d.Status, struct {
		Errors []detail `json:"errors"`
	}{[]detail{{d.Sentence()}}})
	if d.Status == http.StatusUnauthorized {
		reply.Header.Set("WWW-Authenticate", "Cargo")
	}
	return reply
}

// jsonReply writes an answer that no cache may keep.
func jsonReply(status int, v any) model.Reply {
	body, err := json.Marshal(v)
	if err != nil { // not for the types of this package
		return model.Reply{Status: http.StatusInternalServerError}
	}
	return model.Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}, Body: body}
}
