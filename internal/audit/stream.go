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
	// chain and kept are the writer's own: where the next line attaches, and the notes to try again.
	chain chain
	kept  [][]byte

	queue   chan *entry
	closing chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	closed bool
	status Status
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

// entry is one encoded event that waits for the writer.
type entry struct {
	event []byte
	// ctx and result are nil for a note, for which nobody waits.
	ctx    context.Context
	result chan error
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
		queue: make(chan *entry, opts.Queue), closing: make(chan struct{}), stopped: make(chan struct{}),
		status: Status{Sink: opts.Name, Seq: c.seq},
	}
	if c.seq > 0 {
		s.status.Head = c.head.String()
	}
	s.incidents()
	go s.run()
	return s, nil
}

// Status tells how the stream is doing.
func (s *Stream) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// record returns a channel that gets the result once the event was written or was not.
func (s *Stream) record(ctx context.Context, event []byte) *entry {
	e := &entry{event: event, ctx: ctx, result: make(chan error, 1)}
	select {
	case s.queue <- e:
		return e
	default:
	}
	select {
	case s.queue <- e:
	case <-s.closing:
		e.result <- ErrClosed
	case <-ctx.Done():
		e.result <- fmt.Errorf("%s: the queue is full: %w", s.opts.Name, ctx.Err())
	}
	return e
}

// wait gives the result of record.
func (s *Stream) wait(e *entry) error {
	select {
	case err := <-e.result:
		return err
	case <-e.ctx.Done():
		return fmt.Errorf("%s: not written in time: %w", s.opts.Name, e.ctx.Err())
	case <-s.stopped:
	}
	select {
	case err := <-e.result:
		return err
	default:
		return ErrClosed
	}
}

// note queues an event without waiting; where there is no room it is counted and logged.
func (s *Stream) note(event []byte) {
	s.mu.Lock()
	closed, sent := s.closed, false
	if !closed {
		select {
		case s.queue <- &entry{event: event}:
			sent = true
		default:
		}
	}
	s.mu.Unlock()
	switch {
	case closed:
		s.lose(1, "the audit is closed")
	case !sent:
		s.lose(1, "the queue is full")
	}
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
		case e := <-s.queue:
			s.write(s.gather(e))
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
	s.closeErr = errors.Join(err, s.sink.Close())
	if lost := s.Status().Lost; lost > 0 {
		s.opts.Logger.Error("audit events were lost", slog.String("sink", s.opts.Name), slog.Uint64("count", lost))
	}
}

// gather takes what waits by now, so that all of it shares one write and one sync.
func (s *Stream) gather(first *entry) []*entry {
	batch := []*entry{first}
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
	next := s.chain
	lines := make([][]byte, 0, len(s.kept)+len(batch)+1)
	for _, event := range s.kept {
		lines = append(lines, next.attach(event))
	}
	lost := s.lostEvent()
	if lost.event != nil {
		lines = append(lines, next.attach(lost.event))
	}
	live := make([]*entry, 0, len(batch))
	for _, e := range batch {
		if e.ctx != nil && e.ctx.Err() != nil {
			e.result <- e.ctx.Err()
			continue
		}
		live = append(live, e)
		lines = append(lines, next.attach(e.event))
	}
	if len(lines) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	if err := s.sink.Write(ctx, lines); err != nil {
		s.failed(live, err)
	} else {
		s.chain, s.kept = next, nil
		s.succeeded(live, lost.count)
	}
	s.incidents()
}

// failed tells those who wait and keeps the notes.
func (s *Stream) failed(batch []*entry, err error) {
	err = fmt.Errorf("%s: %w", s.opts.Name, err)
	overflow := uint64(0)
	for _, e := range batch {
		switch {
		case e.result != nil:
			e.result <- err
		case len(s.kept) < s.opts.Queue:
			s.kept = append(s.kept, e.event)
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
	s.status.Seq, s.status.Head = s.chain.seq, s.chain.head.String()
	s.status.Error, s.status.Since = "", time.Time{}
	s.unreported -= reported
	s.mu.Unlock()
	for _, e := range batch {
		if e.result != nil {
			e.result <- nil
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
	b, err := encode(model.Event{Time: s.opts.Now(), Kind: EventLost, Detail: map[string]string{"count": strconv.FormatUint(n, 10)}})
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
		b, err := encode(model.Event{Time: s.opts.Now(), Kind: EventRecovery, Detail: detail})
		if err == nil {
			s.kept = append(s.kept, b)
		}
	}
}
