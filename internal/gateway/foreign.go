package gateway

import (
	"errors"
	"io"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// unknown handles an unsafe request that no rule of the ecosystem knows.
func (t *transaction) unknown(refused error) error {
	t.nameForeign()
	if t.reg.Mode == ModeObserve && !t.presented.ours() {
		t.op = model.Operation{Kind: model.OperationManage, Name: "unknown"}
		t.event.Operation = t.op.Name
		return t.observe(refused)
	}
	return refused
}

// foreignChange handles a publish without one of our tokens: a credential of the registry itself, or none.
func (t *transaction) foreignChange() error {
	t.nameForeign()
	switch t.reg.Mode {
	case ModeObserve:
		return t.observe(nil)
	case ModeClaimed:
		if t.presented.kind == presentedForeign {
			return t.claimed()
		}
	}
	if t.presented.kind == presentedNone {
		return model.Deny(model.CodeNoCredential)
	}
	return model.Deny(model.CodeTrustedPublishingOnly).Differ("credential", "one of the registry itself", "an identity token or a publish token")
}

// foreignExchange leaves a question to a realm that the registry may have too to the registry, unless the gateway is its only one.
func (t *transaction) foreignExchange() error {
	if _, only := t.reg.Source.(credential.TokenServer); only && t.reg.Mode == ModeEnforce {
		if t.presented.kind == presentedNone {
			return model.Deny(model.CodeNoCredential)
		}
		return model.Deny(model.CodeTrustedPublishingOnly).Differ("password", "one that is no identity token", "an identity token")
	}
	return t.read()
}

// claimed lets a foreign credential publish what no policy claims, after the same checks of the body.
func (t *transaction) claimed() error {
	if t.many || t.presented.carrier == "" {
		return model.Deny(model.CodeForeignCredential).Differ("credential", "several, or one in the query", "one, in a header")
	}
	if err := t.checkFraming(); err != nil {
		return err
	}
	if err := checkMeaning(t.r.Header, false); err != nil {
		return err
	}
	beside, err := t.identityBeside()
	if err != nil {
		return err
	}
	in, err := t.receive(t.unclaimed, func(targets []model.Target, artifact *model.Artifact) error {
		if artifact != nil {
			t.describeArtifact(*artifact)
		}
		if err := t.unclaimed(targets); err != nil {
			return err
		}
		return t.record()
	})
	if err != nil {
		return err
	}
	defer in.close()
	t.event.Decision = "allow"
	t.compare(beside, in.targets)
	if err := in.settle(); err != nil {
		return err
	}
	out := t.g.forwarded(t.r)
	t.g.restrict(out, &t.reg.Registry, t.op, t.presented.carrier)
	return t.send(in.into(out), guard{stream: in.stream, unsafe: true, foreign: true})
}

// unclaimed refuses targets that a policy claims or an operator has frozen.
func (t *transaction) unclaimed(targets []model.Target) error {
	for _, target := range targets {
		if t.g.Policies.Protected(target.Registry, target.Package) {
			return model.Deny(model.CodeTrustedPublishingOnly).Differ("package", target.Package, "one that no policy claims")
		}
		if err := t.g.Switches.Target(target, ""); err != nil {
			return err
		}
	}
	return nil
}

// identityBeside verifies the identity token that comes beside a foreign credential. It grants nothing.
func (t *transaction) identityBeside() (*model.Identity, error) {
	values := t.r.Header.Values(headerIdentity)
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > 1 || !t.g.Verifier.Ours(values[0]) {
		return nil, model.Deny(model.CodeIdentityHeaderMisplace).Differ(headerIdentity, "no identity token of a configured issuer", "one identity token")
	}
	return t.identify(model.Sighting{Raw: values[0]}, t.reg.Audiences)
}

// compare writes into the audit what the policies would have said to an identity.
func (t *transaction) compare(id *model.Identity, targets []model.Target) {
	if id == nil {
		return
	}
	t.id = id
	t.describe()
	t.id = nil
	t.event.Decision = "would_allow"
	var denial *model.Denial
	if errors.As(t.g.Switches.Identity(id), &denial) {
		t.would(denial)
		return
	}
	for _, target := range targets {
		d := t.g.Policies.Evaluate(id, target)
		if !d.Allow {
			t.would(model.Refuse(d))
			return
		}
		if errors.As(t.g.Switches.Target(target, d.Policy), &denial) {
			t.would(denial)
			return
		}
		if t.event.Policy == "" {
			t.event.Policy = d.Policy
		}
	}
}

// would writes a refusal that did not happen into the audit.
func (t *transaction) would(d *model.Denial) {
	t.event.Decision, t.event.Code, t.event.Message = "would_deny", d.Code, d.Message
	t.event.Policy, t.event.Field, t.event.Got, t.event.Want = d.Policy, d.Field, d.Got, d.Want
}

// observe lets a foreign request pass as it is, and writes down what would have been said. Its scanner sees every byte but
// stops none.
func (t *transaction) observe(refused error) error {
	var scanner upload.Scanner
	if refused == nil && t.op.Body != model.BodyNone {
		if s, err := t.dialect.Open(t.op, t.r.Header); err != nil {
			refused = err
		} else {
			scanner = s
		}
	}
	beside, besideErr := t.identityBeside()
	if refused == nil {
		refused = besideErr
	}
	out := t.g.forwarded(t.r)
	observer := upload.NewObserver(t.body, scanner, t.disk(), t.reg.SpoolLimit)
	defer observer.Release()
	if t.r.ContentLength != 0 {
		out.Body = observer
	} else {
		_, _ = io.Copy(io.Discard, observer) // nobody else reads what is empty
	}
	written := false
	write := func() {
		if written {
			return
		}
		written = true
		t.observed(observer, beside, refused)
	}
	defer write()
	err := t.next(t.w, out)
	write()
	return err
}

// observed records the decision that would have been made.
func (t *transaction) observed(observer *upload.Observer, beside *model.Identity, refused error) {
	target, artifact, err := observer.Seen()
	if refused == nil {
		refused = err
	}
	targets := t.op.Targets
	if target.Package != "" {
		targets = t.targets(target)
		t.event.Target = &target
	}
	if artifact.Size > 0 {
		t.describeArtifact(artifact)
	}
	t.compare(beside, targets)
	var denial *model.Denial
	switch {
	case errors.As(refused, &denial):
		t.would(denial)
	case beside == nil:
		t.would(model.Deny(model.CodeTrustedPublishingOnly))
	}
	t.event.Kind = model.EventDecision
	t.event.Time = t.g.Now().UTC()
	t.recorded = true
	t.named()
	t.g.Auditor.Note(t.event)
}
