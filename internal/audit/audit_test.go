package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trustpub/trustpub/internal/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func now() time.Time { return at }

// fakeSink keeps lines in memory, and fails or waits when it is told to.
type fakeSink struct {
	mu        sync.Mutex
	buf       bytes.Buffer
	writes    int
	err       error
	last      []byte
	incidents []map[string]string
	closed    bool
	// entered and leave, where set, hold each write up.
	entered, leave chan struct{}
	// wrote, where set, gets a signal after each write.
	wrote chan struct{}
}

func (f *fakeSink) Write(_ context.Context, lines [][]byte) error {
	if f.entered != nil {
		f.entered <- struct{}{}
		<-f.leave
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrote != nil {
		defer func() { f.wrote <- struct{}{} }()
	}
	if f.err != nil {
		return f.err
	}
	f.writes++
	for _, l := range lines {
		f.buf.Write(l)
		f.buf.WriteByte('\n')
	}
	return nil
}

func (f *fakeSink) Last(context.Context) ([]byte, error) { return f.last, nil }

func (f *fakeSink) Incidents() []map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.incidents
	f.incidents = nil
	return all
}

func (f *fakeSink) Close() error {
	f.closed = true
	return nil
}

func (f *fakeSink) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeSink) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.buf.String()
}

// kinds lists each line's kind and count, as a short picture of a file.
func kinds(t *testing.T, text string) []string {
	t.Helper()
	var got []string
	for line := range strings.Lines(text) {
		var e model.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		word := string(e.Kind) + " " + e.ID + e.Detail["count"] + e.Detail["what"]
		got = append(got, strings.TrimSpace(word))
	}
	return got
}

func newLog(t *testing.T, opts Options) *Log {
	t.Helper()
	opts.Now = now
	l, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func record(t *testing.T, l *Log, id string) {
	t.Helper()
	if err := l.Record(t.Context(), model.Event{ID: id, Kind: model.EventDecision}); err != nil {
		t.Fatalf("Record(%s): %v", id, err)
	}
}

func TestRecordMakesAChain(t *testing.T) {
	sink := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{sink}})
	record(t, l, "a")
	l.Note(model.Event{ID: "b", Kind: model.EventOutcome, Message: "<ü&\n\u2028>"})
	record(t, l, "c")
	status := l.Status()[0]
	closeLog(t, l)
	want := []string{"decision a", "outcome b", "decision c"}
	if diff := cmp.Diff(want, kinds(t, sink.text())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	var v Verifier
	if err := v.Check("audit", strings.NewReader(sink.text())); err != nil {
		t.Error(err)
	}
	summary := Summary{Lines: 3, First: 1, Last: 3, Begins: true, Head: status.Head, Oldest: at, Newest: at}
	if diff := cmp.Diff(summary, v.Summary()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	first, _, _ := strings.Cut(sink.text(), "\n")
	golden := `{"v":1,"seq":1,"prev":"` + strings.Repeat("0", 64) + `","time":"2030-01-02T03:04:05Z","event":"a","kind":"decision"}`
	if diff := cmp.Diff(golden, first); diff != "" {
		t.Errorf("first line (-want +got):\n%s", diff)
	}
	if !sink.closed {
		t.Error("the sink was not closed")
	}
}

func TestChainGoesOn(t *testing.T) {
	first := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{first}})
	record(t, l, "a")
	record(t, l, "b")
	closeLog(t, l)
	lines := strings.Split(strings.TrimSpace(first.text()), "\n")
	second := &fakeSink{last: []byte(lines[1])}
	l = newLog(t, Options{Sinks: []Sink{second}})
	if got := l.Status()[0].Seq; got != 2 {
		t.Errorf("seq after opening is %d, want 2", got)
	}
	record(t, l, "c")
	closeLog(t, l)
	if err := Verify(strings.NewReader(first.text() + second.text())); err != nil {
		t.Error(err)
	}
	var v Verifier
	if err := v.Check("rotated", strings.NewReader(second.text())); err != nil {
		t.Error(err)
	}
	if s := v.Summary(); s.Begins || s.First != 3 {
		t.Errorf("summary of the second file: %+v, want that it continues at 3", s)
	}
}

func TestOpenRefusesForeignLastLine(t *testing.T) {
	for _, last := range []string{"hello", `{"v":2,"seq":1,"prev":""}`, `{"v":1,"prev":""}`, `{"v":1,"seq":3,"prev":"00"}`, `[]`} {
		sink := &fakeSink{last: []byte(last)}
		if _, err := New(Options{Sinks: []Sink{sink}}); err == nil || !strings.Contains(err.Error(), "move the file away") {
			t.Errorf("%s: %v, want what to do", last, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("New without a sink: want an error")
	}
}

// TestRecordFailsClosed: whoever waits learns of the failure; notes are kept and written when the sink works again, and
// the chain has no gap.
func TestRecordFailsClosed(t *testing.T) {
	var log bytes.Buffer
	sink := &fakeSink{wrote: make(chan struct{}, 100)}
	stream, err := OpenStream(t.Context(), sink, StreamOptions{
		Name: "audit file", Now: now, Retry: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t, Options{Streams: []*Stream{stream}})
	record(t, l, "a")
	<-sink.wrote
	full := errors.New("no space left on device")
	sink.fail(full)
	if err := l.Record(t.Context(), model.Event{ID: "b"}); !errors.Is(err, full) || !strings.Contains(err.Error(), "audit file") {
		t.Errorf("Record: %v, want the sink's name and error", err)
	}
	<-sink.wrote
	l.Note(model.Event{ID: "c", Kind: model.EventOutcome})
	<-sink.wrote
	if s := stream.Status(); s.Error == "" || s.Since != at || s.Seq != 1 {
		t.Errorf("status: %+v, want the error, since when, and seq 1", s)
	}
	if err := l.Ready(); err == nil || !strings.Contains(err.Error(), "audit file") || !strings.Contains(err.Error(), full.Error()) {
		t.Errorf("Ready: %v, want the sink's name and error", err)
	}
	sink.fail(nil)
	for len(kinds(t, sink.text())) < 2 {
		<-sink.wrote
	}
	record(t, l, "d")
	if s := stream.Status(); s.Error != "" || !s.Since.IsZero() || s.Seq != 3 {
		t.Errorf("status: %+v, want no error and seq 3", s)
	}
	if err := l.Ready(); err != nil {
		t.Errorf("Ready: %v, want none", err)
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"decision a", "outcome c", "decision d"}, kinds(t, sink.text())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if err := Verify(strings.NewReader(sink.text())); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"publishes are refused", "can be written again"} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("the log says %q %d times, want once:\n%s", want, strings.Count(log.String(), want), &log)
		}
	}
}

// TestNoteNeverDropsSilently: with a full queue a note is counted, logged once, and told of by a later line.
func TestNoteNeverDropsSilently(t *testing.T) {
	var log bytes.Buffer
	sink := &fakeSink{entered: make(chan struct{}), leave: make(chan struct{})}
	l := newLog(t, Options{Sinks: []Sink{sink}, Queue: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	l.Note(model.Event{ID: "a", Kind: model.EventOutcome})
	<-sink.entered
	for _, id := range []string{"b", "c", "d"} {
		l.Note(model.Event{ID: id, Kind: model.EventOutcome})
	}
	if s := l.Status()[0]; s.Lost != 2 {
		t.Errorf("lost: %d, want 2", s.Lost)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := l.Record(ctx, model.Event{ID: "e"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Record with a full queue: %v, want the deadline", err)
	}
	sink.leave <- struct{}{}
	<-sink.entered
	sink.leave <- struct{}{}
	closeLog(t, l)
	if diff := cmp.Diff([]string{"outcome a", "lost 2", "outcome b"}, kinds(t, sink.text())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	var v Verifier
	if err := v.Check("audit", strings.NewReader(sink.text())); err != nil || v.Summary().Lost != 2 {
		t.Errorf("Check: %v, %+v, want 2 lost", err, v.Summary())
	}
	if n := strings.Count(log.String(), "being lost"); n != 1 {
		t.Errorf("the loss was logged %d times, want once:\n%s", n, &log)
	}
}

// TestSlowSinkTimesOut: a sink that hangs holds no request longer than the timeout.
func TestSlowSinkTimesOut(t *testing.T) {
	sink := &fakeSink{entered: make(chan struct{}, 1), leave: make(chan struct{})}
	l := newLog(t, Options{Sinks: []Sink{sink}, Timeout: time.Millisecond})
	if err := l.Record(t.Context(), model.Event{ID: "a"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Record: %v, want the deadline", err)
	}
	close(sink.leave)
	closeLog(t, l)
}

func TestCancelledRecordIsNotWritten(t *testing.T) {
	sink := &fakeSink{entered: make(chan struct{}, 9), leave: make(chan struct{})}
	l := newLog(t, Options{Sinks: []Sink{sink}})
	l.Note(model.Event{ID: "a", Kind: model.EventOutcome})
	<-sink.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, model.Event{ID: "b"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Record: %v, want context.Canceled", err)
	}
	close(sink.leave)
	closeLog(t, l)
	if diff := cmp.Diff([]string{"outcome a"}, kinds(t, sink.text())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestRecordsShareWrites: many at once cost few writes, all are written, and nobody returns before its line is.
func TestRecordsShareWrites(t *testing.T) {
	const n = 400
	sink := &fakeSink{entered: make(chan struct{}, n+1), leave: make(chan struct{})}
	l := newLog(t, Options{Sinks: []Sink{sink}})
	l.Note(model.Event{ID: "first"})
	<-sink.entered
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			id := fmt.Sprintf("<%d>", i)
			if err := l.Record(t.Context(), model.Event{ID: id}); err != nil {
				t.Error(err)
			}
			if !strings.Contains(sink.text(), `"`+id+`"`) {
				t.Errorf("Record(%s) returned before its line was written", id)
			}
		})
	}
	for len(l.streams[0].queue) < n {
		select {
		case <-t.Context().Done():
			t.Fatal("the queue did not fill")
		default:
		}
	}
	close(sink.leave)
	group.Wait()
	closeLog(t, l)
	if sink.writes > 3 {
		t.Errorf("%d events took %d writes, want at most 3", n+1, sink.writes)
	}
	if err := Verify(strings.NewReader(sink.text())); err != nil {
		t.Error(err)
	}
}

func TestClosed(t *testing.T) {
	var log bytes.Buffer
	sink := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{sink}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 50 {
		l.Note(model.Event{ID: fmt.Sprint(i), Kind: model.EventOutcome})
	}
	closeLog(t, l)
	if got := len(kinds(t, sink.text())); got != 50 {
		t.Errorf("%d lines after closing, want all 50", got)
	}
	if err := l.Record(t.Context(), model.Event{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Record: %v, want ErrClosed", err)
	}
	if err := l.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("Close: %v, want ErrClosed", err)
	}
	l.Note(model.Event{ID: "late"})
	if l.Status()[0].Lost != 1 || !strings.Contains(log.String(), "the audit is closed") {
		t.Errorf("a late note: %+v, log: %s", l.Status()[0], &log)
	}
}

// TestCloseReportsWhatWasNotWritten: a sink that never works again makes Close an error.
func TestCloseReportsWhatWasNotWritten(t *testing.T) {
	sink := new(fakeSink)
	sink.fail(errors.New("gone"))
	l := newLog(t, Options{Sinks: []Sink{sink}})
	l.Note(model.Event{ID: "a"})
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "1 events were not written") {
		t.Errorf("Close: %v", err)
	}
}

func TestTwoSinks(t *testing.T) {
	good, bad := new(fakeSink), new(fakeSink)
	bad.fail(errors.New("gone"))
	l := newLog(t, Options{Sinks: []Sink{good, bad}})
	if err := l.Record(t.Context(), model.Event{ID: "a"}); err == nil || !strings.Contains(err.Error(), "audit sink 2: gone") {
		t.Errorf("Record: %v, want that sink 2 failed", err)
	}
	bad.fail(nil)
	record(t, l, "b")
	closeLog(t, l)
	for i, sink := range []*fakeSink{good, bad} {
		if err := Verify(strings.NewReader(sink.text())); err != nil {
			t.Errorf("sink %d: %v", i+1, err)
		}
	}
}

func TestIncidentsBecomeEvents(t *testing.T) {
	sink := &fakeSink{incidents: []map[string]string{{"what": "was cut short"}}}
	l := newLog(t, Options{Sinks: []Sink{sink}})
	record(t, l, "a")
	closeLog(t, l)
	if diff := cmp.Diff([]string{"recovery was cut short", "decision a"}, kinds(t, sink.text())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestVerify(t *testing.T) {
	sink := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{sink}})
	for _, id := range []string{"a", "b", "c", "d"} {
		record(t, l, id)
	}
	closeLog(t, l)
	whole := sink.text()
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	lines[3] += "\n"
	join := func(l ...string) string { return strings.Join(l, "") }
	cases := []struct{ name, text, want string }{
		{"whole", whole, ""},
		{"empty", "", ""},
		{"from the middle", join(lines[2], lines[3]), ""},
		{"a line is edited", strings.Replace(whole, `"event":"b"`, `"event":"x"`, 1), "audit:3: prev is"},
		{"the last line is edited", strings.Replace(whole, `"event":"d"`, `"event":"x"`, 1), ""},
		{"a line is removed", join(lines[0], lines[2], lines[3]), "audit:2: seq is 3, expected 2"},
		{"lines are swapped", join(lines[0], lines[2], lines[1], lines[3]), "audit:2: seq is 3, expected 2"},
		{"a line is doubled", join(lines[0], lines[1], lines[1]), "audit:3: seq is 2, expected 3"},
		{"a line is forged", join(lines[0], strings.Replace(lines[1], `"prev":"`, `"prev":"f`, 1)), "audit:2: prev has 65 characters"},
		{"the first line is not the first", strings.Replace(whole, `"prev":"0`, `"prev":"1`, 1), "audit:1: prev is 1"},
		{"the last line is cut", whole[:len(whole)-9], "audit:4: the line is cut short"},
		{"a line break is missing", whole[:len(whole)-1], "audit:4: the line is cut short"},
		{"an empty line", lines[0] + "\n", "audit:2: not a JSON object"},
		{"another schema", strings.Replace(whole, `{"v":1`, `{"v":2`, 1), "audit:1: v is 2, expected 1"},
		{"no JSON", "hello\n", "audit:1: not a JSON object"},
		{"a bad time", strings.Replace(whole, "2030-01", "2030-99", 1), "audit:1: not an event"},
		{"endless", strings.Repeat("x", MaxLine+2), "audit:1: the line is longer than"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := Verify(strings.NewReader(c.text))
			if c.want == "" && err == nil {
				return
			}
			if err == nil || c.want == "" || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("Verify: %v, want %q", err, c.want)
			}
		})
	}
	var v Verifier
	if err := errors.Join(v.Check("1", strings.NewReader(join(lines[:2]...))), v.Check("2", strings.NewReader(join(lines[2:]...)))); err != nil {
		t.Errorf("two files of one chain: %v", err)
	}
	if err := v.Check("3", strings.NewReader(lines[0])); err == nil || err.Error() != "3:1: seq is 1, expected 5: lines were removed, added or moved" {
		t.Errorf("a chain that begins again: %v", err)
	}
}

// TestInvariantSecretsStayInsideAudit: the event has no field for one, and what looks like one is removed from those that quote a
// client.
func TestInvariantSecretsStayInsideAudit(t *testing.T) {
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
	secrets := map[string]string{
		"identity token": jwt, "unsigned identity token": jwt[:strings.LastIndexByte(jwt, '.')+1],
		"publish token": "tpub_" + jwt,
		"devpi token":   "devpi-" + strings.Repeat("canary0-", 8),
		"pypi token":    "pypi-" + strings.Repeat("canary0-", 8),
		"basic header":  "Basic X190b2tlbl9fOmNhbmFyeQ==",
		"bearer header": "bearer canary.canary-1",
	}
	for name, secret := range secrets {
		sink := new(fakeSink)
		l := newLog(t, Options{Sinks: []Sink{sink}})
		event := fill(t, func(string) string { return "x " + secret + " y" })
		if err := l.Record(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		closeLog(t, l)
		text := sink.text()
		for _, part := range strings.FieldsFunc(strings.TrimPrefix(secret, "tpub_"), func(r rune) bool { return r == '.' || r == ' ' }) {
			if len(part) > 8 && strings.Contains(text, part) {
				t.Errorf("%s: the line holds %q:\n%s", name, part, text)
			}
		}
		if !strings.Contains(text, `"x [redacted] y"`) {
			t.Errorf("%s: the rest of the value is gone:\n%s", name, text)
		}
	}
	// Nothing of an ordinary event is touched.
	sink := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{sink}})
	event := fill(t, func(name string) string { return "value of " + name + ", pypi-upload, devpi-server, Basic, tpub_" })
	if err := l.Record(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	var got model.Event
	if err := json.Unmarshal([]byte(sink.text()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(event, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

// fill sets every field of an event, and fails for a field of a type that might carry more than it says.
func fill(t *testing.T, text func(field string) string) model.Event {
	t.Helper()
	var e model.Event
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		switch value := field.Addr().Interface().(type) {
		case *time.Time:
			*value = at
		case **model.Target:
			s := text(name)
			*value = &model.Target{Ecosystem: s, Registry: s, Package: s, Version: s, File: s, Action: model.Action(s)}
		case *map[string]string:
			*value = map[string]string{"key": text(name)}
		case *[]string:
			*value = []string{text(name)}
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString(text(name))
			case reflect.Int, reflect.Int64:
				field.SetInt(int64(i) + 1)
			case reflect.Bool:
				field.SetBool(true)
			default:
				t.Fatalf("model.Event.%s is a %s: say in this test how it cannot carry a secret", name, field.Type())
			}
		}
	}
	return e
}

func TestTooLongAnEvent(t *testing.T) {
	var log bytes.Buffer
	sink := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{sink}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	event := model.Event{ID: "a", Message: strings.Repeat("x", MaxLine)}
	if err := l.Record(t.Context(), event); err == nil || !strings.Contains(err.Error(), "expected at most") {
		t.Errorf("Record: %v", err)
	}
	l.Note(event)
	if l.Status()[0].Lost != 1 {
		t.Errorf("lost: %d, want 1", l.Status()[0].Lost)
	}
	closeLog(t, l)
	if diff := cmp.Diff([]string{"lost 1"}, kinds(t, sink.text())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"v":1,"seq":1,"prev":"` + strings.Repeat("0", 64) + `","time":"2030-01-02T03:04:05Z","kind":"lost","detail":{"count":"2"}}` + "\n"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Verifier
		err := v.Check("fuzz", bytes.NewReader(b))
		if err == nil && v.Summary().Lines != uint64(bytes.Count(b, []byte("\n"))) {
			t.Errorf("%d lines counted in %q", v.Summary().Lines, b)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	l, err := New(Options{Sinks: []Sink{discard{}}})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	event := model.Event{
		ID: "0123456789abcdef", Kind: model.EventDecision, Decision: "allow", Policy: "widget-release", Mode: "enforce",
		Operation: "upload", Target: &model.Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "acme-widget", Version: "1.0", Action: "publish"},
		Run: map[string]string{"repository": "acme/widget", "ref": "refs/tags/v1.0", "sha": strings.Repeat("a", 40), "run_id": "1", "actor": "a"},
	}
	b.Run("one line", func(b *testing.B) {
		b.ReportAllocs()
		var c chain
		var e, line []byte
		for b.Loop() {
			var err error
			if e, err = encode(e[:0], &event); err != nil {
				b.Fatal(err)
			}
			line, _ = c.attach(line[:0], e)
		}
	})
	b.Run("record", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := l.Record(b.Context(), event); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

type discard struct{}

func (discard) Write(context.Context, [][]byte) error { return nil }
func (discard) Last(context.Context) ([]byte, error)  { return nil, nil }
func (discard) Close() error                          { return nil }
