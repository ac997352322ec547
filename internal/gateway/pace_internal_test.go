package gateway

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// step is what a client does next: waits, then sends; or what the reader does before it reads again.
type step struct {
	wait, reader time.Duration
	send         int
}

// every is a step that a client repeats.
func every(n int, s step) []step {
	all := make([]step, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func join(parts ...[]step) (all []step) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// beat is by how much a client's wait is off: on a clock that stands still between two events, it would else end at the very instant of a look, again and
// again.
const beat = 13 * time.Microsecond

// client is a body whose bytes come when its steps say, and whose reads a deadline ends.
type client struct {
	steps   []step
	expired chan struct{}
}

func (c *client) Read(p []byte) (int, error) {
	if len(c.steps) == 0 {
		return 0, io.EOF
	}
	s := c.steps[0]
	select {
	case <-c.expired:
		return 0, os.ErrDeadlineExceeded
	case <-time.After(s.wait + beat):
	}
	c.steps = c.steps[1:]
	return s.send, nil // all at once, however large: the bytes are not looked at
}

func (*client) Close() error { return nil }

// TestPace plays clients against a clock of their own: which are cut off, when, and by which limit.
func TestPace(t *testing.T) {
	const usualIdle, usualRate = time.Minute, int64(kib)
	for _, tc := range []struct {
		name  string
		idle  time.Duration
		rate  int64
		steps []step
		// late is the limit that is passed, after how long; none: the body comes whole.
		late  string
		after time.Duration
	}{
		{name: "a gigabyte at 64 KiB a second", idle: usualIdle, rate: usualRate, steps: every(gib/mib, step{wait: 16 * time.Second, send: mib})},
		{
			name: "a gigabyte over a line that breaks for fifty seconds each minute", idle: usualIdle, rate: usualRate,
			steps: every(gib/(10*mib), step{wait: 50 * time.Second, send: 10 * mib}),
		},
		{name: "a gigabyte at 4 KiB a second", idle: usualIdle, rate: usualRate, steps: every(gib/(64*kib), step{wait: 16 * time.Second, send: 64 * kib})},
		{name: "all at once", idle: usualIdle, rate: usualRate, steps: []step{{send: 100}}},
		{
			name: "bytes that came in time, and are read a moment late", idle: usualIdle, rate: usualRate,
			steps: every(100, step{wait: usualIdle + lastLook/2, send: 100 * kib}),
		},
		{name: "nothing ever", idle: usualIdle, rate: usualRate, steps: []step{{wait: time.Hour}}, late: limitBodyIdle, after: time.Minute},
		{
			name: "silent after half", idle: usualIdle, rate: usualRate, late: limitBodyIdle, after: 61 * time.Second,
			steps: []step{{wait: time.Second, send: gib}, {wait: time.Hour, send: gib}},
		},
		{
			name: "a byte each second", idle: usualIdle, rate: usualRate, steps: every(1000, step{wait: time.Second, send: 1}),
			late: limitBodyRate, after: 60*time.Second + 58593750*time.Nanosecond,
		},
		{
			name: "a byte five times a second, where much is asked for", idle: 2 * time.Second, rate: mib, steps: every(1000, step{wait: 200 * time.Millisecond, send: 1}),
			late: limitBodyRate, after: 2 * time.Second,
		},
		{
			name: "a byte a hundred times a second", idle: usualIdle, rate: usualRate, steps: every(50_000, step{wait: 10 * time.Millisecond, send: 1}),
			late: limitBodyRate, after: 66*time.Second + 480*time.Millisecond,
		},
		{
			name: "a byte just before each silence is too long", idle: usualIdle, rate: usualRate, steps: every(1000, step{wait: 59 * time.Second, send: 1}),
			late: limitBodyRate, after: 60*time.Second + 976562*time.Nanosecond,
		},
		{
			name: "a gigabyte, and then a byte each second: what was fast is no credit for hours", idle: usualIdle, rate: usualRate,
			steps: join([]step{{send: gib}}, every(1000, step{wait: time.Second, send: 1})), late: limitBodyRate, after: 60*time.Second + 58593750*time.Nanosecond,
		},
		{
			name: "half of what is asked for", idle: usualIdle, rate: usualRate, steps: every(1000, step{wait: time.Second, send: kib / 2}),
			late: limitBodyRate, after: 119 * time.Second,
		},
		{name: "just what is asked for", idle: usualIdle, rate: usualRate, steps: every(5000, step{wait: time.Second, send: kib})},
		{
			name: "a registry that takes a piece each hour", idle: usualIdle, rate: usualRate,
			steps: every(24, step{reader: time.Hour, wait: 50 * time.Second, send: mib}),
		},
		{
			name: "silent after a registry that took its time", idle: usualIdle, rate: usualRate, late: limitBodyIdle, after: time.Hour + 60*time.Second,
			steps: []step{{send: mib}, {reader: time.Hour, wait: time.Hour}},
		},
		{
			name: "slow, and the registry is too", idle: usualIdle, rate: usualRate, steps: every(100, step{reader: 10 * time.Second, wait: 10 * time.Second, send: 1}),
			late: limitBodyRate, after: 130 * time.Second,
		},
		{name: "no rate", idle: usualIdle, steps: every(100, step{wait: 59 * time.Second, send: 1})},
		{name: "no rate, and silent", idle: usualIdle, steps: []step{{send: 1}, {wait: time.Hour}}, late: limitBodyIdle, after: time.Minute},
		{name: "no silence is too long", rate: usualRate, steps: every(100, step{wait: 59 * time.Second, send: mib})},
		{name: "but slow it may not be", rate: usualRate, steps: every(100, step{wait: time.Second, send: 1}), late: limitBodyRate, after: 60*time.Second + 58593750*time.Nanosecond},
		{name: "no limit", steps: []step{{wait: 1000 * time.Hour, send: 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &client{steps: tc.steps, expired: make(chan struct{})}
				body := &touchedBody{ReadCloser: c, pace: newPace(tc.idle, tc.rate, func() { close(c.expired) })}
				began, buf := time.Now(), make([]byte, kib)
				var err error
				for err == nil {
					if len(c.steps) > 0 {
						<-time.After(c.steps[0].reader)
					}
					_, err = body.Read(buf)
				}
				took := time.Since(began)
				body.pace.stop()
				got, want := "", tc.late
				var denial *model.Denial
				if errors.As(err, &denial) && denial.Code == model.CodeTooSlow {
					got = body.pace.passed()
				} else if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if got != want || want != "" && (took < tc.after-time.Millisecond || took > tc.after+paceTick+lastLook) {
					t.Errorf("ended by %q after %s, expected by %q after %s", got, took, want, tc.after)
				}
			})
		})
	}
}

// TestPaceOfAMachine: while the machine stands still no client is slow, whichever wakes first, the watch or the read; a client that goes on to
// be silent is.
func TestPaceOfAMachine(t *testing.T) {
	const usualIdle, still = time.Minute, time.Hour
	for name, wakes := range map[string]func(*pace){
		"the watch": func(p *pace) { p.check() },
		"the read": func(p *pace) {
			p.end(kib)
			p.begin()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var expired atomic.Bool
				p := newPace(usualIdle, kib, func() { expired.Store(true) })
				p.begin()
				p.timer.Stop() // it stands still with the machine
				<-time.After(still)
				wakes(p)
				synctest.Wait()
				if expired.Load() {
					t.Fatal("a client was cut off for what the machine did")
				}
				p.arm(0) // all goes on
				<-time.After(usualIdle + 2*paceTick)
				if !expired.Load() {
					t.Error("a silent client is not cut off any more")
				}
				p.stop()
			})
		})
	}
}

// TestPaceStops: after its end nothing is ended any more, whatever waits.
func TestPaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := 0
		p := newPace(time.Second, 1, func() { expired++ })
		p.begin()
		p.stop()
		<-time.After(time.Hour)
		p.begin()
		p.end(1)
		<-time.After(time.Hour)
		if diff := cmp.Diff(0, expired); diff != "" {
			t.Error(diff)
		}
	})
}

// BenchmarkPace is what each read of a body pays.
func BenchmarkPace(b *testing.B) {
	p := newPace(time.Minute, kib, func() {})
	defer p.stop()
	for b.Loop() {
		p.begin()
		p.end(32 * kib)
	}
}
