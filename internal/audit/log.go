package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Options of New.
type Options struct {
	// Streams are shared with other Logs (over a reload); closing the Log leaves them open.
	Streams []*Stream
	// Sinks belong to this Log alone: each gets a stream, and is closed with the Log.
	Sinks []Sink
	// Logger takes what goes wrong.
	Logger *slog.Logger
	// Now is the clock for events that carry no time.
	Now func() time.Time
	// Queue bounds the events that wait for each of Sinks.
	Queue int
	// Timeout bounds Record, whose callers hold a request; default 5 s.
	Timeout time.Duration
}

// Log writes each event to every stream. It implements the gateway's Auditor.
type Log struct {
	streams []*Stream
	owned   []*Stream
	logger  *slog.Logger
	now     func() time.Time
	timeout time.Duration
}

// New makes a log; there must be a stream or a sink. After an error the sinks are still the caller's.
func New(opts Options) (*Log, error) {
	if len(opts.Streams)+len(opts.Sinks) == 0 {
		return nil, errors.New("audit: there is no sink, expected at least one")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	l := &Log{streams: append([]*Stream(nil), opts.Streams...), logger: opts.Logger, now: opts.Now, timeout: opts.Timeout}
	for i, sink := range opts.Sinks {
		ctx, cancel := context.WithTimeout(context.Background(), opts.Timeout)
		stream, err := OpenStream(ctx, sink, StreamOptions{
			Name: fmt.Sprintf("audit sink %d", i+1), Logger: opts.Logger, Now: opts.Now, Queue: opts.Queue, Timeout: opts.Timeout,
		})
		cancel()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.streams, l.owned = append(l.streams, stream), append(l.owned, stream)
	}
	return l, nil
}

// Record returns once the event is as durable as every sink can make it. After an error it may be written or not, and the
// caller refuses.
func (l *Log) Record(ctx context.Context, event model.Event) error {
	b, err := l.encode(&event)
	if err != nil {
		return err
	}
	until := time.Now().Add(l.timeout)
	var room [2]*entry
	entries := room[:0]
	for _, s := range l.streams {
		entries = append(entries, s.record(ctx, until, b, len(l.streams) == 1))
	}
	var first error
	for i, s := range l.streams {
		if err := s.wait(entries[i]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Ready is an error while a sink fails. A sink that works again is noticed by itself, since what it could not write is tried
// again.
func (l *Log) Ready() error {
	for _, s := range l.streams {
		if status := s.Status(); status.Error != "" {
			return fmt.Errorf("%s: failing since %s: %s", status.Sink, status.Since.Format(time.RFC3339), status.Error)
		}
	}
	return nil
}

// Note records without waiting. An event that cannot be kept is counted and logged, and a later line says how many were
// lost.
func (l *Log) Note(event model.Event) {
	b, err := l.encode(&event)
	for _, s := range l.streams {
		if err != nil {
			s.lose(1, err.Error())
			continue
		}
		s.note(b, len(l.streams) == 1)
	}
}

func (l *Log) encode(event *model.Event) ([]byte, error) {
	if event.Time.IsZero() {
		event.Time = l.now()
	}
	event.Time = event.Time.UTC()
	return encode((*events.Get().(*[]byte))[:0], event)
}

// Status tells how each stream is doing.
func (l *Log) Status() []Status {
	all := make([]Status, len(l.streams))
	for i, s := range l.streams {
		all[i] = s.Status()
	}
	return all
}

// Close writes what waits to the sinks that belong to this Log, and closes them. Shared streams stay open; whoever closes
// those writes what waits in them.
func (l *Log) Close() error {
	var err error
	for _, s := range l.owned {
		err = errors.Join(err, s.Close())
	}
	return err
}
