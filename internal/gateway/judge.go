package gateway

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// authenticate verifies our token for the registry and fills in identity and grant.
func (t *transaction) authenticate() error {
	if t.presented.kind == presentedPublish {
		grant, err := t.redeem(t.presented.token, t.reg.Public.String())
		if err != nil {
			return err
		}
		t.grant, t.id = grant, grant.Identity
		t.event.PublishToken = grant.ID
		if !slices.Contains(grant.Registries, t.reg.Name) {
			return model.Deny(model.CodeOutOfScope).Differ("registry", t.reg.Name, "one in the token's scope")
		}
		return t.current()
	}
	if t.reg.DirectOff {
		return model.Deny(model.CodeDirectOff)
	}
	id, err := t.identify(model.Sighting{Raw: t.presented.token, Known: t.presented.known}, t.reg.Audiences)
	if err != nil {
		return err
	}
	if t.g.Verifier.Shared(id.Issuer) {
		return model.Deny(model.CodeDirectOff).Differ("token", "one that many jobs read", "a publish token").
			Hinted("exchange the identity token first, since many jobs share it: trustpub exec, uv, pdm and the publish action do; POST /.well-known/trusted-publishing/exchange on this host")
	}
	t.id = id
	return t.current()
}

// describe puts the identity into the audit event. It runs when the event is written, which most reads never come to.
func (t *transaction) describe() {
	if t.id == nil {
		return
	}
	t.event.Issuer, t.event.JTI, t.event.IdentitySHA256 = t.id.Issuer, t.id.JTI, t.id.DigestHex()
	t.event.Provider, t.event.Run = t.id.Provider, t.g.Verifier.Run(t.id)
	t.event.BreakGlass = t.g.Verifier.BreakGlass(t.id.Issuer)
}

// current asks what may have changed since a token was issued: its issuer, operators' switches, and revocations. It runs at
// the start and again before the held-back tail leaves.
func (t *transaction) current() error {
	if !t.g.Verifier.Active(t.id.Issuer) {
		return model.Deny(model.CodeUnknownIssuer).Differ("issuer", t.id.Issuer, "a configured and enabled issuer")
	}
	if err := t.g.Switches.Identity(t.id); err != nil && !t.goesOn(err) {
		return err
	}
	ids := []string{t.replayKey()}
	if t.grant != nil {
		ids = append(ids, revocationID(t.grant))
	}
	ctx := t.step()
	revoked, err := t.g.Store.Revoked(ctx, ids...)
	if err != nil {
		if denial := model.Deny(model.CodeStoreUnavailable).Because(err); !t.goesOn(denial) {
			return denial
		}
		return nil
	}
	if revoked {
		return model.Deny(model.CodeRevoked)
	}
	if t.grant != nil {
		return t.remembered() // a revocation may have been forgotten too
	}
	return nil
}

// goesOn is true for a read while the store is away: it changes nothing, and a token that was revoked meanwhile ends within its minutes.
// What is known to be stopped stays so.
func (t *transaction) goesOn(err error) bool {
	var denial *model.Denial
	return t.op.Kind == model.OperationRead && errors.As(err, &denial) && denial.Code == model.CodeStoreUnavailable
}

// remembered refuses a token from before the store began to remember: what was done with it then is unknown. A store finds out
// about a server that has forgotten while it is asked, so this is for after an answer.
func (t *transaction) remembered() error {
	issued := t.id.IssuedAt
	if t.grant != nil {
		issued = t.grant.IssuedAt
	}
	if since := t.g.Store.Since(); issued.Before(since) {
		return model.Deny(model.CodeIssuedBeforeStart).
			Differ("iat", issued.UTC().Format(time.RFC3339), since.UTC().Format(time.RFC3339)+" or later")
	}
	return nil
}

// replayKey is the identity's, computed once for each request.
func (t *transaction) replayKey() string {
	if t.key == "" {
		t.key = t.id.ReplayKey()
	}
	return t.key
}

func revocationID(grant *model.Grant) string { return "publish-token/" + grant.ID }

// judge asks the policies about every target.
func (t *transaction) judge(targets []model.Target) error {
	for _, target := range targets {
		if t.grant != nil && len(t.grant.Packages) > 0 && target.Package != "" && !slices.Contains(t.grant.Packages, target.Package) {
			return model.Deny(model.CodeOutOfScope).Differ("package", target.Package, "one that the token was minted for")
		}
		d := t.g.Policies.Evaluate(t.id, target)
		if !d.Allow {
			return model.Refuse(d)
		}
		if t.event.Policy == "" {
			t.event.Policy = d.Policy
		}
		if err := t.g.Switches.Target(target, d.Policy); err != nil {
			return err
		}
		if d.Exists && target.Action != model.ActionRead {
			if err := t.exists(target); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim makes the token belong to one release (a directly used identity token) or one file (a single-use publish token), and
// a release of an identity token that many jobs share to one of its publish tokens. It runs after the policy matched, so that
// a refused token is not burned.
func (t *transaction) claim(target model.Target) error {
	shared := t.grant != nil && t.g.Verifier.Shared(t.id.Issuer)
	if shared {
		if err := t.hold(t.replayKey()+"/release/"+target.Release(), t.grant.ID); err != nil {
			return err
		}
	}
	switch {
	case t.grant == nil:
		return t.bind(t.replayKey(), "direct/"+target.Release(), target.Versionless)
	case t.grant.Bound && !shared:
		// The exchange has bound it to what its scope asked to push. A scope that only pulls binds nothing, and what the token is then
		// used for may still be a push.
		return t.bind(t.replayKey(), "direct/"+target.Release(), target.Versionless)
	case t.grant.SingleUse:
		return t.hold(revocationID(t.grant), "single/"+target.Release()+"/"+target.File)
	}
	return nil
}

// claimFile makes a file name of the release belong to one digest. It runs when the whole file was seen.
func (t *transaction) claimFile(target model.Target, digest string) error {
	switch {
	case t.grant == nil:
		return t.hold(t.replayKey()+fileKey(target), digest)
	case t.grant.SingleUse:
		return t.hold(revocationID(t.grant)+fileKey(target), digest)
	}
	return nil
}

// fileKey names a file among all those of a release, which may be of several packages.
func fileKey(target model.Target) string {
	return "/file/" + target.Package + "/" + target.Version + "/" + target.File
}

// hold claims a key in the store until its token can no longer be valid.
func (t *transaction) hold(key, holder string) error { return t.bind(key, holder, false) }

// bind is hold that, where part is true, also takes a holder that begins with this one: an index of versions belongs to any
// release of its package.
func (t *transaction) bind(key, holder string, part bool) error {
	until := t.id.TokenExpiry
	if t.grant != nil && t.grant.Expiry.After(until) {
		until = t.grant.Expiry
	}
	if err := t.remembered(); err != nil {
		return err // before the claim too, so that a token that is refused is not burned
	}
	ctx := t.step()
	got, err := t.g.Store.Claim(ctx, key, holder, until.Add(Leeway))
	if err != nil {
		return model.Deny(model.CodeStoreUnavailable).Because(err)
	}
	if got != holder && (!part || !strings.HasPrefix(got, holder)) {
		return model.Deny(model.CodeReplayed)
	}
	return t.remembered()
}
