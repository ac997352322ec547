package redisserver

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/internal/store/redis"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("-short: the tests of the shared store need a redis-server, and none was run")
		return
	}
	os.Exit(m.Run())
}

// start runs a server for one test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	opts.Dir = t.TempDir()
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("redis-server printed:\n%s", s.Log())
		}
	})
	return s
}

// open opens a store on it. The time limit is a test machine's, except where a test says otherwise.
func open(t *testing.T, config redis.Config, opts redis.Options) *redis.Store {
	t.Helper()
	if config.Timeout == 0 {
		_ = config.Timeout.UnmarshalText([]byte("2s"))
	}
	s, err := redis.Open(t.Context(), config, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// await waits for what takes a few seconds.
func await(t *testing.T, ask func(context.Context) error) {
	t.Helper()
	if err := process.Poll(t.Context(), time.Minute, nil, ask); err != nil {
		t.Fatal(err)
	}
}

// until is when the claims of a test end.
func until() time.Time { return time.Now().Add(time.Hour) }

// claim makes a claim and gives its holder, or the error's text.
func claim(ctx context.Context, s *redis.Store, key, holder string) string {
	held, err := s.Claim(ctx, key, holder, until())
	if err != nil {
		return "error: " + err.Error()
	}
	return held
}
