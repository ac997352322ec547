package mintapi

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzOrphaned: no name but ours is ever deleted.
func FuzzOrphaned(f *testing.F) {
	start := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	f.Add("trustpub-1-0123456789abcdef")
	f.Add("trustpub-999999999999-0123456789abcdef")
	f.Add("ci")
	f.Add(TemporaryName(start))
	f.Fuzz(func(t *testing.T, name string) {
		if !Orphaned(name, start) {
			return
		}
		parts := strings.Split(name, "-")
		if len(parts) != 3 || parts[0] != "trustpub" || len(parts[2]) != 16 {
			t.Fatalf("a foreign name is an orphan: %q", name)
		}
		if seconds, err := strconv.ParseInt(parts[1], 10, 64); err != nil || !time.Unix(seconds, 0).Before(start) {
			t.Fatalf("a name that has not expired is an orphan: %q", name)
		}
	})
}
