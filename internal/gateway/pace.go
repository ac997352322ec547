package gateway

import (
	"fmt"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Limits on the pace of a body, as metrics and the configuration call them.
const (
	limitBodyIdle = "body_idle"
	limitBodyRate = "body_rate"
)

const (
	// rateGrace is how far a client may fall behind where no silence is too long.
	rateGrace = time.Minute
	// paceTick is the shortest time between two looks at a body that nobody reads just now.
	paceTick = time.Second
	// lastLook is how long a read that has waited too long may still take: on a busy machine, bytes that came in time are read late.
	lastLook = 500 * time.Millisecond
)

// pace ends the reads of a body whose client is silent for too long, or too slow. Only the time counts in which a read waits for the
// client: while the registry takes nothing, nothing is read. It is safe for concurrent use; a nil pace watches nothing.
type pace struct {
	idle, grace time.Duration // zero idle: no silence is too long
	rate        int64         // bytes a second; zero: no body is too slow
	expire      func()        // ends a read that waits

	mu     sync.Mutex
	timer  *time.Timer
	due    time.Time     // when the timer was to fire
	looked bool          // the last look is taken: of the read that waits now, or of a client without credit
	since  time.Time     // when the read began that waits now; zero: none does
	credit time.Duration // how long the client may still wait until it is too slow
	late   string        // the limit that was passed
	over   bool
}

// newPace makes a pace that calls expire, once, when a limit is passed; nil where there is none.
func newPace(idle time.Duration, rate int64, expire func()) *pace {
	if idle <= 0 && rate <= 0 {
		return nil
	}
	p := &pace{idle: idle, grace: idle, rate: rate, expire: expire}
	if p.grace <= 0 {
		p.grace = rateGrace
	}
	p.credit = p.grace
	return p
}

// begin says that a read waits from now on.
func (p *pace) begin() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.late != "" {
		return
	}
	p.since = time.Now()
	if p.timer == nil {
		_, left := p.next()
		p.arm(left)
	}
}

// end says that the read has ended, with n bytes.
func (p *pace) end(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		return
	}
	waited := time.Since(p.since)
	p.since, p.looked = time.Time{}, p.looked && p.rate > 0
	if p.rate > 0 {
		left := p.credit - waited
		if left < -lastLook {
			left = 0 // nobody has ended that read in time: the machine was late, and not the client
		}
		p.credit = min(p.grace, left+time.Duration(n)*time.Second/time.Duration(p.rate))
		p.looked = p.looked && p.credit <= 0 // whoever trickles on is not looked at for a last time again and again
	}
}

// arm sets the next look; the lock is held.
func (p *pace) arm(left time.Duration) {
	p.due = time.Now().Add(left)
	if p.timer == nil {
		p.timer = time.AfterFunc(left, p.check)
		return
	}
	p.timer.Reset(left)
}

// next is the limit that a client without a byte passes next, and after how long a silence; the lock is held.
func (p *pace) next() (limit string, left time.Duration) {
	if p.rate > 0 && (p.idle <= 0 || p.credit < p.idle) {
		return limitBodyRate, p.credit
	}
	return limitBodyIdle, p.idle
}

// check looks whether a limit is passed, and else when the next one can be.
func (p *pace) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.late != "" {
		return
	}
	limit, left := p.next()
	if p.since.IsZero() {
		p.arm(max(left, paceTick))
		return
	}
	if late := time.Since(p.due); late > lastLook {
		p.since = p.since.Add(late) // the machine stood still, and whoever reads stood with it
	}
	if left -= time.Since(p.since); left > 0 {
		p.arm(left)
		return
	}
	if !p.looked {
		p.looked = true
		p.arm(lastLook)
		return
	}
	p.late = limit
	p.expire()
}

// stop ends the watch. After it, expire is not called any more.
func (p *pace) stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// expired is true once a limit was passed.
func (p *pace) expired() bool { return p.passed() != "" }

// passed is the limit that was passed.
func (p *pace) passed() string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.late
}

// tooSlow is the denial of a body whose read has ended with that error, where a limit was passed.
func (p *pace) tooSlow(err error) error {
	switch p.passed() {
	case limitBodyIdle:
		return model.Deny(model.CodeTooSlow).Because(err).Differ("silence of the client", "longer", fmt.Sprintf("%s at most", p.idle))
	case limitBodyRate:
		return model.Deny(model.CodeTooSlow).Because(err).Differ("bytes a second", "fewer", fmt.Sprintf("%d, and at no time %s behind", p.rate, p.grace))
	}
	return err
}
