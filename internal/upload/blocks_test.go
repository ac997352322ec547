package upload

import (
	"crypto/sha512"
	"runtime"
	"testing"
)

// TestBlocksAreShared: a large file gets more blocks the longer it is, fewer where others have some too, and as few as at first with several
// digests. Whoever is given up leaves its share to the others.
func TestBlocksAreShared(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	piece := make([]byte, 1<<20)
	write := func(d *Digest, times int) *Digest {
		for range times {
			_, _ = d.Write(piece)
		}
		return d
	}
	before := hashing.Load()
	alone := write(NewDigest(), 2)
	if got := alone.allowed(); got != depth+1 {
		t.Errorf("after 2 MiB: got %d blocks, expected %d", got, depth+1)
	}
	if got := write(alone, 98).allowed(); got != most {
		t.Errorf("after 100 MiB: got %d blocks, expected %d", got, most)
	}
	others := write(NewDigest(sha512.New()), 3)
	if got := others.allowed(); got != depth {
		t.Errorf("with two digests: got %d blocks, expected %d", got, depth)
	}
	if write(alone, 10); alone.allowed() != most/2 || alone.made > most/2 {
		t.Errorf("beside another file: got %d blocks of %d, expected %d", alone.made, alone.allowed(), most/2)
	}
	others.SHA256()
	if got := alone.allowed(); got != most {
		t.Errorf("after the other file: got %d blocks, expected %d", got, most)
	}
	given := write(NewDigest(), 3)
	given.under.Wait()
	runtime.KeepAlive(given)
	alone.SHA256()
	for range 10_000 {
		if hashing.Load() == before {
			return
		}
		runtime.GC()
		runtime.Gosched()
	}
	t.Errorf("after all: got %d files with blocks, expected %d", hashing.Load(), before)
}
