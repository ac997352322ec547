package audit

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// noteDelay is how long a note may wait for a decision to be written with; nobody waits for it.
	noteDelay = 10 * time.Millisecond
	// soon is how long whoever waits for a decision does so before it asks its context, which costs more.
	soon = 50 * time.Millisecond
)

// entry is one encoded event that waits for the writer.
type entry struct {
	event []byte
	// own is true where no other stream has the event, so that its memory can be used again.
	own bool
	// ctx is nil for a note, for which nobody waits. Whoever waits does so until this time.
	ctx    context.Context
	until  time.Time
	result chan error
}

// Memory that is used again: entries to which nobody has a pointer any more, encoded events, and timers.
var (
	entries = sync.Pool{New: func() any { return &entry{result: make(chan error, 1)} }}
	events  = sync.Pool{New: func() any { return new(make([]byte, 0, usualEvent)) }}
	timers  = sync.Pool{New: func() any { return time.NewTimer(time.Hour) }}
)

func newEntry(event []byte, own bool) *entry {
	e := entries.Get().(*entry)
	e.event, e.own = event, own
	return e
}

// free gives an entry back of which the result was taken, or of which nobody will.
func (e *entry) free() {
	e.event, e.ctx = nil, nil
	entries.Put(e)
}

// freeEvent gives the memory of a written event back.
func (e *entry) freeEvent() {
	if e.own && cap(e.event) <= 4*usualEvent {
		b := e.event[:0]
		events.Put(&b)
	}
	e.event = nil
}

// rouse makes the writer look into the queue.
func (s *Stream) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lateNotes is when notes have waited long enough.
func (s *Stream) lateNotes() {
	s.mu.Lock()
	s.waiting = false
	s.mu.Unlock()
	s.rouse()
}

// record queues an event that somebody waits for until a time: wait gives the result once it was written, or was not.
func (s *Stream) record(ctx context.Context, until time.Time, event []byte, own bool) *entry {
	e := newEntry(event, own)
	e.ctx, e.until = ctx, until
	defer s.rouse()
	select {
	case s.queue <- e:
		return e
	default:
	}
	s.rouse()
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	select {
	case s.queue <- e:
	case <-s.closing:
		e.result <- ErrClosed
	case <-ctx.Done():
		e.result <- fmt.Errorf("%s: the queue is full: %w", s.opts.Name, ctx.Err())
	}
	return e
}

// wait gives the result of record. The entry must not be used after it.
func (s *Stream) wait(e *entry) error {
	if left := min(soon, time.Until(e.until)); left > 0 && e.ctx.Err() == nil {
		t := timers.Get().(*time.Timer)
		t.Reset(left)
		defer timers.Put(t)
		defer t.Stop()
		select {
		case err := <-e.result:
			e.free()
			return err
		case <-s.stopped:
		case <-t.C:
		}
	}
	ctx, cancel := context.WithDeadline(e.ctx, e.until)
	defer cancel()
	select {
	case err := <-e.result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: not written in time: %w", s.opts.Name, ctx.Err())
	case <-s.stopped:
	}
	select {
	case err := <-e.result:
		return err
	default:
		return ErrClosed
	}
}

// note queues an event without waiting; where there is no room it is counted and logged. It is written with the next decision, or
// after a moment: the writer is not woken for each.
func (s *Stream) note(event []byte, own bool) {
	e := newEntry(event, own)
	s.mu.Lock()
	closed, sent := s.closed, false
	if !closed {
		select {
		case s.queue <- e:
			sent = true
			if !s.waiting {
				s.waiting = true
				s.late.Reset(noteDelay)
			}
		default:
		}
	}
	s.mu.Unlock()
	switch {
	case closed:
		s.lose(1, "the audit is closed")
	case !sent:
		s.lose(1, "the queue is full")
	case len(s.queue) > cap(s.queue)/2:
		s.rouse()
	}
}

// over is an error where nobody waits for an event any more that somebody did wait for.
func (e *entry) over() error {
	switch {
	case e.ctx == nil:
		return nil
	case !time.Now().Before(e.until):
		return context.DeadlineExceeded
	}
	return e.ctx.Err()
}
