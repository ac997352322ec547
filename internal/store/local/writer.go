package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/trustpub/trustpub/internal/store"
)

const (
	// maxBatch bounds the operations of one transaction.
	maxBatch = 512
	// sweepBatch bounds the entries that one sweeping transaction removes, so that no claim waits long behind it.
	sweepBatch = 1000
)

// operation is one write that waits for the writer.
type operation struct {
	ctx context.Context
	// apply changes the transaction; it reports whether it wrote anything.
	apply func(*bbolt.Tx) (bool, error)
	// committed runs in the writer after the sync; may be nil.
	committed func()
	// result has room for one error, so that the writer never waits for a caller that has gone.
	result chan error
}

func newOperation(ctx context.Context) *operation {
	return &operation{ctx: ctx, result: make(chan error, 1)}
}

// submit hands an operation to the writer and waits for its end. After an error nothing is known about the operation.
func (s *Store) submit(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.ops <- op:
	case <-s.closing:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-op.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the writer. The channel has no buffer: whoever was accepted is answered, and nobody waits in it at the end.
func (s *Store) run(interval time.Duration) {
	defer close(s.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case op := <-s.ops:
			s.write(s.gather(op))
		case <-ticker.C:
			s.sweepAll()
		case <-s.closing:
			// Closing waits for open transactions; one that could not be ended would keep it for ever.
			if s.stuck {
				s.closeErr = s.broken
				return
			}
			s.closeErr = s.db.Close()
			return
		}
	}
}

// gather takes what waits by now.
func (s *Store) gather(first *operation) []*operation {
	batch := []*operation{first}
	for len(batch) < maxBatch {
		select {
		case op := <-s.ops:
			batch = append(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// write applies a batch in one transaction and answers its operations.
func (s *Store) write(batch []*operation) {
	live := batch[:0]
	for _, op := range batch {
		if err := op.ctx.Err(); err != nil {
			op.result <- err
			continue
		}
		live = append(live, op)
	}
	if len(live) == 0 {
		return
	}
	err := s.transact(func(tx *bbolt.Tx) (bool, error) {
		dirty := false
		for _, op := range live {
			wrote, err := op.apply(tx)
			if err != nil {
				return false, err
			}
			dirty = dirty || wrote
		}
		return dirty, nil
	})
	for _, op := range live {
		if err == nil && op.committed != nil {
			op.committed()
		}
		op.result <- err
	}
}

// transact runs one transaction. A batch that wrote nothing is rolled back, which costs no sync; what it read had been
// synced by an earlier one. After damage was found the store refuses everything.
func (s *Store) transact(fn func(*bbolt.Tx) (bool, error)) (err error) {
	if s.broken != nil {
		return s.broken
	}
	var tx *bbolt.Tx
	defer s.recovered(&err, func() { s.stuck = true; s.stuck = tx != nil && isOpen(tx.Rollback()) })
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err = s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("store local: %s: %w", s.path, err)
	}
	dirty, err := fn(tx)
	if err != nil || !dirty {
		if err != nil {
			err = fmt.Errorf("store local: %s: %w", s.path, err)
		}
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store local: %s: write: %w", s.path, err)
	}
	return nil
}

// isOpen is true when a rollback did not end its transaction.
func isOpen(err error) bool { return err != nil && !errors.Is(err, bolterrors.ErrTxClosed) }

// recovered turns a panic of the database into an error that stays. undo ends the transaction, and may panic itself.
func (s *Store) recovered(err *error, undo func()) {
	r := recover()
	if r == nil {
		return
	}
	defer func() { _ = recover() }()
	defer undo()
	s.broken = damaged(s.path, fmt.Errorf("%v", r))
	*err = s.broken
	s.logger.Error("the store's file is damaged; every publish is refused", slog.String("path", s.path), slog.Any("cause", r))
}

// sweepAll removes what has ended, in bounded transactions, and stops when a claim waits: the rest is taken next time.
func (s *Store) sweepAll() {
	for {
		removed, err := s.sweep(s.now())
		if err != nil {
			s.logger.Warn("expired entries of the store could not be removed", slog.String("path", s.path), slog.Any("error", err))
			return
		}
		if removed < sweepBatch {
			return
		}
		select {
		case op := <-s.ops:
			s.write(s.gather(op))
		case <-s.closing:
			return
		default:
		}
	}
}

// sweep removes up to sweepBatch entries that have ended, claims first.
func (s *Store) sweep(at time.Time) (removed int, err error) {
	now := endOf(at)
	var ids []string
	err = s.transact(func(tx *bbolt.Tx) (bool, error) {
		n, err := sweepClaims(tx, now, sweepBatch)
		if err != nil {
			return false, err
		}
		ids = s.ended(now, sweepBatch-n)
		for _, id := range ids {
			if err := tx.Bucket(bucketRevocations).Delete([]byte(id)); err != nil {
				return false, err
			}
		}
		removed = n + len(ids)
		return removed > 0, nil
	})
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.revoked, id)
	}
	return removed, nil
}

func sweepClaims(tx *bbolt.Tx, now int64, limit int) (int, error) {
	claims, ends := tx.Bucket(bucketClaims), tx.Bucket(bucketClaimsEnd)
	var ended [][]byte
	cursor := ends.Cursor()
	for k, _ := cursor.First(); k != nil && len(ended) < limit && nanos(k[:8]) <= now; k, _ = cursor.Next() {
		ended = append(ended, append([]byte(nil), k...))
	}
	for _, k := range ended {
		if err := ends.Delete(k); err != nil {
			return 0, err
		}
		if err := claims.Delete(k[8:]); err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}

// ended lists up to limit revocations that have ended.
func (s *Store) ended(now int64, limit int) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	for id, end := range s.revoked {
		if len(ids) == limit {
			break
		}
		if end <= now {
			ids = append(ids, id)
		}
	}
	return ids
}
