package gitea

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strconv"
	"time"
)

const (
	// sweepPages and sweepTokens bound one search for orphans, sweepLimit the time that an upload waits for it.
	sweepPages  = 4
	sweepTokens = 40
	sweepLimit  = 5 * time.Second
	// leeway is for the clocks of several gateways with one bot.
	leeway = time.Minute
)

// tokenName carries the time after which nobody needs the token any more. It is unique, as Gitea demands.
func tokenName(expires time.Time) string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return "trustpub-" + strconv.FormatInt(expires.Unix(), 10) + "-" + hex.EncodeToString(b)
}

// ourName is what tokenName makes, and nothing that a person would write.
var ourName = regexp.MustCompile(`^trustpub-([0-9]{1,12})-[0-9a-f]{16}$`)

// orphaned says whether a token is one of ours that nobody needs any more.
func orphaned(name string, now time.Time) bool {
	m := ourName.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	return err == nil && now.After(time.Unix(seconds, 0).Add(leeway))
}

// sweep deletes the tokens that a crash or a failed revocation has left: after the start, and once in each lifetime. Whoever comes in
// between goes on at once. A failure is a warning, since the upload has its token.
func (s *source) sweep(ctx context.Context) {
	now := s.now()
	last := s.swept.Load()
	if last != 0 && now.Before(time.Unix(last, 0).Add(s.lifetime)) || !s.swept.CompareAndSwap(last, now.Unix()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	removed, err := s.removeOrphans(ctx, now)
	if err != nil {
		s.logger.Warn("tokens that nobody needs any more can't be deleted; they are looked for again later",
			"registry", s.registry, "credential", Kind.Name, "deleted", removed, "error", err)
	} else if removed > 0 {
		s.logger.Info("deleted tokens that nobody needs any more", "registry", s.registry, "credential", Kind.Name, "deleted", removed)
	}
}

// removeOrphans lists first and deletes then, since a deletion moves the pages.
func (s *source) removeOrphans(ctx context.Context, now time.Time) (removed int, err error) {
	var orphans []int64
	for page := 1; page <= sweepPages && len(orphans) < sweepTokens; page++ {
		tokens, err := s.api.list(ctx, page)
		if err != nil {
			return 0, err
		}
		for _, t := range tokens {
			if orphaned(t.Name, now) {
				orphans = append(orphans, t.ID)
			}
		}
		if len(tokens) < pageSize {
			break
		}
	}
	for _, id := range orphans[:min(len(orphans), sweepTokens)] {
		if err := s.api.remove(ctx, id); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
