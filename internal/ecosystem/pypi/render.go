package pypi

import (
	"net/http"

	"github.com/trustpub/trustpub/internal/model"
)

// problem is a denial as RFC 9457 has it. uv shows title and detail of this form, and of no other.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Event  string `json:"event,omitempty"`
}

// refusal is a denial of an exchange, in the form of the public index: clients print code and description.
type refusal struct {
	Message string         `json:"message"`
	Errors  []refusalError `json:"errors"`
}

type refusalError struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	// Reason is the stable code of this gateway.
	Reason model.Code `json:"reason"`
}

// exchangeCodes are the public index's codes, where one fits; clients and their documentation know them.
var exchangeCodes = map[model.Code]string{
	model.CodeBadRequest:           "invalid-payload",
	model.CodeNoCredential:         "invalid-payload",
	model.CodeTruncated:            "invalid-payload",
	model.CodeTooLarge:             "invalid-payload",
	model.CodeUnknownIssuer:        "invalid-payload",
	model.CodeInvalidToken:         "invalid-token",
	model.CodeWrongAudience:        "invalid-token",
	model.CodeExpired:              "invalid-token",
	model.CodeNotYetValid:          "invalid-token",
	model.CodeMissingClaim:         "invalid-token",
	model.CodeIssuedBeforeStart:    "invalid-token",
	model.CodeRevoked:              "invalid-token",
	model.CodeReplayed:             "invalid-reuse-token",
	model.CodeNoMatchingPolicy:     "invalid-publisher",
	model.CodeOutOfScope:           "invalid-publisher",
	model.CodeNotFound:             "not-enabled",
	model.CodeUnsupportedOperation: "not-enabled",
}

// Render writes a denial for the client that asked: problem+json and the reason phrase for uploads and reads, the public
// index's form for an exchange.
func (*protocol) Render(op model.Operation, d *model.Denial) model.Reply {
	exchange := op.Kind == model.OperationExchange || op.Kind == model.OperationRevoke || op.Kind == model.OperationDiscover
	if exchange && !ofPytp(op) {
		return renderExchange(op, d)
	}
	title := "Publishing refused"
	switch {
	case op.Kind == model.OperationRead:
		title = "Reading refused"
	case exchange:
		title = "Token request failed"
	}
	p := problem{Type: "about:blank", Title: title, Status: d.Status, Detail: d.Sentence(), Code: string(d.Code), Event: d.Event}
	reply := jsonReply(d.Status, "application/problem+json", p)
	reply.Reason = d.Sentence()
	if d.Status == http.StatusUnauthorized && !exchange {
		reply.Header.Set("WWW-Authenticate", `Basic realm="trustpub"`)
	}
	return reply
}

// renderExchange answers 422 to what is wrong with a request, as clients expect it, and keeps the other statuses.
func renderExchange(op model.Operation, d *model.Denial) model.Reply {
	status := d.Status
	if op.Kind != model.OperationDiscover && (status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden) {
		status = http.StatusUnprocessableEntity
	}
	code, ok := exchangeCodes[d.Code]
	if !ok {
		code = string(d.Code)
	}
	reply := jsonReply(status, "application/json", refusal{
		Message: "Token request failed",
		Errors:  []refusalError{{Code: code, Description: d.Sentence(), Reason: d.Code}},
	})
	reply.Reason = d.Sentence()
	return reply
}
