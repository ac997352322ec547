package limit

import (
	"fmt"
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

// Begin takes one more upload in that is spooled.
func (l *Limits) Begin() error {
	most := int64(l.settings.Load().Spools)
	if n := l.spools.Add(1); most > 0 && n > most {
		l.spools.Add(-1)
		return l.full(SpoolCount, "uploads that are spooled", strconv.FormatInt(most, 10)+" already", "fewer")
	}
	return nil
}

// Grow takes n more bytes of an upload that is spooled onto the disk.
func (l *Limits) Grow(n int64) error {
	s := l.settings.Load()
	if total := l.spooled.Add(n); s.SpoolDisk > 0 && total > s.SpoolDisk {
		l.spooled.Add(-n)
		return l.full(SpoolDisk, "bytes of uploads that are spooled", "more", fmt.Sprintf("at most %d", s.SpoolDisk))
	}
	if s.SpoolFree == 0 {
		return nil
	}
	free, all, err := l.options.Free(l.options.Dir)
	if err != nil {
		return nil //nolint:nilerr // where nobody can tell, the write itself fails once the disk is full
	}
	keep := s.SpoolFree
	if keep == FreeShare {
		keep = min(all/freeShare, mostFree)
	}
	if free-n < keep {
		l.spooled.Add(-n)
		return l.full(SpoolFree, "free bytes of the spool's disk", strconv.FormatInt(free, 10), fmt.Sprintf("at least %d", keep))
	}
	return nil
}

// End gives back an upload that was spooled, with its bytes.
func (l *Limits) End(bytes int64) {
	l.spooled.Add(-bytes)
	l.spools.Add(-1)
}

// Spooled is how many uploads are spooled now, and their bytes on the disk.
func (l *Limits) Spooled() (uploads, bytes int64) { return l.spools.Load(), l.spooled.Load() }

func (l *Limits) full(name Name, field, got, want string) error {
	l.options.Limited(name)
	return model.Deny(model.CodeSpoolFull).Differ(field, got, want).After(roomIn)
}
