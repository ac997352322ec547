package redisserver

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/store/redis"
)

// BenchmarkClaim makes claims as the gateway does, by one caller and by many at once.
func BenchmarkClaim(b *testing.B) {
	server, err := Start(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Stop()
	config := redis.Config{Addresses: []string{server.Addr()}}
	_ = config.Timeout.UnmarshalText([]byte("5s"))
	s, err := redis.Open(b.Context(), config, redis.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var n atomic.Int64
	until := time.Now().Add(2 * time.Hour)
	one := func() {
		key := fmt.Sprintf("%064d", n.Add(1))
		if held, err := s.Claim(b.Context(), key, key, until); err != nil || held != key {
			b.Errorf("held by %q, %v", held, err)
		}
	}
	b.Run("callers=1", func(b *testing.B) {
		for b.Loop() {
			one()
		}
	})
	b.Run("callers=64", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
		info, err := raw(b, server).Info(b.Context(), "memory").Result()
		if err != nil {
			b.Fatal(err)
		}
		var used, startup int64
		for line := range strings.Lines(info) {
			_, _ = fmt.Sscanf(line, "used_memory:%d", &used)
			_, _ = fmt.Sscanf(line, "used_memory_startup:%d", &startup)
		}
		b.ReportMetric(float64(used-startup)/float64(n.Load()), "server-B/claim")
	})
}
