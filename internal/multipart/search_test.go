package multipart

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// compareSearch holds the search to that of the standard library.
func compareSearch(t *testing.T, marker, p []byte) {
	t.Helper()
	if got, want := newSearch(marker).in(p), bytes.Index(p, marker); got != want {
		t.Fatalf("%q in %d bytes: got %d, expected %d", marker, len(p), got, want)
	}
}

// TestSearch: a marker is found wherever it stands, at the edges too, and the first of several; whatever looks like one is none.
func TestSearch(t *testing.T) {
	noise := make([]byte, 1<<14)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	for _, marker := range []string{
		"--0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4", strings.Repeat("-", leapMarker), "--" + strings.Repeat("ab", (maxMarker-2)/2), strings.Repeat("x", places) + "tail", strings.Repeat("x", places-1) + "y",
	} {
		m := []byte(marker)
		for _, filling := range [][]byte{
			noise, bytes.Repeat([]byte("-"), 1<<14), bytes.Repeat(m[:len(m)-1], 1<<14/len(m)),
			bytes.Repeat(m[1:], 1<<14/len(m)),
		} {
			compareSearch(t, m, filling)
			for at := range 3 * len(m) {
				for _, from := range []int{at, len(filling)/2 + at, len(filling) - len(m) - at} {
					p := bytes.Clone(filling)
					copy(p[from:], m)
					compareSearch(t, m, p)
					compareSearch(t, m, p[:from+len(m)-1]) // all but its last byte
					copy(p[len(p)-len(m):], m)
					compareSearch(t, m, p)
				}
			}
			for size := range 3 * len(m) {
				compareSearch(t, m, filling[:size])
			}
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add([]byte("--0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4"), []byte("--0e8ab3fd6f2b4d1c9a7755e1c3f0b2a"), uint16(40))
	f.Fuzz(func(t *testing.T, marker, part []byte, times uint16) {
		if len(marker) < 2 || len(marker) > maxMarker || len(part) > 1<<10 {
			return
		}
		p := bytes.Repeat(part, int(times)%64)
		compareSearch(t, marker, p)
		compareSearch(t, marker, append(p, marker...))
	})
}

// BenchmarkSearch looks for a marker in pieces that have none.
func BenchmarkSearch(b *testing.B) {
	noise := make([]byte, 32<<10)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	marker := []byte("--0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4")
	for _, piece := range []struct {
		name string
		p    []byte
	}{{"random", noise}, {"hyphens", bytes.Repeat([]byte("-"), 32<<10)}, {"markers without their end", bytes.Repeat(marker[:len(marker)-1], 1000)}} {
		for name, in := range map[string]func([]byte) int{"leaps": newSearch(marker).in, "bytes": func(p []byte) int { return bytes.Index(p, marker) }} {
			b.Run(piece.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(piece.p)))
				for b.Loop() {
					if in(piece.p) >= 0 {
						b.Fatal("found")
					}
				}
			})
		}
	}
}
