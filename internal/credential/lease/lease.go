// Package lease keeps credentials that serve many uploads: each has a life, is made once for all who need it at the same time, is
// renewed behind the back of those who use it before it ends, is dropped when the registry refuses it, and outlives a reload of the
// configuration.
package lease

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	// defaultLeast is how long a credential is good for at least when it is handed out; one with a short life has a quarter of it left.
	defaultLeast = time.Minute
	// mintTimeout bounds the making of one, whoever waits for it.
	mintTimeout = 30 * time.Second
	// again is how long a renewal that failed is put off.
	again = 10 * time.Second
	// young is how long a new credential is kept even where the registry refuses it: another one would be refused as well.
	young = 10 * time.Second
	// limit is how many are kept.
	limit = 1024
	// closeTimeout bounds the revocations at the end.
	closeTimeout = 5 * time.Second
)

// Mint makes a credential with an expiry. Its context outlives the request that asked.
type Mint func(ctx context.Context) (model.Credential, error)

// Options are what a source may set.
type Options struct {
	// Least is how long a credential is good for at least when it is handed out; zero: defaultLeast.
	Least time.Duration
	// NoRenewal leaves out the renewal ahead of the end, where what a credential is made of ends before: an identity token.
	NoRenewal bool
	// Logger takes warnings about renewals; required.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Cache keeps credentials by key. It is safe for concurrent use.
type Cache struct {
	logger *slog.Logger // of this configuration, whichever has made the shelf
	live   atomic.Pointer[shelf]
}

// New makes an empty one.
func New(o Options) *Cache {
	if o.Least == 0 {
		o.Least = defaultLeast
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cache{logger: o.Logger}
	c.live.Store(&shelf{least: o.Least, once: o.NoRenewal, now: o.Now, kept: map[string]*kept{}, ctx: ctx, cancel: cancel})
	return c
}

// Key makes a key of all that a credential depends on: the account, the secret that it is made of, the target or parts of it. What
// is in it can't be read out of it.
func Key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Kept is what outlives a reload. The key names the registry's API and the account.
func (c *Cache) Kept(parts ...string) credential.Kept {
	return credential.Kept{
		Key:  "lease/" + Key(parts...),
		Open: func() io.Closer { return c.live.Load() },
		Use: func(old io.Closer) {
			if s, ok := old.(*shelf); ok {
				c.live.Store(s)
			}
		},
	}
}

// Get gives the credential of a key, and makes it where there is none. It has no Revoke, since others use it too.
func (c *Cache) Get(ctx context.Context, key string, mint Mint) (model.Credential, error) {
	s := c.live.Load()
	if k, renew := s.find(key); k != nil {
		if renew {
			s.renew(key, k, mint, c.logger)
		}
		return s.hand(key, k), nil
	}
	done := s.flight.DoChan(key, func() (any, error) { return s.make(ctx, key, nil, mint) })
	select {
	case r := <-done:
		if r.Err != nil {
			return model.Credential{}, r.Err
		}
		return s.hand(key, r.Val.(*kept)), nil
	case <-ctx.Done():
		return model.Credential{}, fmt.Errorf("waiting for a credential: %w", ctx.Err())
	}
}

// shelf is what a Cache holds.
type shelf struct {
	least  time.Duration
	once   bool // no renewal ahead
	now    func() time.Time
	flight singleflight.Group
	ctx    context.Context // of what is being made; ends with Close
	cancel context.CancelFunc
	behind sync.WaitGroup // what is being made

	mu      sync.Mutex
	kept    map[string]*kept
	retired []model.Credential // replaced ones that can be revoked at the end
	closed  bool
}

// kept is one credential; renewal is changed under the shelf's lock, all else never.
type kept struct {
	credential model.Credential
	made, end  time.Time // end is when it is not handed out any more
	renewal    time.Time // when it is due to be renewed
}

// find gives a credential that is still good, and whether the caller has to see to its renewal.
func (s *shelf) find(key string) (k *kept, renew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	k = s.kept[key]
	if k == nil || !now.Before(k.end) {
		return nil, false
	}
	if now.Before(k.renewal) || s.once || s.closed {
		return k, false
	}
	k.renewal = now.Add(again) // for the others, and where it fails
	s.behind.Add(1)            // under the lock, so that Close waits for it
	return k, true
}

// renew makes the next one while the present one serves on.
func (s *shelf) renew(key string, old *kept, mint Mint, logger *slog.Logger) {
	go func() {
		defer s.behind.Done()
		_, err, _ := s.flight.Do(key, func() (any, error) { return s.make(s.ctx, key, old, mint) })
		if err != nil && s.ctx.Err() == nil {
			logger.Warn("a credential of a registry can't be renewed; it serves on until it ends", "ends", old.credential.Expiry, "error", err)
		}
	}()
}

// make mints one and keeps it, unless another than old was made meanwhile.
func (s *shelf) make(ctx context.Context, key string, old *kept, mint Mint) (*kept, error) {
	s.mu.Lock()
	now, k, closed := s.now(), s.kept[key], s.closed
	if k != nil && k != old && now.Before(k.end) {
		s.mu.Unlock()
		return k, nil
	}
	if !closed { // Close waits for it, so that none is made that nobody revokes
		s.behind.Add(1)
		defer s.behind.Done()
	}
	s.mu.Unlock()
	if old == nil { // somebody waits, and others may wait with him
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, mintTimeout)
	defer cancel()
	if !closed {
		defer context.AfterFunc(s.ctx, cancel)()
	}
	fresh, err := mint(ctx)
	if err != nil {
		return nil, err
	}
	return s.keep(key, fresh)
}

// keep puts a credential on the shelf.
func (s *shelf) keep(key string, fresh model.Credential) (*kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	life := fresh.Expiry.Sub(now)
	if fresh.Expiry.IsZero() || life <= 0 {
		return nil, errors.New("the new credential has no expiry, or has expired: compare the clocks of the gateway and of what made it")
	}
	k := &kept{
		credential: fresh, made: now, end: fresh.Expiry.Add(-min(s.least, life/4)),
		renewal: now.Add(life / 3 * 2),
	}
	s.retire(s.kept[key], now)
	s.kept[key] = k
	if len(s.kept) > limit {
		s.shrink(key, now)
	}
	return k, nil
}

// retire remembers a replaced credential that can be revoked; requests under way still use it. The lock is held.
func (s *shelf) retire(k *kept, now time.Time) {
	alive := s.retired[:0]
	for _, c := range s.retired {
		if now.Before(c.Expiry) {
			alive = append(alive, c)
		}
	}
	s.retired = alive
	if k != nil && k.credential.Revoke != nil && len(s.retired) < limit {
		s.retired = append(s.retired, k.credential)
	}
}

// shrink drops what has ended, else what ends first. The lock is held.
func (s *shelf) shrink(fresh string, now time.Time) {
	first := ""
	for key, k := range s.kept {
		switch {
		case key == fresh:
		case !now.Before(k.end):
			s.retire(k, now)
			delete(s.kept, key)
		case first == "" || k.end.Before(s.kept[first].end):
			first = key
		}
	}
	if len(s.kept) > limit && first != "" {
		s.retire(s.kept[first], now)
		delete(s.kept, first)
	}
}

// hand gives a copy that its user may change, and that he can report as refused.
func (s *shelf) hand(key string, k *kept) model.Credential {
	return model.Credential{
		Header: k.credential.Header.Clone(), Expiry: k.credential.Expiry,
		Refused: func() { s.drop(key, k) },
	}
}

// drop forgets a credential that the registry refuses, unless it is a new one or was replaced.
func (s *shelf) drop(key string, k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.kept[key] == k && now.Sub(k.made) >= young {
		s.retire(k, now)
		delete(s.kept, key)
	}
}

// Close ends what is being made, and revokes what can be revoked.
func (s *shelf) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.behind.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for key, k := range s.kept {
		s.retire(k, now)
		delete(s.kept, key)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, c := range s.retired {
		if err := c.Revoke(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	s.retired = nil
	return errors.Join(errs...)
}
