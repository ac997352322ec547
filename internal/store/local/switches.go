package local

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"go.etcd.io/bbolt"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// SetSwitch implements store.Store. Operators set few, so those that have ended are forgotten on the way.
func (s *Store) SetSwitch(ctx context.Context, sw model.Switch) error {
	encoded, err := json.Marshal(sw)
	if err != nil {
		return fmt.Errorf("store local: switch: %w", err)
	}
	var ended []string
	op := newOperation(ctx)
	op.apply = func(tx *bbolt.Tx) (bool, error) {
		bucket := tx.Bucket(bucketSwitches)
		ended = s.endedSwitches()
		for _, id := range ended {
			if err := bucket.Delete([]byte(id)); err != nil {
				return false, err
			}
		}
		return true, bucket.Put([]byte(sw.ID()), encoded)
	}
	op.committed = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, id := range ended {
			delete(s.switches, id)
		}
		s.switches[sw.ID()] = sw
	}
	return s.submit(ctx, op)
}

func (s *Store) endedSwitches() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	now := s.now()
	for id, sw := range s.switches {
		if sw.Ended(now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// RemoveSwitch implements store.Store.
func (s *Store) RemoveSwitch(ctx context.Context, id string) (bool, error) {
	found := false
	op := newOperation(ctx)
	op.apply = func(tx *bbolt.Tx) (bool, error) {
		bucket := tx.Bucket(bucketSwitches)
		if bucket.Get([]byte(id)) == nil {
			return false, nil
		}
		return true, bucket.Delete([]byte(id))
	}
	op.committed = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		sw, there := s.switches[id]
		found = there && !sw.Ended(s.now())
		delete(s.switches, id)
	}
	if err := s.submit(ctx, op); err != nil {
		return false, err // the writer may still be at it, so found is not looked at
	}
	return found, nil
}

// Switches implements store.Store. It reads memory only.
func (s *Store) Switches(ctx context.Context) ([]model.Switch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	return store.LiveSwitches(maps.Values(s.switches), s.now()), nil
}

// loadSwitches copies the switches into memory.
func (s *Store) loadSwitches(tx *bbolt.Tx) error {
	return tx.Bucket(bucketSwitches).ForEach(func(id, encoded []byte) error {
		var sw model.Switch
		if err := json.Unmarshal(encoded, &sw); err != nil {
			return damaged(s.path, fmt.Errorf("a switch cannot be read: %w", err))
		}
		if sw.ID() != string(id) {
			return damaged(s.path, fmt.Errorf("a switch is kept under another name than its own"))
		}
		s.switches[string(id)] = sw
		return nil
	})
}
