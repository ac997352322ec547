package redisserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
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
func TestForgetfulRestart(t *testing.T) { each(t, forgetfulRestart) }

func forgetfulRestart(t *testing.T, program string) {
	for name, keep := range map[string]func(*testing.T, *Server){
		"nothing is kept": func(*testing.T, *Server) {},
		"an old snapshot is": func(t *testing.T, s *Server) {
			if err := raw(t, s).Save(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, Options{Program: program, Args: []string{"--dbfilename", "dump.rdb"}})
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
			if !other.Since().After(killed) || other.Since().After(s.Since()) {
				t.Errorf("another gateway says %s, expected it after the kill at %s, and not after the first one's %s", other.Since(), killed, s.Since())
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
func TestDurableRestart(t *testing.T) { each(t, durableRestart) }

func durableRestart(t *testing.T, program string) {
	server := start(t, Options{Program: program, Persist: true})
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

// TestEmptied: data that is wiped under a running server is noticed by the first question that follows, whichever it is, before its answer
// is believed.
func TestEmptied(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *redis.Store) error{
		"a claim":       func(ctx context.Context, s *redis.Store) error { return only(s.Claim(ctx, "k", "second", until())) },
		"a revocation":  func(ctx context.Context, s *redis.Store) error { return only(s.Revoked(ctx, "id")) },
		"the switches":  func(ctx context.Context, s *redis.Store) error { return only(s.Switches(ctx)) },
		"another claim": func(ctx context.Context, s *redis.Store) error { return only(s.Claim(ctx, "other", "second", until())) },
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, Options{})
			s := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
			other := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
			if got := claim(t.Context(), s, "k", "first") + claim(t.Context(), other, "k", "first"); got != "firstfirst" {
				t.Fatal(got)
			}
			if err := raw(t, server).FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			wiped := time.Now()
			for _, gateway := range []*redis.Store{s, other} {
				if err := ask(t.Context(), gateway); err != nil {
					t.Fatal(err)
				}
				if !gateway.Since().After(wiped) {
					t.Errorf("Since is %s, expected it after %s", gateway.Since(), wiped)
				}
				since := gateway.Since()
				if err := ask(t.Context(), gateway); err != nil || !gateway.Since().Equal(since) {
					t.Errorf("asked again, Since went from %s to %s, %v", since, gateway.Since(), err)
				}
			}
		})
	}
}

func only[T any](_ T, err error) error { return err }

// TestTwoServersBehindOneAddress: a balancer that spreads connections over two servers, of which neither knows the other's claims, lets no
// claim be made at both: whoever finds the other server trusts nothing from before.
func TestTwoServersBehindOneAddress(t *testing.T) {
	servers := []*Server{start(t, Options{}), start(t, Options{})}
	balancer := balance(t, servers)
	s := open(t, redis.Config{Addresses: []string{balancer}}, redis.Options{})
	var met [2]int
	for n := range 200 {
		key := fmt.Sprint("key", n)
		issued := time.Now()
		won := 0
		var both sync.WaitGroup
		results := make(chan bool, 2)
		for holder := range 2 {
			both.Go(func() {
				held, err := s.Claim(t.Context(), key, fmt.Sprint(holder), until())
				// As the gateway does: a token from before Since is refused, after the claim too.
				results <- err == nil && held == fmt.Sprint(holder) && !issued.Before(s.Since())
			})
		}
		both.Wait()
		close(results)
		for ok := range results {
			if ok {
				won++
			}
		}
		if won > 1 {
			t.Errorf("%s was claimed by both", key)
		}
		for i, server := range servers {
			if raw(t, server).Exists(t.Context(), "trustpub:claim:"+key).Val() == 1 {
				met[i]++
			}
		}
	}
	if met[0] == 0 || met[1] == 0 {
		t.Errorf("the servers got %v of the claims, expected both to get some: nothing was shown", met)
	}
}

// balance gives an address whose connections go to the servers in turn.
func balance(t *testing.T, servers []*Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for n := 0; ; n++ {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", servers[n%len(servers)].Addr())
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				}()
			}
		}
	}()
	return listener.Addr().String()
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
			soonest, atOnce := time.Hour, time.Hour // the others may have waited for the machine
			for range 8 {
				began := time.Now()
				if _, err := s.Claim(t.Context(), "k", "h", until()); !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("Claim: %v, want store.ErrUnavailable", err)
				}
				soonest = min(soonest, time.Since(began))
			}
			for range 20 {
				began := time.Now()
				if _, err := s.Revoked(t.Context(), "id"); !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("Revoked: %v, want store.ErrUnavailable", err)
				}
				atOnce = min(atOnce, time.Since(began))
			}
			if soonest > time.Second || atOnce > 50*time.Millisecond {
				t.Errorf("a call took %s at least, and once the server is known to be away %s, expected a tenth of a second and nothing", soonest, atOnce)
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
