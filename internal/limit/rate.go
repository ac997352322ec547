package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// quietFor is how long further refusals out of one budget are counted only, after one that the audit has.
const quietFor = time.Minute

// Rate is how many in which time: all of them at once, and then as many as the time gives back. The zero Rate bounds nothing.
type Rate struct {
	Count int
	Per   time.Duration
}

// maxCount and maxPer are beyond any rate that makes sense.
const (
	maxCount = 1_000_000_000
	maxPer   = 24 * time.Hour
)

// ParseRate reads a rate like 1200/1m.
func ParseRate(text string) (Rate, error) {
	count, per, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	d, err2 := time.ParseDuration(per)
	if !ok || err != nil || err2 != nil || n < 1 || n > maxCount || d <= 0 || d > maxPer {
		return Rate{}, fmt.Errorf("got %q, expected a number and a time of up to 24h, like 1200/1m, or off", text)
	}
	return Rate{n, d}, nil
}

// String is the rate as ParseRate reads it.
func (r Rate) String() string {
	per := r.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.Itoa(r.Count) + "/" + per
}

func (r Rate) bounds() bool { return r.Count > 0 }

func (r Rate) limit() rate.Limit { return rate.Limit(float64(r.Count) / r.Per.Seconds()) }

// budget is what is left of a rate, for one caller.
type budget struct {
	limiter *rate.Limiter
	// told is when the audit last heard that it was used up.
	told time.Time
}

// tells is true for the first of a budget that is used up, and then once a minute.
func (b *budget) tells(now time.Time) bool {
	if now.Sub(b.told) < quietFor && !b.told.IsZero() {
		return false
	}
	b.told = now
	return true
}

// records is true for what a budget has room for, and once a minute for what it has none for.
func (b *budget) records(r Rate, now time.Time) bool { return b.take(r, now) == 0 || b.tells(now) }

// fit makes the limiter, or gives it another rate than it had: what was used up stays so.
func (b *budget) fit(r Rate, now time.Time) {
	if b.limiter == nil {
		b.limiter = rate.NewLimiter(r.limit(), r.Count)
		return
	}
	if b.limiter.Limit() != r.limit() {
		b.limiter.SetLimitAt(now, r.limit())
	}
	if b.limiter.Burst() != r.Count {
		b.limiter.SetBurstAt(now, r.Count)
	}
}

// take takes one; where none is left it takes nothing and says how long until there is one.
func (b *budget) take(r Rate, now time.Time) time.Duration {
	b.fit(r, now)
	if b.limiter.AllowN(now, 1) {
		return 0
	}
	return b.wait(r, now)
}

// wait is how long until there is one.
func (b *budget) wait(r Rate, now time.Time) time.Duration {
	b.fit(r, now)
	left := b.limiter.TokensAt(now)
	if left >= 1 {
		return 0
	}
	return max(time.Duration((1-left)/float64(r.limit())*float64(time.Second)), 1)
}
