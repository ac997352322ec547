package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/trustpub/trustpub/internal/model"
)

// The file's layout. Version 1:
//
//	meta         "version" -> 1
//	claims       key -> end (8 bytes, nanoseconds, big endian) + holder
//	claims_end   end (8 bytes) + key -> nothing: what to sweep, in order
//	revocations  id -> end (8 bytes)
//	switches     id -> the switch as JSON
const layoutVersion = "1"

var (
	bucketMeta        = []byte("meta")
	bucketClaims      = []byte("claims")
	bucketClaimsEnd   = []byte("claims_end")
	bucketRevocations = []byte("revocations")
	bucketSwitches    = []byte("switches")
	keyVersion        = []byte("version")
)

const (
	defaultLockTimeout   = 3 * time.Second
	defaultSweepInterval = time.Minute
	// checkedAtOpen is the size up to which the whole file is checked when it is opened; a larger one would delay the start.
	checkedAtOpen = 32 << 20
)

// Options of Open; the zero value is what operators get.
type Options struct {
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// LockTimeout is how long to wait for another process to let go of the file.
	LockTimeout time.Duration
	// SweepInterval is how often expired entries are removed.
	SweepInterval time.Duration
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLockTimeout
	}
	if o.SweepInterval <= 0 {
		o.SweepInterval = defaultSweepInterval
	}
}

// Open opens or creates the file, with mode 0600 in a folder of mode 0700.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	opts.defaults()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store local: folder of %s: %w", path, err)
	}
	db, err := openFile(path, opts.LockTimeout)
	if err != nil {
		return nil, err
	}
	s := &Store{
		path: path, db: db, now: opts.Now, logger: opts.Logger,
		revoked: make(map[string]int64), switches: make(map[string]model.Switch),
		ops: make(chan *operation), closing: make(chan struct{}), done: make(chan struct{}),
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.run(opts.SweepInterval)
	return s, nil
}

// openFile opens the database after looking for the damage that would kill the process later: bbolt maps the file, and
// touching a page beyond its end is a fault that no recover catches by default.
func openFile(path string, wait time.Duration) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("%v", r))
		}
	}()
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("store local: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("store local: %s is %s, expected a regular file", path, info.Mode().Type())
	case info.Size() > 0:
		if err := checkSize(path, info.Size(), wait); err != nil {
			return nil, err
		}
		if info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(path, 0o600); err != nil {
				return nil, fmt.Errorf("store local: %s can be read by others: %w", path, err)
			}
		}
	}
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: wait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, openError(path, err)
	}
	if err := db.View(func(tx *bbolt.Tx) error { return check(tx) }); err != nil {
		return nil, errors.Join(damaged(path, err), db.Close())
	}
	return db, nil
}

// checkSize compares the file's size with the pages that its header counts, without reading any other page.
func checkSize(path string, size int64, wait time.Duration) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: wait, ReadOnly: true})
	if err != nil {
		return openError(path, err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > size {
			return damaged(path, fmt.Errorf("it has %d bytes, expected at least %d", size, tx.Size()))
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// check walks every page of a file that is not too large, and gives the first fault.
func check(tx *bbolt.Tx) error {
	if tx.Size() > checkedAtOpen {
		return nil
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("store local: %s is in use by another process: stop it, or give each gateway a data folder of its own", path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return damaged(path, err)
	}
	return fmt.Errorf("store local: open %s: %w", path, err)
}

// damaged says what may be done, and what it costs: a new file has forgotten which tokens were used.
func damaged(path string, err error) error {
	return fmt.Errorf("store local: %s is damaged (%w): restore it, or move it away once every identity token used so far has expired (an hour after the last publish)", path, err)
}

// load creates the buckets and copies the revocations into memory.
func (s *Store) load() (err error) {
	defer s.recovered(&err, func() {})
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketClaims, bucketClaimsEnd, bucketRevocations, bucketSwitches} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("store local: %s: %w", s.path, err)
			}
		}
		meta := tx.Bucket(bucketMeta)
		switch v := meta.Get(keyVersion); {
		case v == nil:
			if err := meta.Put(keyVersion, []byte(layoutVersion)); err != nil {
				return fmt.Errorf("store local: %s: %w", s.path, err)
			}
		case string(v) != layoutVersion:
			return fmt.Errorf("store local: %s has layout version %q, expected %q: it was written by another version of trustpub", s.path, v, layoutVersion)
		}
		if err := s.loadSwitches(tx); err != nil {
			return err
		}
		return tx.Bucket(bucketRevocations).ForEach(func(id, end []byte) error {
			if len(end) != 8 {
				return damaged(s.path, fmt.Errorf("a revocation's end has %d bytes, expected 8", len(end)))
			}
			s.revoked[string(id)] = nanos(end)
			return nil
		})
	})
}

// endOf is a time as the file keeps it. A token may say that it expires in the year 9999, which nanoseconds cannot count:
// such an end is as late as they can, since one that wrapped around would free the claim at once.
func endOf(t time.Time) int64 {
	switch {
	case t.Year() >= 2262:
		return math.MaxInt64
	case t.Year() < 1970:
		return 0
	}
	return t.UnixNano()
}

// nanos and putNanos keep a time as 8 bytes that sort like it. Times before 1970 do not occur: a claim ends in the future.
func nanos(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) } //nolint:gosec // what putNanos wrote

func putNanos(t int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(t, 0)))
}
