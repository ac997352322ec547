package local

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// Store is the open file. One goroutine writes: it takes all operations that wait, applies them in one transaction and
// answers them after the one sync, so that concurrent claims share it and a lone claim never waits for others.
type Store struct {
	path   string
	db     *bbolt.DB
	now    func() time.Time
	logger *slog.Logger

	// mu guards what follows: a copy of all revocations that are on the disk, and closed.
	mu      sync.RWMutex
	revoked map[string]int64
	closed  bool
	// switches is a copy of those on the disk, also under mu.
	switches map[string]model.Switch

	ops     chan *operation
	closing chan struct{}
	done    chan struct{}
	// broken is set by the writer when the file turned out to be damaged; only the writer uses it.
	broken error
	// stuck is set by the writer when a transaction could not even be rolled back.
	stuck bool
	// closeErr is what closing the file gave; read it after done.
	closeErr error
}

var _ store.Store = (*Store)(nil)

// Claim implements store.Store. When it returns without an error the claim has been synced.
func (s *Store) Claim(ctx context.Context, key, holder string, until time.Time) (string, error) {
	now := s.now()
	if err := store.CheckClaim(key, holder, until, now); err != nil {
		return "", err
	}
	var winner string
	op := newOperation(ctx)
	op.apply = func(tx *bbolt.Tx) (bool, error) {
		var dirty bool
		var err error
		winner, dirty, err = claim(tx, key, holder, endOf(until), endOf(now))
		return dirty, err
	}
	if err := s.submit(ctx, op); err != nil {
		return "", err
	}
	return winner, nil
}

// claim is Claim inside a transaction; dirty is false when nothing was written.
func claim(tx *bbolt.Tx, key, holder string, until, now int64) (winner string, dirty bool, err error) {
	claims, ends := tx.Bucket(bucketClaims), tx.Bucket(bucketClaimsEnd)
	k := []byte(key)
	if old := claims.Get(k); old != nil {
		if len(old) < 8 {
			return "", false, fmt.Errorf("a claim has %d bytes, expected at least 8", len(old))
		}
		end, held := nanos(old[:8]), string(old[8:])
		if end > now && held != holder {
			return held, false, nil
		}
		if end > now && end >= until {
			return holder, false, nil
		}
		if err := ends.Delete(endKey(end, k)); err != nil {
			return "", false, err
		}
	}
	if err := claims.Put(k, append(putNanos(until), holder...)); err != nil {
		return "", false, err
	}
	if err := ends.Put(endKey(until, k), nil); err != nil {
		return "", false, err
	}
	return holder, true, nil
}

func endKey(end int64, key []byte) []byte { return append(putNanos(end), key...) }

// Revoke implements store.Store.
func (s *Store) Revoke(ctx context.Context, id string, until time.Time) error {
	if err := store.CheckRevoke(id); err != nil {
		return err
	}
	end := endOf(until)
	if end <= endOf(s.now()) {
		// Nothing to keep; but a store that is closed must not say that all is well.
		_, err := s.Revoked(ctx, id)
		return err
	}
	op := newOperation(ctx)
	op.apply = func(tx *bbolt.Tx) (bool, error) {
		bucket := tx.Bucket(bucketRevocations)
		if old := bucket.Get([]byte(id)); len(old) == 8 && nanos(old) >= end {
			return false, nil
		}
		return true, bucket.Put([]byte(id), putNanos(end))
	}
	op.committed = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.revoked[id] = max(s.revoked[id], end)
	}
	return s.submit(ctx, op)
}

// Revoked implements store.Store. It reads memory only: it runs once more before the last bytes of every upload.
func (s *Store) Revoked(ctx context.Context, ids ...string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	now := endOf(s.now())
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false, store.ErrClosed
	}
	for _, id := range ids {
		if s.revoked[id] > now {
			return true, nil
		}
	}
	return false, nil
}

// Since is zero: the file forgets nothing.
func (s *Store) Since() time.Time { return time.Time{} }

// Close answers what was accepted, and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	close(s.closing)
	<-s.done
	return s.closeErr
}
