package doctor

import (
	"context"
	"errors"
	"io/fs"

	"github.com/trustpub/trustpub/internal/store"
)

// Store looks at the store of claims as far as it lets itself be looked at while gateways use it.
func Store(name string, config store.Config, env store.Env) []Check {
	filed, inFile := config.(store.Filed)
	c := Check{Area: "store", Subject: name, What: "it keeps claims", Network: !inFile}
	checker, can := config.(store.Checker)
	if !can {
		c.Network = false
		c.Run = func(context.Context) []Finding {
			return []Finding{ok("nothing to look at before it runs")}
		}
		return []Check{c}
	}
	c.Run = func(ctx context.Context) []Finding {
		found, err := checker.Check(ctx, env)
		if err != nil {
			return []Finding{failure("until it works, publishes and exchanges are refused, and a gateway may not start", "%v", err)}
		}
		if found == "" {
			return nil
		}
		return []Finding{ok("%s", found)}
	}
	checks := []Check{c}
	if inFile {
		if path, err := filed.File(env); err == nil {
			checks = append(checks, File("store", name, path))
		}
	}
	return checks
}

// Storage is what the gateway keeps in Caddy's storage.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// storageKey is written and deleted by WriteStorage.
const storageKey = "trusted_publishing/doctor"

// WriteStorage writes to a storage that is not a folder of this machine, reads it back and deletes it.
func WriteStorage(s Storage) Check {
	return Check{Area: "storage", What: "it can be written", Network: true, Run: func(ctx context.Context) []Finding {
		const help = "signing keys and last good policies are kept there: make it writable for the gateway"
		if err := s.Store(ctx, storageKey, []byte("trustpub doctor")); err != nil {
			return []Finding{failure(help, "it can't be written: %v", err)}
		}
		b, err := s.Load(ctx, storageKey)
		if err != nil || string(b) != "trustpub doctor" {
			return []Finding{failure(help, "what was written can't be read back: %v", err)}
		}
		if err := s.Delete(ctx, storageKey); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return []Finding{warning(help, "what was written can't be deleted: %v", err)}
		}
		return []Finding{ok("it can be written")}
	}}
}
