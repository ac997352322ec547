package audit

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// readAll collects the events and the error of a text.
func readAll(text string) ([]model.Event, string) {
	var events []model.Event
	for event, err := range Events("a.jsonl", strings.NewReader(text)) {
		if err != nil {
			return events, err.Error()
		}
		events = append(events, event)
	}
	return events, ""
}

func TestEvents(t *testing.T) {
	sink := new(fakeSink)
	l := newLog(t, Options{Sinks: []Sink{sink}})
	want := []model.Event{fill(t, func(name string) string { return "first " + name }), fill(t, func(name string) string { return "second " + name })}
	for _, event := range want {
		if err := l.Record(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	text := strings.TrimSuffix(sink.text(), "\n") + "\n"
	first, _, _ := strings.Cut(text, "\n")
	for _, test := range []struct {
		name, text string
		want       []model.Event
		err        string
	}{
		{"all", text, want, ""},
		{"nothing", "", nil, ""},
		{"while it is written", text + first[:20], want, ""},
		{"a field of a newer release", strings.Replace(first, `"v":1`, `"v":1,"newer":{"a":1}`, 1) + "\n", want[:1], ""},
		{"the second is no line", first + "\nx\n", want[:1], "a.jsonl:2: not a JSON object: invalid character 'x' looking for beginning of value"},
		{"another version", strings.Replace(first, `"v":1`, `"v":2`, 1) + "\n", nil, "a.jsonl:1: v is 2, expected 1"},
		{"a field of another type", strings.Replace(first, `"size":`, `"size":"x","s":`, 1) + "\n", nil, "a.jsonl:1: not an event: json: cannot unmarshal string into Go struct field Event.size of type int64"},
		{"too long", "{" + strings.Repeat(" ", MaxLine+2) + "}\n", nil, "a.jsonl:1: the line is longer than 262144 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readAll(test.text)
			if diff := cmp.Diff(test.want, got); diff != "" || err != test.err {
				t.Errorf("error %q, want %q; events (-want +got):\n%s", err, test.err, diff)
			}
		})
	}
	for _, err := range Events("a.jsonl", strings.NewReader(text)) {
		if err != nil {
			t.Error(err)
		}
		break // a reader that has seen enough
	}
	away := errors.New("away")
	for _, err := range Events("a.jsonl", iotest.ErrReader(away)) {
		if !errors.Is(err, away) || err.Error() != "a.jsonl: away" {
			t.Errorf("got %v", err)
		}
	}
}

// FuzzEvents: no input panics, and what is read was there line by line.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"v":1,"seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","time":"2030-01-02T03:04:01Z","event":"e1","kind":"decision"}` + "\n"))
	f.Add([]byte("x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		for _, err := range Events("f", bytes.NewReader(text)) {
			if err == nil {
				n++
			}
		}
		if n > bytes.Count(text, []byte("\n")) {
			t.Errorf("%d events in fewer lines", n)
		}
	})
}
