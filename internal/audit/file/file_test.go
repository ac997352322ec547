package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openLog opens an audit log on a file.
func openLog(t testing.TB, path string) *audit.Log {
	t.Helper()
	s, err := (&Config{Path: path}).Open(t.Context(), audit.Env{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return logOn(t, s)
}

func logOn(t testing.TB, s audit.Sink) *audit.Log {
	t.Helper()
	l, err := audit.New(audit.Options{Sinks: []audit.Sink{s}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return l
}

func closeLog(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func record(t testing.TB, l *audit.Log, id string) {
	t.Helper()
	if err := l.Record(t.Context(), model.Event{ID: id, Kind: model.EventDecision}); err != nil {
		t.Fatalf("Record(%s): %v", id, err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ids gives the event ids of a file, and "recovery: what" for repairs.
func ids(t testing.TB, path string) []string {
	t.Helper()
	got := []string{}
	for line := range strings.Lines(read(t, path)) {
		var e model.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == audit.EventRecovery {
			e.ID = "recovery: " + e.Detail["what"]
		}
		got = append(got, e.ID)
	}
	return got
}

// verify checks files as one chain.
func verify(t testing.TB, paths ...string) {
	t.Helper()
	var v audit.Verifier
	for _, p := range paths {
		if err := v.Check(filepath.Base(p), strings.NewReader(read(t, p))); err != nil {
			t.Errorf("the chain is broken: %v", err)
		}
	}
}

func wantIDs(t testing.TB, path string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, ids(t, path)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", filepath.Base(path), diff)
	}
}

func TestAppendsOverRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "audit.jsonl")
	for _, id := range []string{"a", "b", "c"} {
		l := openLog(t, path)
		record(t, l, id)
		closeLog(t, l)
	}
	wantIDs(t, path, "a", "b", "c")
	verify(t, path)
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want mode %o", p, info.Mode(), err, want)
		}
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	l := openLog(t, path)
	record(t, l, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	record(t, l, "b")
	// Rotated again, and this time the rotator makes the new file, in a folder of its own making.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	record(t, l, "c")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	record(t, l, "d")
	closeLog(t, l)
	wantIDs(t, path+".1", "a")
	wantIDs(t, path+".2", "b")
	wantIDs(t, path, "d")
	verify(t, path+".1", path+".2")
	verify(t, path)
}

func TestRotationByTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := openLog(t, path)
	record(t, l, "a")
	if err := os.WriteFile(path+".1", []byte(read(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	record(t, l, "b")
	closeLog(t, l)
	wantIDs(t, path, "b", "recovery: the file was truncated in place: rotate it by renaming it")
	verify(t, path+".1", path)
}

func TestForeignBytesAreNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := openLog(t, path)
	record(t, l, "a")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"event\":\"forged\"}\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	record(t, l, "b")
	closeLog(t, l)
	wantIDs(t, path, "a", "forged", "b", "recovery: bytes were appended by someone else")
	if err := audit.Verify(strings.NewReader(read(t, path))); err == nil || !strings.HasPrefix(err.Error(), "audit:2:") {
		t.Errorf("Verify: %v, want line 2", err)
	}
}

// TestCrashInALine cuts the file after every byte of its last line, as a crash would.
func TestCrashInALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := openLog(t, path)
	record(t, l, "a")
	record(t, l, "b")
	closeLog(t, l)
	whole := read(t, path)
	start := strings.IndexByte(whole, '\n') + 1
	for cut := start; cut <= len(whole); cut++ {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		l := openLog(t, path)
		record(t, l, "c")
		closeLog(t, l)
		verify(t, path)
		switch cut {
		case start:
			wantIDs(t, path, "a", "c")
		case len(whole):
			wantIDs(t, path, "a", "b", "c")
		case len(whole) - 1:
			wantIDs(t, path, "a", "b", "recovery: the line break of the last line was missing", "c")
		default:
			wantIDs(t, path, "a", "recovery: the last line was cut short and set aside", "c")
			if got := read(t, path+".torn"); got != whole[start:cut]+"\n" {
				t.Fatalf("cut at %d: set aside %q", cut, got)
			}
		}
		if t.Failed() {
			t.Fatalf("cut at %d", cut)
		}
	}
}

func TestOnlyALineThatWasCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"v":1,"se`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, path)
	record(t, l, "a")
	closeLog(t, l)
	wantIDs(t, path, "recovery: the last line was cut short and set aside", "a")
	verify(t, path)
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct {
		name   string
		config Config
		want   string
	}{
		{"no path", Config{}, "path is empty"},
		{"unknown policy", Config{Path: "x", Fsync: "sometimes"}, `fsync is "sometimes", expected always, interval or never`},
		{"interval without its policy", Config{Path: "x", Interval: model.Duration(time.Second)}, "expected fsync interval beside it"},
		{"negative interval", Config{Path: "x", Fsync: "interval", Interval: -1}, "expected a positive duration"},
		{"a folder", Config{Path: dir}, "expected a regular file"},
		{"a device", Config{Path: os.DevNull}, "expected a regular file"},
		{"below a file", Config{Path: file("plain", "") + "/audit.jsonl"}, "not a directory"},
		{"another file", Config{Path: file("other", "hello\n")}, "not an audit line"},
		{"an empty last line", Config{Path: file("blank", "x\n\n")}, "its last line is empty"},
		{"no line breaks", Config{Path: file("binary", strings.Repeat("x", audit.MaxLine+2))}, "longer than"},
		{"a long last line", Config{Path: file("long", strings.Repeat("x", audit.MaxLine+2)+"\n")}, "longer than"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.config.Open(t.Context(), audit.Env{})
			if err == nil {
				_, err = audit.New(audit.Options{Sinks: []audit.Sink{s}})
				if closeErr := s.Close(); closeErr != nil {
					t.Error(closeErr)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open: %v, want %q", err, c.want)
			}
		})
	}
}

func TestKey(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir + "/audit.jsonl", link + "/audit.jsonl", dir + "/./x/../audit.jsonl"} {
		key, err := (&Config{Path: path}).Key(audit.Env{})
		if want := "audit-file:" + dir + "/audit.jsonl"; err != nil || key != want {
			t.Errorf("Key(%s) = %q, %v, want %q", path, key, err, want)
		}
	}
	if _, err := Kind.New().Key(audit.Env{}); err == nil {
		t.Error("Key without a path: want an error")
	}
}

func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := openLog(t, path)
	defer closeLog(t, l)
	opts := options{policy: FsyncAlways, lockWait: time.Millisecond}
	if _, err := open(t.Context(), path, opts); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("open: %v, want that it is in use", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	opts.lockWait = time.Hour
	if _, err := open(ctx, path, opts); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open: %v, want the deadline", err)
	}
}

// faulty is a file whose disk fails when it is told to.
type faulty struct {
	*os.File
	f *faults
}

type faults struct {
	// writeAfter lets that many bytes of a write through and then fails; negative: no fault.
	writeAfter     int
	sync, truncate bool
	syncs          chan struct{}
}

var errFull = syscall.ENOSPC

func (h *faulty) Write(b []byte) (int, error) {
	if h.f.writeAfter < 0 {
		return h.File.Write(b)
	}
	n, _ := h.File.Write(b[:min(h.f.writeAfter, len(b))])
	return n, errFull
}

func (h *faulty) Sync() error {
	if h.f.syncs != nil {
		select {
		case h.f.syncs <- struct{}{}:
		default:
		}
	}
	if h.f.sync {
		return syscall.EIO
	}
	return h.File.Sync()
}

func (h *faulty) Truncate(n int64) error {
	if h.f.truncate {
		return syscall.EIO
	}
	return h.File.Truncate(n)
}

func openFaulty(t *testing.T, path string, f *faults, opts options) *sink {
	t.Helper()
	f.writeAfter = -1
	opts.openHandle = func(path string) (handle, error) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		return &faulty{file, f}, err
	}
	s, err := open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDiskFull: a write that fails at any byte leaves nothing behind, and the chain goes on when there is room again.
func TestDiskFull(t *testing.T) {
	cases := []struct {
		name string
		set  func(f *faults)
		want error
	}{
		{"at once", func(f *faults) { f.writeAfter = 0 }, errFull},
		{"in the first line", func(f *faults) { f.writeAfter = 20 }, errFull},
		{"before the line break", func(f *faults) { f.writeAfter = 169 }, errFull},
		{"sync fails", func(f *faults) { f.sync = true }, syscall.EIO},
		{"what was written cannot be removed", func(f *faults) { f.writeAfter, f.truncate = 100, true }, errFull},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			f := new(faults)
			l := logOn(t, openFaulty(t, path, f, options{policy: FsyncAlways}))
			record(t, l, "a")
			c.set(f)
			for range 2 {
				if err := l.Record(t.Context(), model.Event{ID: "b"}); err == nil {
					t.Error("Record on a full disk: want an error")
				}
			}
			*f = faults{writeAfter: -1}
			record(t, l, "c")
			closeLog(t, l)
			wantIDs(t, path, "a", "c")
			verify(t, path)
		})
	}
}

func TestDiskFullError(t *testing.T) {
	f := new(faults)
	l := logOn(t, openFaulty(t, filepath.Join(t.TempDir(), "audit.jsonl"), f, options{policy: FsyncAlways}))
	defer closeLog(t, l)
	f.writeAfter = 3
	if err := l.Record(t.Context(), model.Event{ID: "b"}); !errors.Is(err, errFull) {
		t.Errorf("Record: %v, want that the disk is full", err)
	}
	f.writeAfter = -1
}

func TestFsyncPolicies(t *testing.T) {
	t.Run("always", func(t *testing.T) {
		f := &faults{syncs: make(chan struct{}, 1)}
		s := openFaulty(t, filepath.Join(t.TempDir(), "audit.jsonl"), f, options{policy: FsyncAlways})
		defer s.Close()
		if err := s.Write(t.Context(), [][]byte{[]byte("{}")}); err != nil || len(f.syncs) != 1 {
			t.Errorf("Write: %v, %d syncs, want one", err, len(f.syncs))
		}
	})
	t.Run("never", func(t *testing.T) {
		f := &faults{syncs: make(chan struct{}, 1)}
		s := openFaulty(t, filepath.Join(t.TempDir(), "audit.jsonl"), f, options{policy: FsyncNever})
		err := s.Write(t.Context(), [][]byte{[]byte("{}")})
		if err := errors.Join(err, s.Close()); err != nil || len(f.syncs) != 0 {
			t.Errorf("Write: %v, %d syncs, want none", err, len(f.syncs))
		}
	})
	t.Run("interval", func(t *testing.T) {
		f := &faults{syncs: make(chan struct{}, 1)}
		s := openFaulty(t, filepath.Join(t.TempDir(), "audit.jsonl"), f, options{policy: FsyncInterval, interval: time.Millisecond})
		if err := s.Write(t.Context(), [][]byte{[]byte("{}")}); err != nil {
			t.Error(err)
		}
		<-f.syncs
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("interval at close", func(t *testing.T) {
		f := &faults{syncs: make(chan struct{}, 1)}
		s := openFaulty(t, filepath.Join(t.TempDir(), "audit.jsonl"), f, options{policy: FsyncInterval, interval: time.Hour})
		err := s.Write(t.Context(), [][]byte{[]byte("{}")})
		if err := errors.Join(err, s.Close()); err != nil || len(f.syncs) != 1 {
			t.Errorf("Write: %v, %d syncs, want one", err, len(f.syncs))
		}
	})
}

// TestIntervalSyncFailure: nobody waits for that sync, so the next write is refused in its place.
func TestIntervalSyncFailure(t *testing.T) {
	var log bytes.Buffer
	f := &faults{sync: true}
	s := openFaulty(t, filepath.Join(t.TempDir(), "audit.jsonl"), f, options{
		policy: FsyncInterval, interval: time.Hour, logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err := s.Write(t.Context(), [][]byte{[]byte("{}")}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.syncNow()
	s.mu.Unlock()
	f.sync = false
	if err := s.Write(t.Context(), [][]byte{[]byte("{}")}); !errors.Is(err, syscall.EIO) {
		t.Errorf("Write: %v, want the failed sync", err)
	}
	if err := s.Write(t.Context(), [][]byte{[]byte("{}")}); err != nil {
		t.Errorf("Write: %v, want none", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "could not be synced") {
		t.Errorf("log: %s", &log)
	}
}

func TestClosed(t *testing.T) {
	s, err := (&Config{Path: filepath.Join(t.TempDir(), "audit.jsonl")}).Open(t.Context(), audit.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, lastErr := s.Last(t.Context())
	for name, err := range map[string]error{"Write": s.Write(t.Context(), nil), "Last": lastErr, "Close": s.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v, want that it is closed", name, err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, policy := range []string{FsyncAlways, FsyncNever} {
		for _, recorders := range []int{1, 64} {
			b.Run(fmt.Sprintf("fsync=%s/recorders=%d", policy, recorders), func(b *testing.B) {
				s, err := (&Config{Path: filepath.Join(b.TempDir(), "audit.jsonl"), Fsync: policy}).Open(b.Context(), audit.Env{})
				if err != nil {
					b.Fatal(err)
				}
				l := logOn(b, s)
				defer closeLog(b, l)
				b.ReportAllocs()
				if recorders == 1 {
					for b.Loop() {
						record(b, l, "a")
					}
					return
				}
				b.SetParallelism(recorders / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := l.Record(b.Context(), model.Event{ID: "a"}); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
