package redisserver

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/redis"
)

// recovered waits until the store answers again; its breaker asks once a second.
func recovered(t *testing.T, s *redis.Store) {
	t.Helper()
	err := process.Poll(t.Context(), 30*time.Second, nil, func(ctx context.Context) error {
		_, err := s.Revoked(ctx, "nothing")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// raw is a client beside the store's.
func raw(t testing.TB, server *Server) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestForgetfulRestart: a restart that forgets claims is noticed before any claim is made on what came back, whatever the
// server has kept of its data.
func TestForgetfulRestart(t *testing.T) {
	for name, keep := range map[string]func(*testing.T, *Server){
		"nothing is kept": func(*testing.T, *Server) {},
		"an old snapshot is": func(t *testing.T, s *Server) {
			if err := raw(t, s).Save(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, Options{Args: []string{"--dbfilename", "dump.rdb"}})
			s := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
			if got := claim(t.Context(), s, "early", "first"); got != "first" {
				t.Fatal(got)
			}
			keep(t, server)
			if got := claim(t.Context(), s, "late", "first"); got != "first" {
				t.Fatal(got)
			}
			freeze := model.Switch{Kind: model.SwitchPackage, Value: "r/p", Reason: "incident 12"}
			if err := s.SetSwitch(t.Context(), freeze); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Switches(t.Context()); err != nil { // as the gateway does every two seconds
				t.Fatal(err)
			}
			before := s.Since()
			server.Kill()
			killed := time.Now()
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			recovered(t, s)
			if got := claim(t.Context(), s, "late", "second"); got != "second" {
				t.Errorf("the claim is held by %q: the server has kept what it was to forget", got)
			}
			if !s.Since().After(killed) || !before.Before(killed) {
				t.Errorf("Since went from %s to %s, expected it after the kill at %s", before, s.Since(), killed)
			}
			other := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
			if !other.Since().Equal(s.Since()) {
				t.Errorf("another gateway says %s, expected the same %s", other.Since(), s.Since())
			}
			if _, err := s.Switches(t.Context()); err != nil {
				t.Fatal(err)
			}
			if all, err := other.Switches(t.Context()); err != nil || len(all) != 1 || all[0].ID() != freeze.ID() {
				t.Errorf("after the restart the switches are %v, %v, want %s: an order must not end with a server", all, err, freeze)
			}
		})
	}
}

// TestDurableRestart: a server that writes before it answers forgets nothing, and Since stays.
func TestDurableRestart(t *testing.T) {
	server := start(t, Options{Persist: true})
	s := open(t, redis.Config{Addresses: []string{server.Addr()}, Durable: true}, redis.Options{})
	since := s.Since()
	for range 3 {
		if got := claim(t.Context(), s, "key", "first"); got != "first" {
			t.Fatal(got)
		}
		server.Kill()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		recovered(t, s)
		if got := claim(t.Context(), s, "key", "second"); got != "first" {
			t.Fatalf("after a kill the claim is held by %q, want first", got)
		}
		if !s.Since().Equal(since) {
			t.Fatalf("Since went from %s to %s", since, s.Since())
		}
	}
}

// TestEmptied: data that is wiped under a running server is noticed when the switches are read.
func TestEmptied(t *testing.T) {
	server := start(t, Options{})
	s := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
	if err := raw(t, server).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	wiped := time.Now()
	if _, err := s.Switches(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.Since().After(wiped) {
		t.Errorf("Since is %s, expected it after %s", s.Since(), wiped)
	}
}

// TestAway: a server that is away makes every call an error that says so, soon, and at once when it has been away for a while.
func TestAway(t *testing.T) {
	server := start(t, Options{})
	config := redis.Config{Addresses: []string{server.Addr()}, Timeout: model.Duration(100 * time.Millisecond)}
	s := open(t, config, redis.Options{})
	for name, c := range map[string]struct{ stop, resume func() }{
		"killed": {server.Kill, func() {
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		"hung": {
			func() { _ = syscall.Kill(-server.proc.PID(), syscall.SIGSTOP) },
			func() { _ = syscall.Kill(-server.proc.PID(), syscall.SIGCONT) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			recovered(t, s)
			c.stop()
			for range 8 {
				began := time.Now()
				if _, err := s.Claim(t.Context(), "k", "h", until()); !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("Claim: %v, want store.ErrUnavailable", err)
				}
				if took := time.Since(began); took > time.Second { // a tenth of it is the limit; the rest is the machine's
					t.Errorf("a call took %s", took)
				}
			}
			began := time.Now()
			for range 20 {
				if _, err := s.Revoked(t.Context(), "id"); !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("Revoked: %v, want store.ErrUnavailable", err)
				}
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("20 calls to a server that is known to be away took %s", took)
			}
			c.resume()
			recovered(t, s)
		})
	}
}

// TestAwayAtFirst: the store opens without its server, and works when it is there.
func TestAwayAtFirst(t *testing.T) {
	server := start(t, Options{})
	server.Kill()
	s := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
	if got := claim(t.Context(), s, "k", "h"); !strings.Contains(got, store.ErrUnavailable.Error()) {
		t.Errorf("a claim without a server: %q", got)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	recovered(t, s)
	if got := claim(t.Context(), s, "k", "h"); got != "h" {
		t.Errorf("a claim once it is there: %q", got)
	}
}
