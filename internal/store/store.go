// Package store declares where replay claims, revocations and operators' switches are kept. Each store is a folder below; all run the
// conformance suite in storetest.
package store

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Store keeps claims, revocations and switches. All methods are atomic and safe for concurrent use; an error means that nothing is
// known, and the caller refuses.
type Store interface {
	// Claim makes holder the holder of key until the given time if nobody holds it, and returns whoever holds it then. When it
	// returns without an error the claim is as durable as the store can make it. Asking again with the same holder
	// returns it again.
	Claim(ctx context.Context, key, holder string, until time.Time) (string, error)
	// Revoke marks an id until the given time; revoking twice keeps the later time.
	Revoke(ctx context.Context, id string, until time.Time) error
	// Revoked is true when one of the ids is marked.
	Revoked(ctx context.Context, ids ...string) (bool, error)
	// SetSwitch keeps an operator's switch, in place of one with the same ID; as durable as a claim.
	SetSwitch(ctx context.Context, s model.Switch) error
	// RemoveSwitch forgets the switch of that ID; found is false where there was none.
	RemoveSwitch(ctx context.Context, id string) (found bool, err error)
	// Switches lists those that have not ended, ordered by ID.
	Switches(ctx context.Context) ([]model.Switch, error)
	// Since is the time before which claims may have been forgotten: tokens issued earlier are refused. Zero for a store that
	// forgets nothing.
	Since() time.Time
	io.Closer
}

// Leaser is implemented by every store that several gateways share: what one of them is doing just now, the others leave alone. A gateway
// that is alone needs no store for that.
type Leaser interface {
	// Lease makes holder the holder of key for a while if nobody holds it, and returns whoever holds it then. Asking again with the same
	// holder makes it last that while from now. The while is by the store's own clock, since it is short and clocks differ. Leases
	// and claims of one name are apart.
	Lease(ctx context.Context, key, holder string, life time.Duration) (string, error)
	// Release gives key back; it does nothing where another one holds it, or nobody does.
	Release(ctx context.Context, key, holder string) error
}

// Env is what a store may know of its surroundings.
type Env struct {
	// DataDir is the folder for durable data; a store that uses it creates it with mode 0700.
	DataDir string
	Logger  *slog.Logger
}

// Shared is implemented by the configuration of a store that several gateways can use at once. One that lacks it is for one
// gateway, and refused where more are configured.
type Shared interface {
	// SharedByNodes is true where gateways that are configured alike see each other's claims. What Open makes is then a Leaser too.
	SharedByNodes() bool
}

// Checker is implemented by the configuration of a store that can be looked at while gateways use it, without disturbing them.
type Checker interface {
	// Check says what it found, or nothing where there is nothing yet; an error is why a gateway could not use the store.
	Check(ctx context.Context, env Env) (string, error)
}

// Filed is implemented by the configuration of a store that lies in one file.
type Filed interface {
	// File is its path.
	File(Env) (string, error)
}

// Config is a store's configuration; see model.Kind for how JSON and Caddyfile map onto its fields.
type Config interface {
	// Key names the resource that is opened once however many configurations use it (a canonical path, an address).
	Key(Env) (string, error)
	// Validate checks the configuration without touching anything.
	Validate() error
	// Open opens the store.
	Open(ctx context.Context, env Env) (Store, error)
}

// Kind registers a store.
type Kind = model.Kind[Config]
