package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// SetSwitch implements store.Store. Operators set few, so those that have ended are removed on the way.
func (s *Store) SetSwitch(ctx context.Context, sw model.Switch) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	text, err := json.Marshal(sw)
	if err != nil {
		return err
	}
	_, err = call(ctx, s, func(ctx context.Context) (any, error) {
		var err error
		for range attempts {
			err = s.client.Watch(ctx, func(tx *redis.Tx) error {
				all, err := s.readSwitches(ctx, tx)
				if err != nil {
					return err
				}
				_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
					for _, old := range all {
						if old.Ended(s.now()) {
							pipe.HDel(ctx, s.switchesKey(), old.ID())
						}
					}
					pipe.HSet(ctx, s.switchesKey(), sw.ID(), text)
					return nil
				})
				return err
			}, s.switchesKey())
			if !errors.Is(err, redis.TxFailedErr) {
				break
			}
		}
		return nil, err
	})
	return err
}

// RemoveSwitch implements store.Store.
func (s *Store) RemoveSwitch(ctx context.Context, id string) (bool, error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	return call(ctx, s, func(ctx context.Context) (bool, error) {
		pipe := s.client.TxPipeline()
		text := pipe.HGet(ctx, s.switchesKey(), id)
		pipe.HDel(ctx, s.switchesKey(), id)
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return false, err
		}
		s.known.forget(id)
		if text.Err() != nil {
			return false, nil // there was none
		}
		old, err := parseSwitch(text.Val())
		return err == nil && !old.Ended(s.now()), err
	})
}

// Switches implements store.Store. The gateway asks for them every few seconds, so this is also where a server is noticed
// that has lost its data without a restart.
func (s *Store) Switches(ctx context.Context) ([]model.Switch, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	return call(ctx, s, func(ctx context.Context) ([]model.Switch, error) {
		if err := s.checkMarker(ctx); err != nil {
			return nil, err
		}
		all, err := s.readSwitches(ctx, s.client)
		if err != nil {
			return nil, err
		}
		if all, err = s.restoreSwitches(ctx, all); err != nil {
			return nil, err
		}
		return store.LiveSwitches(slices.Values(all), s.now()), nil
	})
}

// knownSwitches are those that were read last, and what Since was then.
type knownSwitches struct {
	mu    sync.Mutex
	since time.Time
	all   []model.Switch
}

// forget keeps a switch that was removed here from being given to a server that has forgotten. Another gateway that has not read
// the switches since may still give it back, within the seconds that takes.
func (k *knownSwitches) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = slices.DeleteFunc(slices.Clone(k.all), func(sw model.Switch) bool { return sw.ID() == id })
}

// restoreSwitches gives a server that has forgotten them the switches that this gateway knew: an order to stop something must
// not end because a server was restarted.
func (s *Store) restoreSwitches(ctx context.Context, all []model.Switch) ([]model.Switch, error) {
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	since := s.Since()
	if !since.Equal(s.known.since) {
		for _, old := range s.known.all {
			if slices.ContainsFunc(all, func(sw model.Switch) bool { return sw.ID() == old.ID() }) || old.Ended(s.now()) {
				continue
			}
			text, err := json.Marshal(old)
			if err != nil {
				return nil, err
			}
			if err := s.client.HSetNX(ctx, s.switchesKey(), old.ID(), text).Err(); err != nil {
				return nil, err
			}
			s.logger.WarnContext(ctx, "the store's server had forgotten a switch, and has it again", slog.String("switch", old.String()))
			all = append(all, old)
		}
	}
	s.known.since, s.known.all = since, all
	return all, nil
}

func (s *Store) switchesKey() string { return s.prefix + "switches" }

// readSwitches reads all of them, ended ones included.
func (s *Store) readSwitches(ctx context.Context, c redis.Cmdable) ([]model.Switch, error) {
	texts, err := c.HGetAll(ctx, s.switchesKey()).Result()
	if err != nil {
		return nil, err
	}
	var all []model.Switch
	for _, text := range texts {
		sw, err := parseSwitch(text)
		if err != nil {
			return nil, err
		}
		all = append(all, sw)
	}
	return all, nil
}

func parseSwitch(text string) (model.Switch, error) {
	var sw model.Switch
	if err := json.Unmarshal([]byte(text), &sw); err != nil {
		return sw, fmt.Errorf("a stored switch is not readable: %w", err)
	}
	return sw, nil
}
