package limit

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// roomIn is when a client that found no room may ask again.
	roomIn = 10 * time.Second
	// freeShare is the part of the disk that stays free where nothing else is said, mostFree its upper bound in bytes.
	freeShare = 20
	mostFree  = 1 << 30
)

// holding is what somebody has of the spools: how many uploads, and their bytes on the disk.
type holding struct{ uploads, bytes int64 }

// Begin takes one more upload of a client in that is spooled. A client is whatever text tells it from others; one that is an address is
// counted as for all other limits.
func (l *Limits) Begin(client string) error {
	s := l.settings.Load()
	most, share := int64(s.Spools), int64(0)
	if most > 0 && s.SpoolShare > 0 {
		share = max(1, most*int64(s.SpoolShare)/100)
	}
	l.spooling.Lock()
	defer l.spooling.Unlock()
	own := l.holder(client)
	switch {
	case most > 0 && l.spooled.uploads >= most:
		return l.full(SpoolCount, "uploads that are spooled", strconv.FormatInt(most, 10)+" already", "fewer")
	case share > 0 && own.uploads >= share:
		return l.full(SpoolShare, "uploads of one client that are spooled", strconv.FormatInt(share, 10)+" already", "fewer")
	}
	own.uploads++
	l.spooled.uploads++
	l.holders[holderKey(client)] = own
	return nil
}

// Grow takes n more bytes of such an upload onto the disk.
func (l *Limits) Grow(client string, n int64) error {
	s := l.settings.Load()
	free, all := int64(math.MaxInt64), int64(0)
	if s.SpoolFree != 0 {
		var err error
		if free, all, err = l.options.Free(l.options.Dir); err != nil {
			free = math.MaxInt64 // where nobody can tell, the write itself fails once the disk is full
		}
	}
	keep := s.SpoolFree
	if keep == FreeShare {
		keep = min(all/freeShare, mostFree)
	}
	l.spooling.Lock()
	defer l.spooling.Unlock()
	own := l.holder(client)
	if s.SpoolDisk > 0 && l.spooled.bytes+n > s.SpoolDisk {
		return l.full(SpoolDisk, "bytes of uploads that are spooled", "more", fmt.Sprintf("at most %d", s.SpoolDisk))
	}
	if free-n < keep {
		return l.full(SpoolFree, "free bytes of the spool's disk", strconv.FormatInt(free, 10), fmt.Sprintf("at least %d", keep))
	}
	if share := l.share(s, free, keep); own.bytes+n > share {
		return l.full(SpoolShare, "bytes of uploads of one client that are spooled", "more", fmt.Sprintf("at most %d", share))
	}
	own.bytes += n
	l.spooled.bytes += n
	return nil
}

// share is how many bytes one client may have: its part of the room that there would be if nothing were spooled.
func (l *Limits) share(s *Settings, free, keep int64) int64 {
	room := int64(math.MaxInt64)
	if s.SpoolDisk > 0 {
		room = s.SpoolDisk
	}
	if free < math.MaxInt64 {
		room = min(room, free-keep+l.spooled.bytes)
	}
	if s.SpoolShare == 0 || room == math.MaxInt64 {
		return math.MaxInt64
	}
	return room / 100 * int64(s.SpoolShare)
}

// End gives back an upload that was spooled, with its bytes.
func (l *Limits) End(client string, bytes int64) {
	l.spooling.Lock()
	defer l.spooling.Unlock()
	own := l.holder(client)
	for _, h := range []*holding{own, &l.spooled} {
		h.uploads--
		h.bytes -= bytes
	}
	if own.uploads <= 0 {
		delete(l.holders, holderKey(client))
	}
}

// holder is what a client has; the lock is held.
func (l *Limits) holder(client string) *holding {
	if own, known := l.holders[holderKey(client)]; known {
		return own
	}
	return new(holding)
}

// holderKey is what is counted as one client.
func holderKey(client string) string {
	if address := keyOf(client); address.IsValid() {
		return address.String()
	}
	return client
}

// Spooled is how many uploads are spooled now, and their bytes on the disk.
func (l *Limits) Spooled() (uploads, bytes int64) {
	l.spooling.Lock()
	defer l.spooling.Unlock()
	return l.spooled.uploads, l.spooled.bytes
}

func (l *Limits) full(name Name, field, got, want string) error {
	l.options.Limited(name)
	return model.Deny(model.CodeSpoolFull).Differ(field, got, want).After(roomIn)
}
