package gateway

import (
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// change handles a publish or manage operation inside a registry.
func (t *transaction) change() error {
	t.event.Operation = t.op.Name
	if len(t.op.Targets) > 0 {
		t.event.Target = &t.op.Targets[0]
	}
	if !t.presented.ours() {
		return t.foreignChange()
	}
	if err := t.checkFraming(); err != nil {
		return err
	}
	if err := checkMeaning(t.r.Header, t.reg.ChecksumDeploy); err != nil {
		return err
	}
	if err := t.byChecksum(); err != nil {
		return err
	}
	if err := t.authenticate(); err != nil {
		return err
	}
	in, err := t.receive(t.permit, t.verdict)
	if err != nil {
		return err
	}
	defer in.close()
	cred, err := t.issue(in.targets)
	if err != nil {
		return err
	}
	defer t.retire(cred)
	done, err := t.absent(in, cred)
	if err != nil {
		return err
	}
	defer done()
	if err := in.settle(); err != nil {
		return err
	}
	out := t.g.forwarded(t.r)
	t.g.restrict(out, &t.reg.Registry, t.op)
	for name, values := range cred.Header {
		out.Header[http.CanonicalHeaderKey(name)] = values
	}
	t.withProperties(out)
	if t.checksum != "" {
		out.Header.Set(headerByChecksum, "true")
		out.Header.Set(headerSHA256, t.checksum)
	}
	return t.send(in.into(out), guard{secrets: t.reg.secrets(cred), refused: cred.Refused, stream: in.stream, unsafe: true})
}

// checkFraming refuses what would make the judged bytes differ from the stored ones.
func (t *transaction) checkFraming() error {
	r := t.r
	for _, line := range r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(line), "identity") && (line == "" || line != t.op.Encoding) {
			return model.Deny(model.CodeContentEncoding).Differ("Content-Encoding", line, "none")
		}
	}
	if len(r.Trailer) > 0 || r.Header.Get("Trailer") != "" {
		return model.Deny(model.CodeUnsupportedFraming).Differ("Trailer", "announced", "none")
	}
	// An ecosystem that passes the header on judges it.
	const contentRange = "Content-Range"
	if len(r.Header.Values(contentRange)) > 0 && !slices.Contains(t.op.Headers, contentRange) {
		return model.Deny(model.CodeUnsupportedFraming).Differ(contentRange, "present", "none")
	}
	return checkConnection(r.Header)
}

// permit asks the policies, then claims the token.
func (t *transaction) permit(targets []model.Target) error {
	if err := t.judge(targets); err != nil {
		return err
	}
	return t.claim(targets[0])
}

// verdict is what must hold before the last bytes leave: the policies of now, the issuer and the revocations of now, one digest
// for each file name, and a decision that is on record.
func (t *transaction) verdict(targets []model.Target, artifact *model.Artifact) error {
	if err := t.current(); err != nil {
		return err
	}
	for _, target := range targets {
		d := t.g.Policies.Evaluate(t.id, target)
		if !d.Allow || d.Exists && !t.g.knows(target) {
			denial := model.Refuse(d)
			denial.Code, denial.Message = model.CodePolicyChanged, model.CodePolicyChanged.Info().Message
			return denial
		}
		if err := t.g.Switches.Target(target, d.Policy); err != nil {
			return err
		}
	}
	if err := t.turn.confirm(t.step(), targets[0].File); err != nil {
		return err
	}
	if artifact != nil {
		t.describeArtifact(*artifact)
		if !t.op.Part {
			if err := t.claimFile(targets[0], t.event.SHA256); err != nil {
				return err
			}
		}
	}
	t.event.Decision = "allow"
	return t.record()
}

// describeArtifact puts an artifact into the audit event.
func (t *transaction) describeArtifact(artifact model.Artifact) {
	t.event.Size = artifact.Size
	if artifact.SHA256 != [len(artifact.SHA256)]byte{} {
		t.event.SHA256 = hex.EncodeToString(artifact.SHA256[:])
	}
}

// issue asks the registry's source for a credential.
func (t *transaction) issue(targets []model.Target) (cred model.Credential, err error) {
	ctx := t.step()
	switch source := t.reg.Source.(type) {
	case credential.Federated:
		token, err := t.identityToken()
		if err != nil {
			return cred, err
		}
		cred, err = source.IssueFederated(ctx, targets, t.id, token)
		return cred, unavailable(err)
	case credential.Joint:
		cred, err = source.IssueAll(ctx, targets, t.id)
	default:
		cred, err = source.Issue(ctx, targets[0], t.id)
	}
	return cred, unavailable(err)
}

// unavailable is the denial of a source's error: the source's own, where it has one.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	var own *model.Denial
	if !errors.As(err, &own) {
		return model.Deny(model.CodeCredentialUnavailable).Because(err)
	}
	denial := *own // the source may hand out the same one again
	return denial.Because(err)
}

// identityToken is the token itself, for a source that federates.
func (t *transaction) identityToken() (model.IdentityToken, error) {
	token := model.NewIdentityToken(t.presented.token)
	if t.grant != nil {
		token = t.grant.Token
	}
	if token.Empty() {
		return token, model.Deny(model.CodeOutOfScope).
			Differ("identity token in the publish token", "", "one, since this registry's credential is made of it").
			Hinted("exchange a new identity token: this one was exchanged before the registry was configured as it is now")
	}
	if now := t.g.Now(); !now.Before(t.id.TokenExpiry) {
		return token, model.Deny(model.CodeExpired).
			Differ("exp of the identity token", t.id.TokenExpiry.UTC().Format(time.RFC3339), "later than "+now.UTC().Format(time.RFC3339)).
			Hinted("request a new identity token right before publishing: this registry's credential is made of it")
	}
	return token, nil
}

// retire revokes a credential where its source can.
func (t *transaction) retire(cred model.Credential) {
	if cred.Revoke == nil {
		return
	}
	ctx := t.step()
	if err := cred.Revoke(ctx); err != nil {
		t.g.Logger.Warn("credential not revoked; it ends by itself", "registry", t.reg.Name, "event", t.named(), "error", err)
	}
}
