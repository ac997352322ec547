package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// shelf is Caddy's storage in the doctor's process: it reads what the configured storage holds, and keeps to itself what is written.
// Modules write when they are made (a certificate authority of Caddy's own makes its keys), and what a process of another user has
// written, a gateway may not be able to read.
type shelf struct {
	certmagic.Storage

	mu    sync.Mutex
	own   map[string][]byte // nil: deleted
	since time.Time
	locks map[string]chan struct{}
}

func newShelf(configured certmagic.Storage) *shelf {
	return &shelf{Storage: configured, own: map[string][]byte{}, since: time.Now(), locks: map[string]chan struct{}{}}
}

// Store keeps a value.
func (s *shelf) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own[key] = slices.Clone(value)
	return nil
}

// Delete hides a value, and all below it.
func (s *shelf) Delete(ctx context.Context, key string) error {
	below, err := s.List(ctx, key, true)
	if err != nil {
		below = nil // it is no folder
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range append(below, key) {
		s.own[one] = nil
	}
	return nil
}

// kept is what is known of a key here.
func (s *shelf) kept(key string) (value []byte, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known = s.own[key]
	return value, known
}

// Load gives a value.
func (s *shelf) Load(ctx context.Context, key string) ([]byte, error) {
	if value, known := s.kept(key); known {
		if value == nil {
			return nil, fs.ErrNotExist
		}
		return slices.Clone(value), nil
	}
	return s.Storage.Load(ctx, key)
}

// Exists tells whether there is a value or a folder.
func (s *shelf) Exists(ctx context.Context, key string) bool {
	if value, known := s.kept(key); known {
		return value != nil
	}
	s.mu.Lock()
	for one, value := range s.own {
		if value != nil && strings.HasPrefix(one, key+"/") {
			s.mu.Unlock()
			return true
		}
	}
	s.mu.Unlock()
	return s.Storage.Exists(ctx, key)
}

// List gives the keys below a path.
func (s *shelf) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	all, err := s.Storage.List(ctx, path, recursive)
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := strings.TrimSuffix(path, "/") + "/"
	for one, value := range s.own {
		rest, below := strings.CutPrefix(one, prefix)
		switch {
		case value == nil:
			all = slices.DeleteFunc(all, func(key string) bool { return key == one })
		case !below:
		case recursive, !strings.Contains(rest, "/"):
			err = nil
			all = append(all, one)
		default:
			err = nil
			first, _, _ := strings.Cut(rest, "/")
			all = append(all, prefix+first)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// Stat describes a value.
func (s *shelf) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, known := s.kept(key)
	switch {
	case !known:
		return s.Storage.Stat(ctx, key)
	case value == nil:
		return certmagic.KeyInfo{}, fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: key, Modified: s.since, Size: int64(len(value)), IsTerminal: true}, nil
}

// Lock waits for a lock among those of this process.
func (s *shelf) Lock(ctx context.Context, name string) error {
	s.mu.Lock()
	lock := s.locks[name]
	if lock == nil {
		lock = make(chan struct{}, 1)
		s.locks[name] = lock
	}
	s.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unlock releases it.
func (s *shelf) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	lock := s.locks[name]
	s.mu.Unlock()
	select {
	case <-lock:
		return nil
	default:
		return fmt.Errorf("the lock %s is not held", name)
	}
}

// shelfName is the module of a shelf. It exists in the doctor's process only.
const shelfName = "trustpub_doctor"

// shelfModule puts a shelf before the storage of a configuration.
type shelfModule struct {
	ConfiguredRaw json.RawMessage `json:"configured,omitempty" caddy:"namespace=caddy.storage inline_key=module"`

	shelf *shelf
}

// CaddyModule returns the Caddy module information.
func (*shelfModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage." + shelfName, New: func() caddy.Module { return new(shelfModule) }}
}

// Provision makes the configured storage.
func (m *shelfModule) Provision(ctx caddy.Context) error {
	configured := certmagic.Storage(caddy.DefaultStorage)
	if m.ConfiguredRaw != nil {
		mod, err := ctx.LoadModule(m, "ConfiguredRaw")
		if err != nil {
			return err
		}
		converter, is := mod.(caddy.StorageConverter)
		if !is {
			return fmt.Errorf("module %T is no storage", mod)
		}
		if configured, err = converter.CertMagicStorage(); err != nil {
			return err
		}
	}
	m.shelf = newShelf(configured)
	return nil
}

// CertMagicStorage gives the shelf.
func (m *shelfModule) CertMagicStorage() (certmagic.Storage, error) { return m.shelf, nil }

// shelve puts a shelf before the storage of a configuration.
func shelve(config map[string]json.RawMessage) (err error) {
	module := map[string]json.RawMessage{"module": json.RawMessage(`"` + shelfName + `"`)}
	if configured, there := config["storage"]; there {
		module["configured"] = configured
	}
	config["storage"], err = json.Marshal(module)
	return err
}

// configuredStorage is the storage behind a shelf.
func configuredStorage(s certmagic.Storage) certmagic.Storage {
	if shelved, is := s.(*shelf); is {
		return shelved.Storage
	}
	return s
}

// Interface guards
var (
	_ certmagic.Storage      = (*shelf)(nil)
	_ caddy.StorageConverter = (*shelfModule)(nil)
	_ caddy.Provisioner      = (*shelfModule)(nil)
)
