package redisserver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/redis"
	"github.com/trustpub/trustpub/internal/store/storetest"
)

// TestConformance runs the suite of all stores against a server whose clock is the suite's.
func TestConformance(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(map[bool]string{false: "kept in memory", true: "durable"}[durable], func(t *testing.T) {
			server := start(t, Options{Clock: storetest.NewClock().Now(), Persist: durable})
			storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
				config := redis.Config{Addresses: []string{server.Addr()}, Prefix: filepath.Base(filepath.Dir(dir)) + filepath.Base(dir) + ":", Durable: durable}
				return open(t, config, redis.Options{Now: now})
			}, storetest.Options{Durable: true, Counts: true, Tick: time.Millisecond, Moved: func(t *testing.T, now time.Time) {
				if err := server.SetTime(now); err != nil {
					t.Fatal(err)
				}
			}})
		})
	}
}
