package policies

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a LastGood that can fail.
type memory struct {
	mu     sync.Mutex
	data   []byte
	broken error
	stores int
}

var _ LastGood = (*memory)(nil)

func (m *memory) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return nil, fs.ErrNotExist
	}
	return m.data, m.broken
}

func (m *memory) Store(_ context.Context, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores++
	if m.broken != nil {
		return m.broken
	}
	m.data = data
	return nil
}

// bench is a watched directory whose clock and looks the test drives.
type bench struct {
	t       *testing.T
	dir     string
	now     time.Time
	kept    *memory
	watcher *Watcher
	reports []LoadReport
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, dir: t.TempDir(), now: noon, kept: &memory{}}
}

// start makes a watcher, as a process that starts anew does, and takes the first look.
func (b *bench) start() error {
	b.t.Helper()
	w, err := NewWatcher([]string{b.dir}, testEnv(), WatchOptions{
		LastGood: b.kept, Now: func() time.Time { return b.now }, OnLoad: func(r LoadReport) { b.reports = append(b.reports, r) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.watcher = w
	return w.load(b.t.Context())
}

func (b *bench) mustStart() {
	b.t.Helper()
	if err := b.start(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) write(name, content string) {
	b.t.Helper()
	writeFile(b.t, filepath.Join(b.dir, name), content)
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

// look lets time pass and takes a look.
func (b *bench) look(after time.Duration) {
	b.now = b.now.Add(after)
	b.watcher.poll(b.t.Context())
}

// settle looks until an edit has rested.
func (b *bench) settle() {
	b.look(500 * time.Millisecond)
	b.look(time.Second)
}

func (b *bench) wantNames(names ...string) {
	b.t.Helper()
	got := b.watcher.Set().Names()
	slices.Sort(got)
	if diff := cmp.Diff(names, got, cmpopts.EquateEmpty()); diff != "" {
		b.t.Errorf("policies (-want +got):\n%s", diff)
	}
}

// wantErrors compares the last report's errors, without their place.
func (b *bench) wantErrors(want ...string) {
	b.t.Helper()
	var got []string
	for _, e := range b.watcher.Report().Errors {
		got = append(got, strings.ReplaceAll(filepath.Base(e.File)+": "+e.Message, b.dir, "DIR"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// policy is a file with policies of these names.
func policy(names ...string) string {
	var s strings.Builder
	s.WriteString("policies:\n")
	for _, name := range names {
		s.WriteString(lines("  - name: "+name, "    registry: internal-pypi", "    packages: ["+name+"]", "    publisher:", `      github: {repository_id: "111"}`))
	}
	return s.String()
}

const (
	brokenFile  = "policies: [\n"
	brokenError = "not YAML: while parsing a flow node: did not find expected node content"
)

func TestWatchTakesEditsAfterASecondOfQuiet(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.mustStart()
	b.wantNames("one")
	b.write("a.yaml", policy("two"))
	b.look(500 * time.Millisecond)
	b.wantNames("one")
	b.look(900 * time.Millisecond)
	b.wantNames("one")
	b.look(100 * time.Millisecond)
	b.wantNames("two")
	if diff := cmp.Diff([]uint64{1, 2}, []uint64{b.reports[0].Generation, b.reports[1].Generation}); diff != "" {
		t.Errorf("generations (-want +got):\n%s", diff)
	}
	if len(b.reports) != 2 || b.reports[0].Hash == b.reports[1].Hash || !b.reports[1].Changed || b.reports[1].Policies != 1 || b.reports[1].Files != 1 {
		t.Errorf("reports: %+v", b.reports)
	}
}

func TestWatchWaitsForAFileThatIsBeingWritten(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", policy("other"))
	b.mustStart()
	b.remove("b.yaml")
	for i := range 4 {
		b.write("a.yaml", policy("two")+strings.Repeat("#", i))
		b.look(500 * time.Millisecond)
	}
	// The other file's removal does not wait for this one.
	b.wantNames("one")
	for i := range 20 {
		b.write("a.yaml", policy("two")+strings.Repeat("#", 10+i))
		b.look(500 * time.Millisecond)
	}
	// Nor does anything wait for ever.
	b.wantNames("two")
}

func TestWatchKeepsTheLastGoodVersionOfEachFile(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", policy("two"))
	b.mustStart()
	b.write("a.yaml", brokenFile)
	b.write("b.yaml", policy("three"))
	b.settle()
	b.wantNames("one", "three")
	b.wantErrors("a.yaml: " + brokenError)
	if diff := cmp.Diff([]string{filepath.Join(b.dir, "a.yaml")}, b.watcher.Report().Kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	b.remove("b.yaml")
	b.settle()
	b.wantNames("one")
	b.write("c.yaml", brokenFile)
	b.settle()
	b.wantNames("one")
	b.wantErrors("a.yaml: "+brokenError, "c.yaml: "+brokenError)
	b.write("a.yaml", policy("four"))
	b.settle()
	b.wantNames("four")
	b.remove("a.yaml")
	b.remove("c.yaml")
	b.settle()
	b.wantNames()
	b.wantErrors()
}

func TestWatchRemovesABrokenFile(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", policy("two"))
	b.mustStart()
	b.write("a.yaml", "")
	b.settle()
	b.wantNames("one", "two")
	b.wantErrors("a.yaml: the file is empty; write policies: [] where no policy is meant")
	b.remove("a.yaml")
	b.settle()
	b.wantNames("two")
	b.wantErrors()
}

func TestWatchIgnoresAFileThatIsReplacedOrComesBack(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.mustStart()
	b.remove("a.yaml")
	b.look(500 * time.Millisecond)
	b.write("a.yaml", policy("one"))
	b.look(500 * time.Millisecond)
	b.look(2 * time.Second)
	b.write("b.yaml", policy("two"))
	b.look(100 * time.Millisecond)
	b.remove("b.yaml")
	b.look(2 * time.Second)
	b.wantNames("one")
	if len(b.reports) != 1 {
		t.Errorf("%d reports, expected only the first: %+v", len(b.reports), b.reports)
	}
}

func TestWatchRestartWithABrokenFile(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", policy("two"))
	b.write("c.yaml", policy("three"))
	b.mustStart()
	hash := b.watcher.Hash()
	b.write("a.yaml", brokenFile)
	b.mustStart()
	b.wantNames("one", "three", "two")
	b.wantErrors("a.yaml: " + brokenError)
	if b.watcher.Hash() != hash {
		t.Error("the last good set has another hash")
	}
	// What was removed or edited meanwhile is not brought back.
	b.remove("b.yaml")
	b.write("c.yaml", policy("four"))
	b.mustStart()
	b.wantNames("four", "one")
}

func TestWatchRefusesAStartWithoutAGoodVersion(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", brokenFile)
	err := b.start()
	want := "policies: no last good version of a broken file is known, so nothing starts:\n" + filepath.Join(b.dir, "b.yaml") + ":2:1: " + brokenError
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nexpected\n%s", err, want)
	}
	if b.kept.stores != 0 || b.watcher.Set() != nil {
		t.Error("something was taken in")
	}
	id := identity("github", githubClaims())
	if b.watcher.Evaluate(id, widgetUpload()).Allow || !b.watcher.Protected("internal-pypi", "x") {
		t.Error("a watcher without policies does not refuse")
	}
}

func TestWatchRefusesAStartWithoutItsPath(t *testing.T) {
	b := newBench(t)
	b.dir = filepath.Join(b.dir, "missing")
	if err := b.start(); err == nil || !strings.Contains(err.Error(), "there is no such file or directory") {
		t.Errorf("got %v", err)
	}
}

func TestWatchWithoutLastGoodStorage(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.kept.broken = errors.New("the disk is full")
	b.mustStart()
	if got := b.watcher.Report().StoreError; got != "the disk is full" {
		t.Errorf("store error is %q", got)
	}
	b.kept.broken = nil
	b.look(5 * time.Second)
	if b.kept.stores != 1 {
		t.Errorf("%d stores before the retry is due, expected 1", b.kept.stores)
	}
	b.look(6 * time.Second)
	b.look(6 * time.Second)
	if b.kept.stores != 2 || b.kept.data == nil {
		t.Errorf("%d stores, expected one more and no further", b.kept.stores)
	}
	b.kept.data = []byte("{broken")
	b.mustStart()
	b.wantNames("one")
}

func TestWatchMovesAPolicyBetweenFiles(t *testing.T) {
	for _, tc := range []struct{ name, from, to string }{{"down", "a.yaml", "b.yaml"}, {"up", "b.yaml", "a.yaml"}} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.write(tc.from, policy("one", "moved"))
			b.write(tc.to, policy("two"))
			b.mustStart()
			// First the new place, a while later the old one: the name is taken until then.
			b.write(tc.to, policy("two", "moved"))
			b.settle()
			b.wantNames("moved", "one", "two")
			b.wantErrors(tc.to + `: the name "moved" is used twice; the first is in DIR/` + tc.from + ":7")
			b.write(tc.from, policy("one"))
			b.settle()
			b.wantNames("moved", "one", "two")
			b.wantErrors()
			// Both at once.
			b.write(tc.to, policy("two"))
			b.write(tc.from, policy("one", "moved"))
			b.settle()
			b.wantNames("moved", "one", "two")
			b.wantErrors()
		})
	}
}

func TestWatchSwapsNames(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", policy("two"))
	b.mustStart()
	b.write("a.yaml", policy("two"))
	b.write("b.yaml", policy("one"))
	b.settle()
	b.wantNames("one", "two")
	b.wantErrors()
}

// A file that takes a name which another's last good version holds does not push that one out.
func TestWatchProtectsKeptNames(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.write("b.yaml", policy("two", "three"))
	b.mustStart()
	b.write("b.yaml", brokenFile)
	b.write("a.yaml", policy("one", "two"))
	b.write("c.yaml", policy("four"))
	b.settle()
	b.wantNames("four", "one", "three", "two")
	b.wantErrors(`a.yaml: the name "two" is used twice; the first is in DIR/b.yaml:2`, "b.yaml: "+brokenError)
}

func TestWatchConfigMap(t *testing.T) {
	b := newBench(t)
	version := func(name, content string) {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		b.write(filepath.Join(name, "a.yaml"), content)
		if err := os.Symlink(name, filepath.Join(b.dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(b.dir, "..tmp"), filepath.Join(b.dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1", policy("one"))
	if err := os.Symlink("..data/a.yaml", filepath.Join(b.dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	b.mustStart()
	b.wantNames("one")
	version("..2026_2", policy("two"))
	b.settle()
	b.wantNames("two")
}

func TestWatchKeepsWhatItCannotRead(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.mustStart()
	// A directory in the place of the file: there, and not readable as one.
	b.remove("a.yaml")
	if err := os.Symlink("a.yaml", filepath.Join(b.dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.wantNames("one")
	b.wantErrors("a.yaml: cannot be read: too many levels of symbolic links")
}

func TestWatchRemovedDirectory(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", policy("one"))
	b.mustStart()
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.wantNames()
	b.wantErrors(filepath.Base(b.dir) + ": there is no such file or directory")
}

// The whole of it on its own clock: an edit acts within three seconds, and Close ends all that was started.
func TestInvariantPoliciesOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "a.yaml")
		writeFile(t, file, policy("acme-widget"))
		w, err := NewWatcher([]string{dir}, testEnv(), WatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		id := identity("github", githubClaims())
		if d := w.Evaluate(id, widgetUpload()); !d.Allow {
			t.Fatalf("before the edit: %+v", d)
		}
		writeFile(t, file, "policies: []\n")
		<-time.After(3 * time.Second)
		synctest.Wait()
		if d := w.Evaluate(id, widgetUpload()); d.Allow {
			t.Error("three seconds after the removal the policy still acts")
		}
		if w.Len() != 0 || w.Report().Generation != 2 {
			t.Errorf("report: %+v", w.Report())
		}
		w.Close()
		w.Close()
	})
}

func TestWatchNeedsAPath(t *testing.T) {
	if _, err := NewWatcher(nil, testEnv(), WatchOptions{}); err == nil {
		t.Error("no error")
	}
}
