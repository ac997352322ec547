// Package file is the audit sink that appends to a JSONL file. It survives what happens to such files: rotation by rename,
// a crash in the middle of a line, a full disk.
package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/model"
)

// Kind registers the sink as `audit file PATH`.
var Kind = audit.Kind{Name: "file", New: func() audit.Config { return new(Config) }}

// The values of Config.Fsync.
const (
	// FsyncAlways syncs before a write returns: a decision is on the disk before its upload is let through.
	FsyncAlways = "always"
	// FsyncInterval syncs every Config.Interval: a power failure may cost that much, a crash of the process nothing.
	FsyncInterval = "interval"
	// FsyncNever leaves it to the operating system.
	FsyncNever = "never"
)

const defaultInterval = time.Second

// Config says where the file is and how durable its lines are.
type Config struct {
	// Path of the file; a relative one is below the folder of the Caddyfile, in JSON below the process's working directory.
	Path string `json:"path,omitempty" caddyfile:"arg,path"`
	// Fsync is "always" (the default), "interval" or "never".
	Fsync string `json:"fsync,omitempty"`
	// Interval is how often "interval" syncs; default 1s.
	Interval model.Duration `json:"interval,omitempty"`
}

var (
	_ audit.Config = (*Config)(nil)
	_ audit.Filed  = (*Config)(nil)
)

// Validate checks the values without touching the file.
func (c *Config) Validate() error {
	if c.Path == "" {
		return errors.New("audit file: path is empty, expected the path of a file, as in: audit file /var/log/trustpub/audit.jsonl")
	}
	switch c.Fsync {
	case "", FsyncAlways, FsyncInterval, FsyncNever:
	default:
		return fmt.Errorf("audit file: fsync is %q, expected %s, %s or %s", c.Fsync, FsyncAlways, FsyncInterval, FsyncNever)
	}
	if c.Interval != 0 && c.Fsync != FsyncInterval {
		return errors.New("audit file: interval is set, expected fsync interval beside it")
	}
	if c.Interval < 0 {
		return fmt.Errorf("audit file: interval is %s, expected a positive duration", time.Duration(c.Interval))
	}
	return nil
}

// File is the file's path.
func (c *Config) File() (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	return filepath.Abs(c.Path)
}

// Key is the file's canonical path, so that the old and the new configuration of a reload share one chain.
func (c *Config) Key(audit.Env) (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return "", fmt.Errorf("audit file: %w", err)
	}
	// The folder may not exist yet; then nothing else can have reached the file by another name.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return "audit-file:" + path, nil
}

// Open opens or creates the file.
func (c *Config) Open(ctx context.Context, env audit.Env) (audit.Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("audit file: %w", err)
	}
	policy, interval := c.Fsync, time.Duration(c.Interval)
	if policy == "" {
		policy = FsyncAlways
	}
	if interval == 0 {
		interval = defaultInterval
	}
	return open(ctx, path, options{policy: policy, interval: interval, logger: env.Logger})
}
