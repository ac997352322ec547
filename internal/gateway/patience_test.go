package gateway

import (
	"context"
	"errors"
	"testing"
	"time"
)

type patienceKey struct{}

// TestPatience: it is the context that context.WithTimeout would have made, for those that wait and those that only look.
func TestPatience(t *testing.T) {
	parent := context.WithValue(t.Context(), patienceKey{}, "value")
	for _, waits := range []bool{false, true} {
		for _, tc := range []struct {
			name string
			made time.Time
			stop bool
			want error
		}{
			{"under way", time.Now(), false, nil},
			{"over", time.Now().Add(-stepTimeout), false, context.DeadlineExceeded},
			{"stopped", time.Now(), true, context.Canceled},
		} {
			p := new(patience).begin(parent, tc.made)
			child, cancel := context.WithTimeout(p, time.Hour)
			if waits {
				<-waited(child, tc.want != nil && !tc.stop)
			}
			if tc.stop {
				p.stop()
			}
			if at, ok := child.Deadline(); !ok || !at.Equal(tc.made.Add(stepTimeout)) {
				t.Errorf("%s: a child ends at %s", tc.name, at)
			}
			if err := p.Err(); !errors.Is(err, tc.want) {
				t.Errorf("%s, waits %t: got %v, expected %v", tc.name, waits, err, tc.want)
			}
			if tc.want != nil {
				<-p.Done() // at once
				<-child.Done()
			}
			if err := p.Err(); !errors.Is(err, tc.want) {
				t.Errorf("%s, waits %t, asked again: got %v, expected %v", tc.name, waits, err, tc.want)
			}
			if p.Value(patienceKey{}) != "value" || child.Value(patienceKey{}) != "value" {
				t.Errorf("%s: a value of the request is lost", tc.name)
			}
			cancel()
			p.stop()
		}
	}
}

// waited is closed when a context has ended, or at once where it has not to be waited for.
func waited(ctx context.Context, wait bool) <-chan struct{} {
	if wait {
		return ctx.Done()
	}
	select {
	case <-ctx.Done():
	default:
	}
	done := make(chan struct{})
	close(done)
	return done
}

// TestPatienceCostsNoTimer: a neighbour that only looks makes nothing.
func TestPatienceCostsNoTimer(t *testing.T) {
	p := new(patience).begin(t.Context(), time.Now())
	defer p.stop()
	if n := testing.AllocsPerRun(100, func() { _ = p.Err() }); n != 0 || p.timed != nil {
		t.Errorf("looking whether it ended makes %.0f pieces of memory", n)
	}
}
