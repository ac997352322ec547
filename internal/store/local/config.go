// Package local keeps claims and revocations in one file on this machine (bbolt), durably: a claim is on the disk before
// the upload goes on, and a restart forgets nothing. It is the default store.
package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/trustpub/trustpub/internal/store"
)

// Kind registers the store as `store local [PATH]`.
var Kind = store.Kind{Name: "local", New: func() store.Config { return new(Config) }}

// defaultFile is the file's name in the data folder where none is configured.
const defaultFile = "trustpub.db"

// Config says where the file is.
type Config struct {
	// Path of the file: absolute, or below the data folder. Default: trustpub.db in the data folder.
	Path string `json:"path,omitempty" caddyfile:"arg"`
}

var _ store.Config = (*Config)(nil)

// Validate refuses a relative path that leaves the data folder.
func (c *Config) Validate() error {
	if c.Path == "" || filepath.IsAbs(c.Path) || filepath.IsLocal(c.Path) {
		return nil
	}
	return fmt.Errorf("store local: path is %q, expected an absolute path or one below the data folder", c.Path)
}

// Key is the file's canonical path, so that the old and the new configuration of a reload share one open file.
func (c *Config) Key(env store.Env) (string, error) {
	path, err := c.path(env)
	if err != nil {
		return "", err
	}
	// The folder may not exist yet; then nothing else can have reached the file by another name.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return "local:" + path, nil
}

// Open opens or creates the file.
func (c *Config) Open(ctx context.Context, env store.Env) (store.Store, error) {
	path, err := c.path(env)
	if err != nil {
		return nil, err
	}
	return Open(ctx, path, Options{Logger: env.Logger})
}

func (c *Config) path(env store.Env) (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	name := c.Path
	if name == "" {
		name = defaultFile
	}
	if !filepath.IsAbs(name) {
		if env.DataDir == "" {
			return "", errors.New("store local: no data folder is known, expected an absolute path")
		}
		name = filepath.Join(env.DataDir, name)
	}
	return filepath.Abs(name)
}
