package gateway

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// maxExchangeBody bounds the request of an exchange, in bytes: an identity token and little more.
const maxExchangeBody = 64 << 10

// root answers what the clients of some ecosystem ask at the host root, for all registries of the host and ecosystem.
func (t *transaction) root() (handled bool, err error) {
	path := t.r.URL.EscapedPath()
	for i, reg := range t.route.candidates {
		if !slices.ContainsFunc(reg.roots, func(root string) bool {
			return path == root || strings.HasSuffix(root, "/") && strings.HasPrefix(path, root)
		}) {
			continue
		}
		exchanger, ok := reg.Ecosystem.(ecosystem.Exchanger)
		if !ok {
			continue
		}
		var group []*registry
		for _, other := range t.route.candidates[i:] {
			if other.Protocol == reg.Protocol {
				group = append(group, other)
			}
		}
		t.dialect = reg.Ecosystem
		t.reg = nil
		t.event.Mode = ""
		t.op, err = exchanger.ClassifyRoot(t.r.Method, path, t.query, t.r.Header)
		if err != nil {
			return true, err
		}
		if t.op.Registry != "" {
			group = slices.DeleteFunc(group, func(r *registry) bool { return r.Name != t.op.Registry })
		}
		if len(group) == 0 {
			return true, model.Deny(model.CodeNotFound).Differ("registry", t.op.Registry, "one of this host")
		}
		return true, t.exchange(group, reg.Ecosystem)
	}
	return false, nil
}

// exchange answers a discovery, a mint or a revocation for a group of registries. Nothing of it is ever forwarded.
func (t *transaction) exchange(group []*registry, eco ecosystem.Ecosystem) error {
	exchanger, ok := eco.(ecosystem.Exchanger)
	if !ok {
		return model.Deny(model.CodeUnsupportedOperation).Differ("operation", t.op.Name, "")
	}
	t.event.Operation = t.op.Name
	if t.op.Kind == model.OperationDiscover {
		t.silent = true
		reply, err := exchanger.Discover(t.op, t.query, discoverable(group))
		if err != nil {
			return err
		}
		t.reply(reply)
		return nil
	}
	body, err := t.exchangeBody()
	if err != nil {
		return err
	}
	ex, err := exchanger.ParseExchange(t.op, t.r.Header, body)
	if err != nil {
		return err
	}
	if t.op.Kind == model.OperationRevoke {
		if err := t.revoke(ex); err != nil {
			return err
		}
		t.reply(exchanger.Revoked(t.op))
		return nil
	}
	mint := t.mint
	if ex.Reusable && t.reg != nil && t.g.Tokens.Ours(ex.Token) {
		mint = t.again
	}
	token, grant, err := mint(ex, group)
	if err != nil {
		return err
	}
	t.reply(exchanger.Minted(t.op, token, grant.Expiry))
	return nil
}

// exchangeBody reads the body of an exchange or a revocation.
func (t *transaction) exchangeBody() ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, t.body, maxExchangeBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		var denial *model.Denial
		switch {
		case errors.As(err, &denial):
			return nil, denial
		case errors.As(err, &tooLarge):
			return nil, model.Deny(model.CodeTooLarge).Differ("body of the exchange", "more", "at most 65536 bytes")
		}
		return nil, model.Deny(model.CodeTruncated).Because(err)
	}
	return body, nil
}

func discoverable(group []*registry) []ecosystem.Discoverable {
	out := make([]ecosystem.Discoverable, 0, len(group))
	for _, reg := range group {
		out = append(out, ecosystem.Discoverable{Name: reg.Name, Public: reg.Public, Audience: reg.Audiences[0]})
	}
	return out
}

// mint swaps an identity token for a publish token of the registries whose audience it names and whose policies match.
func (t *transaction) mint(ex model.Exchange, group []*registry) (string, *model.Grant, error) {
	t.event.Kind, t.event.Credential = model.EventExchange, string(presentedIdentity)
	if t.g.Tokens.Ours(ex.Token) {
		return "", nil, model.Deny(model.CodeInvalidToken).Differ("token", "a publish token", "an identity token")
	}
	if err := t.g.Limits.Exchange(t.event.ClientIP); err != nil {
		return "", nil, err
	}
	var audiences []string
	for _, reg := range group {
		audiences = append(audiences, reg.Audiences...)
	}
	slices.Sort(audiences)
	id, err := t.identify(model.Sighting{Raw: ex.Token}, slices.Compact(audiences))
	if err != nil {
		return "", nil, err
	}
	t.id = id
	if err := t.current(); err != nil {
		return "", nil, err
	}
	if id.IssuedAt.Before(t.g.Store.Since()) {
		return "", nil, model.Deny(model.CodeIssuedBeforeStart)
	}
	grant := &model.Grant{Identity: id, Packages: ex.Packages, SingleUse: ex.SingleUse, Bound: ex.Reusable}
	t.event.Target = named(ex, id.Audience, group)
	urls, err := t.scope(grant, ex.Token, group)
	if err != nil {
		return "", nil, err
	}
	// After the policies, so that a stranger whose CI has the same issuer uses nothing up.
	if err := t.g.Limits.Grant(id.Issuer); err != nil {
		return "", nil, err
	}
	// Minted before the identity token is burned: what fails without it must not cost the client its token.
	token, err := t.g.Tokens.Mint(t.r.Context(), grant, urls)
	if err != nil {
		return "", nil, err
	}
	if err := t.g.Auditor.Ready(); err != nil {
		return "", nil, model.Deny(model.CodeAuditUnavailable).Because(err)
	}
	if err := t.claimExchange(ex); err != nil {
		return "", nil, err
	}
	t.event.PublishToken, t.event.Registries, t.event.Decision = grant.ID, grant.Registries, "allow"
	t.event.Target = nil // what was granted is all that the policies let be done to the package, in each of these registries
	if err := t.record(); err != nil {
		return "", nil, err
	}
	return token, grant, nil
}

// named is what a refused exchange would have published, for the audit: where it names one package itself, and no pull of one. The
// registry stays empty where the token's audience is that of several.
func named(ex model.Exchange, audience string, group []*registry) *model.Target {
	if ex.Reusable || len(ex.Packages) != 1 || ex.Packages[0] == "" {
		return nil
	}
	target := &model.Target{Package: ex.Packages[0], Action: model.ActionPublish, Versionless: true}
	reached := 0
	for _, reg := range group {
		if slices.Contains(reg.Audiences, audience) {
			target.Ecosystem, target.Registry = reg.Protocol, reg.Name
			reached++
		}
	}
	if reached != 1 {
		target.Registry = ""
	}
	return target
}

// again answers a realm that is asked with a publish token in the place of a password: with that very token, since the clients of
// such realms have one password for all that they push. Nothing is minted, and the token is judged wherever it is used.
func (t *transaction) again(ex model.Exchange, _ []*registry) (string, *model.Grant, error) {
	t.event.Kind, t.event.Credential = model.EventExchange, string(presentedPublish)
	t.presented = presented{kind: presentedPublish, token: ex.Token}
	if err := t.authenticate(); err != nil {
		return "", nil, err
	}
	t.event.Registries, t.event.Decision = t.grant.Registries, "allow"
	if err := t.record(); err != nil {
		return "", nil, err
	}
	return ex.Token, t.grant, nil
}

// scope finds the registries in reach of the identity, and fills in the grant's. What of a policy needs the package is left
// open until the upload, unless the exchange named packages. Where one of them has a source that federates, the token goes along.
func (t *transaction) scope(grant *model.Grant, raw string, group []*registry) (urls []string, err error) {
	var nearest *model.Denial
	var stopped error
	for _, reg := range group {
		if !slices.Contains(reg.Audiences, grant.Identity.Audience) {
			continue
		}
		target := model.Target{Ecosystem: reg.Protocol, Registry: reg.Name, Versionless: true}
		packages := grant.Packages
		if len(packages) == 0 {
			packages = []string{""}
		}
		for _, pkg := range packages {
			target.Package = pkg
			d := t.anyAction(target)
			if d.Allow {
				if err := t.g.Switches.Target(target, ""); err != nil {
					stopped = err
					continue
				}
				if _, federates := reg.Source.(credential.Federated); federates {
					grant.Token = model.NewIdentityToken(raw)
				}
				if !slices.Contains(grant.Registries, reg.Name) {
					grant.Registries = append(grant.Registries, reg.Name)
					urls = append(urls, reg.Public.String())
				}
				continue
			}
			if nearest == nil || d.Reveal && !nearest.Reveal {
				nearest = model.Refuse(d)
			}
		}
	}
	if len(grant.Registries) == 0 {
		if stopped != nil {
			return nil, stopped
		}
		if nearest == nil {
			nearest = model.Deny(model.CodeNoMatchingPolicy)
		}
		return nil, nearest
	}
	return urls, nil
}

// anyAction allows an exchange where some action is granted; its denial is that of publishing.
func (t *transaction) anyAction(target model.Target) model.Decision {
	target.Action = model.ActionPublish
	publish := t.g.Policies.Evaluate(t.id, target)
	if publish.Allow {
		return publish
	}
	for _, action := range model.Actions() {
		target.Action = action
		if d := t.g.Policies.Evaluate(t.id, target); d.Allow {
			return d
		}
	}
	return publish
}

// claimExchange burns the identity token: once for all, or once for each package where the exchange names it. The first
// claim keeps an exchanged token from being used directly. A token that many jobs share is not burned: it is good for one
// exchange of each job, each release of it for one of the publish tokens, and never used directly. One that clients exchange again
// and again is bound to what they push to.
func (t *transaction) claimExchange(ex model.Exchange) error {
	if t.g.Verifier.Shared(t.id.Issuer) {
		return nil
	}
	key := t.replayKey()
	if ex.Reusable {
		for _, target := range ex.Bound {
			if err := t.bind(key, "direct/"+target.Release(), target.Versionless); err != nil {
				return err
			}
		}
		return nil
	}
	if err := t.hold(key, "exchange"); err != nil {
		return err
	}
	if len(ex.Packages) == 0 {
		return t.hold(key+"/exchange", t.named())
	}
	for _, pkg := range ex.Packages {
		if err := t.hold(key+"/exchange/"+pkg, t.named()); err != nil {
			return err
		}
	}
	return nil
}

// revoke ends a publish token early. A token that is not ours, or has expired, needs no revoking: that is a success too, as
// in RFC 7009.
func (t *transaction) revoke(ex model.Exchange) error {
	t.event.Kind, t.event.Credential = model.EventRevocation, string(presentedPublish)
	grant, err := t.redeem(ex.Token, "")
	var denial *model.Denial
	switch {
	case errors.As(err, &denial) && (denial.Status >= http.StatusInternalServerError || denial.Code == model.CodeRateLimited):
		return err
	case err != nil:
		t.silent = true
		return nil
	}
	t.grant, t.id = grant, grant.Identity
	t.event.PublishToken, t.event.Registries = grant.ID, grant.Registries
	ctx := t.step()
	if err := t.g.Store.Revoke(ctx, revocationID(grant), grant.Expiry.Add(Leeway)); err != nil {
		return model.Deny(model.CodeStoreUnavailable).Because(err)
	}
	t.event.Decision = "allow"
	return t.record()
}
