package gateway

import (
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// record makes the decision durable. It runs before the held-back tail leaves, so that a publish that cannot be recorded is
// refused.
func (t *transaction) record() error {
	if t.event.Kind == "" {
		t.event.Kind = model.EventDecision
	}
	t.event.Time = t.g.Now().UTC()
	t.named()
	t.describe()
	ctx := t.step()
	if err := t.g.Auditor.Record(ctx, t.event); err != nil {
		return model.Deny(model.CodeAuditUnavailable).Because(err)
	}
	t.recorded = true
	return nil
}

// end writes the outcome and counts the request, whatever became of it.
func (t *transaction) end(result string) {
	took := t.g.Now().Sub(t.started)
	name := ""
	if t.reg != nil {
		name = t.reg.Name
	}
	var code model.Code
	if t.event.Decision == "deny" {
		code = t.event.Code
	}
	t.g.Meter.Request(name, t.event.Operation, t.event.Credential, code)
	if t.silent {
		return
	}
	t.named()
	if !t.recorded { // the registry refused before the verdict, or the request broke off
		t.event.Kind, t.event.Time = model.EventDecision, t.g.Now().UTC()
		t.describe()
		t.g.Auditor.Note(t.event)
	}
	if result == "" {
		result = t.result(code)
	}
	if result == "stored" && t.event.Size > 0 {
		t.g.Meter.Upload(name, t.event.Size, took)
	}
	out := t.event
	out.Kind, out.Time = model.EventOutcome, t.g.Now().UTC()
	out.Result, out.Status, out.DurationMS = result, t.status, int64(took/time.Millisecond)
	t.g.Auditor.Note(out)
}

// result words the outcome.
func (t *transaction) result(code model.Code) string {
	switch {
	case t.left():
		return "aborted"
	case code != "" && t.status >= 500:
		return "failed"
	case code != "" || t.status >= 400:
		return "refused"
	case t.event.Kind == model.EventExchange:
		return "minted"
	case t.event.Kind == model.EventRevocation:
		return "revoked"
	}
	return "stored"
}
