package nuget

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	tokenPath = "/api/v2/token" //nolint:gosec // a path
	tokenType = "ApiKey"
)

// roundTrip is the form in which .NET writes times.
const roundTrip = "2006-01-02T15:04:05.0000000+00:00"

// ClassifyRoot names the exchange.
func (*protocol) ClassifyRoot(method, _ string, _ url.Values, _ http.Header) (model.Operation, error) {
	op := model.Operation{Kind: model.OperationExchange, Name: opExchange}
	if method != http.MethodPost {
		return op, model.Deny(model.CodeUnsupportedOperation).Differ("method of the token service", brief(method), http.MethodPost)
	}
	return op, nil
}

// ParseExchange takes the identity token from the Authorization header. The body names a user, who means nothing here.
func (*protocol) ParseExchange(_ model.Operation, header http.Header, body []byte) (model.Exchange, error) {
	lines := header.Values("Authorization")
	if len(lines) == 0 {
		return model.Exchange{}, model.Deny(model.CodeNoCredential)
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("Authorization", "something else", "one line: Bearer and the identity token")
	}
	var in struct {
		Username string `json:"username"`
		Type     string `json:"tokenType"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Type != tokenType {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).
			Differ("body", "something else", `one JSON object with each name once, as in {"username": "...", "tokenType": "ApiKey"}`)
	}
	return model.Exchange{Token: token}, nil
}

// Minted answers an exchange as the public token service does.
func (*protocol) Minted(_ model.Operation, token string, expiry time.Time) model.Reply {
	return ecosystem.JSON(http.StatusOK, struct {
		Type    string `json:"tokenType"`
		Expires string `json:"expires"`
		Key     string `json:"apiKey"`
	}{tokenType, expiry.UTC().Format(roundTrip), token})
}

// Revoked answers a revocation, which no client asks for.
func (*protocol) Revoked(model.Operation) model.Reply {
	return model.Reply{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}
}

// Discover has nothing to tell: clients are given the audience.
func (*protocol) Discover(op model.Operation, _ url.Values, _ []ecosystem.Discoverable) (model.Reply, error) {
	return model.Reply{}, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, opExchange)
}

// Render writes a denial as JSON with "error", which the login action prints; clients show the reason phrase alone. Of a 401 they show
// nothing and ask for a password, so a key that is no good is a 403, as it is at the public registry.
func (*protocol) Render(op model.Operation, d *model.Denial) model.Reply {
	status := d.Status
	if op.Unsafe() && status == http.StatusUnauthorized && d.Code != model.CodeNoCredential {
		status = http.StatusForbidden
	}
	reply := ecosystem.JSON(status, struct {
		Error string `json:"error"`
		Code  string `json:"code"`
		Event string `json:"event,omitempty"`
	}{d.Sentence(), string(d.Code), d.Event})
	reply.Reason = d.Sentence()
	if status == http.StatusUnauthorized {
		challenge := `Basic realm="trustpub"`
		if op.Kind == model.OperationExchange {
			challenge = "Bearer"
		}
		reply.Header.Set("WWW-Authenticate", challenge)
	}
	return reply
}
