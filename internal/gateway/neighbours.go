// Package gateway is the way of one upload over net/http: it finds the registry, asks each room once, in order, and writes
// every denial. It declares what it needs of its neighbours and knows none of them.
package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Verifier verifies identity tokens. Errors are *model.Denial.
type Verifier interface {
	// Ours is true for a JWT whose unverified iss is a configured issuer, disabled ones included. It costs no cryptography.
	Ours(raw string) bool
	// Look is Ours of a token that will be verified where it is ours: what it has cost to look is not spent again.
	Look(raw string) (model.Sighting, bool)
	// VerifySeen checks everything about a token but replay; exactly one of audiences must be its audience. The identity is shared and
	// must not be changed.
	VerifySeen(ctx context.Context, seen model.Sighting, audiences []string) (*model.Identity, error)
	// Active is true while an issuer of that name is configured and enabled.
	Active(issuer string) bool
	// Shared is true where many jobs read one token of the issuer: a use by one job then says nothing about the others.
	Shared(issuer string) bool
	// BreakGlass is true for an issuer whose tokens are made by hand in an emergency, which the audit marks.
	BreakGlass(issuer string) bool
	// Whose names the repository that a token speaks for, or its owner, by an id that is never another's, within all issuers.
	Whose(id *model.Identity) string
	// Run picks the run's own claims for the audit (repository, ids, workflow, ref, sha, run id, actor).
	Run(id *model.Identity) map[string]string
}

// Tokens mints and verifies publish tokens. Errors are *model.Denial.
type Tokens interface {
	// Ours is true for the publish token's prefix.
	Ours(raw string) bool
	// Mint makes a token of the grant's identity, registries, packages and SingleUse, for the given audience URLs (the public
	// URLs in scope), and fills in ID, IssuedAt and Expiry.
	Mint(ctx context.Context, grant *model.Grant, audiences []string) (string, error)
	// Verify checks a token for one audience URL; an empty one checks all but the audience (revocation).
	Verify(ctx context.Context, raw, audience string) (*model.Grant, error)
}

// Policies decides.
type Policies interface {
	// Evaluate judges an identity and a target by the policies of now. A target without a package is an exchange: what of a
	// policy needs the package or version is left open.
	Evaluate(id *model.Identity, target model.Target) model.Decision
	// Protected is true where some policy claims the package exclusively, expired policies and those of a disabled issuer
	// included.
	Protected(registry, pkg string) bool
}

// Switches are operators' orders that beat every policy. Errors are *model.Denial.
type Switches interface {
	// Identity refuses a token whose issuer, key, repository or run is stopped.
	Identity(id *model.Identity) error
	// Target refuses to change a registry or package that is frozen, or by a policy that is stopped; policy and the target's
	// package may be empty, and a read is never refused.
	Target(target model.Target, policy string) error
}

// Limits bounds what callers can make the gateway do before it knows who they are. An address is a client's. Errors are *model.Denial.
type Limits interface {
	// Begin takes one more upload of a client in that is spooled, Grow n more bytes of one onto the disk; End gives it back with its bytes. A client is
	// whose token it is, or an address.
	Begin(client string) error
	Grow(client string, n int64) error
	End(client string, bytes int64)
	// Attempt refuses to look at a token of an address that has sent too many that were not believed; Disbelieved counts one more.
	Attempt(address string) error
	Disbelieved(address string)
	// Refused is asked before the refusal of a request whose sender nobody knows is recorded: a quiet one is counted only. missed is how many
	// were, since the last one that was recorded.
	Refused(address string) (quiet bool, missed int64)
	// Exchange takes one exchange out of the budget of an address, Grant one out of that of an issuer.
	Exchange(address string) error
	Grant(issuer string) error
}

// Auditor records events.
type Auditor interface {
	// Record returns once the event is durable; an error means that it is not, and a publish is refused.
	Record(ctx context.Context, event model.Event) error
	// Ready is an error while events cannot be made durable; asked before a token is burned that the record would be about.
	Ready() error
	// Note records without waiting; used for outcomes and denials.
	Note(event model.Event)
}

// Meter counts what the gateway does. Labels are bounded: names of the configuration, operations and codes.
type Meter interface {
	// Request counts one finished request; code is empty when it was let through.
	Request(registry, operation, credential string, code model.Code)
	// Upload observes a finished upload's file size and duration.
	Upload(registry string, bytes int64, took time.Duration)
	// Limited counts a request that a limit of the gateway's own refused.
	Limited(limit string)
}

// Next forwards a request to the rest of the chain, which ends in the registry.
type Next func(http.ResponseWriter, *http.Request) error
