package policies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultInterval is the time between two looks at the files.
	DefaultInterval = 500 * time.Millisecond
	// DefaultQuiet is how long a file must rest before it acts.
	DefaultQuiet = time.Second
	// restless is how long a file that never rests is waited for.
	restless = 10 * time.Second
	// storeTimeout bounds one write of the last good set, storeRetry is the time between two attempts.
	storeTimeout = 5 * time.Second
	storeRetry   = 10 * time.Second
)

// LastGood keeps the last good files beyond the life of the process.
type LastGood interface {
	// Load gives what was stored; an error that is fs.ErrNotExist, or no bytes, where nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Store replaces it.
	Store(ctx context.Context, data []byte) error
}

// WatchOptions are the settings of a Watcher. All of them may be left out.
type WatchOptions struct {
	// LastGood keeps the last good files; nil: they are not kept.
	LastGood LastGood
	// Interval is the time between two looks, Quiet how long a file must rest; zero: the defaults.
	Interval, Quiet time.Duration
	// Logger hears of loads and of what is wrong; nil: nobody does.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// OnLoad hears of each load, the first included, and of each change of what is wrong. It must not call the watcher's
	// Close.
	OnLoad func(LoadReport)
}

// LoadReport says what a load did.
type LoadReport struct {
	// Time is when.
	Time time.Time `json:"time"`
	// Hash names the set that acts from now on, Files and Policies count it, Generation counts the sets so far.
	Hash       string `json:"hash"`
	Files      int    `json:"files"`
	Policies   int    `json:"policies"`
	Generation uint64 `json:"generation"`
	// Changed is true where the set is another one than before.
	Changed bool `json:"changed"`
	// Errors are what is wrong with files now, Kept the files of which an older version acts meanwhile.
	Errors Errors   `json:"errors,omitempty"`
	Kept   []string `json:"kept,omitempty"`
	// StoreError says why the last good set could not be kept; empty where it could.
	StoreError string `json:"store_error,omitempty"`
}

// Watcher keeps a set up to date with its files. Its Evaluate and Protected take no lock and may be called at any time after
// Start; before it, everything is denied and protected.
type Watcher struct {
	paths []string
	env   *environment
	opts  WatchOptions

	current atomic.Pointer[Set]
	report  atomic.Pointer[LoadReport]

	// mu guards what follows, which only one look at a time changes.
	mu      sync.Mutex
	files   map[string]*watchedFile
	listing Errors
	// unsaved is true while the last good set waits for its storage; retry is when to try again.
	unsaved   bool
	retry     time.Time
	cancel    context.CancelFunc
	done      chan struct{}
	storeFail string
}

// watchedFile is what is known of one file.
type watchedFile struct {
	// settled is the version that was taken in last, good the last one that compiled; either may be nil.
	settled, good *compiled
	// pending is a version that was seen and has not rested yet, since when, and since when any was.
	pending      *file
	since, first time.Time
	// gone is true for a pending removal.
	gone bool
}

// NewWatcher checks its inputs; it reads no file before Start.
func NewWatcher(paths []string, env Env, opts WatchOptions) (*Watcher, error) {
	if len(paths) == 0 {
		return nil, errors.New("policies: no path is configured, expected at least one file, directory or glob")
	}
	if opts.Interval <= 0 {
		opts.Interval = DefaultInterval
	}
	if opts.Quiet <= 0 {
		opts.Quiet = DefaultQuiet
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if env.Now == nil {
		env.Now = opts.Now
	}
	e, err := newEnvironment(env)
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	return &Watcher{paths: paths, env: e, opts: opts, files: map[string]*watchedFile{}}, nil
}

// Start loads the files and watches them until Close. A file that is broken is replaced by its last good version; where there
// is none, Start fails, and with it everything that would have run without the policy.
func (w *Watcher) Start(ctx context.Context) error {
	if err := w.load(ctx); err != nil {
		return err
	}
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.done = make(chan struct{})
	go w.run(ctx)
	return nil
}

// Close stops watching; the set that acts goes on to act. It may be called more than once.
func (w *Watcher) Close() {
	if w.cancel != nil {
		w.cancel()
		<-w.done
	}
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(w.opts.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.poll(ctx)
		}
	}
}

// load is the first look: what is there counts at once.
func (w *Watcher) load(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, found := read(w.paths, w.env.env.AnyMode)
	stored := w.stored(ctx)
	now := compileAll(seen, w.env)
	for _, c := range now {
		f := &watchedFile{settled: c, good: stored[c.path]}
		if f.good != nil && len(c.errors) == 0 && f.good.sum == c.sum {
			f.good = c
		}
		w.files[c.path] = f
	}
	w.listing = found.errs
	set, report := w.assemble()
	if len(found.errs) > 0 {
		return fmt.Errorf("policies: %w", found.errs.orNil())
	}
	if w.lacking() {
		return fmt.Errorf("policies: no last good version of a broken file is known, so nothing starts:\n%w", report.Errors.orNil())
	}
	w.unsaved = true
	w.apply(ctx, set, report)
	return nil
}

// lacking is true where a broken file has no good version at all.
func (w *Watcher) lacking() bool {
	for _, f := range w.files {
		if f.good == nil {
			return true
		}
	}
	return false
}

// poll looks at the files once and takes in what has rested.
func (w *Watcher) poll(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, found := read(w.paths, w.env.env.AnyMode)
	changed := w.settle(seen, &found)
	if !slices.Equal(found.errs, w.listing) {
		w.listing, changed = found.errs, true
	}
	if changed {
		set, report := w.assemble()
		w.apply(ctx, set, report)
		return
	}
	if w.unsaved && !w.opts.Now().Before(w.retry) {
		w.save(ctx)
	}
}

// settle notes what is seen of each file and is true where a version that differs from the settled one has rested.
func (w *Watcher) settle(seen []file, found *listing) (changed bool) {
	now := w.opts.Now()
	there := make(map[string]bool, len(seen))
	var ready []file
	for _, s := range seen {
		there[s.path] = true
		f := w.files[s.path]
		if f == nil {
			f = &watchedFile{}
			w.files[s.path] = f
		}
		if f.settled != nil && sameFile(&f.settled.file, &s) {
			f.pending, f.gone = nil, false
			continue
		}
		if f.rested(&s, now, w.opts.Quiet) {
			ready = append(ready, s)
		}
	}
	for path, f := range w.files {
		switch {
		case there[path] || found.covers(path):
		case f.settled == nil:
			delete(w.files, path) // came and went
		case f.rested(nil, now, w.opts.Quiet):
			delete(w.files, path)
			changed = true
		}
	}
	for _, c := range compileAll(ready, w.env) {
		f := w.files[c.path]
		f.settled, f.pending, f.gone = c, nil, false
		changed = true
	}
	return changed
}

// rested notes what is seen, nil for a file that is gone, and is true once it has not changed for a while, or has changed
// for too long.
func (f *watchedFile) rested(seen *file, now time.Time, quiet time.Duration) bool {
	waiting := f.pending != nil || f.gone
	same := seen == nil && f.gone || seen != nil && f.pending != nil && sameFile(f.pending, seen)
	if !waiting {
		f.first = now
	}
	if !same {
		f.pending, f.gone, f.since = seen, seen == nil, now
	}
	return now.Sub(f.since) >= quiet || now.Sub(f.first) >= restless
}

// sameFile compares versions by their content.
func sameFile(a, b *file) bool {
	if a.problem != nil || b.problem != nil {
		return a.problem != nil && b.problem != nil && *a.problem == *b.problem
	}
	return a.sum == b.sum
}

// Evaluate judges by the policies of now.
func (w *Watcher) Evaluate(id *Identity, target Target) Decision {
	s := w.current.Load()
	if s == nil {
		return denied()
	}
	return s.Evaluate(id, target)
}

// Protected is Set.Protected of the policies of now.
func (w *Watcher) Protected(registry, pkg string) bool {
	s := w.current.Load()
	return s == nil || s.Protected(registry, pkg)
}

// Set is the set of now; nil before Start.
func (w *Watcher) Set() *Set { return w.current.Load() }

// Report is the last load's report.
func (w *Watcher) Report() LoadReport {
	if r := w.report.Load(); r != nil {
		return *r
	}
	return LoadReport{}
}

// Hash is that of the set of now.
func (w *Watcher) Hash() string { return w.Report().Hash }

// Len is the number of policies of now.
func (w *Watcher) Len() int { return w.Report().Policies }
