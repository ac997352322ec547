package redisserver

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/redis"
	"github.com/trustpub/trustpub/internal/store/storetest"
)

// programs are the servers that the store is for, by name.
var programs = map[string]func(context.Context) (string, error){"redis": toolbox.Redis.Program, "valkey": Valkey}

// each runs a test for each of the servers.
func each(t *testing.T, test func(t *testing.T, program string)) {
	t.Helper()
	for name, find := range programs {
		t.Run(name, func(t *testing.T) {
			program, err := find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			test(t, program)
		})
	}
}

// TestConformance runs the suite of all stores against servers whose clock is the suite's.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		for _, durable := range []bool{false, true} {
			t.Run(map[bool]string{false: "kept in memory", true: "durable"}[durable], func(t *testing.T) { conformance(t, program, durable) })
		}
	})
}

// tick is how near to its end a claim may be looked at, with a clock that may go on for a moment.
const tick = time.Second

func conformance(t *testing.T, program string, durable bool) {
	server := start(t, Options{Program: program, Clock: storetest.NewClock().Now(), Persist: durable})
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		config := redis.Config{Addresses: []string{server.Addr()}, Prefix: filepath.Base(filepath.Dir(dir)) + filepath.Base(dir) + ":", Durable: durable}
		return open(t, config, redis.Options{Now: now})
	}, storetest.Options{Durable: true, Leases: true, Counts: true, Tick: tick, Moved: func(t *testing.T, now time.Time) {
		if err := server.SetTime(now); err != nil {
			t.Fatal(err)
		}
		// Valkey looks at the clock now and then only, and goes on from there by itself.
		await(t, func(ctx context.Context) error {
			at, err := raw(t, server).Time(ctx).Result()
			if err == nil && (at.Before(now) || at.After(now.Add(tick/2))) {
				err = fmt.Errorf("the server's clock is at %s, expected %s", at, now)
			}
			return err
		})
	}})
}
