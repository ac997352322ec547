package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/trustpub/trustpub/internal/store"
)

// checkLockTimeout is how long Check waits for the file: a gateway that has it has it for as long as it runs. The lock that Check
// takes is shared, and held for less than a gateway that starts waits for its own.
const checkLockTimeout = 250 * time.Millisecond

var (
	_ store.Checker = (*Config)(nil)
	_ store.Filed   = (*Config)(nil)
)

// File is the file's path.
func (c *Config) File(env store.Env) (string, error) { return c.path(env) }

// Check reads the file where no gateway has it, and writes nothing.
func (c *Config) Check(_ context.Context, env store.Env) (found string, err error) {
	path, err := c.path(env)
	if err != nil {
		return "", err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("%v", r))
		}
	}()
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("store local: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("store local: %s is %s, expected a regular file", path, info.Mode().Type())
	case info.Size() == 0:
		return path + " is empty", nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: checkLockTimeout, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return path + " is in use by a gateway that runs", nil
	}
	if err != nil {
		return "", openError(path, err)
	}
	claims := 0
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return damaged(path, fmt.Errorf("it has %d bytes, expected at least %d", info.Size(), tx.Size()))
		}
		if err := check(tx); err != nil {
			return damaged(path, err)
		}
		if meta := tx.Bucket(bucketMeta); meta != nil {
			if v := meta.Get(keyVersion); v != nil && string(v) != layoutVersion {
				return fmt.Errorf("store local: %s has layout version %q, expected %q: it was written by another version of trustpub", path, v, layoutVersion)
			}
		}
		if bucket := tx.Bucket(bucketClaims); bucket != nil {
			claims = bucket.Stats().KeyN
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is whole (claims in it: %d)", path, claims), nil
}
