package multipart

import "bytes"

const (
	// leapPiece and leapMarker are the least piece and the least marker for which a search in leaps is worth its table, in bytes.
	leapPiece, leapMarker = 4 << 10, 16
	// places is how many bytes of the marker's beginning the table knows: one bit for each.
	places = 64
	// patience is how many leaps may end on what looks like the marker, and one more for each of perDoubt bytes, until the rest is
	// searched byte by byte: random bytes look like it once in two thousand leaps.
	patience, perDoubt = 8, 1 << 10
)

// search finds a marker in large pieces. Wherever one stands, one of the pairs of bytes a leap apart is in it: all other bytes of a piece
// are not looked at.
type search struct {
	marker []byte
	at     [256]uint64 // the places of each byte in the marker's beginning
}

func newSearch(marker []byte) *search {
	s := &search{marker: marker}
	for place, c := range marker[:min(places, len(marker))] {
		s.at[c] |= 1 << place
	}
	return s
}

// in is where the marker begins in p, else -1.
func (s *search) in(p []byte) int {
	known := min(places, len(s.marker))
	doubts := 0
	for i := known - 2; i+1 < len(p); i += known - 1 {
		if s.at[p[i]]<<1&s.at[p[i+1]] == 0 {
			continue
		}
		from, to := i-known+2, min(len(p), i+len(s.marker)) // of all markers that this pair can be in
		if doubts++; doubts > patience+i/perDoubt {
			to = len(p)
		}
		if at := bytes.Index(p[from:to], s.marker); at >= 0 {
			return from + at
		}
		if to == len(p) {
			break
		}
	}
	return -1
}

// find is where the marker begins in p, else -1.
func (s *Splitter) find(p []byte) int {
	if len(p) < leapPiece || len(s.marker) < leapMarker {
		return bytes.Index(p, s.marker)
	}
	if s.search == nil {
		s.search = newSearch(s.marker)
	}
	return s.search.in(p)
}
