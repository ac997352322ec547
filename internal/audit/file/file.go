package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/audit"
)

// lockWait is how long to wait for another process (the one that is being replaced) to let go of the file.
const lockWait = 3 * time.Second

// keepBatch is the largest batch whose memory is used again, in bytes.
const keepBatch = 1 << 20

// handle is what the sink needs of *os.File; tests make it fail.
type handle interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	Fd() uintptr
}

var _ handle = (*os.File)(nil)

type options struct {
	policy   string
	interval time.Duration
	logger   *slog.Logger
	// openHandle opens the file for reading and appending.
	openHandle func(path string) (handle, error)
	lockWait   time.Duration
}

// sink is the open file.
type sink struct {
	path string
	opts options

	mu sync.Mutex
	f  handle
	// size is where the last whole line ends. After a failed write the file may be longer: undo says so.
	size int64
	undo bool
	// batch is memory for the lines of a write.
	batch []byte
	// unsynced is true while lines wait for the interval; syncErr is what the last sync gave.
	unsynced  bool
	syncErr   error
	incidents []map[string]string
	closed    bool

	stop, stopped chan struct{}
}

var (
	_ audit.Sink     = (*sink)(nil)
	_ audit.Reporter = (*sink)(nil)
)

func open(ctx context.Context, path string, opts options) (*sink, error) {
	if opts.logger == nil {
		opts.logger = slog.New(slog.DiscardHandler)
	}
	if opts.openHandle == nil {
		opts.openHandle = func(path string) (handle, error) {
			return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		}
	}
	if opts.lockWait == 0 {
		opts.lockWait = lockWait
	}
	s := &sink{path: path, opts: opts, stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := s.reopen(ctx); err != nil {
		return nil, err
	}
	if opts.policy == FsyncInterval {
		go s.syncEvery(opts.interval)
	} else {
		close(s.stopped)
	}
	return s, nil
}

// reopen opens the file at the path, locks it, and repairs its end.
func (s *sink) reopen(ctx context.Context) error {
	dir := filepath.Dir(s.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("audit file: folder of %s: %w", s.path, err)
	}
	if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("audit file: %s is %s, expected a regular file (audit log writes to the process's log)", s.path, info.Mode().Type())
	}
	f, err := s.opts.openHandle(s.path)
	if err != nil {
		return fmt.Errorf("audit file: %w", err)
	}
	if err := s.adopt(ctx, f, dir); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// adopt makes an opened file the sink's own.
func (s *sink) adopt(ctx context.Context, f handle, dir string) error {
	if err := lock(ctx, f, s.opts.lockWait); err != nil {
		return fmt.Errorf("audit file: %s is in use by another process (%w): give each gateway a file of its own", s.path, err)
	}
	end, err := s.repair(f)
	if err != nil {
		return err
	}
	// The file's name must be as durable as its lines.
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("audit file: folder of %s: %w", s.path, err)
	}
	s.f, s.size, s.undo = f, end, false
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Write implements audit.Sink: one append, and one sync where the policy says so.
func (s *sink) Write(ctx context.Context, lines [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("audit file: %s: %w", s.path, fs.ErrClosed)
	}
	if err := s.syncErr; err != nil {
		s.syncErr = nil
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	batch := s.batch[:0]
	for _, line := range lines {
		batch = append(append(batch, line...), '\n')
	}
	if s.batch = batch; cap(batch) > keepBatch {
		s.batch = nil
	}
	if _, err := s.f.Write(batch); err != nil {
		s.undo = true
		return errors.Join(fmt.Errorf("audit file: write: %w", err), s.undoWrite())
	}
	if s.opts.policy == FsyncAlways {
		if err := s.f.Sync(); err != nil {
			s.undo = true
			return errors.Join(fmt.Errorf("audit file: sync: %w", err), s.undoWrite())
		}
	}
	s.size += int64(len(batch))
	s.unsynced = s.opts.policy == FsyncInterval
	return nil
}

// undoWrite takes back what a failed write left, so that the chain can go on from the last good line. Where that fails
// too, it is tried again before the next write.
func (s *sink) undoWrite() error {
	if !s.undo {
		return nil
	}
	if err := s.f.Truncate(s.size); err != nil {
		return fmt.Errorf("audit file: a half-written batch could not be removed: %w", err)
	}
	s.undo = false
	return nil
}

// ready makes sure that the open file is the one at the path and ends with the last line that was written.
func (s *sink) ready(ctx context.Context) error {
	if s.f == nil {
		return s.reopen(ctx)
	}
	if err := s.undoWrite(); err != nil {
		return err
	}
	own, err := s.f.Stat()
	if err != nil {
		return fmt.Errorf("audit file: %w", err)
	}
	at, err := os.Stat(s.path)
	if err != nil || !os.SameFile(own, at) {
		return s.rotated(ctx)
	}
	if own.Size() == s.size {
		return nil
	}
	what := "bytes were appended by someone else"
	if own.Size() < s.size {
		what = "the file was truncated in place: rotate it by renaming it"
	}
	s.incident(what, map[string]string{"size": fmt.Sprint(own.Size()), "expected_size": fmt.Sprint(s.size)})
	end, err := s.repair(s.f)
	if err != nil {
		return err
	}
	s.size = end
	return nil
}

// rotated finishes the file that was renamed away and begins a new one at the path. The chain goes on in it.
func (s *sink) rotated(ctx context.Context) error {
	old := s.f
	if s.opts.policy != FsyncNever {
		if err := old.Sync(); err != nil {
			return fmt.Errorf("audit file: sync of the rotated file: %w", err)
		}
	}
	s.f = nil
	if err := old.Close(); err != nil {
		s.opts.logger.Warn("the rotated audit file could not be closed", slog.Any("error", err))
	}
	return s.reopen(ctx)
}

// incident keeps what happened for an event and logs it.
func (s *sink) incident(what string, detail map[string]string) {
	detail["what"], detail["file"] = what, s.path
	s.incidents = append(s.incidents, detail)
	s.opts.logger.Warn("the audit file was not as it was left", slog.String("file", s.path), slog.String("what", what))
}

// Incidents implements audit.Reporter.
func (s *sink) Incidents() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.incidents
	s.incidents = nil
	return all
}

// Last implements audit.Sink.
func (s *sink) Last(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.f == nil {
		return nil, fmt.Errorf("audit file: %s: %w", s.path, fs.ErrClosed)
	}
	return lastLine(s.f, s.size)
}

// syncEvery is the "interval" policy. An error refuses the next write, since nobody else would learn of it.
func (s *sink) syncEvery(interval time.Duration) {
	defer close(s.stopped)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.mu.Lock()
			s.syncNow()
			s.mu.Unlock()
		case <-s.stop:
			return
		}
	}
}

func (s *sink) syncNow() {
	if !s.unsynced || s.f == nil {
		return
	}
	s.unsynced = false
	if err := s.f.Sync(); err != nil {
		s.syncErr = fmt.Errorf("audit file: sync: %w", err)
		s.opts.logger.Error("the audit file could not be synced", slog.String("file", s.path), slog.Any("error", err))
	}
}

// Close syncs, unless the policy is never, and closes the file.
func (s *sink) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("audit file: %s: %w", s.path, fs.ErrClosed)
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	<-s.stopped
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	err := s.undoWrite()
	s.syncNow()
	return errors.Join(err, s.syncErr, s.f.Close())
}
