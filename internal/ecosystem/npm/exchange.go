package npm

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// exchangeOf is the exchange for a package; which registries it is for follows from the token and the policies.
func exchangeOf(pkg string) model.Operation {
	return model.Operation{Kind: model.OperationExchange, Name: opExchange, Targets: []model.Target{{Ecosystem: Kind.Name, Package: pkg}}}
}

// ClassifyRoot names the exchange, which npm and pnpm ask at the host root.
func (*protocol) ClassifyRoot(method, path string, _ url.Values, _ http.Header) (model.Operation, error) {
	op := model.Operation{Kind: model.OperationExchange, Name: opExchange}
	pkg, ok := cutPackage(path, exchangePath)
	switch {
	case !ok:
		return op, model.Deny(model.CodeBadRequest).Differ("package in the path", brief(strings.TrimPrefix(path, exchangePath)), "name or @scope%2fname")
	case method != http.MethodPost:
		return op, model.Deny(model.CodeUnsupportedOperation).Differ("method of the exchange", brief(method), http.MethodPost)
	}
	return exchangeOf(pkg), nil
}

// ParseExchange takes the identity token from the Authorization header, and the package from the path.
func (*protocol) ParseExchange(op model.Operation, header http.Header, _ []byte) (model.Exchange, error) {
	lines := header.Values("Authorization")
	if len(lines) == 0 {
		return model.Exchange{}, model.Deny(model.CodeNoCredential).
			Hinted("set registry= in .npmrc (not only @scope:registry=), so that npm sends the identity token to this host")
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(op.Targets) != 1 {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("Authorization", "something else", "one line: Bearer and the identity token")
	}
	return model.Exchange{Token: token, Packages: []string{op.Targets[0].Package}}, nil
}

// Minted answers an exchange as the public registry does.
func (*protocol) Minted(_ model.Operation, token string, expiry time.Time) model.Reply {
	return ecosystem.JSON(http.StatusCreated, struct {
		TokenType string `json:"token_type"`
		Token     string `json:"token"`
		Expires   string `json:"expires"`
	}{"oidc", token, expiry.UTC().Format(time.RFC3339)})
}

// Revoked answers a revocation, which no client of npm asks for.
func (*protocol) Revoked(model.Operation) model.Reply {
	return model.Reply{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}
}

// Discover answers whether a package is public. It never is: else npm would send its provenance to a public log.
func (*protocol) Discover(model.Operation, url.Values, []ecosystem.Discoverable) (model.Reply, error) {
	return ecosystem.JSON(http.StatusOK, struct {
		Public bool `json:"public"`
	}{}), nil
}

// Render writes a denial: npm and yarn show "error" of a 403, and in its log npm shows "message" of an exchange; pnpm looks for that
// inside "body", and shows it always. They say of a 401 that the token is not valid, and nothing of its reason, so there is none
// but for an exchange.
func (*protocol) Render(op model.Operation, d *model.Denial) model.Reply {
	type inner struct {
		Message string `json:"message"`
	}
	body := struct {
		Error   string `json:"error,omitempty"`
		Message string `json:"message,omitempty"`
		Body    *inner `json:"body,omitempty"`
		Code    string `json:"code"`
		Event   string `json:"event,omitempty"`
	}{Code: string(d.Code), Event: d.Event}
	status := d.Status
	if op.Kind == model.OperationExchange {
		body.Message, body.Body = d.Sentence(), &inner{d.Sentence()}
	} else {
		body.Error = d.Sentence()
		if status == http.StatusUnauthorized {
			status = http.StatusForbidden
		}
	}
	// No reason phrase: npm would show the sentence twice.
	return ecosystem.JSON(status, body)
}
