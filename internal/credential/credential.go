// Package credential declares where the credentials that a registry accepts come from. Each source is a folder below.
package credential

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/trustpub/trustpub/internal/model"
)

// Source issues the credential for one upload. It must be safe for concurrent use. An error is shown to the client only as
// credential_unavailable; it must name the placeholder or the API that failed and hold no secret.
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
	// Logger takes warnings (a missing secret at provision time is a warning); never a secret.
	Logger *slog.Logger
}

// Config is a source's configuration; see model.Kind for how JSON and Caddyfile map onto its fields.
type Config interface {
	// Provision validates the configuration without side effects or network and makes the source.
	Provision(Env) (Source, error)
}

// Kind registers a source.
type Kind = model.Kind[Config]
