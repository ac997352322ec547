package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		fmt.Fprintln(os.Stderr, child(path, os.Getenv(childRound)))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func openAt(t testing.TB, path string, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		return openAt(t, filepath.Join(dir, defaultFile), Options{Now: now})
	}, storetest.Options{Durable: true})
}

// TestInvariantNoReplayAfterCrash: what the file holds at that moment, as a crash would leave it, knows the claim.
func TestInvariantNoReplayAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := openAt(t, path, Options{})
	defer closeStore(t, s)
	until := time.Now().Add(time.Hour)
	for i := range 5 {
		key := fmt.Sprint("key", i)
		if _, err := s.Claim(t.Context(), key, "first", until); err != nil {
			t.Fatal(err)
		}
		if err := s.Revoke(t.Context(), key, until); err != nil {
			t.Fatal(err)
		}
		image, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		crashed := filepath.Join(t.TempDir(), "crashed.db")
		if err := os.WriteFile(crashed, image, 0o600); err != nil {
			t.Fatal(err)
		}
		after := openAt(t, crashed, Options{})
		held, claimErr := after.Claim(t.Context(), key, "second", until)
		revoked, revokedErr := after.Revoked(t.Context(), key)
		if err := errors.Join(claimErr, revokedErr); err != nil || held != "first" || !revoked {
			t.Errorf("after a crash: held by %q, revoked %v, %v, want first and revoked", held, revoked, err)
		}
		closeStore(t, after)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "trustpub")
	s, err := Kind.New().Open(t.Context(), store.Env{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "trustpub.db")
	for path, want := range map[string]os.FileMode{dir: 0o700, file: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want mode %o", path, info.Mode(), err, want)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	closeStore(t, openAt(t, file, Options{}))
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file that others could read is %v %v after opening, want 0600", info.Mode(), err)
	}
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, path, dir, key, err string
	}{
		{name: "default", dir: dir, key: "local:" + dir + "/trustpub.db"},
		{name: "below the data folder", path: "replay/claims.db", dir: dir, key: "local:" + dir + "/replay/claims.db"},
		{name: "absolute", path: dir + "/x.db", dir: "/nowhere", key: "local:" + dir + "/x.db"},
		{name: "one file by two names", dir: link, key: "local:" + dir + "/trustpub.db"},
		{name: "out of the data folder", path: "../x.db", dir: dir, err: `path is "../x.db", expected an absolute path or one below the data folder`},
		{name: "no data folder", path: "x.db", err: "no data folder is known"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := &Config{Path: c.path}
			key, err := config.Key(store.Env{DataDir: c.dir})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("Key: %v, want %q", err, c.err)
				}
				if _, err := config.Open(t.Context(), store.Env{DataDir: c.dir}); err == nil {
					t.Fatal("Open: want the same error")
				}
				return
			}
			if err != nil || key != c.key {
				t.Errorf("Key = %q, %v, want %q", key, err, c.key)
			}
		})
	}
}

func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := openAt(t, path, Options{})
	defer closeStore(t, s)
	_, err := Open(t.Context(), path, Options{LockTimeout: time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("Open: %v, want that it is in use", err)
	}
}

func TestDamagedFile(t *testing.T) {
	whole := func() []byte {
		path := filepath.Join(t.TempDir(), "x.db")
		s := openAt(t, path, Options{})
		for i := range 300 {
			if err := s.Revoke(t.Context(), fmt.Sprint("id", i), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Claim(t.Context(), fmt.Sprint("key", i), "h", time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		closeStore(t, s)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}()
	page := os.Getpagesize()
	cases := []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"not a database", func([]byte) []byte { return []byte(strings.Repeat("hello\n", 4000)) }},
		{"shorter than a header", func(b []byte) []byte { return b[:100] }},
		{"only the headers", func(b []byte) []byte { return b[:2*page] }},
		{"half", func(b []byte) []byte { return b[:len(b)/2/page*page] }},
		{"zeros after the headers", func(b []byte) []byte { clear(b[2*page:]); return b }},
		{"noise after the headers", func(b []byte) []byte {
			for i := 2 * page; i < len(b); i++ {
				b[i] = byte(i * 7)
			}
			return b
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(path, c.damage(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := (&Config{Path: path}).Check(t.Context(), store.Env{}); err == nil || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("Check: %q, %v, want that the file is damaged", found, err)
			}
			s, err := Open(t.Context(), path, Options{LockTimeout: time.Second})
			if err == nil {
				closeStore(t, s)
				t.Fatal("Open: want an error")
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("Open: %v, want that the file is damaged, and its path", err)
			}
		})
	}
}

func TestUnknownLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	closeStore(t, openAt(t, path, Options{}))
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyVersion, []byte("9")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), `layout version "9", expected "1"`) {
		t.Errorf("Open: %v, want the layout version", err)
	}
	if _, err := (&Config{Path: path}).Check(t.Context(), store.Env{}); err == nil || !strings.Contains(err.Error(), `layout version "9", expected "1"`) {
		t.Errorf("Check: %v, want the layout version", err)
	}
}

func TestNotAFile(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "expected a regular file") {
		t.Errorf("Open of a folder: %v", err)
	}
}

// count gives the entries on the disk.
func count(t *testing.T, s *Store) map[string]int {
	t.Helper()
	got := map[string]int{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketClaims, bucketClaimsEnd, bucketRevocations} {
			got[string(name)] = tx.Bucket(name).Stats().KeyN
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSweep(t *testing.T) {
	clock := storetest.NewClock()
	s := openAt(t, filepath.Join(t.TempDir(), "x.db"), Options{Now: clock.Now})
	var group sync.WaitGroup
	for i := range sweepBatch + 200 {
		group.Go(func() {
			if _, err := s.Claim(t.Context(), fmt.Sprint("short", i), "h", clock.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, id := range []string{"a", "b"} {
		if err := s.Revoke(t.Context(), id, clock.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Claim(t.Context(), "long", "h", clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "long", "h", clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	sweep := func(want int) {
		t.Helper()
		var n int
		var err error
		// Only the writer may sweep.
		op := newOperation(t.Context())
		op.apply = func(*bbolt.Tx) (bool, error) { return false, nil }
		op.committed = func() { n, err = s.sweep(s.now()) }
		if submitErr := s.submit(t.Context(), op); submitErr != nil || err != nil || n != want {
			t.Fatalf("sweep = %d, %v %v, want %d", n, submitErr, err, want)
		}
	}
	sweep(sweepBatch)
	sweep(202)
	sweep(0)
	if got := count(t, s); got["claims"] != 1 || got["claims_end"] != 1 || got["revocations"] != 0 || len(s.revoked) != 0 {
		t.Errorf("after sweeping: %v and %d in memory, want the one long claim", got, len(s.revoked))
	}
	held, err := s.Claim(t.Context(), "long", "another", clock.Now().Add(time.Hour))
	if err != nil || held != "h" {
		t.Errorf("Claim = %q, %v, want h", held, err)
	}
	closeStore(t, s)
}

// TestSweeper: the sweeper runs by itself; the signal is the clock that it reads.
func TestSweeper(t *testing.T) {
	clock := storetest.NewClock()
	asked := make(chan struct{}, 1)
	s := openAt(t, filepath.Join(t.TempDir(), "x.db"), Options{SweepInterval: time.Millisecond, Now: func() time.Time {
		select {
		case asked <- struct{}{}:
		default:
		}
		return clock.Now()
	}})
	if _, err := s.Claim(t.Context(), "k", "h", clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	for count(t, s)["claims"] != 0 {
		select {
		case <-asked:
		case <-t.Context().Done():
			t.Fatal("the sweeper did not run")
		}
	}
	closeStore(t, s)
}

// TestPanicStays: damage that shows later refuses everything, and closing does not hang.
func TestPanicStays(t *testing.T) {
	var log bytes.Buffer
	s := openAt(t, filepath.Join(t.TempDir(), "x.db"), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	op := newOperation(t.Context())
	op.apply = func(*bbolt.Tx) (bool, error) { panic("page 7 already freed") }
	if err := s.submit(t.Context(), op); err == nil || !strings.Contains(err.Error(), "is damaged (page 7 already freed)") {
		t.Errorf("submit: %v, want damage", err)
	}
	if _, err := s.Claim(t.Context(), "k", "h", time.Now().Add(time.Hour)); err == nil {
		t.Error("Claim after damage: want an error")
	}
	closeStore(t, s)
	if !strings.Contains(log.String(), "every publish is refused") {
		t.Errorf("log: %s", &log)
	}
}

// TestWaitingCallerGivesUp: a caller whose context ends while the writer is busy is not kept waiting.
func TestWaitingCallerGivesUp(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	entered, leave := make(chan struct{}), make(chan struct{})
	busy := newOperation(t.Context())
	busy.apply = func(*bbolt.Tx) (bool, error) { close(entered); <-leave; return false, nil }
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.submit(t.Context(), busy); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Claim(ctx, "k", "h", time.Now().Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Claim: %v, want the deadline", err)
	}
	close(leave)
	group.Wait()
	closeStore(t, s)
}

func BenchmarkClaim(b *testing.B) {
	for _, claimants := range []int{1, 64} {
		b.Run(fmt.Sprintf("claimants=%d", claimants), func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "x.db"), Options{})
			defer closeStore(b, s)
			until := time.Now().Add(time.Hour)
			b.ReportAllocs()
			b.SetParallelism(claimants)
			var next sync.Mutex
			n := 0
			claim := func() {
				next.Lock()
				n++
				key := fmt.Sprint(n)
				next.Unlock()
				if _, err := s.Claim(b.Context(), key, "h", until); err != nil {
					b.Error(err)
				}
			}
			if claimants == 1 {
				for b.Loop() {
					claim()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					claim()
				}
			})
		})
	}
}

func BenchmarkRevoked(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "x.db"), Options{})
	defer closeStore(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Revoked(b.Context(), "token", "issuer/job"); err != nil {
			b.Fatal(err)
		}
	}
}
