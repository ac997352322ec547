package toolbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CacheEnv names the environment variable that moves the cache.
const CacheEnv = "TRUSTPUB_TEST_CACHE"

// CacheDir is the folder that all runs share: $TRUSTPUB_TEST_CACHE, or trustpub-test in the user's cache folder.
func CacheDir() (string, error) {
	dir := os.Getenv(CacheEnv)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder for the test tools: %w; set %s to a writable folder", err, CacheEnv)
		}
		dir = filepath.Join(base, "trustpub-test")
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%s is %q, expected an absolute path", CacheEnv, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cache folder for the test tools: %w; set %s to a writable folder", err, CacheEnv)
	}
	return dir, nil
}

// Lock waits for the exclusive lock of a path (beside it, as PATH.lock), which other processes respect too; the returned
// function gives it back.
func Lock(path string) (release func(), err error) { return lock(path, func() {}) }

// lock is Lock; waits is called where somebody else has it.
func lock(path string, waits func()) (release func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		waits()
	}
	for errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil // closing drops the lock
}
