package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// ErrClosed is returned for events that come after the audit was closed.
var ErrClosed = errors.New("the audit is closed")

const (
	defaultQueue   = 4096
	defaultTimeout = 5 * time.Second
	defaultRetry   = time.Second
	// maxBatch bounds the lines of one write.
	maxBatch = 512
	// keepRoom is the largest batch whose memory is used again, in bytes.
	keepRoom = 1 << 20
)

// StreamOptions of OpenStream; the zero value is what operators get.
type StreamOptions struct {
	// Name is the sink's name in logs and errors.
	Name   string
	Logger *slog.Logger
	// Now is the clock of the events that the audit writes itself.
	Now func() time.Time
	// Queue bounds the events that wait, and those that are kept while the sink fails.
	Queue int
	// Timeout bounds one write to the sink.
	Timeout time.Duration
	// Retry is how often events that are kept are tried again.
	Retry time.Duration
}

func (o *StreamOptions) defaults() {
	if o.Name == "" {
		o.Name = "audit"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Retry <= 0 {
		o.Retry = defaultRetry
	}
}

// Reporter is implemented by sinks that repair things on their own; what they did becomes an event of kind "recovery".
type Reporter interface {
	// Incidents returns what was repaired since it was last asked.
	Incidents() []map[string]string
}

// Stream is one sink with its chain and its writer. It is what configurations share: two Logs that write to the same file
// during a reload must share the Stream, so that there is one chain.
type Stream struct {
	opts StreamOptions
	sink Sink
	// These are the writer's own: where the next line attaches, the notes to try again, and what it uses again for each batch.
	chain       chain
	kept        [][]byte
	batch, live []*entry
	lines       [][]byte
	room        []byte
	writing     context.Context //nolint:containedctx // one for many writes that follow each other
	endWriting  context.CancelFunc

	queue   chan *entry
	wake    chan struct{} // holds a signal while the writer has to look into the queue
	closing chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	closed bool
	status Status
	head   hash // of the status
	// late wakes the writer for notes; waiting is true while it is going to.
	late    *time.Timer
	waiting bool
	// unreported is how many lost events no line tells of yet.
	unreported uint64
	closeErr   error
}

// Status is how a stream is doing.
type Status struct {
	// Sink is its name, Seq the newest line's number, Head that line's SHA-256.
	Sink string `json:"sink"`
	Seq  uint64 `json:"seq"`
	Head string `json:"head,omitempty"`
	// Lost counts events that could not be kept since the stream was opened.
	Lost uint64 `json:"lost"`
	// Error is why the sink fails now, Since from when on; empty while it works.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// OpenStream resumes the sink's chain and starts its writer. Close closes the sink too; after an error the sink is still
// the caller's.
func OpenStream(ctx context.Context, sink Sink, opts StreamOptions) (*Stream, error) {
	opts.defaults()
	last, err := sink.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Name, err)
	}
	c, err := resume(last)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Name, err)
	}
	s := &Stream{
		opts: opts, sink: sink, chain: c,
		queue: make(chan *entry, opts.Queue), wake: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
		status: Status{Sink: opts.Name, Seq: c.seq}, head: c.head,
	}
	s.late = time.AfterFunc(time.Hour, s.lateNotes)
	s.incidents()
	go s.run()
	return s, nil
}

// Status tells how the stream is doing.
func (s *Stream) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	if status.Seq > 0 {
		status.Head = s.head.String()
	}
	return status
}

// lose counts events that will not be written. The first of a row is logged; how many they were is written when the sink
// works again, and logged at the end otherwise.
func (s *Stream) lose(n uint64, why string) {
	s.mu.Lock()
	first := s.unreported == 0
	s.unreported += n
	s.status.Lost += n
	s.mu.Unlock()
	if first {
		s.opts.Logger.Error("audit events are being lost", slog.String("sink", s.opts.Name), slog.String("reason", why))
	}
}

// Close writes what waits, and closes the sink.
func (s *Stream) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	s.late.Stop()
	close(s.closing)
	<-s.stopped
	return s.closeErr
}

// run is the writer.
func (s *Stream) run() {
	defer close(s.stopped)
	retry := time.NewTicker(s.opts.Retry)
	defer retry.Stop()
	for {
		select {
		case <-s.wake:
			for len(s.queue) > 0 {
				s.write(s.gather(<-s.queue))
			}
		case <-retry.C:
			if s.overdue() {
				s.write(nil)
			}
		case <-s.closing:
			s.finish()
			return
		}
	}
}

// overdue is true when there is something to write that no event brought.
func (s *Stream) overdue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept) > 0 || s.unreported > 0
}

// finish drains the queue, tries everything once more and closes the sink.
func (s *Stream) finish() {
	for len(s.queue) > 0 {
		s.write(s.gather(<-s.queue))
	}
	if s.overdue() {
		s.write(nil)
	}
	var err error
	if n := len(s.kept); n > 0 {
		s.lose(uint64(n), "the audit is closed")
		err = fmt.Errorf("%s: %d events were not written", s.opts.Name, n)
	}
	if s.endWriting != nil {
		s.endWriting()
	}
	s.closeErr = errors.Join(err, s.sink.Close())
	if lost := s.Status().Lost; lost > 0 {
		s.opts.Logger.Error("audit events were lost", slog.String("sink", s.opts.Name), slog.Uint64("count", lost))
	}
}

// gather takes what waits by now, so that all of it shares one write and one sync.
func (s *Stream) gather(first *entry) []*entry {
	batch := append(s.batch[:0], first)
	defer func() { s.batch = batch }()
	for len(batch) < maxBatch {
		select {
		case e := <-s.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// write writes what was kept and a batch. When the sink fails, the chain stays where it was, whoever waits is told, and
// the notes are kept for the next time.
func (s *Stream) write(batch []*entry) {
	next, room, lines, live := s.chain, s.room[:0], s.lines[:0], s.live[:0]
	attach := func(event []byte) {
		var line []byte
		room, line = next.attach(room, event)
		lines = append(lines, line)
	}
	for _, event := range s.kept {
		attach(event)
	}
	lost := s.lostEvent()
	if lost.event != nil {
		attach(lost.event)
	}
	for _, e := range batch {
		if err := e.over(); err != nil {
			e.result <- err
			continue
		}
		live = append(live, e)
		attach(e.event)
	}
	s.lines, s.live = lines, live
	if len(lines) == 0 {
		return
	}
	if err := s.sink.Write(s.bounded(), lines); err != nil {
		s.room = nil // whoever still writes may still read it
		s.failed(live, err)
	} else {
		if s.room = room; cap(room) > keepRoom {
			s.room = nil
		}
		s.chain, s.kept = next, nil
		s.succeeded(live, lost.count)
	}
	s.incidents()
}

// bounded is the context of a write, which the next ones share for a while.
func (s *Stream) bounded() context.Context {
	if s.writing != nil {
		if end, _ := s.writing.Deadline(); time.Until(end) > s.opts.Timeout*4/5 {
			return s.writing
		}
		s.endWriting()
	}
	s.writing, s.endWriting = context.WithTimeout(context.Background(), s.opts.Timeout)
	return s.writing
}

// failed tells those who wait and keeps the notes.
func (s *Stream) failed(batch []*entry, err error) {
	err = fmt.Errorf("%s: %w", s.opts.Name, err)
	overflow := uint64(0)
	for _, e := range batch {
		switch {
		case e.ctx != nil:
			e.result <- err
		case len(s.kept) < s.opts.Queue:
			s.kept = append(s.kept, e.event)
			e.free()
		default:
			overflow++
		}
	}
	s.mu.Lock()
	first := s.status.Error == ""
	if first {
		s.status.Since = s.opts.Now()
	}
	s.status.Error = err.Error()
	s.mu.Unlock()
	if first {
		s.opts.Logger.Error("the audit cannot be written; publishes are refused until it can", slog.Any("error", err))
	}
	if overflow > 0 {
		s.lose(overflow, "the sink fails and the queue is full")
	}
}

// succeeded tells those who wait, after the status tells the same.
func (s *Stream) succeeded(batch []*entry, reported uint64) {
	s.mu.Lock()
	healed := s.status.Error != ""
	s.status.Seq, s.head = s.chain.seq, s.chain.head
	s.status.Error, s.status.Since = "", time.Time{}
	s.unreported -= reported
	s.mu.Unlock()
	for _, e := range batch {
		e.freeEvent()
		if e.ctx != nil {
			e.result <- nil
		} else {
			e.free()
		}
	}
	if healed {
		s.opts.Logger.Info("the audit can be written again", slog.String("sink", s.opts.Name))
	}
}

// lossReport is the encoded event that tells of lost events, and of how many.
type lossReport struct {
	event []byte
	count uint64
}

func (s *Stream) lostEvent() lossReport {
	s.mu.Lock()
	n := s.unreported
	s.mu.Unlock()
	if n == 0 {
		return lossReport{}
	}
	b, err := encode(nil, &model.Event{Time: s.opts.Now(), Kind: EventLost, Detail: map[string]string{"count": strconv.FormatUint(n, 10)}})
	if err != nil {
		return lossReport{}
	}
	return lossReport{b, n}
}

// incidents keeps what the sink repaired as events for the next write.
func (s *Stream) incidents() {
	r, ok := s.sink.(Reporter)
	if !ok {
		return
	}
	for _, detail := range r.Incidents() {
		b, err := encode(nil, &model.Event{Time: s.opts.Now(), Kind: EventRecovery, Detail: detail})
		if err == nil {
			s.kept = append(s.kept, b)
		}
	}
}
