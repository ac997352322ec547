package main

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"time"
)

// paced sends a body no faster than one core carries all that plain takes for it: client, proxy and upstream together. A machine of
// two cores has one free then, as a larger one has that is not wholly busy, or one whose network is slower than its loopback.
func paced(what content) work {
	return func(ctx context.Context, r *rig, s *side) (outcome, error) {
		if r.oneCore == 0 {
			var err error
			if r.oneCore, err = r.carried(ctx, what); err != nil {
				return outcome{}, fmt.Errorf("what one core carries: %w", err)
			}
		}
		head, body, size := what(r, s)
		began := time.Now()
		err := transfer(ctx, s.addr, head, &throttled{from: body(), rate: r.oneCore, began: began})
		return outcome{units: float64(size) / million, elapsed: time.Since(began)}, err
	}
}

// carried is how many bytes of that a second of a processor carries through plain, with the client and the upstream.
func (r *rig) carried(ctx context.Context, what content) (float64, error) {
	const times = 5 // the clock of /proc is coarse
	s := r.named(plain)
	proxy, err := s.processor()
	if err != nil {
		return 0, err
	}
	own := ownProcessor()
	var total int64
	for range times {
		head, body, size := what(r, s)
		if err := transfer(ctx, s.addr, head, body()); err != nil {
			return 0, err
		}
		total += size
	}
	after, err := s.processor()
	if err != nil {
		return 0, err
	}
	return float64(total) / (after - proxy + ownProcessor() - own).Seconds(), nil
}

// ownProcessor is the processor time of this process, which is client and upstream.
func ownProcessor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// throttled gives no more bytes a second than rate.
type throttled struct {
	from  io.Reader
	rate  float64
	began time.Time
	given int64
}

// Read waits where it is ahead.
func (t *throttled) Read(p []byte) (int, error) {
	ahead := time.Duration(float64(t.given)/t.rate*float64(time.Second)) - time.Since(t.began)
	if ahead > time.Millisecond {
		time.Sleep(ahead)
	}
	n, err := t.from.Read(p)
	t.given += int64(n)
	return n, err
}
