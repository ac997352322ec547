package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trustpub/trustpub/integration/redisserver"
)

// cpuOf is what a process has used, in microseconds: fields 14 and 15 of its stat, in ticks of 10 ms.
func cpuOf(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "stat"))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var user, system float64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return (user + system) * 10_000
}

// BenchmarkNode uploads small files to one gateway over TLS, each with a token of its own that was never seen, and reads what the gateway
// and the store's server have used: the figures of docs/scaling.md.
func BenchmarkNode(b *testing.B) {
	server, err := redisserver.Start(b.Context(), redisserver.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	for name, lines := range map[string][]string{"redis": {patient(server.Addr())}, "local": nil, "memory": {"store memory"}} {
		b.Run("store="+name, func(b *testing.B) {
			reg := sink(b)
			r := prepareRig(b, reg, withGlobal(lines...))
			if err := r.gw.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			r.eventually(b, "the store takes tokens", func() bool { minted, _ := r.exchange(b, quick(r)); return minted != "" })
			w := newWheel(b, "acme-widget", "1.0")
			header := func() http.Header { return bearer(quick(r)) }
			ok(b, r.upload(b, header(), w.form()))
			gatewayBefore, storeBefore := cpuOf(b, r.gw.PID()), cpuOf(b, server.PID())
			var n atomic.Int64
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a := r.upload(b, header(), w.form()); a.Status != http.StatusOK {
						b.Errorf("upload: %d %s", a.Status, a.Body)
						return
					}
					n.Add(1)
				}
			})
			b.StopTimer()
			b.ReportMetric((cpuOf(b, r.gw.PID())-gatewayBefore)/float64(n.Load()), "gateway-us/upload")
			b.ReportMetric((cpuOf(b, server.PID())-storeBefore)/float64(n.Load()), "store-us/upload")
		})
	}
}
