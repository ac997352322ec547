package publishtoken

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

var errAway = errors.New("the storage is away")

// memory is a storage as nodes share it.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	loads  int
	stores int
	away   bool
	locks  chan struct{}
}

var _ Storage = (*memory)(nil)

func newMemory() *memory {
	return &memory{values: map[string][]byte{}, locks: make(chan struct{}, 1)}
}

func (s *memory) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.away {
		return nil, errAway
	}
	v, ok := s.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return append([]byte(nil), v...), nil
}

func (s *memory) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores++
	if s.away {
		return errAway
	}
	s.values[key] = append([]byte(nil), value...)
	return nil
}

func (s *memory) Lock(ctx context.Context, _ string) error {
	if s.isAway() {
		return errAway
	}
	select {
	case s.locks <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *memory) Unlock(context.Context, string) error { <-s.locks; return nil }

func (s *memory) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *memory) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *memory) counts() (loads, stores int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads, s.stores
}

// clock is a clock that stands still until it is told to move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 20, 0, 0, 123456789, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// node is one gateway on a storage.
func node(t testing.TB, s Storage, c *clock, change ...func(*Options)) *Minter {
	t.Helper()
	o := Options{Storage: s, Logger: quiet(), Now: c.Now}
	for _, f := range change {
		f(&o)
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func codeOf(t testing.TB, err error) model.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var d *model.Denial
	if !errors.As(err, &d) {
		t.Fatalf("got error %v, expected a denial", err)
	}
	return d.Code
}
