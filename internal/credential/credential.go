// Package credential declares where the credentials that a registry accepts come from. Each source is a folder below.
package credential

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"

	"github.com/trustpub/trustpub/internal/model"
)

// Source issues the credential for one upload. It must be safe for concurrent use. An error is shown to the client only as
// credential_unavailable; it must name the placeholder or the API that failed and hold no secret. An error that wraps a
// *model.Denial is shown as that denial, which can say when to come back (RetryAfter).
type Source interface {
	// Issue returns a credential for exactly this target, as short-lived and narrow as the registry can. The zero Credential
	// means that the request is forwarded anonymously (a source may do so for reads).
	Issue(ctx context.Context, target model.Target, id *model.Identity) (model.Credential, error)
}

// Joint is implemented by a Source whose credential names what it is for: it is asked for all targets of a request at once, the
// first of which is the one that changes.
type Joint interface {
	// IssueAll is Issue for several targets.
	IssueAll(ctx context.Context, targets []model.Target, id *model.Identity) (model.Credential, error)
}

// Federated is implemented by a Source that hands the identity token itself to a service which judges it once more. Such a source
// is asked in this way only; nobody else is ever given the token. The service must accept the audience that the gateway accepts.
type Federated interface {
	// IssueFederated is IssueAll with the identity token, which has not expired.
	IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error)
}

// Keeper is implemented by a Source that keeps something between requests which must outlive a configuration: credentials that
// serve many uploads, what is known of an API that is down.
type Keeper interface {
	// Kept lists it. It is called once, before the first request.
	Kept() []Kept
}

// Kept is one thing that a source keeps. As long as some configuration uses it, every source with the same key is given the
// same one.
type Kept struct {
	// Key names the thing and all that it depends on; it holds no secret.
	Key string
	// Open makes it; Close of what it makes is called after the last user has gone.
	Open func() io.Closer
	// Use hands over what Open made, of this source or of one before.
	Use func(io.Closer)
}

// Carrier is implemented by a Source whose credential may travel in another header than Authorization. A client never sends these
// headers to the registry, unless registries are known to take them from clients.
type Carrier interface {
	// Carries names the headers.
	Carries() []string
}

// TokenServer is implemented by a Source that is the registry's own token server, so that nobody has a password there.
type TokenServer interface {
	// ServesTokens says nothing; it marks the source.
	ServesTokens()
}

// Env is what a source may know of its surroundings.
type Env struct {
	// Registry is the registry's name, Ecosystem its protocol, Public its public URL.
	Registry, Ecosystem string
	Public              *url.URL
	// Layout says where packages are, of a registry of the ecosystem generic: "/{package}/{version}/{file}".
	Layout string
	// Logger takes warnings (a missing secret at provision time is a warning); never a secret.
	Logger *slog.Logger
}

// WarnUnread warns of a secret that can't be read yet: it may be mounted later, and is read again at each use. what names it in
// the sentence, source is the name of the kind.
func (e Env) WarnUnread(source, what string, secret model.Secret) {
	if _, err := secret.Resolve(); err != nil {
		e.Logger.Warn(what+" can't be read yet; uploads are refused until it can", "registry", e.Registry, "credential", source, "error", err)
	}
}

// CheckTargets says whether all targets are a source's own: it is asked for nothing of another registry.
func CheckTargets(registry string, targets ...model.Target) error {
	for _, t := range targets {
		if t.Registry != registry {
			return fmt.Errorf("registry is %q, expected %q", t.Registry, registry)
		}
	}
	return nil
}

// Config is a source's configuration; see model.Kind for how JSON and Caddyfile map onto its fields.
type Config interface {
	// Provision validates the configuration without side effects or network and makes the source.
	Provision(Env) (Source, error)
}

// Kind registers a source.
type Kind = model.Kind[Config]
