package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// times are when a lease was asked for, since the beginning.
type times struct {
	began time.Time
	asked []time.Duration
}

// Lease implements store.Leaser.
func (s *times) Lease(_ context.Context, _, holder string, _ time.Duration) (string, error) {
	s.asked = append(s.asked, time.Since(s.began))
	return holder, nil
}

// Release implements store.Leaser.
func (*times) Release(context.Context, string, string) error { return nil }

// TestTurnsOutliveSlowUploads: the turn is asked for again in time, as long as the upload lasts and no longer.
func TestTurnsOutliveSlowUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &times{began: time.Now()}
		m := &turn{key: "k", holder: "h", leaser: store}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			m.keep(ctx)
		}()
		<-time.After(10*time.Minute + time.Second)
		cancel()
		<-ended
		last := time.Duration(0)
		for _, at := range append(store.asked, 10*time.Minute) {
			if at-last > turnLife/2 {
				t.Errorf("nothing was asked from %s to %s, and a turn lasts %s", last, at, turnLife)
			}
			last = at
		}
		asked := len(store.asked)
		<-time.After(time.Hour)
		if len(store.asked) != asked {
			t.Error("it was asked for after the upload's end")
		}
	})
}
