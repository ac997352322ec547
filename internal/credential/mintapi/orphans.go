package mintapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"
)

// The bounds of a search for orphans.
const (
	// SweepPages and SweepMost bound one search, sweepLimit the time that an upload waits for it.
	SweepPages = 4
	SweepMost  = 40
	sweepLimit = 5 * time.Second
	// Leeway is for the clocks of several gateways with one account.
	Leeway = time.Minute
)

// TemporaryName is for a credential whose registry knows no expiry that is short enough: it carries the time after which nobody needs
// the credential any more. It is unique.
func TemporaryName(expires time.Time) string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return "trustpub-" + strconv.FormatInt(expires.Unix(), 10) + "-" + hex.EncodeToString(b)
}

// ourName is what TemporaryName makes, and nothing that a person would write.
var ourName = regexp.MustCompile(`^trustpub-([0-9]{1,12})-[0-9a-f]{16}$`)

// Orphaned says whether a credential is one of ours that nobody needs any more.
func Orphaned(name string, now time.Time) bool {
	m := ourName.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	return err == nil && now.After(time.Unix(seconds, 0).Add(Leeway))
}

// Named is a credential that a registry lists. ID is of the type that the registry's calls take: a number, or a text.
type Named[ID any] struct {
	ID   ID
	Name string
}

// Account is where a registry keeps the credentials of a source.
type Account[ID any] struct {
	// List gives one page, which count from one, and whether it is the last.
	List func(ctx context.Context, page int) (all []Named[ID], last bool, err error)
	// Remove deletes one; one that is gone already is as good.
	Remove func(ctx context.Context, id ID) error
	// Logger takes what is found, and has the names of the registry and of the source.
	Logger *slog.Logger
}

// Sweeper deletes what a crash or a failed revocation has left: after the start, and once in each lifetime.
type Sweeper[ID any] struct {
	// swept is when orphans were last looked for, in seconds; zero: not since the start.
	swept atomic.Int64
}

// Sweep looks for orphans where it is time to. Whoever comes in between goes on at once. A failure is a warning, since the upload has its
// credential.
func (s *Sweeper[ID]) Sweep(ctx context.Context, now time.Time, every time.Duration, account Account[ID]) {
	last := s.swept.Load()
	if last != 0 && now.Before(time.Unix(last, 0).Add(every)) || !s.swept.CompareAndSwap(last, now.Unix()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	removed, err := removeOrphans(ctx, now, account)
	if err != nil {
		account.Logger.Warn("credentials that nobody needs any more can't be deleted; they are looked for again later", "deleted", removed, "error", err)
	} else if removed > 0 {
		account.Logger.Info("deleted credentials that nobody needs any more", "deleted", removed)
	}
}

// removeOrphans lists first and deletes then, since a deletion moves the pages.
func removeOrphans[ID any](ctx context.Context, now time.Time, account Account[ID]) (removed int, err error) {
	var orphans []ID
	for page := 1; page <= SweepPages && len(orphans) < SweepMost; page++ {
		all, last, err := account.List(ctx, page)
		if err != nil {
			return 0, err
		}
		for _, one := range all {
			if Orphaned(one.Name, now) {
				orphans = append(orphans, one.ID)
			}
		}
		if last {
			break
		}
	}
	for _, id := range orphans[:min(len(orphans), SweepMost)] {
		if err := account.Remove(ctx, id); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
