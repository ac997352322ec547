package rubygems

import (
	"net/http"
	"net/url"
	"time"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

const exchangePath = "/api/v1/oidc/trusted_publisher/exchange_token"

// ClassifyRoot names the exchange.
func (*protocol) ClassifyRoot(method, _ string, _ url.Values, _ http.Header) (model.Operation, error) {
	op := model.Operation{Kind: model.OperationExchange, Name: opExchange}
	if method != http.MethodPost {
		return op, model.Deny(model.CodeUnsupportedOperation).Differ("method of the exchange", brief(method), http.MethodPost)
	}
	return op, nil
}

// ParseExchange takes the identity token from the JSON body.
func (*protocol) ParseExchange(_ model.Operation, _ http.Header, body []byte) (model.Exchange, error) {
	return ecosystem.ParseJWT(body)
}

// Minted answers an exchange as the public server does; its clients check every field.
func (*protocol) Minted(_ model.Operation, token string, expiry time.Time) model.Reply {
	return ecosystem.JSON(http.StatusCreated, struct {
		Key     string   `json:"rubygems_api_key"`
		Name    string   `json:"name"`
		Scopes  []string `json:"scopes"`
		Expires string   `json:"expires_at"`
	}{token, "trusted publishing", []string{"push_rubygem"}, expiry.UTC().Format(time.RFC3339)})
}

// Revoked answers a revocation, which no client asks for.
func (*protocol) Revoked(model.Operation) model.Reply {
	return model.Reply{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}
}

// Discover has nothing to tell: clients are given the audience.
func (*protocol) Discover(op model.Operation, _ url.Values, _ []ecosystem.Discoverable) (model.Reply, error) {
	return model.Reply{}, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opExchange)
}

// Render writes a denial as a line of text, which gem prints whole, and of an exchange as JSON with "error".
func (*protocol) Render(op model.Operation, d *model.Denial) model.Reply {
	reply := model.Reply{
		Status: d.Status, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Cache-Control": {"no-store"}},
		Body: []byte(d.Sentence() + "\n"), Reason: d.Sentence(),
	}
	if op.Kind == model.OperationExchange {
		reply = ecosystem.JSON(d.Status, struct {
			Error string `json:"error"`
			Code  string `json:"code"`
			Event string `json:"event,omitempty"`
		}{d.Sentence(), string(d.Code), d.Event})
	}
	if d.Status == http.StatusUnauthorized {
		reply.Header.Set("WWW-Authenticate", `Basic realm="trustpub"`)
	}
	return reply
}
